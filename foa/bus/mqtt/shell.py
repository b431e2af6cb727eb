"""What the asyncio client and the in-memory client share: a machine, one timer, one listener, reconnecting.

A transport is given by a subclass as four verbs (`_dial`, `_write`, `_hang_up`, `_soon`); it reports back
through `_opened`, `_arrived` and `_lost`. Everything MQTT is in the machine, everything timed goes
through the `Clock`, so both clients run the same lines.
"""

import random
from collections.abc import Callable, Sequence

from foa.bus.mqtt.session import ClientSession
from foa.bus.output import Connected, Ended
from foa.bus.port import Clock, Listener, Options, Receipt, Subscription
from foa.bus.telling import Teller
from foa.wire.envelope import Frame


class Shell(Teller):
    """One bus (`port.Bus`), but for its transport."""

    def __init__(self, options: Options, listener: Listener, clock: Clock, rng: random.Random) -> None:
        """Prepare; raises BusError if `options` cannot be written as a CONNECT."""
        super().__init__(options, listener, clock, rng)
        self._session = ClientSession(options, self._output)

    @property
    def backlog(self) -> int:
        """How many frames wait to be sent or acknowledged."""
        return self._session.backlog

    def publish(self, frame: Frame, receipt: Receipt | None = None) -> None:
        """Queue `frame`. Raises BusError above ``max_queued``, or if it is larger than the broker takes."""
        self._check_open()
        self._session.publish(frame, receipt, self._clock.time())

    def subscribe(
        self, subscriptions: Sequence[Subscription], granted: Callable[[tuple[int, ...]], None] | None = None
    ) -> None:
        """Ask for all `subscriptions`; `granted` gets one reason code each. Kept over reconnects."""
        self._check_open()
        self._session.subscribe(subscriptions, granted)

    def unsubscribe(self, patterns: Sequence[str]) -> None:
        """Give up `patterns`."""
        self._check_open()
        self._session.unsubscribe(patterns)

    # What a transport provides.

    def _dial(self) -> None:
        """Begin to open a transport; answered by `_opened` or `_lost`."""
        raise NotImplementedError

    def _write(self, data: bytes) -> None:
        """Send `data`; the transport is open."""
        raise NotImplementedError

    def _hang_up(self) -> None:
        """Close the transport, or stop opening it, once what was written is sent; no `_lost` follows."""
        raise NotImplementedError

    # What a transport reports.

    def _opened(self) -> None:
        self._transport_up = True
        self._turn()

    def _arrived(self, data: bytes) -> None:
        self._output.attend()
        self._session.receive(data, self._clock.time())
        self._turn()

    def _lost(self, reason: str) -> None:
        self._transport_up = False
        self._session.lost(reason)

    # The rest is between the machine and the listener.

    def _start(self) -> None:
        self._session.start(self._clock.time())
        self._arm()
        self._dial()

    def _stop(self, *, will: bool) -> None:
        if not self._over:
            self._over = True
            self._session.stop(will=will)

    def _flush(self) -> None:
        data = self._output.taken()
        if data:
            self._session.sent(self._clock.time())
            self._write(data)

    def _on_connected(self, event: Connected) -> None:
        self._arm()
        super()._on_connected(event)

    def _on_ended(self, event: Ended) -> None:
        if self._transport_up:
            self._flush()  # the goodbye
        self._transport_up = False
        self._output.taken()  # what could not be sent is in the outbox still
        self._hang_up()
        super()._on_ended(event)

    def _arm(self) -> None:
        self._disarm()
        when = self._session.deadline()
        if when is not None:
            self._timer = self._clock.call_at(when, self._due)

    def _due(self) -> None:
        self._timer = None
        self._session.tick(self._clock.time())
        if self._timer is None:
            self._arm()
