"""What every client is towards its listener: events told one at a time, in turns, and when to connect again.

`foa.bus.mqtt.shell.Shell` puts the client machine behind it, `foa.bus.aiomqtt.client` the library of that name.
"""

import random
from collections.abc import Callable
from typing import Final

from foa.bus.output import Connected, Ended, Output, tell
from foa.bus.port import Clock, Handle, Listener, Options
from foa.errors import BusError

AT_A_TIME: Final = 16
WHILE_S: Final = 0.0005
"""Events told, and for how long, before what they led to is sent: cheap ones go on together."""


class Teller:
    """Half of a bus (`port.Bus`): the one that faces the listener."""

    def __init__(self, options: Options, listener: Listener, clock: Clock, rng: random.Random) -> None:
        """Prepare; `rng` spreads the attempts of many clients to connect again."""
        self.options = options
        self._listener = listener
        self._clock = clock
        self._rng = rng
        self._output = Output(self._awake)
        self._timer: Handle | None = None
        self._transport_up = False
        self._failures = 0
        self._stood_since = 0.0
        self._waited = False
        self._over = False

    # What is behind it.

    @property
    def backlog(self) -> int:
        """How many frames wait to be sent or acknowledged."""
        raise NotImplementedError

    def _start(self) -> None:
        """Begin to connect."""
        raise NotImplementedError

    def _stop(self, *, will: bool) -> None:
        """End for good; the listener hears of it in the next turn."""
        raise NotImplementedError

    def _soon(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the next turn."""
        raise NotImplementedError

    def _flush(self) -> None:
        """Send what waits."""
        raise NotImplementedError

    # The turn.

    def _check_open(self) -> None:
        if self._over:
            raise BusError(f"the bus of {self.options.client_id!r} is closed")

    def _awake(self) -> None:
        self._soon(self._turn)

    def _turn(self) -> None:
        """Tell every event, then send everything in one write: answers travel with acknowledgements.

        Of many events some are told at a time, so that others can work on the first answers meanwhile. Nothing but
        acknowledgements waits one turn more: a task that an event has woken then adds what it has to say.
        """
        output = self._output
        events = output.events
        told, since = 0, self._clock.time() if len(events) > AT_A_TIME else 0.0
        try:
            while events:
                event = events.popleft()
                told += 1
                if told % AT_A_TIME == 0 and self._transport_up and not self._over:
                    since = self._halfway(since)
                if isinstance(event, Connected):
                    self._on_connected(event)
                elif isinstance(event, Ended):
                    self._on_ended(event)
                else:
                    tell(event, self._listener)
                if not events and not self._over:
                    self._listener.turned()
        finally:  # a listener that raises loses its own call only
            waits = not (output.urgent or self._waited or events) and bool(output.bytes)
            self._waited = waits
            if self._transport_up and not waits:
                self._flush()
            if events or waits:
                self._soon(self._turn)
            else:
                output.rearm()

    def _halfway(self, since: float) -> float:
        """Send what events told since then led to, if that took long; return since when from now on."""
        now = self._clock.time()
        if now - since < WHILE_S:
            return since
        self._listener.turned()
        self._flush()
        return now

    def _on_connected(self, event: Connected) -> None:
        self._stood_since = self._clock.time()
        self._listener.connected(event.facts)

    def _on_ended(self, event: Ended) -> None:
        self._disarm()
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

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
