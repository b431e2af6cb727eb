"""One federation for hours of virtual time, under steady load and now and then a fault, to see whether anything grows.

Measured is what could: the entries of all tables of all machines, the broker's retained messages, and the memory of the
process. The slope is a least-squares fit over the second half, when tables that keep
things for a while are full.
"""

import gc
import resource
from collections.abc import Callable, Sized
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import numpy as np

from foa.core.effects import Key
from foa.core.machines.client import Report, Submission
from foa.testing import federation, workload
from foa.testing.agents import Temper, profile
from foa.testing.sim import faults
from foa.testing.sim.observing.coverage import Coverage
from foa.testing.sim.striking import Striker
from foa.testing.workload import Errand
from foa.testing.world import Node, World

EVERY_S: Final = 6.0
FAULT_S: Final = 120.0
"""Seconds between two submissions, and between two faults, on average."""

WARM: Final = 0.5
"""The share of the time before which nothing is judged."""

SORTS: Final = ("atomic", "clauses", "planned", "team", "budgeted", "laden", "hopeless", "hurried")
DEPTH: Final = 6


class Sample(NamedTuple):
    """What there was at a time: virtual hours, entries in all tables, retained messages, tasks told, bytes held."""

    hours: float
    entries: int
    retained: int
    told: int
    held: int


class Soaked(NamedTuple):
    """What came of it. Slopes are per virtual hour, over the second half."""

    samples: tuple[Sample, ...]
    entries_per_hour: float
    bytes_per_hour: float
    tasks: int
    lost: int
    errors: tuple[str, ...]


class Soak:
    """One federation under steady load."""

    def __init__(self, seed: int, hours: float) -> None:
        self.hours = hours
        self._rng = Random(f"{seed}/soak")
        world = self.world = World(seed, federation.settings())
        self._asked: dict[str, float] = {}
        self._done = 0
        self._numbers = count()
        for number in (1, 2, 3):
            federation.coordinator(world, f"c{number}")
        for number in (1, 2):
            federation.index(world, f"i{number}")
        for number in (1, 2, 3):
            one = profile(f"acme/tools/a{number}", price=0.01, refines=number > 1, holds=("eu",))
            federation.agent(world, one, Temper(fails=0.05, silent=0.01, declines=0.05), lambda _: None)
        federation.client(world, "u1", self._report)
        self._striker = Striker(world, Coverage(), lambda _: None, _stand_up)

    def run(self, tell: Callable[[Sample], None] | None = None) -> Soaked:
        """Run it; ``tell`` hears of every sample."""
        world, samples = self.world, []
        clock, end = world.clock, self.hours * 3600
        for node in world.nodes.values():
            clock.call_at(0.0, node.start)
        clock.call_at(2.0, self._submit)
        clock.call_at(FAULT_S, self._strike)
        step = max(60.0, end / 48)
        while clock.time() < end:
            clock.run_until(clock.time() + step)
            samples.append(self._sample())
            if tell is not None:
                tell(samples[-1])
        late = [at for at in self._asked.values() if clock.time() - at > LATE_S]
        errors = tuple(error for node in world.nodes.values() for error in node.sink.errors)
        warm = [sample for sample in samples if sample.hours >= WARM * self.hours] or samples
        return Soaked(tuple(samples), _slope(warm, "entries"), _slope(warm, "held"), self._done, len(late), errors[:20])

    def _report(self, report: Report) -> None:
        if report.kind in {"result", "rejected"} and report.id in self._asked:
            self._done += 1
            del self._asked[report.id]

    def _submit(self) -> None:
        """Submit one task, and see to the next."""
        world, rng = self.world, self._rng
        sort = rng.choice(SORTS)
        errand = Errand(sort, world.clock.time(), "u1", workload.SORTS[sort](rng, f"{sort}-{next(self._numbers)}"))
        node = world.nodes["u1"]
        if node.alive and world.clock.time() < self.hours * 3600 - LATE_S:
            self._asked[errand.task.id] = world.clock.time()
            node.tell(Key("client", errand.task.id), Submission(errand.task, watch=False))
        world.clock.call_at(world.clock.time() + rng.uniform(0.5, 1.5) * EVERY_S, self._submit)

    def _strike(self) -> None:
        """Let one thing go wrong, to anybody but the client, and see to the next; who fell late stands up first."""
        world, rng = self.world, self._rng
        self._striker.calm()
        names = {kind: [node.seat.name for node in world.of(kind)] for kind in ("coordinator", "index", "agent")}
        blow = faults.one(rng, names, world.clock.time())
        self._striker.plan(blow)
        world.clock.call_at(world.clock.time() + rng.uniform(0.5, 1.5) * FAULT_S, self._strike)

    def _sample(self) -> Sample:
        gc.collect()
        world = self.world
        entries = sum(_entries(node) for node in world.nodes.values())
        retained = world.network.broker.router.retained.count
        return Sample(round(world.clock.time() / 3600, 3), entries, retained, self._done, _resident())


LATE_S: Final = 90.0
"""How long after its submission a task must be over: its deadline, and what a fault may cost."""


def _resident() -> int:
    """Return the bytes of memory that this process holds now (where that is not told: the most it ever held)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()


def _stand_up(node: Node) -> None:
    if not node.alive:
        node.start()


def _slope(samples: list[Sample], name: str) -> float:
    """Return the least-squares slope of a figure, per hour; 0 for fewer than two samples."""
    if len(samples) < 2:  # noqa: PLR2004 - a line needs two
        return 0.0
    hours = np.array([sample.hours for sample in samples])
    values = np.array([float(getattr(sample, name)) for sample in samples])
    return float(np.polyfit(hours, values, 1)[0])


def _entries(node: Node) -> int:
    """Return how many entries all tables of a node's machines hold together."""
    if not node.alive:
        return 0
    states = node.driver._states  # noqa: SLF001 - whoever looks for leaks must look inside
    return len(states) + sum(_size(state, DEPTH) for state in states.values())


def _size(value: Any, depth: int) -> int:
    """Count entries of nested tables, records among them, so deep."""
    if depth == 0 or isinstance(value, str | bytes | bytearray | int | float | np.ndarray | None):
        return 0
    if isinstance(value, list) and value and isinstance(value[0], int | float):
        return 0  # a filter of fixed size
    if isinstance(value, dict):
        return len(value) + sum(_size(one, depth - 1) for one in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return len(value) + sum(_size(one, depth - 1) for one in value)
    fields = getattr(value, "__struct_fields__", None) or getattr(value, "__slots__", None) or _vars_of(value)
    own = sum(_size(getattr(value, name, None), depth - 1) for name in fields)
    return own + (len(value) if isinstance(value, Sized) and not fields else 0)


def _vars_of(value: Any) -> tuple[str, ...]:
    """Return the names of what an object holds."""
    return tuple(getattr(value, "__dict__", ()))
