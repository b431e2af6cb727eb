"""Plans mended over types: what a subtask needs and nobody brings is bridged, what can no longer be done gets a detour.

Called by the coordinator after a merge and when agents disappear. Both only add: what was there keeps its subtasks and
its order. A subtask that is added holds the policies of the one it is for, since permission is never traded.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from foa.core.dag.plan import check, order
from foa.core.dag.topology import above
from foa.core.dag.typed.layout import OWN_TEXT, laid
from foa.core.dag.typed.offers import Offer, fits
from foa.core.dag.typed.routes import DEFAULT, RouteRules, cheapest
from foa.wire.ids import AgentId
from foa.wire.records import Plan, Subtask

MAX_GAPS: Final = 64
"""Needs that nothing brings which are looked into; of a plan with more, the rest is told as missing."""


class Bridged(NamedTuple):
    """The plan with its gaps closed, the ids that were ``added``, and (subtask, type) of what is still ``missing``."""

    plan: Plan
    added: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]


class _View(NamedTuple):
    """A plan in topological order; for every place in it the places of all it waits for, and by type of all that yield.

    Places are bits.
    """

    plan: Plan
    subtasks: tuple[Subtask, ...]
    above: list[int]
    places: dict[str, int]
    yielding: dict[str, int]

    def able(self, kind: str) -> int:
        """Return the places of all that yield what fits `kind`."""
        if not kind.endswith(("*", "/")):
            return self.yielding.get(kind, 0)
        mask = 0
        for one, places in self.yielding.items():
            mask |= places if fits(kind, one) else 0
        return mask

    def free(self, at: int) -> int:
        """Return the places of all that does not wait for the subtask at this one, so may be put before it."""
        return sum(1 << other for other, mask in enumerate(self.above) if other != at and not mask >> at & 1)

    def of(self, places: int) -> list[Subtask]:
        """Return the subtasks at these places."""
        return [one for at, one in enumerate(self.subtasks) if places >> at & 1]


def bridged(plan: Plan, given: Collection[str], offers: Sequence[Offer], rules: RouteRules = DEFAULT) -> Bridged:
    """Return a valid `plan` in which every subtask's ``needs`` are brought by the inputs or by what it waits for.

    A gap is closed by an edge from a subtask that produces the type, else by the cheapest route to it over `offers`
    from all that may come before. The request's own words bring plain text to everybody, so that is never missing:
    only a subtask that makes text of something else is put before. An invalid plan comes back as it is.
    """
    if check(plan) is not None:
        return Bridged(plan, (), ())
    view, missing = _once(_view(plan), given, offers, rules)
    before = plan
    while missing and view.plan != before:
        # What was added may bring what was missing elsewhere.
        before = view.plan
        view, missing = _once(view, given, offers, rules)
    return Bridged(view.plan, tuple(one.id for one in view.plan.subtasks[len(plan.subtasks) :]), tuple(missing))


def _once(
    view: _View, given: Collection[str], offers: Sequence[Offer], rules: RouteRules
) -> tuple[_View, list[tuple[str, str]]]:
    """Return the plan with the gaps closed that can be, from the front to the back, and those that cannot, sorted."""
    missing: list[tuple[str, str]] = []
    looked = 0
    for one in view.subtasks:
        for kind in dict.fromkeys(one.needs):
            at = view.places[one.id]
            if _any(kind, given) or view.able(kind) & view.above[at]:
                continue
            looked += 1
            closed = None
            if looked <= MAX_GAPS:
                closed = _edged(view, at, kind) or _routed(view, at, kind, given, offers, rules)
            if closed is not None:
                view = _view(closed)
            elif not fits(kind, OWN_TEXT):
                missing.append((one.id, kind))
    return view, sorted(missing)


def detour(
    plan: Plan,
    subtask_id: str,
    available: Collection[str],
    offers: Iterable[Offer],
    excluded: Collection[AgentId] = (),
    rules: RouteRules = DEFAULT,
) -> Plan | None:
    """Return a small plan by other agents that yields what a subtask of `plan` produces from the types `available`.

    None if there is none, if the subtask declares no types, or if the plan has no such subtask. Its last subtasks have
    the words of the one they stand for, all have its policies and what else it was given; ids are new to `plan`.
    """
    found = next((one for one in plan.subtasks if one.id == subtask_id), None)
    if found is None or not found.produces:
        return None
    others = [one for one in offers if one.agent not in excluded]
    # What is to be yielded anew is no longer there, whoever brought it before.
    start = [one for one in available if not any(fits(kind, one) for kind in found.produces)]
    chosen = cheapest(start, found.produces, others, rules)
    taken = [one.id for one in plan.subtasks]
    small = laid(chosen, start, found.produces, rules, taken=taken) if chosen else None
    if small is None:
        return None
    subtasks = tuple(_standing(one, found) for one in small.subtasks)
    return msgspec.structs.replace(small, subtasks=subtasks)


def _standing(one: Subtask, found: Subtask) -> Subtask:
    """Return a subtask of a detour as it stands for `found`, in whose words the last of them are."""
    last = not frozenset(one.produces).isdisjoint(found.produces)
    return msgspec.structs.replace(
        found,
        id=one.id,
        text=found.text if last else one.text,
        skills=one.skills,
        produces=one.produces,
        needs=one.needs,
    )


def _edged(view: _View, at: int, kind: str) -> Plan | None:
    """Return the plan with an edge from a subtask that yields `kind`, best one that does not need it itself."""
    able = view.of(view.able(kind) & view.free(at))
    if fits(kind, OWN_TEXT):
        able = [each for each in able if kind not in each.needs]
    if not able:
        return None
    best = min(able, key=lambda each: kind in each.needs)
    return _sound(msgspec.structs.replace(view.plan, edges=(*view.plan.edges, (best.id, view.subtasks[at].id))))


def _routed(
    view: _View, at: int, kind: str, given: Collection[str], offers: Sequence[Offer], rules: RouteRules
) -> Plan | None:
    """Return the plan with the cheapest route to `kind` before a subtask, from all that does not wait for it."""
    if fits(kind, OWN_TEXT):
        return None
    plan, one, free = view.plan, view.subtasks[at], view.free(at)
    start = tuple(dict.fromkeys((*given, *(each for subtask in view.of(free) for each in subtask.produces))))
    chosen = cheapest(start, (kind,), offers, rules)
    small = laid(chosen, start, (kind,), rules, taken=[each.id for each in plan.subtasks]) if chosen else None
    if small is None:
        return None
    fed = [(each.id, need) for each in small.subtasks for need in each.needs if not _any(need, given)]
    edges = [(source.id, ident) for ident, need in fed for source in view.of(view.able(need) & free)[:1]]
    edges += [(each.id, one.id) for each in small.subtasks if _any(kind, each.produces)]
    subtasks = tuple(msgspec.structs.replace(each, policies=one.policies) for each in small.subtasks)
    whole = (*plan.edges, *dict.fromkeys((*small.edges, *edges)))
    return _sound(msgspec.structs.replace(plan, subtasks=(*plan.subtasks, *subtasks), edges=whole))


def _view(plan: Plan) -> _View:
    ordered = order(plan)
    named = {one.id: one for one in plan.subtasks}
    yielding: dict[str, int] = {}
    for at, ident in enumerate(ordered):
        for kind in named[ident].produces:
            for one in dict.fromkeys((kind, kind.partition(";")[0].strip())):
                yielding[one] = yielding.get(one, 0) | 1 << at
    subtasks = tuple(named[ident] for ident in ordered)
    return _View(plan, subtasks, above(plan, ordered), {ident: at for at, ident in enumerate(ordered)}, yielding)


def _sound(plan: Plan) -> Plan | None:
    """Return `plan` if it is one: a plan that is full already takes no more."""
    return plan if check(plan) is None else None


def _any(kind: str, given: Collection[str]) -> bool:
    return any(fits(kind, one) for one in given)
