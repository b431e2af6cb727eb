"""Several planners' plans made one: pure, commutative, idempotent. All who hold the same proposals get the same plan.

Called by the coordinator once the proposals are in. Subtasks of different proposals that mean the same are
put in one group, never two of one proposal; a group is kept if enough planners have it. The order is voted on
as a relation, not as edges: who says a -> b -> c also says a before c, so a planner who leaves b out does not
speak against it, and dropping b loses nobody's order. Pairs are taken strongest first and one that would
close a cycle is left out, which is each cycle's weakest; then needless edges go.

Where the planners agree on too little of the plan that is nearest to the others, a vote over splinters would
be nobody's plan: then that plan is taken as it is.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import permutations
from statistics import median_low
from typing import Final, NamedTuple

import msgspec

from foa.core.dag.align import Group, Item, Matrix, Vectors, aligned, central, similarities
from foa.core.dag.plan import check, order, predecessors, reduced
from foa.wire.ids import MAX_SEGMENT
from foa.wire.records import MAX_SKILLS, Edge, Plan, Subtask

_MAX_ORIGIN: Final = 16


class Proposal(NamedTuple):
    """One planner's plan, as it came: not checked yet. ``weight`` is what its voice is worth beside the others'."""

    planner: str
    plan: Plan
    weight: float = 1.0


class MergeRules(msgspec.Struct, frozen=True):
    """When subtasks are one, what has support, and how much is looked at.

    ``alike``: cosine from which two subtasks are one; ``overlap``: the same for the part of words they share,
    where there are no vectors. ``quorum``: part of the planners that must have a subtask; exactly so
    many are enough only with the anchor among them. ``cover``: less of the anchor's plan kept than this part
    is no consensus. ``cap`` bounds the merged plan, ``voices`` the planners heard, ``size`` a proposal.
    """

    alike: float = 0.75
    overlap: float = 0.5
    quorum: float = 0.5
    cover: float = 0.5
    cap: int = 128
    voices: int = 8
    size: int = 128


class Kept(NamedTuple):
    """A subtask of the merged plan and who proposed it: (planner, id there)."""

    id: str
    members: tuple[tuple[str, str], ...]


class Dropped(NamedTuple):
    """What did not come in: ``what`` is "plan", a subtask's id, or "a -> b" for an edge of the merged plan."""

    planner: str
    what: str
    reason: str


class Report(NamedTuple):
    """How the merged plan came about. ``anchor`` is the planner nearest to the others; ``agreed``: by vote."""

    voices: tuple[str, ...]
    anchor: str
    agreed: bool
    kept: tuple[Kept, ...]
    dropped: tuple[Dropped, ...]


class _Vote(NamedTuple):
    """``says`` of the ``holders``, the planners who have both subtasks, put the first before the other."""

    edge: Edge
    says: int
    holders: int


DEFAULT: Final = MergeRules()


def merge(
    proposals: Sequence[Proposal], vectors: Vectors | None = None, rules: MergeRules = DEFAULT
) -> tuple[Plan | None, Report]:
    """Return the plan that `proposals` agree on and how it came about; None if no proposal is a plan at all."""
    voices, dropped = _heard(proposals, rules)
    if not voices:
        return None, Report((), "", agreed=False, kept=(), dropped=dropped)
    items = [
        Item(at, subtask)
        for at, one in enumerate(voices)
        for subtask in sorted(one.plan.subtasks, key=lambda it: it.id)
    ]
    near, by_vector = similarities([item.subtask.text for item in items], vectors or {})
    close = (near >= rules.alike) | (~by_vector & (near >= rules.overlap))
    groups = aligned(items, near, close)
    anchor = _anchor(voices, items, groups)
    chosen, agreed = _chosen(voices, items, groups, anchor, rules)
    named = _named(items, near, chosen)
    votes = _votes(voices, items, named)
    edges, refused = _edges(votes)
    origin = sorted({word for one in voices for word in one.plan.origin or (one.planner,)})[:_MAX_ORIGIN]
    plan = reduced(Plan(tuple(named.values()), edges, origin=tuple(origin)))
    places = {one: at for at, one in enumerate(order(plan))}
    plan = msgspec.structs.replace(plan, subtasks=tuple(sorted(plan.subtasks, key=lambda one: places[one.id])))
    kept = tuple(
        Kept(subtask.id, tuple((voices[items[at].voice].planner, items[at].subtask.id) for at in group))
        for group, subtask in sorted(named.items(), key=lambda pair: places[pair[1].id])
    )
    gone = _gone(voices, items, groups, chosen)
    return plan, Report(
        tuple(one.planner for one in voices), voices[anchor].planner, agreed, kept, (*dropped, *gone, *refused)
    )


