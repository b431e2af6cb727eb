"""What a coordinator knows of tasks that ended: their answers for a while, their ids for as long as results live.

Under ``Key("memory")``. A task that ended says `Over`; when it is to be forgotten it is told `Forget`. One queue in
order of ending, so that a node under load keeps a bounded past and one timer.

Of every result that the broker keeps in our partitions the id stays known: our own, and those we are shown as we
subscribe. What comes for a task that is not here passes through this machine (`Opened`). A new id, as nearly all are,
goes on at once: no message is spent. One that may have a result waits until that was read from the broker; the task
then answers with it. Ids are kept in a Bloom filter of two generations, so that many cost little: it may ask in vain
once in some hundred times, and never forgets what it still holds. When a whole generation was thrown away early,
every new id is asked for until the last of its results is over.
"""

from collections import deque
from dataclasses import dataclass, field
from hashlib import blake2b
from random import Random
from typing import Final

from foa.core import effects as fx
from foa.core.effects import Effect, Event, Key
from foa.core.routing.ownership import Forget, Opened, Over
from foa.wire.messages import Submit
from foa.wire.topics import Topics

KEY: Final = Key("memory")
MAX_REMEMBERED: Final = 10_000
TIDY_S: Final = 1.0
MAX_KNOWN: Final = 262_144
"""Ids in one generation. There are two; a third pushes out the oldest."""

BITS: Final = 1 << 22
"""Of a generation's filter, half a MiB: four bits set for each id, one in four hundred strangers taken for known."""

MASK: Final = BITS - 1

READ_S: Final = 0.5
"""How long the broker may take to show a result, before there is held to be none."""

READ: Final = "read:"
MAX_READING: Final = 1_024
"""Tasks that wait for that; what comes for more of them is dropped, and is sent again by whoever waits for it."""

MAX_WAITING: Final = 8
"""Frames that wait for one of them."""


class Generation:
    """Ids that became known one after the other; ``until`` is when the last of their results is over."""

    def __init__(self) -> None:
        """Know nothing."""
        self._bits = bytearray(BITS // 8)
        self.count = 0
        self.until = 0.0

    def add(self, ident: str, until: float) -> None:
        """Know `ident`."""
        self.count += 1
        self.until = max(self.until, until)
        bits = self._bits
        for bit in _places(ident):
            bits[bit >> 3] |= 1 << (bit & 7)

    def __contains__(self, ident: str) -> bool:
        """Tell whether `ident` is known; wrongly so for few, never wrongly not."""
        bits = self._bits
        for bit in _places(ident):  # noqa: SIM110 - a generator costs as much again, at every submission
            if not bits[bit >> 3] & (1 << (bit & 7)):
                return False
        return True


def _places(ident: str) -> tuple[int, int, int, int]:
    digest = int.from_bytes(blake2b(ident.encode(), digest_size=16).digest(), "big")
    return digest & MASK, digest >> 32 & MASK, digest >> 64 & MASK, digest >> 96 & MASK


@dataclass(slots=True)
class State:
    """Ended tasks, oldest first, each with the instant until which it is remembered. Mutable: it is a queue.

    ``known`` are the generations of ids, ``unsure`` the instant until which ids that are in none may have a result;
    ``reading`` is what waits for each id that was asked for.
    """

    topics: Topics
    ended: deque[tuple[str, float]] = field(default_factory=deque)
    awake: bool = False
    known: list[Generation] = field(default_factory=list)
    unsure: float = 0.0
    reading: dict[str, list[Opened]] = field(default_factory=dict)


def step(state: State, event: Event, now: float, rng: Random) -> tuple[State, list[Effect]]:
    """Take one event."""
    del rng
    match event:
        case fx.Told(sender, Over(seconds, life_s)):
            state.ended.append((sender.id, now + seconds))
            if life_s:
                _know(state, sender.id, now + life_s, now)
            return state, _pass_on(state, sender.id) + _tidy(state, now)
        case fx.Told(_, Opened() as opened):
            return state, _opened(state, opened, now)
        case fx.Elapsed("tidy"):
            state.awake = False
            return state, _tidy(state, now)
        case fx.Elapsed(timer) if timer.startswith(READ):
            return state, _pass_on(state, timer.removeprefix(READ), new=True)
        case _:
            return state, []


def _tidy(state: State, now: float) -> list[Effect]:
    effects: list[Effect] = []
    while state.ended and (len(state.ended) > MAX_REMEMBERED or state.ended[0][1] <= now):
        ident, until = state.ended.popleft()
        effects.append(fx.Tell(Key("task", ident), Forget(full=until > now)))
    if state.ended and not state.awake:
        state.awake = True
        effects.append(fx.Wake("tidy", max(state.ended[0][1], now + TIDY_S)))
    return effects


def _know(state: State, ident: str, until: float, now: float) -> None:
    state.known = [one for one in state.known if one.until > now]
    if not state.known or state.known[-1].count >= MAX_KNOWN:
        state.known.append(Generation())
    if len(state.known) > 2:  # noqa: PLR2004 - the one that fills, and the one before
        state.unsure = max(state.unsure, state.known.pop(0).until)
    state.known[-1].add(ident, until)


def _opened(state: State, opened: Opened, now: float) -> list[Effect]:
    """Let a new task begin; have the result of one read that may have ended. An heir need not: its owner does."""
    ident = opened.received.topic.task
    if ident in state.reading:
        state.reading[ident] = [*state.reading[ident], opened][-MAX_WAITING:]
        return []
    if now >= state.unsure and not any(ident in one for one in state.known):
        return [_begun(opened)]
    if opened.epoch is None or len(state.reading) >= MAX_READING:
        return []
    state.reading[ident] = [opened]
    count = fx.Measure("foa_results_read_total")
    return [fx.Subscribe((_topic(state, opened),)), fx.Wake(READ + ident, now + READ_S), count]


def _topic(state: State, opened: Opened) -> str:
    return state.topics.task(opened.partition, opened.received.topic.task, "result")


def _begun(opened: Opened) -> fx.Tell:
    """Return what has a task begin; a submission to its owner first finds room."""
    asks = opened.epoch is not None and isinstance(opened.received.message, Submit)
    return fx.Tell(Key("admission") if asks else Key("task", opened.received.topic.task), opened)


def _pass_on(state: State, ident: str, *, new: bool = False) -> list[Effect]:
    """Give a task what waited for it: its result is here now; or there is none, and it is ``new``."""
    waiting = state.reading.pop(ident, [])
    if not waiting:
        return []
    passed = [_begun(opened) if new else fx.Tell(Key("task", ident), opened) for opened in waiting]
    return [*passed, fx.Unsubscribe((_topic(state, waiting[0]),)), fx.Sleep(READ + ident)]
