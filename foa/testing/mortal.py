"""What of a simulated node ends with its process, at any instant, and what outlives it: clock, bus, journal, sink.

Called by `foa.testing.world` alone.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from foa.adapters.journal import MemoryJournal
from foa.bus.memory import MemoryBus, MemoryNetwork
from foa.bus.port import Options, Receipt
from foa.bus.virtual import Timer, VirtualClock
from foa.nodes.driver import Driver
from foa.wire.envelope import Frame

Trace = Callable[[str, str, Any], None]


class Killed(BaseException):
    """The process ends here, in the middle of whatever it does."""


class Life:
    """One life of a node: its clock, by which nobody else's goes, and whatever runs in it.

    ``offset`` is what its clock shows more than the world's, in seconds; of two machines' clocks nothing else is equal.
    A life that is frozen (SIGSTOP) does nothing; what was due meanwhile it does in order when it is thawed.
    """

    def __init__(self, clock: VirtualClock, offset: float, killed: Callable[[], None]) -> None:
        self.alive = True
        self.offset = offset
        self.frozen = False
        self._clock = clock
        self._killed = killed
        self._held: list[Timer] = []

    def time(self) -> float:
        """Return the virtual time by this node's clock."""
        return self._clock.time() + self.offset

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` at `when`, by this node's clock, if this life still lasts then."""
        timer = Timer(callback)
        self._clock.call_at(when - self.offset, partial(self._due, timer))
        return timer

    def run(self, callback: Callable[[], None]) -> None:
        """Run something of this process now, or once it is thawed."""
        self._due(Timer(callback))

    def thaw(self) -> None:
        """Go on, first with what was due meanwhile."""
        self.frozen = False
        held, self._held = self._held, []
        for timer in held:
            self._due(timer)

    def _due(self, timer: Timer) -> None:
        callback = timer.callback
        if not self.alive or callback is None:
            return
        if self.frozen:
            self._held.append(timer)
            return
        timer.callback = None
        try:
            callback()
        except Killed:
            self._killed()


class MortalBus(MemoryBus):
    """A bus that ends with its process: without a goodbye, at the latest after `fuse` more publications."""

    def __init__(self, network: MemoryNetwork, options: Options, driver: Driver, life: Life) -> None:
        self.fuse: int | None = None
        self._killed = False
        self._life = life
        super().__init__(network, options, driver)
        self._clock = life

    def publish(self, frame: Frame, receipt: Receipt | None = None) -> None:
        """Queue `frame`; the one at which the fuse is out is the last to leave."""
        super().publish(frame, receipt)
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse <= 0:
                self.kill(written=True)
                raise Killed

    def link_opened(self) -> None:
        """Hear of it when the process runs."""
        self._life.run(super().link_opened)

    def link_received(self, data: bytes) -> None:
        """Hear of it when the process runs."""
        self._life.run(partial(super().link_received, data))

    def link_lost(self, link: Any, reason: str) -> None:
        """Hear of it when the process runs."""
        self._life.run(partial(super().link_lost, link, reason))

    @property
    def backlog(self) -> int:
        """How many frames wait; a killed process never learns that none do."""
        return 1 if self._killed else super().backlog

    def kill(self, *, written: bool = False) -> None:
        """Hang up as the kernel does for a killed process; ``written``: what is queued was in the socket already."""
        if written and self._transport_up:
            self._flush()
        self._over = self._killed = True
        self._disarm()
        self._hang_up()

    def _turn(self) -> None:
        if not self._killed:
            super()._turn()


class Fuse(NamedTuple):
    """Kill a process at a chosen moment: the `left`-th step of a machine (``kind``) or commit of its journal from now.

    ``before`` it happens, so that its event is lost, or after it, so that its effects are.
    """

    kind: str
    left: int
    before: bool


COMMIT: Final = "commit"
"""The kind of a `Fuse` that is burnt by the journal."""


class MortalJournal(MemoryJournal):
    """A journal in the middle of whose commits a process may die; ``burn`` raises `Killed` when it should."""

    def __init__(self) -> None:
        super().__init__()
        self.burn: Callable[[str, bool], None] | None = None

    def commit(self) -> None:
        """Commit, unless this is where the process dies."""
        if self.burn is not None:
            self.burn(COMMIT, True)
        super().commit()
        if self.burn is not None:
            self.burn(COMMIT, False)


class Sink:
    """Counts what a node measures and says; what must not happen is kept word for word."""

    def __init__(self, node: str, trace: Trace) -> None:
        self.node = node
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []
        self.hostile = False
        self._trace = trace

    def log(self, name: str, level: str, fields: Mapping[str, Any]) -> None:
        """Take one line."""
        self.counts[name] += 1
        self._trace(self.node, name, fields)
        if level == "error" or (name == "dead_letter" and not self.hostile):
            self.errors.append(f"{self.node}: {name}: {dict(fields)!r}"[:600])

    def measure(self, name: str, amount: float, seconds: float | None, label: str) -> None:
        """Count; durations are of no interest in virtual time."""
        if seconds is None:
            self.counts[f"{name}:{label}" if label else name] += int(amount)
