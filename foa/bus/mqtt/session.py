"""The client machine: one MQTT 5 session, without sockets and without a clock.

A shell (`client.MqttBus` on asyncio, `foa.bus.memory.MemoryBus` on a virtual clock) calls it with bytes
and the time, and takes bytes and events out of `output`. ::

    down --start--> connecting --CONNACK ok--> up
      ^                 |                       |
      +-----------------+---- Ended ------------+     (lost, timeout, protocol error, DISCONNECT, stop)

What the broker must get in the end lives in `Outbox` and `Subscriptions` and outlives connections; what
belongs to one connection (`Inbox`, `Reader`) is made anew.
"""

from collections.abc import Sequence
from typing import Final

import mqtt5
import msgspec

from foa.bus import reasons
from foa.bus.inbox import Inbox
from foa.bus.mqtt import packets
from foa.bus.mqtt.outbox import Outbox, PacketIds
from foa.bus.mqtt.subscriptions import PacketSubscriptions
from foa.bus.output import Connected, Ended, Output
from foa.bus.port import Facts, Options, Receipt, Subscription, Will
from foa.bus.subscriptions import Answered
from foa.errors import BusError
from foa.wire.envelope import Frame

DOWN: Final = "down"
CONNECTING: Final = "connecting"
UP: Final = "up"

NORMAL: Final = 0x00
WITH_WILL: Final = 0x04
RECEIVE_MAXIMUM_EXCEEDED: Final = 0x93
GRACE: Final = 1.5  # keep-alive periods of silence after which a peer counts as dead


