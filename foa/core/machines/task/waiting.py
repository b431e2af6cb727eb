"""Ready subtasks that wait for a busy agent: which are looked up when, and in which order. Called by `place`.

A subtask goes to whoever is free first, not to the queue of whoever is best, and among those that wait the one with
most still to come goes first (list scheduling). So nobody is awarded more than it has slots for, one who finds
everybody able at work is remembered under each of them, and looked up again when one is free. That is no want of
agents: it needs no patience and ends with the deadline.
"""

from collections.abc import Mapping, Sequence
from itertools import chain, islice
from typing import Final

import msgspec

from foa.core import effects as fx
from foa.core.dag.works import Works
from foa.core.effects import Effect
from foa.core.machines.task.state import Context, Live, tracked, works_of
from foa.core.routing.choose import BUSY
from foa.wire.records import Decision, Hit

MAX_AHEAD: Final = 256
"""Ready subtasks that are looked at in one step, those with most still to come."""

MAX_SPARE: Final = 16
MAX_OVERLOOKED: Final = 8
OVERLOOKED_S: Final = 5.0
"""How often, in seconds, so many of those that wait are looked up though nobody of ours was freed."""

MAX_DOUBLED: Final = 3
"""So often that pause is doubled where none of a task's work runs: of such there may be thousands, and a turn comes."""


def idle(live: Live) -> int:
    """Return the set of ready subtasks for which nothing is under way."""
    works = works_of(live)
    parts = (part.ident for parts in live.weighing.values() for part in parts)
    asked = (ident for idents in live.asked.values() for ident in idents)
    return works.ready & ~works.graph.mask(chain(asked, parts, live.sessions, live.unplaced))


def is_idle(live: Live, ident: str) -> bool:
    """Tell whether subtask `ident` of a tracked task could be awarded and nothing is under way for it."""
    graph = works_of(live).graph
    return ident in graph.bit and is_open(live, ident) and bool(idle(live) & graph.mask((ident,)))


def is_open(live: Live, ident: str) -> bool:
    """Tell whether subtask `ident` may be awarded: much may have happened since it was looked up.

    It may have been replaced, be planned anew, wait for a person, or again for what was taken back.
    """
    works = works_of(tracked(live)) if live.plan is not None else None
    if works is None or ident not in works.graph.bit or ident in live.sessions:
        return False
    return not works[ident].question and bool(works.ready & works.graph.mask((ident,)))


def fresh(live: Live) -> bool:
    """Tell whether a ready subtask was never looked up."""
    return live.plan is not None and bool(idle(tracked(live)) & ~live.waits)


def due(live: Live) -> tuple[list[str], tuple[str, ...]]:
    """Return which ready subtasks of a tracked task to look up: the new, and of those that wait as many as are free.

    Where somebody is free for whom none is known to wait, the first that waits is tried: the index names only so many.
    """
    works, able = works_of(live), idle(live)
    held, chosen, anybody = able & live.waits, 0, False
    for agent, (slots, queue) in live.queues.items() if held else ():
        free = slots - works.loads.get(agent, 0)
        if free > 0:
            anybody = True
            chosen |= works.graph.first(queue & held, free)
    if anybody and not chosen:
        chosen = works.graph.first(held, 1)
    unasked = (ident for ident in works.graph.members(able & ~live.waits) if not works[ident].question)
    new = list(islice(unasked, MAX_AHEAD))
    return new, tuple(islice(works.graph.members(chosen), MAX_SPARE))


def overlooked(live: Live) -> tuple[str, ...]:
    """Return some of those that wait, others each time: somebody may have come, or be free of another task."""
    if live.plan is None or not live.waits:
        return ()
    live = tracked(live)
    found = list(works_of(live).graph.members(idle(live) & live.waits))
    start = live.lookups * MAX_OVERLOOKED % max(1, len(found))
    return tuple((found[start:] + found[:start])[:MAX_OVERLOOKED])