# --- who is heard -----------------------------------------------------------------------------------------


def _heard(proposals: Iterable[Proposal], rules: MergeRules) -> tuple[list[Proposal], tuple[Dropped, ...]]:
    """Return one valid proposal per planner, by planner; of several the first by content, not by arrival."""
    voices: dict[str, Proposal] = {}
    dropped: list[Dropped] = []
    distinct = {(one.planner, msgspec.json.encode(one.plan)): one for one in proposals}
    for _, proposal in sorted(distinct.items()):
        fault = check(proposal.plan)
        if fault is None and len(proposal.plan.subtasks) > rules.size:
            fault = f"subtasks are {len(proposal.plan.subtasks)}: at most {rules.size} are merged"
        if fault is None and proposal.planner in voices:
            fault = "the planner has proposed another plan: one voice each"
        if fault is None and len(voices) >= rules.voices:
            fault = f"{rules.voices} planners are heard, the first by name"
        if fault is None:
            voices[proposal.planner] = proposal
        else:
            dropped.append(Dropped(proposal.planner, "plan", fault))
    return list(voices.values()), tuple(dropped)


def _anchor(voices: Sequence[Proposal], items: Sequence[Item], groups: Sequence[Group]) -> int:
    """Return the voice that shares most with the others (mean Dice), then the finer plan, then the first."""
    shared: Counter[tuple[int, int]] = Counter()
    for group in groups:
        shared.update(permutations((items[at].voice for at in group), 2))
    sizes = [len(one.plan.subtasks) for one in voices]
    scores = [
        sum(2 * shared[one, other] / (sizes[one] + sizes[other]) for other in range(len(voices)) if other != one)
        for one in range(len(voices))
    ]
    return min(range(len(voices)), key=lambda one: (-round(scores[one], 9), -sizes[one], one))


# --- what is kept -----------------------------------------------------------------------------------------


def _chosen(
    voices: Sequence[Proposal], items: Sequence[Item], groups: Sequence[Group], anchor: int, rules: MergeRules
) -> tuple[list[Group], bool]:
    """Return the groups that have support, at most `cap`, and whether that is a consensus."""
    enough = rules.quorum * len(voices)
    own = {group for group in groups if any(items[at].voice == anchor for at in group)}
    supported = [one for one in groups if len(one) > enough or (len(one) >= enough and one in own)]
    if len(own.intersection(supported)) < rules.cover * len(own):
        supported = [(at,) for at, item in enumerate(items) if item.voice == anchor]
        return _capped(voices, items, supported, rules.cap), False
    return _capped(voices, items, supported, rules.cap), True


def _capped(voices: Sequence[Proposal], items: Sequence[Item], groups: list[Group], cap: int) -> list[Group]:
    """Keep the groups with most support, among equals what comes early in its plan."""
    if len(groups) <= cap:
        return groups
    places = [{one: at for at, one in enumerate(order(voice.plan))} for voice in voices]
    first = {group: min(places[items[at].voice][items[at].subtask.id] for at in group) for group in groups}
    return sorted(sorted(groups, key=lambda group: (-len(group), first[group], group))[:cap])


