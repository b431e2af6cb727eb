"""Several planners' plans made one: pure, commutative, idempotent. All who hold the same proposals get the same plan.

Subtasks of different proposals that mean the same are put in one group, never two of one proposal; a group is kept
if enough planners have it. Its order is voted on (`ordering`): pairs are taken strongest first and one that would
close a cycle is left out, which is each cycle's weakest; then needless edges go.

Where the planners agree on too little of the plan that is nearest to the others, a vote over splinters would
be nobody's plan: then that plan is taken as it is.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Final, NamedTuple

import msgspec

from foa.core.dag.align import Group, Item, Vectors, aligned, similarities
from foa.core.dag.merge import ordering
from foa.core.dag.merge.subtasks import named
from foa.core.dag.merge.terms import Dropped, Kept, MergeRules, Proposal, Report
from foa.core.dag.merge.weights import bounded, shares
from foa.core.dag.plan import check, order, reduced
from foa.wire.records import Plan

_MAX_ORIGIN: Final = 16
_DIGITS: Final = 9


class _Room(NamedTuple):
    """Who is heard, with what weight; their subtasks, and which of these mean the same."""

    voices: tuple[Proposal, ...]
    weights: tuple[float, ...]
    shares: tuple[float, ...]
    items: tuple[Item, ...]
    groups: tuple[Group, ...]

    def support(self, group: Group) -> float:
        """Return the weight of the voices that have a subtask of `group`."""
        return round(sum(self.shares[self.items[at].voice] for at in group), _DIGITS)


DEFAULT: Final = MergeRules()


def merge(
    proposals: Sequence[Proposal], vectors: Vectors | None = None, rules: MergeRules = DEFAULT
) -> tuple[Plan | None, Report]:
    """Return the plan that `proposals` agree on and how it came about; None if no proposal is a plan at all."""
    voices, dropped = heard(proposals, rules)
    if not voices:
        return None, Report((), "", agreed=False, kept=(), dropped=dropped)
    items = tuple(
        Item(at, subtask)
        for at, one in enumerate(voices)
        for subtask in sorted(one.plan.subtasks, key=lambda it: it.id)
    )
    near, by_vector = similarities([item.subtask.text for item in items], vectors or {})
    close = (near >= rules.alike) | (~by_vector & (near >= rules.overlap))
    weights = bounded([one.weight for one in voices])
    room = _Room(voices, weights, shares(weights), items, tuple(aligned(items, near, close)))
    anchor = _anchor(room)
    chosen, agreed = _chosen(room, anchor, rules)
    subtasks = named(items, near, chosen)
    edges, refused = ordering.agreed(ordering.votes(voices, room.shares, items, subtasks))
    origin = sorted({word for one in voices for word in one.plan.origin or (one.planner,)})[:_MAX_ORIGIN]
    plan = reduced(Plan(tuple(subtasks.values()), edges, origin=tuple(origin)))
    places = {one: at for at, one in enumerate(order(plan))}
    plan = msgspec.structs.replace(plan, subtasks=tuple(sorted(plan.subtasks, key=lambda one: places[one.id])))
    kept = tuple(
        Kept(subtask.id, tuple((voices[items[at].voice].planner, items[at].subtask.id) for at in group))
        for group, subtask in sorted(subtasks.items(), key=lambda pair: places[pair[1].id])
    )
    gone = _gone(room, chosen)
    return plan, Report(
        tuple(one.planner for one in voices), voices[anchor].planner, agreed, kept, (*dropped, *gone, *refused)
    )


# --- who is heard -----------------------------------------------------------------------------------------


def heard(
    proposals: Iterable[Proposal], rules: MergeRules = DEFAULT
) -> tuple[tuple[Proposal, ...], tuple[Dropped, ...]]:
    """Return one valid proposal per planner, by planner; of several the first by content, not by arrival."""
    voices: dict[str, Proposal] = {}
    dropped: list[Dropped] = []
    distinct: dict[tuple[str, bytes], Proposal] = {}
    for one in proposals:
        key = one.planner, msgspec.json.encode(one.plan)
        distinct[key] = min(one, distinct.get(key, one), key=lambda it: (it.weight, it.leads))
    for _, proposal in sorted(distinct.items()):
        fault = _fault(proposal.plan, rules)
        if fault is None and proposal.planner in voices:
            fault = "the planner has proposed another plan: one voice each"
        if fault is None and len(voices) >= rules.voices:
            fault = f"{rules.voices} planners are heard, the first by name"
        if fault is None:
            voices[proposal.planner] = proposal
        else:
            dropped.append(Dropped(proposal.planner, "plan", fault))
    return tuple(voices.values()), tuple(dropped)


def _fault(plan: Plan, rules: MergeRules) -> str | None:
    fault = check(plan)
    if fault is not None:
        return fault
    if len(plan.subtasks) > rules.size:
        return f"subtasks are {len(plan.subtasks)}: at most {rules.size} are merged"
    chars = sum(len(one.text) for one in plan.subtasks)
    return f"texts have {chars} characters: at most {rules.chars} are merged" if chars > rules.chars else None


def _anchor(room: _Room) -> int:
    """Return the voice nearest to all, by weight (Dice of what two plans share), then the worthier, finer, first."""
    count = len(room.voices)
    shared = [[0] * count for _ in range(count)]
    for group in room.groups:
        for one, other in combinations((room.items[at].voice for at in group), 2):
            shared[one][other] += 1
            shared[other][one] += 1
    sizes = [len(one.plan.subtasks) for one in room.voices]
    scores = [
        room.shares[one]
        + sum(
            room.shares[other] * 2 * shared[one][other] / (sizes[one] + sizes[other])
            for other in range(count)
            if other != one
        )
        for one in range(count)
    ]
    return min(range(count), key=lambda one: (-round(scores[one], _DIGITS), -room.weights[one], -sizes[one], one))


# --- what is kept -----------------------------------------------------------------------------------------


def _chosen(room: _Room, anchor: int, rules: MergeRules) -> tuple[list[Group], bool]:
    """Return the groups that have support, at most `cap`, and whether that is a consensus."""
    enough = round(rules.quorum * sum(room.shares), _DIGITS)
    own = {group for group in room.groups if any(room.items[at].voice == anchor for at in group)}
    supported = [
        one for one in room.groups if room.support(one) > enough or (one in own and room.support(one) >= enough)
    ]
    if len(own.intersection(supported)) < rules.cover * len(own):
        supported = [(at,) for at, item in enumerate(room.items) if item.voice == anchor]
        return _capped(room, supported, rules.cap), False
    return _capped(room, supported, rules.cap), True


def _capped(room: _Room, groups: list[Group], cap: int) -> list[Group]:
    """Keep the groups with most support, among equals what comes early in its plan."""
    if len(groups) <= cap:
        return groups
    items = room.items
    places = [{one: at for at, one in enumerate(order(voice.plan))} for voice in room.voices]
    first = {group: min(places[items[at].voice][items[at].subtask.id] for at in group) for group in groups}
    return sorted(sorted(groups, key=lambda group: (-room.support(group), first[group], group))[:cap])


def _gone(room: _Room, chosen: Iterable[Group]) -> list[Dropped]:
    inside = {at for group in chosen for at in group}
    return [
        Dropped(
            room.voices[room.items[at].voice].planner,
            room.items[at].subtask.id,
            f"{len(group)} of {len(room.voices)} planners have it",
        )
        for group in room.groups
        for at in group
        if at not in inside
    ]
