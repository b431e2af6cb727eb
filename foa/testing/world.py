"""A federation in one thread: nodes over the in-memory bus, which may be killed at any instant and started again.

A node is the production `Driver` with a production program. What outlives its life is what outlives a process:
the journal's committed part and the broker's session. Used by `foa.testing.sim` and by tests.
"""

from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Any, Final, NamedTuple, Protocol

from foa.bus.memory import Faults, MemoryNetwork
from foa.bus.mqtt.broker.records import Message
from foa.bus.port import Options, Will
from foa.bus.virtual import VirtualClock
from foa.core.effects import Effect, Event, Key, Step
from foa.nodes.driver import Driver
from foa.nodes.ports import Program, Service
from foa.settings import Settings
from foa.testing.mortal import Fuse, Killed, Life, MortalBus, MortalJournal, Sink, Trace
from foa.testing.sealing import Notary
from foa.wire.topics import Topics

GOODBYE_S: Final = 0.05


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


class Seen(NamedTuple):
    """One step of one machine: who took it, what `Looker.before` said of the state, and all that went in and out.

    Tables of some machines are mutable: ``state`` and ``after`` may be one object.
    """

    node: "Node"
    kind: str
    before: Any
    state: Any
    event: Event
    after: Any
    effects: list[Effect]


class Looker(Protocol):
    """Whoever looks at every step of every machine."""

    def before(self, kind: str, state: Any) -> Any:
        """Return what is to be known of a state before it changes."""

    def look(self, seen: Seen) -> None:
        """Look at a step."""


class Node:
    """One node over all its lives. ``make`` builds it anew for every life, given the birth number and its clock."""

    def __init__(self, world: "World", seat: Seat, make: Callable[[int, Life], Birth]) -> None:
        self.seat = seat
        self.journal = MortalJournal()
        self.sink = Sink(seat.name, world.trace)
        self.lives = 0
        self.life: Life | None = None
        self.offset = 0.0
        self.thawed_at = 0.0
        self.fuse: Fuse | None = None
        self.program: Program
        self.driver: Driver
        self.bus: MortalBus
        self._world = world
        self._make = make

    @property
    def alive(self) -> bool:
        """Tell whether the process runs, or would if it were not frozen."""
        return self.life is not None

    @property
    def frozen(self) -> bool:
        """Tell whether the process is stopped."""
        return self.life is not None and self.life.frozen

    def start(self) -> None:
        """Start the process; what its earlier lives left is found again."""
        world, seat = self._world, self.seat
        self.lives += 1
        life = self.life = Life(world.clock, self.offset, self._dead)
        birth = int(world.clock.time() * 1000) + self.lives
        if not seat.keeps_journal:
            self.journal = MortalJournal()
        self.journal.burn = self._burn
        self.program, services, will = self._make(birth, life)
        guard = None if world.notary is None else world.notary.guard(seat.name, world.clock)
        will = will if guard is None else guard.will(will)
        steps = {kind: self._watched(kind, step) for kind, step in self.program.steps.items()}
        self.program.steps = steps
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
            guard=guard,
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
        self.bus = MortalBus(world.network, options, self.driver, life)
        world.trace(seat.name, "starts", self.lives)
        life.run(partial(self.driver.start, self.bus))

    def tell(self, key: Key, message: Any) -> None:
        """Bring a message from outside the bus to a machine, once the process runs."""
        if self.life is not None:
            self.life.run(partial(self.driver.tell, key, message))

    def kill(self) -> None:
        """Kill the process now (``kill -9``)."""
        if self.life is not None:
            self._dead()

    def kill_while_sending(self, frames: int) -> None:
        """Kill it in the middle of a turn's end: right after `frames` more of its publications have left."""
        if self.life is not None:
            self.bus.fuse = frames

    def freeze(self) -> None:
        """Stop the process (SIGSTOP): it hears nothing, says nothing, and no timer of it fires."""
        if self.life is not None:
            self.life.frozen = True

    def thaw(self) -> None:
        """Let it go on, with what it knew when it was stopped."""
        if self.life is not None and self.life.frozen:
            self.thawed_at = self._world.clock.time()
            self.life.thaw()

    def close(self) -> None:
        """Say goodbye in good order, as the end of its host does; the process ends `GOODBYE_S` later."""
        life = self.life
        if life is not None:
            life.run(self.driver.close)
            life.run(self.bus.close)
            self._world.clock.call_at(self._world.clock.time() + GOODBYE_S, partial(self._gone, life))

    def _gone(self, life: Life) -> None:
        if self.life is life:
            self._dead()

    def _watched(self, kind: str, step: Step[Any]) -> Step[Any]:
        """Return `step`, shown to the world each time, and at which the process may die."""
        looker = self._world.looker

        def stepped(state: Any, event: Event, now: float, rng: Random) -> tuple[Any, list[Effect]]:
            if self.fuse is not None:
                self._burn(kind, True)
            seen = looker.before(kind, state) if looker is not None else None
            after, effects = step(state, event, now, rng)
            if looker is not None:
                looker.look(Seen(self, kind, seen, state, event, after, effects))
            if self.fuse is not None:
                self._burn(kind, False)
            return after, effects

        return stepped

    def _burn(self, kind: str, before: bool) -> None:  # noqa: FBT001 - two places call it
        fuse = self.fuse
        if fuse is None or fuse.kind != kind or fuse.before is not before:
            return
        self.fuse = fuse._replace(left=fuse.left - 1)
        if self.fuse.left <= 0:
            self.fuse = None
            raise Killed

    def _dead(self) -> None:
        """End this life: what was not committed is lost."""
        assert self.life is not None
        self._world.trace(self.seat.name, "dies", "")
        self.life.alive = False
        self.life = None
        self.bus.kill()
        self.journal.crash()


class World:
    """A broker, a clock, and nodes."""

    def __init__(self, seed: int, settings: Settings, faults: Faults | None = None, trace: Trace | None = None) -> None:
        self.seed = seed
        self.settings = settings
        self.topics = Topics(settings.wire.root, settings.wire.partitions)
        self.clock = VirtualClock()
        self.network = MemoryNetwork(self.clock, Random(f"{seed}/network"), faults)
        self.nodes: dict[str, Node] = {}
        self.looker: Looker | None = None
        self.notary: Notary | None = None
        self.trace: Trace = trace or _ignore

    def witness(self, note: Callable[[Message], None]) -> None:
        """Show every publication to `note`, in the broker's order."""
        router = self.network.broker.router
        publish = router.publish

        def shown(message: Message, now: float) -> int:
            note(message)
            return publish(message, now)

        router.publish = shown  # type: ignore[method-assign]

    def add(self, seat: Seat, make: Callable[[int, Life], Birth]) -> Node:
        """Add a node; it is not started yet."""
        node = self.nodes[seat.name] = Node(self, seat, make)
        if self.notary is not None:
            self.notary.enrol(seat.kind, seat.name, seat.client_id)
        return node

    def of(self, kind: str) -> list[Node]:
        """Return the nodes of one kind."""
        return [node for node in self.nodes.values() if node.seat.kind == kind]


def _ignore(node: str, what: str, detail: Any) -> None:
    del node, what, detail
