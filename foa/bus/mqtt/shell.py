"""What the asyncio client and the in-memory client share: a machine, one timer, one listener, reconnecting.

A transport is given by a subclass as four verbs (`_dial`, `_write`, `_hang_up`, `_soon`); it reports back
through `_opened`, `_arrived` and `_lost`. Everything MQTT is in the machine, everything timed goes
through the `Clock`, so both clients run the same lines.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final

from foa.bus.mqtt.output import Connected, Ended, Output, tell
from foa.bus.mqtt.session import ClientSession
from foa.bus.port import Clock, Handle, Listener, Options, Receipt, Subscription
from foa.errors import BusError
from foa.wire.envelope import Frame

AT_A_TIME: Final = 16
"""Events told before what they led to is sent."""


class Shell:
    """One bus (`port.Bus`), but for its transport."""

    def __init__(self, options: Options, listener: Listener, clock: Clock, rng: random.Random) -> None:
        """Prepare; raises BusError if `options` cannot be written as a CONNECT."""
        self.options = options
        self._listener = listener
        self._clock = clock
        self._rng = rng
        self._output = Output(self._awake)
        self._session = ClientSession(options, self._output)
        self._timer: Handle | None = None
        self._transport_up = False
        self._failures = 0
        self._stood_since = 0.0
        self._over = False

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

    def _soon(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the next turn."""
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
        """End for good; the listener hears of it in the next turn."""
        if not self._over:
            self._over = True
            self._session.stop(will=will)

    def _check_open(self) -> None:
        if self._over:
            raise BusError(f"the bus of {self.options.client_id!r} is closed")

    def _awake(self) -> None:
        self._soon(self._turn)

    def _turn(self) -> None:
        """Tell every event, then send everything in one write: answers travel with acknowledgements.

        Of many events some are told at a time, so that others can work on the first answers meanwhile.
        """
        output = self._output
        events = output.events
        told = 0
        try:
            while events:
                event = events.popleft()
                told += 1
                if told % AT_A_TIME == 0 and self._transport_up and not self._over:
                    self._listener.turned()
                    self._flush()
                if isinstance(event, Connected):
                    self._on_connected(event)
                elif isinstance(event, Ended):
                    self._on_ended(event)
                else:
                    tell(event, self._listener)
                if not events and not self._over:
                    self._listener.turned()
        finally:  # a listener that raises loses its own call only
            if self._transport_up:
                self._flush()
            if events:
                self._soon(self._turn)
            else:
                output.rearm()

    def _flush(self) -> None:
        data = self._output.taken()
        if data:
            self._session.sent(self._clock.time())
            self._write(data)

    def _on_connected(self, event: Connected) -> None:
        self._stood_since = self._clock.time()
        self._arm()
        self._listener.connected(event.facts)

    def _on_ended(self, event: Ended) -> None:
        self._disarm()
        if self._transport_up:
            self._flush()  # the goodbye
        self._transport_up = False
        self._output.taken()  # what could not be sent is in the outbox still
        self._hang_up()
        self._over = self._over or event.final
        if not self._over:
            self._redial_later(event)
        if event.stood or event.final:
            self._listener.disconnected(event.reason, final=event.final)

    def _redial_later(self, event: Ended) -> None:
        options, now = self.options, self._clock.time()
        if event.stood and now - self._stood_since >= options.backoff_max_s:
            self._failures = 0  # one that stood only for a moment does not make the broker healthy
        ceiling = min(options.backoff_max_s, options.backoff_min_s * 2 ** min(self._failures, 30))
        self._failures += 1
        self._timer = self._clock.call_at(now + ceiling * (0.5 + self._rng.random() / 2), self._start)

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

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