def _named(items: Sequence[Item], near: Matrix, groups: Iterable[Group]) -> dict[Group, Subtask]:
    """Return each group's subtask: the wording of its central item, under an id of its own."""
    leads = {group: central(group, near) for group in groups}
    taken: set[str] = set()
    named: dict[Group, Subtask] = {}
    for group, lead in sorted(leads.items(), key=lambda pair: (items[pair[1]].subtask.id, pair[1])):
        name, number = items[lead].subtask.id, 2
        while name in taken:
            name, number = f"{items[lead].subtask.id[: MAX_SEGMENT - 5]}-{number}", number + 1
        taken.add(name)
        named[group] = _combined(items[lead].subtask, [items[at].subtask for at in group], name)
    return named


def _combined(lead: Subtask, members: Sequence[Subtask], name: str) -> Subtask:
    """Return the members as one subtask: what half of them ask for, but every policy that any of them names."""
    return msgspec.structs.replace(
        lead,
        id=name,
        skills=_said(lead.skills, [one.skills for one in members], len(members) / 2),
        policies=_said(lead.policies, [one.policies for one in members], 1),
        produces=_said(lead.produces, [one.produces for one in members], len(members) / 2),
        team=median_low(one.team for one in members),
        weight=median_low(one.weight for one in members),
        consent=all(one.consent for one in members),
    )


def _said(lead: tuple[str, ...], said: Iterable[tuple[str, ...]], enough: float) -> tuple[str, ...]:
    """Return the words that at least `enough` members say, the lead's own first."""
    counts = Counter(word for words in said for word in dict.fromkeys(words))
    kept = [word for word in (*dict.fromkeys(lead), *sorted(set(counts).difference(lead))) if counts[word] >= enough]
    return tuple(kept[:MAX_SKILLS])


def _gone(
    voices: Sequence[Proposal], items: Sequence[Item], groups: Iterable[Group], chosen: Iterable[Group]
) -> list[Dropped]:
    inside = {at for group in chosen for at in group}
    return [
        Dropped(
            voices[items[at].voice].planner, items[at].subtask.id, f"{len(group)} of {len(voices)} planners have it"
        )
        for group in groups
        for at in group
        if at not in inside
    ]


# --- in which order ---------------------------------------------------------------------------------------


def _votes(voices: Sequence[Proposal], items: Sequence[Item], named: Mapping[Group, Subtask]) -> list[_Vote]:
    """Count who puts which kept subtask before which, strongest first."""
    says: Counter[Edge] = Counter()
    holders: Counter[Edge] = Counter()
    for at, voice in enumerate(voices):
        new = {
            items[one].subtask.id: subtask.id
            for group, subtask in named.items()
            for one in group
            if items[one].voice == at
        }
        before = _ancestors(voice.plan)
        holders.update(permutations(sorted(new.values()), 2))
        says.update((new[earlier], new[later]) for later in new for earlier in before[later] if earlier in new)
    votes = [_Vote(edge, count, holders[edge]) for edge, count in says.items()]
    return sorted(votes, key=lambda vote: (-vote.says, vote.holders, vote.edge))


def _ancestors(plan: Plan) -> dict[str, frozenset[str]]:
    direct = predecessors(plan)
    before: dict[str, frozenset[str]] = {}
    for one in order(plan):
        before[one] = frozenset(direct[one]).union(*(before[other] for other in direct[one]))
    return before


def _edges(votes: Iterable[_Vote]) -> tuple[tuple[Edge, ...], list[Dropped]]:
    """Take what at least half of those say who can tell, unless what was taken before says the contrary."""
    below: dict[str, set[str]] = {}
    edges: list[Edge] = []
    dropped: list[Dropped] = []
    for (one, other), says, holders in votes:
        if 2 * says < holders:
            dropped.append(Dropped("", f"{one} -> {other}", f"{says} of {holders} planners say so"))
        elif one in below.get(other, ()):
            dropped.append(Dropped("", f"{one} -> {other}", "would close a cycle, and is its weakest edge"))
        else:
            edges.append((one, other))
            _put_below(below, one, other)
    return tuple(edges), dropped


def _put_below(below: dict[str, set[str]], one: str, other: str) -> None:
    """Record that `other` and all below it now come after `one` and all above it."""
    reached: Collection[str] = {other, *below.get(other, ())}
    for upper in [one, *(name for name, lower in below.items() if one in lower)]:
        below.setdefault(upper, set()).update(reached)
