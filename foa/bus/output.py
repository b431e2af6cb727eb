"""What the client machine wants done: bytes to send and events to tell, collected until a shell takes them.

Nothing is ever called from inside a machine except `wake`, once per batch, which asks the shell to come
and take. That is what lets a listener call the bus back from any callback.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from foa.bus.port import Delivery, Facts, Listener, Receipt


class Connected(msgspec.Struct, frozen=True):
    """CONNACK said yes."""

    facts: Facts


class Ended(msgspec.Struct, frozen=True):
    """The connection is over; ``final`` forbids another try. ``stood``: there had been a CONNACK."""

    reason: str
    final: bool
    stood: bool


class Receipted(msgspec.Struct, frozen=True):
    """A publication is settled with ``code``."""

    receipt: Receipt
    code: int


class Granted(msgspec.Struct, frozen=True):
    """A SUBSCRIBE is answered, one code per subscription."""

    granted: Callable[[tuple[int, ...]], None]
    codes: tuple[int, ...]


class Drained(msgspec.Struct, frozen=True):
    """The backlog fell below half after having been full."""


DRAINED: Final = Drained()
Event = Connected | Ended | Receipted | Granted | Drained | Delivery


class Output:
    """Bytes and events in order, waiting to be taken."""

    __slots__ = ("_wake", "_woken", "bytes", "events", "urgent")

    def __init__(self, wake: Callable[[], None]) -> None:
        """Call `wake` when the first byte or event after a `rearm` waits."""
        self.bytes: list[bytes] = []
        self.urgent = False
        self.events: deque[Event] = deque()
        self._wake = wake
        self._woken = False

    def send(self, data: bytes, *, urgent: bool = True) -> None:
        """Queue `data` for the transport; what is not `urgent` may wait a turn for company."""
        self.bytes.append(data)
        self.urgent = self.urgent or urgent
        if not self._woken:
            self._woken = True
            self._wake()

    def tell(self, event: Event) -> None:
        """Queue `event` for the listener."""
        self.events.append(event)
        if not self._woken:
            self._woken = True
            self._wake()

    def rouse(self) -> None:
        """Call `wake`: something waits that is neither a byte nor an event."""
        if not self._woken:
            self._woken = True
            self._wake()

    def attend(self) -> None:
        """Do not call `wake`: the shell is here already, and will `rearm`."""
        self._woken = True

    def rearm(self) -> None:
        """Call `wake` again for what comes from now on: the shell has seen everything so far."""
        self._woken = False

    def taken(self) -> bytes:
        """Return the bytes that waited; events are popped from `events`."""
        if not self.bytes:
            return b""
        data = self.bytes[0] if len(self.bytes) == 1 else b"".join(self.bytes)
        self.bytes.clear()
        self.urgent = False
        return data


def tell(event: Event, listener: Listener) -> None:
    """Make the one call that `event` stands for; `Connected` and `Ended` are the shell's to tell."""
    if isinstance(event, Receipted):
        event.receipt(event.code)
    elif isinstance(event, Granted):
        event.granted(event.codes)
    elif isinstance(event, Drained):
        listener.drained()
    elif not isinstance(event, Connected | Ended):
        listener.delivered(event)
