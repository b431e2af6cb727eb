"""What a driver is given: a program of machines, a journal, a sink for telemetry, services."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from foa.core import effects as fx
from foa.core.effects import Key, Step
from foa.wire.envelope import Frame
from foa.wire.topics import Topic

Done = Callable[[Any, str], None]
Service = Callable[[Any, Done], None]


class Program(Protocol):
    """What makes a node of one kind: its machines, and which of them a frame belongs to."""

    roots: tuple[Key, ...]
    steps: Mapping[str, Step[Any]]

    def birth(self, key: Key) -> Any | None:
        """Return the first state of the machine `key`; None if there is no such machine."""

    def route(self, event: fx.Received | fx.Cleared, known: Callable[[Key], bool]) -> tuple[Key, ...]:
        """Return whose event it is; none if nobody's."""


class Guard(Protocol):
    """Who is believed: seals what leaves a node and admits what arrives; see `foa.wire.trust.guard`."""

    def seal(self, frame: Frame) -> Frame:
        """Return `frame` sealed."""

    def seal_will(self, frame: Frame) -> Frame:
        """Return a will sealed beforehand."""

    def admit(self, topic: Topic, frame: Frame) -> None:
        """Return if `frame` is to be believed; WireError says why it is not."""


class Journal(Protocol):
    """What a node keeps over restarts; see `foa.adapters.journal`."""

    def put(self, kind: str, ident: str, body: bytes | None) -> None:
        """Keep (or forget) a body; durable at the next `commit`."""

    def commit(self) -> None:
        """Make all that was put durable; DiskError if that fails now: nothing of it is forgotten."""

    def load(self) -> Iterable[tuple[str, str, bytes, float]]:
        """Return all that is kept: kind, id, body, and its age in seconds."""


class Sink(Protocol):
    """Where logs and measurements go; see `foa.adapters.telemetry`."""

    def log(self, name: str, level: str, fields: Mapping[str, Any]) -> None:
        """Write one line."""

    def measure(self, name: str, amount: float, seconds: float | None, label: str) -> None:
        """Count or observe."""