class ClientSession:
    """One session of one client, over all its connections."""

    def __init__(self, options: Options, output: Output) -> None:
        """Prepare; raises BusError if `options` cannot be written as a CONNECT."""
        self.output = output
        self.state = DOWN
        self._options = options
        self._ids = PacketIds()
        self._outbox = Outbox(output, self._ids, options.max_queued)
        self._subscriptions = PacketSubscriptions(output, self._ids)
        self._inbox = Inbox(self._puback, options.receive_maximum)
        self._reader = packets.Reader(options.maximum_packet_size)
        self._clean = options.clean_start
        self._keep_alive = 0
        self._heard = self._sent = self._begun = 0.0
        self._pinged = False
        self._asking = False  # the CONNECT of this connection went out
        self._unanswered = False  # one went out and its CONNACK never came
        self._connect()

    @property
    def backlog(self) -> int:
        """How many frames wait to be sent or acknowledged."""
        return self._outbox.backlog

    def publish(self, frame: Frame, receipt: Receipt | None, now: float) -> None:
        """See `port.Bus.publish`."""
        self._outbox.publish(frame, receipt, now)

    def subscribe(self, subscriptions: Sequence[Subscription], granted: Answered | None) -> None:
        """See `port.Bus.subscribe`."""
        self._subscriptions.subscribe(subscriptions, granted)

    def unsubscribe(self, patterns: Sequence[str]) -> None:
        """See `port.Bus.unsubscribe`."""
        self._subscriptions.unsubscribe(patterns)

    def start(self, now: float) -> None:
        """Begin a connection: CONNECT is in the output, for a transport that may still be opening."""
        self.state = CONNECTING
        self._asking = False
        self._begun = self._heard = self._sent = now
        self._reader = packets.Reader(self._options.maximum_packet_size)
        self._inbox = Inbox(self._puback, self._options.receive_maximum)
        self.output.send(self._connect())

    def receive(self, data: bytes, now: float) -> None:
        """Take `data` from the broker. Never raises on what it holds."""
        self._heard = now
        self._pinged = False
        found, fault = self._reader.feed(data)
        for packet in found:
            if self.state is DOWN:
                return
            if type(packet) is mqtt5.PublishPacket and self.state is UP:
                self._published(packet)
            elif isinstance(packet, int):
                self._acknowledged(packet, now)
            else:
                self._control(packet, now)
        if fault is not None:
            self._fail(fault.code, fault.detail)

    def lost(self, reason: str) -> None:
        """Take it that the transport ended or could not be opened."""
        self._end(reason, final=False)

    def stop(self, *, will: bool = False) -> None:
        """Say goodbye; with `will` the broker publishes the will nevertheless."""
        if self.state is UP:
            self.output.send(packets.disconnect(WITH_WILL if will else NORMAL))
        self._end("closed", final=True)

    def pause(self) -> None:
        """Hold publications back: the transport is full."""
        self._outbox.down()

    def resume(self, now: float) -> None:
        """Send on: the transport has room."""
        if self.state is UP:
            self._outbox.resume(now)

    def sent(self, now: float) -> None:
        """Note that bytes left, for the keep-alive."""
        self._asking = self._asking or self.state is CONNECTING
        self._sent = now

    def deadline(self) -> float | None:
        """Return when `tick` is due next; None if never."""
        if self.state is CONNECTING:
            return self._begun + self._options.connect_timeout_s
        if self.state is DOWN or not self._keep_alive:
            return None
        return self._heard + GRACE * self._keep_alive if self._pinged else self._ping_at()

    def tick(self, now: float) -> None:
        """Do what is due: ping, or give the connection up."""
        if self.state is CONNECTING:
            if now >= self._begun + self._options.connect_timeout_s:
                self._end(f"no answer within {self._options.connect_timeout_s:g} s", final=False)
        elif self.state is UP and self._keep_alive:
            if now >= self._heard + GRACE * self._keep_alive:
                self._end(f"the broker was silent for {now - self._heard:.1f} s", final=False)
            elif not self._pinged and now >= self._ping_at():
                self._pinged = True
                self.output.send(packets.PINGREQ)

    def _ping_at(self) -> float:
        """Return when to ping: we owe the broker a sign of life, and want one where it owes us no answer (QoS 0)."""
        return min(self._sent, self._heard) + self._keep_alive

    def _published(self, packet: mqtt5.PublishPacket) -> None:
        if not packet.topic or packet.qos is mqtt5.QoS.EXACTLY_ONCE:
            self._fail(packets.PROTOCOL_ERROR, "a PUBLISH with a topic alias or QoS 2, neither was offered")
            return
        frame = packets.frame_of(packet)
        ids = tuple(packet.subscription_ids)
        inbound = self._inbox.take(frame, ids, packet.packet_id, duplicate=packet.duplicate)
        if inbound is None:
            self._fail(RECEIVE_MAXIMUM_EXCEEDED, "more unacknowledged deliveries than the receive maximum")
        else:
            self.output.tell(inbound)

    def _acknowledged(self, packet_id: int, now: float) -> None:
        if self.state is UP:
            self._outbox.settled(packet_id, 0, now)
        else:
            self._fail(packets.PROTOCOL_ERROR, "PUBACK before CONNACK")

    def _puback(self, packet_id: int) -> None:
        self.output.send(packets.puback(packet_id), urgent=False)

    def _control(self, packet: packets.Packet, now: float) -> None:
        kind = type(packet)
        if self.state is CONNECTING:
            if isinstance(packet, mqtt5.ConnAckPacket):
                self._connack(packet, now)
            else:
                self._fail(packets.PROTOCOL_ERROR, f"{kind.__name__} before CONNACK")
        elif isinstance(packet, mqtt5.PubAckPacket):
            self._outbox.settled(packet.packet_id, int(packet.reason_code), now)
        elif isinstance(packet, mqtt5.SubAckPacket | mqtt5.UnsubAckPacket):
            self._subscriptions.answered(packet.packet_id, [int(code) for code in packet.reason_codes])
        elif isinstance(packet, mqtt5.DisconnectPacket):
            code = int(packet.reason_code)
            what = packet.reason_str or packets.words(code)
            self._end(reasons.dismissal(self._options, code, what), final=code in reasons.FOR_GOOD)
        elif not isinstance(packet, mqtt5.PingRespPacket):
            self._fail(packets.PROTOCOL_ERROR, f"unexpected {kind.__name__}")

    def _connack(self, packet: mqtt5.ConnAckPacket, now: float) -> None:
        code = int(packet.reason_code)
        if code:
            why = f"{packets.words(code)}{f': {packet.reason_str}' if packet.reason_str else ''}"
            self._end(reasons.refusal(self._options, why), final=code not in reasons.TRY_AGAIN)
            return
        wanted = self._options.keep_alive_s
        self._keep_alive = wanted if packet.server_keep_alive is None else packet.server_keep_alive
        self._clean = False  # from now on a reconnect resumes
        self.state = UP
        facts = Facts(
            session_present=packet.session_present,
            receive_maximum=packet.receive_max,
            maximum_packet_size=packet.max_packet_size,
            shared_subscriptions=packet.shared_subscription_available,
            subscription_identifiers=packet.subscription_id_available,
            retain_available=packet.retain_available,
            keep_alive_s=self._keep_alive,
        )
        # The broker may have made the session anew for a CONNECT whose answer was lost: then it is there, and empty.
        known = msgspec.structs.replace(facts, session_present=facts.session_present and not self._unanswered)
        self._unanswered = False
        self.output.tell(Connected(known))
        self._subscriptions.up(known)
        self._outbox.up(facts, now)

    def _fail(self, code: int, detail: str) -> None:
        if self.state is UP:
            self.output.send(packets.disconnect(code))
        self._end(f"the broker broke the protocol: {detail}", final=False)

    def _end(self, reason: str, *, final: bool) -> None:
        if self.state is DOWN and not final:
            return
        self._unanswered = self._unanswered or (self.state is CONNECTING and self._asking)
        stood, self.state = self.state is UP, DOWN
        self._inbox.close()
        self._outbox.down()
        self._subscriptions.down()
        self.output.tell(Ended(reason, final, stood))

    def _connect(self) -> bytes:
        options = self._options
        try:
            return mqtt5.ConnectPacket(
                options.client_id,
                username=options.username,
                password=None if options.password is None else options.password.encode(),
                clean_start=self._clean,
                will=None if options.will is None else _will(options.will),
                keep_alive=options.keep_alive_s,
                session_expiry_interval=options.session_expiry_s,
                receive_max=options.receive_maximum,
                max_packet_size=options.maximum_packet_size,
            ).write()
        except (ValueError, OverflowError, TypeError) as error:
            raise BusError(f"client {options.client_id!r}: CONNECT cannot be encoded: {error}") from error


def _will(will: Will) -> mqtt5.Will:
    frame = will.frame
    return mqtt5.Will(
        frame.topic,
        payload=frame.payload,
        qos=packets.QOS[frame.qos],
        retain=frame.retain,
        message_expiry_interval=frame.expiry_s,
        content_type=frame.content_type,
        response_topic=frame.response_topic,
        correlation_data=frame.correlation,
        will_delay_interval=will.delay_s,
        user_properties=list(frame.properties),
    )
