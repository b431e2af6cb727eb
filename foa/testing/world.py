"""A federation in one thread: nodes over the in-memory bus, which may be killed at any instant and started again.

A node is the production `Driver` with a production program. What outlives its life is what outlives a process:
the journal's committed part and the broker's session. Used by `foa.testing.sim` and by tests.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Any, NamedTuple

from foa.adapters.journal import MemoryJournal
from foa.bus.memory import Faults, MemoryBus, MemoryNetwork
from foa.bus.mqtt.broker.records import Message
from foa.bus.mqtt.broker.routing.router import Router
from foa.bus.port import Handle, Options, Receipt, Will
from foa.bus.virtual import VirtualClock
from foa.errors import BusError
from foa.nodes.driver import Driver
from foa.nodes.ports import Program, Service
from foa.settings import Settings
from foa.wire.envelope import Frame
from foa.wire.topics import Topics

Trace = Callable[[str, str, Any], None]


class Life:
    """The clock of one life of a node: its timers end with it."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.alive = True

    def time(self) -> float:
        """Return the virtual time."""
        return self._clock.time()

    def call_at(self, when: float, callback: Callable[[], None]) -> Handle:
        """Call `callback` at `when` if this life still lasts then."""
        return self._clock.call_at(when, partial(self._call, callback))

    def _call(self, callback: Callable[[], None]) -> None:
        if self.alive:
            callback()


class MortalBus(MemoryBus):
    """A bus that ends with its process: without a goodbye, at the latest after `fuse` more publications."""

    def __init__(self, network: MemoryNetwork, options: Options, driver: Driver, died: Callable[[], None]) -> None:
        self._died = died
        self.fuse: int | None = None
        super().__init__(network, options, driver)

    def publish(self, frame: Frame, receipt: Receipt | None = None) -> None:
        """Queue `frame`; the one at which the fuse is out is the last to leave."""
        super().publish(frame, receipt)
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse <= 0:
                self.kill(written=True)
                self._died()
                raise BusError("killed")

    @property
    def backlog(self) -> int:
        """How many frames wait; a killed process never learns that none do."""
        return 1 if self._over else super().backlog

    def kill(self, *, written: bool = False) -> None:
        """Hang up as the kernel does for a killed process; ``written``: what is queued was in the socket already."""
        if written and self._transport_up:
            self._flush()
        self._over = True
        self._disarm()
        self._hang_up()

    def _turn(self) -> None:
        if not self._over:
            super()._turn()


class Sink:
    """Counts what a node measures and says; what must not happen is kept word for word."""

    def __init__(self, node: str, trace: Trace) -> None:
        self.node = node
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []
        self._trace = trace

    def log(self, name: str, level: str, fields: Mapping[str, Any]) -> None:
        """Take one line."""
        self.counts[name] += 1
        self._trace(self.node, name, fields)
        if level == "error" or name == "dead_letter":
            self.errors.append(f"{self.node}: {name}: {dict(fields)!r}"[:600])

    def measure(self, name: str, amount: float, seconds: float | None, label: str) -> None:
        """Count; durations are of no interest in virtual time."""
        if seconds is None:
            self.counts[f"{name}:{label}" if label else name] += int(amount)


class Birth(NamedTuple):
    """What a node is made of when it starts: its program, its services, and its will."""

    program: Program
    services: Mapping[str, Service]
    will: Will | None = None


class Seat(NamedTuple):
    """Where a node stands: its kind, its Client ID, its one-segment name, and how long its session is kept."""

    kind: str
    client_id: str
    name: str
    session_s: int = 3600
    keeps_journal: bool = True


class Node:
    """One node over all its lives. ``make`` builds it anew for every life, given the birth number and its clock."""

    def __init__(self, world: "World", seat: Seat, make: Callable[[int, Life], Birth]) -> None:
        self.seat = seat
        self.journal = MemoryJournal()
        self.sink = Sink(seat.name, world.trace)
        self.lives = 0
        self.life: Life | None = None
        self.program: Program
        self.driver: Driver
        self.bus: MortalBus
        self._world = world
        self._make = make

    @property
    def alive(self) -> bool:
        """Tell whether the process runs."""
        return self.life is not None

    def start(self) -> None:
        """Start the process; what its earlier lives left is found again."""
        world, seat = self._world, self.seat
        self.lives += 1
        life = self.life = Life(world.clock)
        birth = int(world.clock.time() * 1000) + self.lives
        if not seat.keeps_journal:
            self.journal = MemoryJournal()
        self.program, services, will = self._make(birth, life)
        self.driver = Driver(
            seat.name,
            self.program,
            world.topics,
            clock=life,
            rng=Random(f"{world.seed}/{seat.name}/{self.lives}"),
            journal=self.journal,
            sink=self.sink,
            services=services,
            stopped=partial(world.trace, seat.name, "stopped"),
        )
        broker = world.settings.broker
        options = Options(
            seat.client_id,
            "memory",
            will=will,
            session_expiry_s=seat.session_s,
            keep_alive_s=broker.keep_alive_s,
            max_queued=broker.max_queued,
        )
        self.bus = MortalBus(world.network, options, self.driver, self._dead)
        world.trace(seat.name, "starts", self.lives)
        self.driver.start(self.bus)

    def kill(self) -> None:
        """Kill the process now (``kill -9``)."""
        if self.life is not None:
            self.bus.kill()
            self._dead()

    def kill_while_sending(self, frames: int) -> None:
        """Kill it in the middle of a turn's end: right after `frames` more of its publications have left."""
        if self.life is not None:
            self.bus.fuse = frames

    def _dead(self) -> None:
        assert self.life is not None
        self._world.trace(self.seat.name, "dies", "")
        self.life.alive = False
        self.life = None
        self.journal.crash()


class Ledger(Router):
    """The broker's router, which shows every publication in the broker's order before it is delivered."""

    def __init__(self, network: MemoryNetwork, witness: Callable[[Message], None]) -> None:
        super().__init__(network.broker.limits, network.broker.stats)
        self._witness = witness

    def publish(self, message: Message, now: float) -> int:
        """Show `message`, then deliver it."""
        self._witness(message)
        return super().publish(message, now)


class World:
    """A broker, a clock, and nodes."""

    def __init__(self, seed: int, settings: Settings, faults: Faults | None = None, trace: Trace | None = None) -> None:
        self.seed = seed
        self.settings = settings
        self.topics = Topics(settings.wire.root, settings.wire.partitions)
        self.clock = VirtualClock()
        self.network = MemoryNetwork(self.clock, Random(f"{seed}/network"), faults)
        self.nodes: dict[str, Node] = {}
        self.trace: Trace = trace or _ignore

    def witness(self, note: Callable[[Message], None]) -> None:
        """Show every publication to `note`, in the broker's order."""
        self.network.broker.router = Ledger(self.network, note)

    def add(self, seat: Seat, make: Callable[[int, Life], Birth]) -> Node:
        """Add a node; it is not started yet."""
        node = self.nodes[seat.name] = Node(self, seat, make)
        return node

    def of(self, kind: str) -> list[Node]:
        """Return the nodes of one kind."""
        return [node for node in self.nodes.values() if node.seat.kind == kind]


def _ignore(node: str, what: str, detail: Any) -> None:
    del node, what, detail
