"""How long ended tasks are remembered: until their time is over, or until too many are.

Under ``Key("memory")`` of a coordinator. A task that ended says `Over`; when it is to be forgotten it is told
`Forget`. One queue in order of ending, so that a node under load keeps a bounded past and one timer.
"""

from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Final

from foa.core import effects as fx
from foa.core.effects import Effect, Event, Key
from foa.core.routing.ownership import Forget, Over

KEY: Final = Key("memory")
MAX_REMEMBERED: Final = 10_000
TIDY_S: Final = 1.0


@dataclass(slots=True)
class State:
    """Ended tasks, oldest first, each with the instant until which it is remembered. Mutable: it is a queue."""

    ended: deque[tuple[str, float]] = field(default_factory=deque)
    awake: bool = False


def step(state: State, event: Event, now: float, rng: Random) -> tuple[State, list[Effect]]:
    """Take one event."""
    del rng
    match event:
        case fx.Told(sender, Over(seconds)):
            state.ended.append((sender.id, now + seconds))
        case fx.Elapsed():
            state.awake = False
        case _:
            return state, []
    effects: list[Effect] = []
    while state.ended and (len(state.ended) > MAX_REMEMBERED or state.ended[0][1] <= now):
        effects.append(fx.Tell(Key("task", state.ended.popleft()[0]), Forget()))
    if state.ended and not state.awake:
        state.awake = True
        effects.append(fx.Wake("tidy", max(state.ended[0][1], now + TIDY_S)))
    return state, effects
