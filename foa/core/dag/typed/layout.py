"""From the offers of a route to a plan: a subtask for each, and edges along which types go from one to the other."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from foa.core.dag.plan import depth
from foa.core.dag.typed.offers import Offer, fits
from foa.core.dag.typed.routes import DEFAULT, RouteRules, cheapest
from foa.wire.ids import MAX_SEGMENT
from foa.wire.records import MAX_TEXT, Plan, Subtask

OWN_TEXT: Final = "text/plain"
"""The type of a request's own words, which every agent is given."""

GENERIC: Final = frozenset({OWN_TEXT, "application/json", "application/octet-stream"})
"""Types that say nothing of what a value is: an optional input of these is taken by name only, so no edge is drawn."""

ORIGIN: Final = ("typed",)


def route(
    given: Collection[str], wanted: Collection[str], offers: Iterable[Offer], rules: RouteRules = DEFAULT
) -> Plan | None:
    """Return the cheapest plan that yields the types `wanted` from the types `given`; None if there is none.

    None too if all is given already. Optional inputs are not needed, but an agent that would use what another
    subtask yields waits for it.
    """
    chosen = cheapest(given, wanted, offers, rules)
    return laid(chosen, given, wanted, rules) if chosen else None


def laid(
    chosen: Sequence[Offer],
    given: Collection[str],
    wanted: Collection[str],
    rules: RouteRules = DEFAULT,
    *,
    taken: Collection[str] = (),
    own: str = "",
) -> Plan | None:
    """Return the plan of `chosen`, each after those it needs; None if it is deeper than ``rules.depth``.

    ``taken`` are ids it may not use. Where an input of text is filled by the request's own words, `own` (""
    where they are no input), the subtask carries them.
    """
    needed, used = _needed(chosen, given, wanted)
    edges = _with_optional(chosen, given, needed, used)
    ordered = _ordered(len(chosen), edges)
    names = _ids([chosen[at] for at in ordered], taken)
    ids = dict(zip(ordered, names, strict=True))
    subtasks = []
    for at in ordered:
        offer = chosen[at]
        fed = any(after == at and OWN_TEXT in used[before] for before, after in edges)
        words = own if not fed and any(fits(port.type, OWN_TEXT) for port in offer.inputs) else ""
        needs = dict.fromkeys(port.type for port in offer.inputs if not port.optional)
        subtasks.append(
            Subtask(
                ids[at],
                (f"{offer.text}: {words}" if words else offer.text)[:MAX_TEXT],
                skills=(offer.skill,) if offer.skill else (),
                produces=tuple(used[at]),
                needs=tuple(one for one in needs if not (words and fits(one, OWN_TEXT))),
            )
        )
    plan = Plan(tuple(subtasks), tuple(sorted((ids[one], ids[other]) for one, other in edges)), origin=ORIGIN)
    return plan if depth(plan) <= rules.depth else None


def _needed(
    chosen: Sequence[Offer], given: Collection[str], wanted: Collection[str]
) -> tuple[list[tuple[int, int]], list[dict[str, None]]]:
    """Return the edges without which an input is missing, and what of each subtask's outputs is of use."""
    edges: dict[tuple[int, int], None] = {}
    used: list[dict[str, None]] = [{} for _ in chosen]
    for at, offer in enumerate(chosen):
        for port in offer.inputs:
            if not port.optional and not _any(port.type, given):
                before, kind = next(_yielding(chosen[:at], port.type))
                edges[before, at] = None
                used[before][kind] = None
    for kind in sorted(wanted):
        if not _any(kind, given):
            before, yielded = next(_yielding(chosen, kind))
            used[before][yielded] = None
    return list(edges), used


def _with_optional(
    chosen: Sequence[Offer], given: Collection[str], needed: Sequence[tuple[int, int]], used: list[dict[str, None]]
) -> list[tuple[int, int]]:
    """Return the edges, and those to optional inputs that another subtask fills, where none closes a cycle."""
    edges = list(needed)
    for at, offer in enumerate(chosen):
        for port in offer.inputs:
            if not port.optional or port.type in GENERIC or _any(port.type, given):
                continue
            below = _below(edges, at)
            before, kind = next((one for one in _yielding(chosen, port.type) if one[0] not in below), (at, ""))
            if before != at and (before, at) not in edges:
                edges.append((before, at))
                used[before][kind] = None
    return edges


def _ordered(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Return the places so that each comes after those it waits for, the smallest first among equals."""
    left, ordered = list(range(count)), list[int]()
    while left:
        free = next(at for at in left if not any(after == at and before in left for before, after in edges))
        left.remove(free)
        ordered.append(free)
    return ordered


def _yielding(chosen: Sequence[Offer], kind: str) -> Iterator[tuple[int, str]]:
    return iter([(at, port.type) for at, one in enumerate(chosen) for port in one.outputs if fits(kind, port.type)])


def _below(edges: Sequence[tuple[int, int]], start: int) -> list[int]:
    """Return `start` and all that waits for it, however far."""
    found = [start]
    for one in found:
        found += [after for before, after in edges if before == one and after not in found]
    return found


def _any(kind: str, given: Collection[str]) -> bool:
    return any(fits(kind, one) for one in given)


def _ids(chosen: Sequence[Offer], taken: Collection[str]) -> list[str]:
    """Return readable ids whose order is the plan's own, none of them `taken`."""
    digits = len(str(len(chosen)))
    ids: list[str] = []
    for number, offer in enumerate(chosen, 1):
        word = re.sub("[^a-z0-9]+", "-", (offer.skill or offer.agent.rpartition("/")[2]).lower()).strip("-")
        name = f"{number:0{digits}d}-{word[:40] or 'do'}"
        ids.append(unused(name, (*taken, *ids)))
    return ids


def unused(name: str, taken: Collection[str]) -> str:
    """Return `name`, or with a number behind it if it is `taken`."""
    number, free = 2, name[:MAX_SEGMENT]
    while free in taken:
        free, number = f"{name[: MAX_SEGMENT - 5]}-{number}", number + 1
    return free
