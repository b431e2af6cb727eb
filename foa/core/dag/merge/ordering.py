"""Which subtask comes before which: votes on the order relation, strongest first, and never a cycle.

Who says a -> b -> c also says a before c, so a planner who leaves b out does not speak against it, and dropping b
loses nobody's order.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import permutations
from typing import NamedTuple

from foa.core.dag.align import Group, Item
from foa.core.dag.merge.terms import Dropped, Proposal
from foa.core.dag.plan import successors
from foa.wire.records import Edge, Plan, Subtask

_DIGITS = 9


class Vote(NamedTuple):
    """``says`` of the ``holders``, the weight of who has both subtasks, puts the first before the other."""

    edge: Edge
    says: float
    holders: float


def votes(
    voices: Sequence[Proposal], shares: Sequence[float], items: Sequence[Item], named: Mapping[Group, Subtask]
) -> list[Vote]:
    """Weigh who puts which kept subtask before which, strongest first; only who leads, of two that some leader has."""
    new: list[dict[str, str]] = [{} for _ in voices]
    for group, subtask in named.items():
        for at in group:
            new[items[at].voice][items[at].subtask.id] = subtask.id
    led: set[Edge] = set()
    says: defaultdict[Edge, float] = defaultdict(float)
    holders: defaultdict[Edge, float] = defaultdict(float)
    for leads in (True, False):
        known = frozenset(led)
        for voice, share, names in zip(voices, shares, new, strict=True):
            if voice.leads is not leads:
                continue
            pairs = {pair for pair in permutations(sorted(names.values()), 2) if leads or pair not in known}
            led.update(pairs if leads else ())
            before = ancestors(voice.plan)
            for pair in pairs:
                holders[pair] += share
            for later in names:
                for edge in ((names[earlier], names[later]) for earlier in before[later] if earlier in names):
                    says[edge] += share if edge in pairs else 0.0
    found = [
        Vote(edge, round(weight, _DIGITS), round(holders[edge], _DIGITS)) for edge, weight in says.items() if weight
    ]
    return sorted(found, key=lambda vote: (-vote.says, vote.holders, vote.edge))


def ancestors(plan: Plan) -> dict[str, set[str]]:
    """Return, for every subtask of a valid plan, all that come before it."""
    before: dict[str, set[str]] = {one.id: set() for one in plan.subtasks}
    after = successors(plan)
    missing = Counter(other for others in after.values() for other in others)
    free = [one for one in before if not missing[one]]
    while free:
        one = free.pop()
        for other in after[one]:
            before[other] |= before[one]
            before[other].add(one)
            missing[other] -= 1
            if not missing[other]:
                free.append(other)
    return before


def agreed(found: Iterable[Vote]) -> tuple[tuple[Edge, ...], list[Dropped]]:
    """Take what at least half of those say who can tell, unless what was taken before says the contrary."""
    below: dict[str, set[str]] = {}
    edges: list[Edge] = []
    dropped: list[Dropped] = []
    for (one, other), says, holders in found:
        if 2 * says < holders:
            dropped.append(Dropped("", f"{one} -> {other}", f"{says:.4g} of {holders:.4g} planners say so"))
        elif one in below.get(other, ()):
            dropped.append(Dropped("", f"{one} -> {other}", "would close a cycle, and is its weakest edge"))
        else:
            edges.append((one, other))
            _put_below(below, one, other)
    return tuple(edges), dropped


def _put_below(below: dict[str, set[str]], one: str, other: str) -> None:
    """Record that `other` and all below it now come after `one` and all above it."""
    if other in below.get(one, ()):
        return
    reached: Collection[str] = {other, *below.get(other, ())}
    for upper in [one, *(name for name, lower in below.items() if one in lower)]:
        below.setdefault(upper, set()).update(reached)
