"""A driver on a bench: one scripted machine, and a bus, a journal and deliveries that write down what happens when."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any

from foa.bus.port import Facts, Receipt, Subscription
from foa.bus.virtual import VirtualClock
from foa.core import effects as fx
from foa.core.effects import Effect, Event, Key, Step
from foa.errors import BusError, DiskError, TooLarge
from foa.nodes.driver import Driver
from foa.wire import codec
from foa.wire.envelope import Frame
from foa.wire.messages import AnyMessage, Cancel
from foa.wire.topics import Topics

TOPICS = Topics("foa/v1", 4)
ME = Key("machine")
Script = Callable[[Any, Event], tuple[Any, list[Effect]]]


class Diary:
    """What happened, in order; also a `Journal`, a `Sink` and a `Bus` with room for so many frames."""

    def __init__(self, room: int = 1000, largest: int = 1 << 20, kept: Iterable[tuple[str, str, bytes]] = ()) -> None:
        self.lines: list[str] = []
        self.frames: list[Frame] = []
        self.logs: list[tuple[str, Mapping[str, Any]]] = []
        self.counts: list[tuple[str, str]] = []
        self.receipts: list[Receipt | None] = []
        self.room = room
        self.full = False
        self.backlog = 0
        self._largest = largest
        self._kept = list(kept)
        self._pending: list[str] = []

    def put(self, kind: str, ident: str, body: bytes | None) -> None:
        self._pending.append(f"{kind}/{ident}" if body is not None else f"-{kind}/{ident}")

    def commit(self) -> None:
        if self.full:
            raise DiskError("the disk is full")
        self.lines += [f"commit {one}" for one in self._pending]
        self._pending.clear()

    def load(self) -> Iterable[tuple[str, str, bytes, float]]:
        return [(kind, ident, body, 0.0) for kind, ident, body in self._kept]

    def log(self, name: str, level: str, fields: Mapping[str, Any]) -> None:
        del level
        self.logs.append((name, fields))

    def measure(self, name: str, amount: float, seconds: float | None, label: str) -> None:
        del amount, seconds
        self.counts.append((name, label))

    def publish(self, frame: Frame, receipt: Receipt | None = None) -> None:
        if len(frame.payload) > self._largest:
            raise TooLarge("too large")
        if self.room <= 0:
            raise BusError("full")
        self.room -= 1
        self.frames.append(frame)
        self.receipts.append(receipt)
        self.lines.append(f"publish {frame.topic.rpartition('/')[2]}")

    def subscribe(
        self, subscriptions: Sequence[Subscription], granted: Callable[[tuple[int, ...]], None] | None = None
    ) -> None:
        del granted
        self.lines += [f"subscribe {one.pattern}" for one in subscriptions]

    def unsubscribe(self, patterns: Sequence[str]) -> None:
        self.lines += [f"unsubscribe {one}" for one in patterns]


class Arrival:
    """A `Delivery` that writes down its acknowledgement."""

    duplicate = False
    subscription_ids: tuple[int, ...] = ()

    def __init__(self, diary: Diary, frame: Frame) -> None:
        self.frame = frame
        self._diary = diary

    def ack(self) -> None:
        self._diary.lines.append("ack")


class Scripted:
    """A `Program` of one root machine and any number of others under kind ``other``, all played by one script."""

    def __init__(self, script: Script) -> None:
        self.roots: tuple[Key, ...] = (ME,)
        self.events: list[tuple[str, Event]] = []
        self._script = script
        self.steps: Mapping[str, Step[Any]] = {"machine": self._step, "other": self._step}

    def _step(self, state: Any, event: Event, now: float, rng: Random) -> tuple[Any, list[Effect]]:
        del now, rng
        self.events.append((state, event))
        return self._script(state, event)

    def birth(self, key: Key) -> Any | None:
        return key.id or "root" if key.kind in self.steps else None

    def route(self, event: fx.Received | fx.Cleared, known: Callable[[Key], bool]) -> tuple[Key, ...]:
        del event, known
        return (ME,)


class Bench:
    """A started driver. ``on`` says what the machine wants at a frame, a word told to it, or a timer."""

    def __init__(self, on: Callable[[Event], list[Effect]], diary: Diary | None = None, **services: Any) -> None:
        self.diary = diary or Diary()
        self.clock = VirtualClock()
        self.stopped: list[str] = []
        self.program = Scripted(lambda state, event: (state, on(event)))
        self.driver = Driver(
            "n1", self.program, TOPICS, clock=self.clock, rng=Random(0), journal=self.diary, sink=self.diary,
            services=services, stopped=self.stopped.append,
        )  # fmt: skip
        self.driver.start(self.diary)

    def arrive(self, *frames: Frame) -> None:
        """Deliver frames as one turn of the bus."""
        for frame in frames:
            self.driver.delivered(Arrival(self.diary, frame))
        self.driver.turned()

    def settle(self) -> list[str]:
        """Let everything happen that is due soon; return what did."""
        self.clock.run_until(self.clock.time() + 1.0)
        said, self.diary.lines = self.diary.lines, []
        return said


CANCEL = Cancel("t1")


def frame(message: AnyMessage | bytes = CANCEL, leaf: str = "task/0/t1/cancel") -> Frame:
    body = message if isinstance(message, bytes) else codec.encode(message)
    return Frame(TOPICS(leaf), body)


def at_frames(*effects: Effect) -> Callable[[Event], list[Effect]]:
    """Return a script that wants `effects` at every frame and nothing else."""
    return lambda event: list(effects) if isinstance(event, fx.Received) else []


FACTS = Facts()
