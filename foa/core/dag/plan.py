"""The graph of a plan: its laws, its order, what may start, and what remains after each subtask.

Everybody who makes, merges, edits or runs a plan comes through here. Ids break every tie, so all who hold
the same plan see the same order. The algorithms are written out because an agent process must not load
networkx; the tests hold them against networkx as the oracle.
"""

from collections.abc import Collection, Iterable, Mapping
from heapq import heapify, heappop, heappush
from math import isfinite
from typing import Final

import msgspec

from foa.errors import ProposalError
from foa.wire.ids import MAX_SEGMENT, is_segment
from foa.wire.records import MAX_EDGES, MAX_SUBTASKS, Edge, Phase, Plan, Subtask

_OPEN: Final = frozenset({"waiting", "ready"})
_LIGHTEST: Final = 0.01
"""A weight of 0 counts as this part of the plan's largest: everything needs some time and money."""


# --- laws -------------------------------------------------------------------------------------------------


def check(plan: Plan) -> str | None:
    """Return one line that names the first law `plan` breaks, with the value and the mend; None if none."""
    return _check_subtasks(plan) or _check_edges(plan) or _check_acyclic(plan)


def validated(plan: Plan) -> Plan:
    """Return `plan` as it is; ProposalError says what is wrong with it."""
    fault = check(plan)
    if fault is not None:
        raise ProposalError(fault)
    return plan


def check_edit(before: Plan, after: Plan, phases: Mapping[str, Phase]) -> str | None:
    """Return why `after` may not replace `before` while it runs; None if it may.

    ``after`` must be a plan, and whatever has started (by `phases`) must be in it unchanged, with the
    same predecessors.
    """
    fault = check(after)
    if fault is not None:
        return fault
    kept = {subtask.id: subtask for subtask in after.subtasks}
    old, new = predecessors(before), predecessors(after)
    for subtask in before.subtasks:
        if phases.get(subtask.id, "waiting") in _OPEN:
            continue
        if kept.get(subtask.id) != subtask:
            return f"subtask {subtask.id!r} has started and may not change: leave it as it was"
        if old[subtask.id] != new[subtask.id]:
            return f"edges into {subtask.id!r} may not change, it has started: leave them as they were"
    return None


def _check_subtasks(plan: Plan) -> str | None:
    if not plan.subtasks:
        return "subtasks is empty: give at least one"
    if len(plan.subtasks) > MAX_SUBTASKS:
        return f"subtasks are {len(plan.subtasks)}: at most {MAX_SUBTASKS} are allowed"
    seen: set[str] = set()
    for subtask in plan.subtasks:
        if subtask.id in seen:
            return f"id {subtask.id[:80]!r} is given twice: every subtask needs its own"
        seen.add(subtask.id)
    return next(filter(None, map(_check_subtask, plan.subtasks)), None)


def _check_subtask(subtask: Subtask) -> str | None:
    if not is_segment(subtask.id):
        return f"id {subtask.id[:80]!r}: must be 1 to {MAX_SEGMENT} characters of A-Z a-z 0-9 _ . -"
    if not subtask.text.strip():
        return f"text of {subtask.id!r} is empty: say what is to be done"
    if not (isfinite(subtask.weight) and subtask.weight >= 0):
        return f"weight of {subtask.id!r} is {subtask.weight}: must be a finite number, 0 or more"
    return None


def _check_edges(plan: Plan) -> str | None:
    if len(plan.edges) > MAX_EDGES:
        return f"edges are {len(plan.edges)}: at most {MAX_EDGES} are allowed"
    known = {subtask.id for subtask in plan.subtasks}
    for before, after in plan.edges:
        for end in (before, after):
            if end not in known:
                return f"edge {before!r} -> {after!r}: {end[:80]!r} is no subtask, name one of the plan's ids"
        if before == after:
            return f"edge {before!r} -> {after!r}: a subtask cannot wait for itself, leave the edge out"
    return None


def _check_acyclic(plan: Plan) -> str | None:
    ordered = _sorted(plan)
    if len(ordered) == len(plan.subtasks):
        return None
    cycle = _cycle(plan, set(ordered))
    return f"edges form a cycle {' -> '.join(cycle)}: leave one of them out"


def _cycle(plan: Plan, outside: set[str]) -> list[str]:
    """Walk backwards among the subtasks no order was found for until one is met again."""
    before = predecessors(plan)
    at = min(subtask.id for subtask in plan.subtasks if subtask.id not in outside)
    path: list[str] = []
    while at not in path:
        path.append(at)
        at = next(one for one in before[at] if one not in outside)
    return [*path[path.index(at) :], at][::-1]


# --- the graph --------------------------------------------------------------------------------------------


