"""Where subtasks of all tasks of a coordinator wait for agents that are at work, and who is next when one is free.

A subtask that finds nobody free is entered in the queue of each agent that could do it (`foa.core.turns`: by
priority, submitters in turn). A slot that becomes free is kept for the one whose turn it is, which is told (`Turn`) and
looks again; nobody who comes meanwhile gets it. A slot that is kept and not taken within `KEPT_S` goes to the next. The
queues hold what waits now and nothing else: a task that ends, and a subtask that is awarded, leave them all.

The queue is this coordinator's; others share the agents and have queues of their own.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from foa.core.effects import Effect, Key, Tell, Wake
from foa.core.machines.match.state import Match
from foa.core.routing.choose import BUSY
from foa.core.routing.exchange import Awarded, Left, Turn, Weigh, Weighing, Weighted
from foa.core.turns import Queue

TURNS: Final = "turns"
KEPT_S: Final = 2.0
"""How long a free slot is kept for whose turn it is: a question to the index and back."""

MAX_WAITING: Final = 50_000
"""Subtasks in the queues; of more each looks again by itself now and then, in no order."""


def loads(state: Match, item: Weighing, task: str) -> Mapping[str, int]:
    """Return the load of the agents found, with the slots that are kept for others than this subtask of `task`."""
    room = state.room
    if not room.kept:
        return state.loads
    mine = room.slots.get((task, item.ident))
    return {
        hit.agent: state.loads.get(hit.agent, 0)
        + room.kept.get(hit.agent, 0)
        - (mine is not None and mine[0] == hit.agent)
        for hit in item.hits
    }


def seen(state: Match, sender: Key, told: Weigh, item: Weighing, found: Weighted, now: float) -> list[Effect]:
    """Enter a subtask that found nobody free; what it was kept before is for others, unless it is taken now."""
    key = (sender.id, item.ident)
    _leave(state, key)
    if any(not one.refused for one in found.candidates):
        return []
    effects = _release(state, key, now)
    room = state.room
    slots = {hit.agent: hit.resources.concurrency for hit in item.hits}
    able = tuple(one.agent for one in found.candidates if one.refused.startswith(BUSY))
    if not able or len(room.where) >= MAX_WAITING:
        return effects
    room.where[key] = able
    room.tasks.setdefault(sender.id, set()).add(item.ident)
    weight = state.setup.rules.shares.get(told.submitter, 1.0)
    for agent in able:
        room.size[agent] = slots[agent]
        room.queues.setdefault(agent, Queue()).add(key, told.priority, told.submitter, weight)
    return [*effects, *(effect for agent in able for effect in next_turns(state, agent, now))]


def awarded(state: Match, sender: Key, told: Awarded, now: float) -> list[Effect]:
    """Take a subtask out of the queues; it holds its slot itself now."""
    _leave(state, (sender.id, told.ident))
    return _release(state, (sender.id, told.ident), now)


def left(state: Match, sender: Key, told: Left, now: float) -> list[Effect]:
    """Take out what waits no longer: one subtask, or all of a task that ended."""
    room = state.room
    idents = [told.ident] if told.ident else sorted(room.tasks.get(sender.id, ()))
    kept = [ident for task, ident in room.slots if task == sender.id and told.ident in ("", ident)]
    for ident in idents:
        _leave(state, (sender.id, ident))
    return [effect for ident in kept for effect in _release(state, (sender.id, ident), now)]


def next_turns(state: Match, agent: str, now: float) -> list[Effect]:
    """Keep every free slot of `agent` for whose turn it is."""
    room = state.room
    effects: list[Effect] = []
    while (queue := room.queues.get(agent)) is not None:
        if room.size[agent] <= state.loads.get(agent, 0) + room.kept.get(agent, 0):
            break
        key = queue.take()
        _leave(state, key, but=agent)
        if not len(queue):
            del room.queues[agent], room.size[agent]
        room.slots[key] = (agent, now + KEPT_S)
        room.kept[agent] = room.kept.get(agent, 0) + 1
        effects.append(Tell(Key("task", key[0]), Turn(key[1])))
        if not room.awake:
            room.awake = True
            effects.append(Wake(TURNS, now + KEPT_S))
    return effects


def elapsed(state: Match, now: float) -> list[Effect]:
    """Give on the slots that were kept and not taken."""
    room = state.room
    room.awake = False
    late = [key for key, (_, until) in room.slots.items() if until <= now]
    effects = [effect for key in late for effect in _release(state, key, now)]
    if room.slots and not room.awake:
        room.awake = True
        effects.append(Wake(TURNS, min(until for _, until in room.slots.values())))
    return effects


def _release(state: Match, key: tuple[str, str], now: float) -> list[Effect]:
    room = state.room
    slot = room.slots.pop(key, None)
    if slot is None:
        return []
    agent = slot[0]
    room.kept[agent] -= 1
    if not room.kept[agent]:
        del room.kept[agent]
    return next_turns(state, agent, now)


def _leave(state: Match, key: tuple[str, str], but: str = "") -> None:
    room = state.room
    for agent in _others(state, key, but):
        queue = room.queues[agent]
        queue.remove(key)
        if not len(queue):
            del room.queues[agent], room.size[agent]
    room.where.pop(key, None)
    idents = room.tasks.get(key[0])
    if idents is not None:
        idents.discard(key[1])
        if not idents:
            del room.tasks[key[0]]


def _others(state: Match, key: tuple[str, str], but: str) -> Iterator[str]:
    return (agent for agent in state.room.where.get(key, ()) if agent != but and agent in state.room.queues)
