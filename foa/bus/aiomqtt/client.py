"""The bus on aiomqtt: connection after connection of one client, told to a listener as the port asks.

aiomqtt is used as its documentation says, one ``async with`` per connection, in a task (`AiomqttBus._live`);
it neither connects again nor subscribes again by itself. ::

    down --start--> connecting --CONNACK ok--> up --gone, cut, stop--> down
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import aiomqtt
import msgspec
from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from foa.bus import reasons, tls
from foa.bus.aiomqtt import properties as convert
from foa.bus.aiomqtt.link import Link
from foa.bus.aiomqtt.outbox import Outbox
from foa.bus.aiomqtt.subscriptions import CalledSubscriptions
from foa.bus.awaited import FLUSH_S, AwaitedBus
from foa.bus.inbox import Inbox
from foa.bus.output import Connected, Ended
from foa.bus.port import Listener, Options, Receipt, Subscription
from foa.wire.envelope import Frame

DOWN: Final = "down"
CONNECTING: Final = "connecting"
UP: Final = "up"

KEEP_ALIVE_TIMEOUT: Final = 0x8D
LOOKS: Final = 8  # how often paho looks at the clock in one keep-alive; aiomqtt lets it do so once a second


class AiomqttBus(AwaitedBus):
    """A `port.Session` on aiomqtt.

    Other than our own client it gives a silent broker up after two keep-alives, as paho counts them.
    """

    def __init__(self, options: Options, listener: Listener, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Prepare; raises BusError if `options` cannot be written as a CONNECT."""
        super().__init__(options, listener, loop)
        self._link = Link(options, self, self._loop)
        self._outbox = Outbox(self._output, self._link.paho, options.max_queued)
        self._subscriptions = CalledSubscriptions(self._output, self._link.client, self._flush)
        self._inbox = Inbox(self._link.acknowledge, options.receive_maximum)
        self._state = DOWN
        self._life: asyncio.Task[None] | None = None
        self._answer = asyncio.Event()
        self._dialing = False  # in aiomqtt's thread, where paho must be left alone
        self._asked = False  # a CONNECT went out on this connection
        self._unanswered = False  # one went out and its CONNACK never came

    @property
    def backlog(self) -> int:
        """How many frames wait to be sent or acknowledged."""
        return self._outbox.backlog

    def publish(self, frame: Frame, receipt: Receipt | None = None) -> None:
        """Queue `frame`. Raises BusError above ``max_queued``, or if it is larger than the broker takes."""
        self._check_open()
        self._outbox.publish(frame, receipt, self._clock.time())

    def subscribe(
        self, subscriptions: Sequence[Subscription], granted: Callable[[tuple[int, ...]], None] | None = None
    ) -> None:
        """Ask for all `subscriptions`; `granted` gets one reason code each. Kept over reconnects."""
        self._check_open()
        self._subscriptions.subscribe(subscriptions, granted)

    def unsubscribe(self, patterns: Sequence[str]) -> None:
        """Give up `patterns`."""
        self._check_open()
        self._subscriptions.unsubscribe(patterns)

    async def close(self, *, will: bool = False) -> None:
        """Wait at most `FLUSH_S` for what is queued, say goodbye, and hang up; idempotent."""
        await super().close(will=will)
        life = self._life
        if life is not None and not life.done() and not self._dialing:
            await asyncio.wait({life}, timeout=FLUSH_S)
            self._link.cut()
            await asyncio.wait({life}, timeout=FLUSH_S)

    def abort(self) -> None:
        """Drop the socket without a word, as a crash or a cut cable would; the bus then reconnects."""
        if not self._dialing:
            self._end("the connection was dropped", final=False)
            self._link.cut()

    # One connection after the other.

    def _start(self) -> None:
        self._timer = None
        if not self._over:
            self._life = self._loop.create_task(self._live(self._life))

    def _stop(self, *, will: bool) -> None:
        if self._over:
            return
        self._over = True
        if self._state is UP:
            self._link.say_goodbye(will=will)
        self._end("closed", final=True)

    async def _live(self, last: "asyncio.Task[None] | None") -> None:
        """Live one connection from its beginning to its end; `last` is the one before."""
        if last is not None:
            await asyncio.wait({last})
        if self._over:
            return
        self._state, self._asked, self._dialing = CONNECTING, False, True
        self._answer.clear()
        self._inbox = Inbox(self._link.acknowledge, self.options.receive_maximum)
        try:
            async with self._link.client:
                try:
                    await self._stay()
                finally:
                    self._link.cut()  # aiomqtt's exit waits, and may then stay locked, unless the connection ended
        except aiomqtt.MqttError as error:
            self._dialing = False
            self._end(self._why(error), final=False)
        except ValueError as error:  # a host or port that is none
            self._end(f"cannot connect to {self.options.host}:{self.options.port}: {error}", final=True)
        finally:
            if not self._dialing:
                self._link.cut()  # an answer that came too late would be taken for that of the next connection

    async def _stay(self) -> None:
        """Wait for the end of a connection just dialed: it raises MqttError."""
        # After a reconnect aiomqtt does not wait for the CONNACK: it still holds the first one for the answer.
        try:
            await asyncio.wait_for(self._answer.wait(), self.options.connect_timeout_s)
        except TimeoutError:
            self._end(self._late(), final=False)
            return
        # One that ended before aiomqtt's own entering was done is forgotten by it: it would wait for ever.
        if self._state is not UP:
            return
        async for _ in self._link.client.messages:
            """There are none: `Link` takes them first."""

    def _why(self, error: aiomqtt.MqttError) -> str:
        cause = error.__context__
        if isinstance(cause, OSError) and not isinstance(cause, TimeoutError):
            return self._unreached(cause)
        return self._late() if self._state is CONNECTING else "the broker closed the connection"

    def _late(self) -> str:
        return f"no answer within {self.options.connect_timeout_s:g} s"

    def _end(self, reason: str, *, final: bool) -> None:
        if self._state is DOWN and not final:
            return
        self._unanswered = self._unanswered or (self._state is CONNECTING and self._asked)
        stood, self._state = self._state is UP, DOWN
        self._transport_up = False
        self._inbox.close()
        self._outbox.down()
        self._subscriptions.down()
        self._output.tell(Ended(reason, final, stood))

    # What the link hears.

    def dialed(self) -> bool:
        """See `link.Hears`."""
        self._asked, self._dialing = True, False
        return not self._over

    def answered(self, flags: ConnectFlags, code: ReasonCode, properties: Properties | None) -> None:
        """See `link.Hears`."""
        if self._state is not CONNECTING:
            return
        if code.is_failure:
            said = getattr(properties, "ReasonString", None)
            why = f"{convert.words(code)}{f': {said}' if said else ''}"
            self._end(reasons.refusal(self.options, why), final=code.value not in reasons.TRY_AGAIN)
            return
        self._state = UP
        self._link.resume()
        facts = convert.facts_of(flags.session_present, properties, self.options.keep_alive_s)
        # The broker may have made the session anew for a CONNECT whose answer was lost: then it is there, and empty.
        known = msgspec.structs.replace(facts, session_present=facts.session_present and not self._unanswered)
        self._unanswered = False
        self._transport_up = True
        self._output.tell(Connected(known))
        self._subscriptions.up(known)
        self._outbox.up(facts, self._clock.time())
        self._answer.set()
        self._look(facts.keep_alive_s / LOOKS)

    def arrived(self, message: MQTTMessage) -> None:
        """See `link.Hears`."""
        if self._state is not UP:
            return
        mid = message.mid if message.qos else None
        frame, ids = convert.frame_of(message), convert.ids_of(message)
        inbound = self._inbox.take(frame, ids, mid, duplicate=message.dup)
        if inbound is None:
            self._end("the broker broke the protocol: more unacknowledged deliveries than taken", final=False)
        else:
            self._output.tell(inbound)

    def settled(self, mid: int, code: int) -> None:
        """See `link.Hears`."""
        self._outbox.settled(mid, code)

    def written(self) -> None:
        """See `link.Hears`."""
        if self._state is UP:
            self._outbox.written()

    def gone(self, flags: DisconnectFlags, code: ReasonCode, properties: Properties | None) -> None:
        """See `link.Hears`."""
        if flags.is_disconnect_packet_from_server:
            what = getattr(properties, "ReasonString", None) or convert.words(code)
            self._end(reasons.dismissal(self.options, code.value, what), final=code.value in reasons.FOR_GOOD)
        elif code.value == KEEP_ALIVE_TIMEOUT:
            self._end(f"the broker was silent for two keep-alives of {self.options.keep_alive_s} s", final=False)
        else:
            unanswered = self._state is CONNECTING
            self._end(tls.silent(self.options) if unanswered else "the broker closed the connection", final=False)

    # The rest is between the outbox and the listener.

    def _flush(self) -> None:
        if self._state is UP and not self._subscriptions.starting:
            self._outbox.pump(self._clock.time())

    def _look(self, every: float) -> None:
        """Let paho look at the clock often enough for a short keep-alive."""
        self._disarm()
        if 0 < every < 1 and self._state is UP:
            self._link.paho.loop_misc()
            self._timer = self._clock.call_at(self._clock.time() + every, lambda: self._look(every))