def predecessors(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return, for every subtask, the ids it waits for, sorted."""
    return _neighbours(plan, ((after, before) for before, after in plan.edges))


def successors(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return, for every subtask, the ids that wait for it, sorted."""
    return _neighbours(plan, plan.edges)


def _neighbours(plan: Plan, pairs: Iterable[Edge]) -> dict[str, tuple[str, ...]]:
    if not plan.edges:
        return {subtask.id: () for subtask in plan.subtasks}
    found: dict[str, set[str]] = {subtask.id: set() for subtask in plan.subtasks}
    for one, other in pairs:
        found[one].add(other)
    return {one: tuple(sorted(others)) for one, others in found.items()}


def order(plan: Plan) -> tuple[str, ...]:
    """Return the ids of a valid plan in topological order, the smallest id first among equals."""
    return tuple(_sorted(plan))


def _sorted(plan: Plan) -> list[str]:
    """Kahn's algorithm; what lies on or behind a cycle is left out."""
    if not plan.edges:
        return sorted({subtask.id for subtask in plan.subtasks})
    after = successors(plan)
    missing = {one: len(others) for one, others in predecessors(plan).items()}
    free = [one for one, count in missing.items() if count == 0]
    heapify(free)
    ordered: list[str] = []
    while free:
        one = heappop(free)
        ordered.append(one)
        for other in after[one]:
            missing[other] -= 1
            if missing[other] == 0:
                heappush(free, other)
    return ordered


def sinks(plan: Plan) -> tuple[str, ...]:
    """Return the subtasks nobody waits for, in topological order: theirs are the task's outputs."""
    waited = {before for before, _ in plan.edges}
    return tuple(one for one in order(plan) if one not in waited)


def descendants(plan: Plan, start: str) -> tuple[str, ...]:
    """Return all that depend on `start`, however far, in topological order: what falls if it is withdrawn."""
    before = predecessors(plan)
    below = {start}
    for one in order(plan):
        if not below.isdisjoint(before[one]):
            below.add(one)
    return tuple(one for one in order(plan) if one in below and one != start)


def ancestors(plan: Plan, end: str) -> tuple[str, ...]:
    """Return all that `end` depends on, however far, in topological order: whose outputs it may be given."""
    if not plan.edges:
        return ()
    before = predecessors(plan)
    above = set(before[end])
    for one in reversed(order(plan)):
        if one in above:
            above.update(before[one])
    return tuple(one for one in order(plan) if one in above)


def reduced(plan: Plan) -> Plan:
    """Return a valid plan without the edges that a longer path makes needless; edges sorted, each once."""
    ordered = order(plan)
    bit = {one: 1 << at for at, one in enumerate(ordered)}
    place = {one: at for at, one in enumerate(ordered)}
    after = successors(plan)
    reach: dict[str, int] = {}
    edges: list[Edge] = []
    for one in reversed(ordered):
        reached = 0
        for other in sorted(after[one], key=place.__getitem__):
            if not reached & bit[other]:
                edges.append((one, other))
                reached |= reach[other]
        reach[one] = reached | bit[one]
    return msgspec.structs.replace(plan, edges=tuple(sorted(edges)))


# --- running ----------------------------------------------------------------------------------------------


def ready(plan: Plan, phases: Mapping[str, Phase]) -> tuple[str, ...]:
    """Return the waiting subtasks whose predecessors are all done, the one with most still to come first.

    A subtask without an entry in `phases` is waiting. `foa.core.dag.works` keeps the same set along as a plan runs.
    """
    before, rank = predecessors(plan), ranks(plan)
    found = (
        one
        for one in before
        if phases.get(one, "waiting") == "waiting" and all(phases.get(other) == "done" for other in before[one])
    )
    return tuple(sorted(found, key=lambda one: (-rank[one], one)))


def levels(plan: Plan) -> tuple[tuple[str, ...], ...]:
    """Return the ids by distance from the start: a level holds what may run once the one before it is done."""
    before = predecessors(plan)
    at: dict[str, int] = {}
    for one in order(plan):
        at[one] = 1 + max((at[other] for other in before[one]), default=-1)
    found: list[list[str]] = [[] for _ in range(1 + max(at.values(), default=-1))]
    for one, level in at.items():
        found[level].append(one)
    return tuple(map(tuple, found))


def ranks(plan: Plan) -> dict[str, float]:
    """Return, for every subtask, the weight of the heaviest path that begins with it: what remains once it may start.

    List scheduling takes the largest first (Graham 1969; the upward rank of HEFT without communication).
    """
    return _longest(order(plan)[::-1], successors(plan), _weights(plan))


def depth(plan: Plan) -> int:
    """Return the number of subtasks on the longest path."""
    return len(levels(plan))


def width(plan: Plan) -> int:
    """Return the size of the largest level: how many agents the plan can keep busy at a time."""
    return max((len(level) for level in levels(plan)), default=0)


def critical_path(plan: Plan) -> tuple[str, ...]:
    """Return the heaviest path by weight, ties to the smallest ids: it decides how long the plan takes."""
    weights = _weights(plan)
    below = _longest(order(plan)[::-1], successors(plan), weights)
    after = successors(plan)
    path: list[str] = []
    options: Collection[str] = tuple(below)
    while options:
        at = min(options, key=lambda one: (-below[one], one))
        path.append(at)
        options = after[at]
    return tuple(path)


def _weights(plan: Plan) -> dict[str, float]:
    least = _LIGHTEST * max((subtask.weight for subtask in plan.subtasks), default=0.0) or 1.0
    return {subtask.id: max(subtask.weight, least) for subtask in plan.subtasks}


def _longest(
    ordered: Iterable[str], nearer: Mapping[str, tuple[str, ...]], weights: Mapping[str, float]
) -> dict[str, float]:
    """Return the weight of the heaviest path that ends in each of `ordered`, which come nearest first."""
    longest: dict[str, float] = {}
    for one in ordered:
        longest[one] = weights[one] + max((longest[other] for other in nearer[one] if other in longest), default=0.0)
    return longest