def beyond(live: Live, before: Live, *, spare: bool, awarded: bool) -> tuple[str, ...]:
    """Return for which that wait to look beyond the agents known to be at work, after others were placed.

    The index names only so many. For those that wait since now once, and on as long as that leads to somebody: to an
    award, or to agents not known to be at work before.
    """
    if not live.waits or live.plan is None:
        return ()
    live = tracked(live)
    new = live.waits & ~before.waits
    if spare:
        new = live.waits if awarded or len(crowded(live)) > len(crowded(before)) else 0
    return tuple(islice(works_of(live).graph.members(idle(live) & new), MAX_SPARE))


def crowded(live: Live) -> tuple[str, ...]:
    """Return the agents that work on all they can of this task, as far as subtasks wait for them."""
    loads = loads_of(live)
    return tuple(agent for agent, (slots, _) in live.queues.items() if loads.get(agent, 0) >= slots)


def looking(live: Live, context: Context, now: float) -> tuple[Live, list[Effect]]:
    """See to it that those who found nobody are looked for again; an earlier time that was set stands."""
    if not live.unplaced and not live.waits:
        return live, []
    pause = OVERLOOKED_S * 2.0 ** (0 if loads_of(live) else min(live.lookups, MAX_DOUBLED))
    at = now + (context.rules.relook_s if live.unplaced else max(pause, context.rules.relook_s))
    if now < live.relook_at <= at:
        return live, []
    return msgspec.structs.replace(live, relook_at=at), [fx.Wake("relook", at)]


def loads_of(live: Live) -> dict[str, int]:
    """Return how many pieces of this task each agent works on."""
    return live.works.loads if isinstance(live.works, Works) else {}


def turn(live: Live, ident: str) -> int:
    """Return the place of a subtask in the order of awarding; work that is no subtask's comes first."""
    return live.works.graph.bit.get(ident, -1) if isinstance(live.works, Works) else -1


def served(decisions: Sequence[Decision], free: Mapping[str, int]) -> list[bool]:
    """Tell which of `decisions`, in the order of awarding, there are slots for: the others wait.

    Who gets which slot is decided after this, so that it does not matter here.
    """
    room = dict(free)
    found: list[bool] = []
    for decision in decisions:
        able = [one.agent for one in decision.candidates if not one.refused]
        taker = next((agent for agent in able if room.get(agent, 1) > 0), None)
        found.append(taker is not None or not able or len(decision.chosen) > 1)
        for agent in decision.chosen if len(decision.chosen) > 1 else (taker,) if taker is not None else ():
            room[agent] = room.get(agent, 1) - 1
    return found


def is_crowded(live: Live, decision: Decision, chosen: list[Hit]) -> bool:
    """Tell whether who should have a subtask works on all it can, or everybody able does."""
    if len(chosen) == 1:
        return loads_of(live).get(chosen[0].agent, 0) >= chosen[0].resources.concurrency
    return not chosen and any(one.refused.startswith(BUSY) or one.agent in live.busy for one in decision.candidates)


def held(live: Live, decision: Decision, known: dict[str, Hit]) -> Live:
    """Have a subtask wait until one of those able to do it is free."""
    live = tracked(live)
    flag, loads, queues = _flag(live, decision.subtask), loads_of(live), dict(live.queues)
    for one in decision.candidates:
        hit = known.get(one.agent)
        if hit is None or (one.refused and not one.refused.startswith(BUSY)):
            continue
        slots = hit.resources.concurrency
        if not one.refused or loads.get(one.agent, 0) >= slots:  # else others keep it busy: we never hear when not
            queues[one.agent] = (slots, queues.get(one.agent, (slots, 0))[1] | flag)
    unplaced = {other: since for other, since in live.unplaced.items() if other != decision.subtask}
    return msgspec.structs.replace(live, waits=live.waits | flag, queues=queues, unplaced=unplaced)


def let_go(live: Live, ident: str) -> Live:
    """Return `live` with `ident` waiting for nobody."""
    unplaced = {other: since for other, since in live.unplaced.items() if other != ident}
    return msgspec.structs.replace(live, unplaced=unplaced, waits=live.waits & ~_flag(live, ident))


def _flag(live: Live, ident: str) -> int:
    """Return the set of one subtask; none for work that is no subtask's."""
    return live.works.graph.mask((ident,)) if isinstance(live.works, Works) else 0
