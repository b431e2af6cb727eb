"""What a run is asked for, and the seeded order of its faults. Pure.

Called by `storm`, `command` and tests.
"""

from collections.abc import Iterator, Mapping
from random import Random
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

FaultKind = Literal["coordinator", "agent", "index", "broker", "client", "ghost", "restart", "disk", "cut"]

KILLS: Final[tuple[FaultKind, ...]] = ("coordinator", "agent", "index", "broker", "client")
"""Faults that are a ``kill -9``."""
CYCLE: Final[tuple[FaultKind, ...]] = (
    *("coordinator", "agent", "index", "coordinator", "agent", "client"),
    *("broker", "ghost", "coordinator", "agent", "cut", "disk", "restart"),
)
"""One round of faults; each round is shuffled, so that every kind comes in turn and after every other."""


class Run(NamedTuple):
    """What to run. ``per_s`` tasks a second are submitted, a fault comes every ``every_s``.

    ``settings`` are those that all processes of the run have, by dotted key.
    """

    minutes: float = 1.0
    broker: str = "embedded"
    seed: int = 1
    per_s: float = 10.0
    every_s: float = 3.0
    coordinators: int = 3
    indices: int = 2
    deadline_s: float = 90.0
    settings: Mapping[str, str] = MappingProxyType({})

    @property
    def seconds(self) -> float:
        """How long the storm lasts."""
        return self.minutes * 60.0


def faults(rng: Random) -> Iterator[FaultKind]:
    """Yield kinds of faults without end: rounds of `CYCLE`, each in an order of its own."""
    while True:
        kinds = list(CYCLE)
        rng.shuffle(kinds)
        yield from kinds
