"""The broker machine: connections, sessions, wills and timers, without sockets and without a clock.

A shell (`server.BrokerServer`, `foa.bus.memory.MemoryNetwork`) tells it of connections, bytes and time, and
after each call writes out the connections in `touched`. It is total: nothing a peer sends makes it raise.
"""

import heapq
from collections.abc import Callable, Mapping
from typing import Final

import mqtt5

from foa.bus.mqtt import packets
from foa.bus.mqtt.broker import admission
from foa.bus.mqtt.broker.records import Connection, Limits, Message, Stats
from foa.bus.mqtt.broker.router import Router
from foa.bus.mqtt.broker.sessions import Grant, Session

NEVER_S: Final = 0xFFFFFFFF  # a session expiry interval that means for ever
GRACE: Final = 1.5

CONNECT: Final = b"\x10"
TOPIC_ALIAS_INVALID: Final = 0x94
KEEP_ALIVE_TIMEOUT: Final = 0x8D
TAKEN_OVER: Final = 0x8E
SHUTTING_DOWN: Final = 0x8B
QOS_NOT_SUPPORTED: Final = 0x9B
OLD_MQTT_REFUSED: Final = b"\x20\x02\x00\x01"  # CONNACK of MQTT 3.1.1: unacceptable protocol version

_ConnAck = mqtt5.ConnAckReasonCode


class Broker:
    """All of the broker but its sockets."""

    def __init__(self, limits: Limits | None = None, users: Mapping[str, str] | None = None) -> None:
        """With `users` (name to password) nobody else gets in."""
        self.limits = limits or Limits()
        self.stats = Stats()
        self.touched: list[Connection] = []
        self.sessions: dict[str, Session] = {}
        self.router = Router(self.limits, self.stats)
        self._users = users
        self._connections: dict[int, Connection] = {}
        self._timers: list[tuple[float, int, Callable[[float], None]]] = []
        self._serial = 0
        self._handlers: dict[type, Callable[..., None]] = {
            mqtt5.PubAckPacket: self._puback,
            mqtt5.SubscribePacket: self._subscribe,
            mqtt5.UnsubscribePacket: self._unsubscribe,
            mqtt5.PingReqPacket: self._pingreq,
            mqtt5.DisconnectPacket: self._disconnect,
        }

    # What a shell tells.

    def connect(self, now: float) -> Connection:
        """Take a new transport."""
        connection = Connection(self.limits, self.touched, now)
        self.stats.connections += 1
        if len(self._connections) >= self.limits.max_connections:
            self._refuse(connection, _ConnAck.CONNECTION_RATE_EXCEEDED)
            return connection
        self._connections[id(connection)] = connection
        self._at(now + self.limits.connect_timeout_s, lambda late: self._give_up(connection, late))
        return connection

    def receive(self, connection: Connection, data: bytes, now: float) -> None:
        """Take `data` from a client."""
        closed = connection.closing
        if closed:
            return
        connection.heard_at = now
        if connection.client_id is None and connection.reader.idle and data[:1] != CONNECT:
            self._fail(connection, packets.PROTOCOL_ERROR, now)  # no MQTT at all: do not wait for the rest
            return
        found, fault = connection.reader.feed(data)
        for packet, raw in zip(found, connection.reader.raws or (), strict=True):
            session = connection.session
            if session is None:
                self._first(connection, packet, now)
            elif isinstance(packet, int):
                session.acknowledged(packet, now)
            elif type(packet) is mqtt5.PublishPacket:
                self._publish(connection, packet, raw, now)
            else:
                self._take(connection, packet, now)
            if connection.closing:
                return
        if fault is not None:
            self.stats.malformed += 1
            if connection.client_id is None and "protocol version" in fault.detail:
                connection.send(OLD_MQTT_REFUSED)
            self._fail(connection, fault.code, now)

    def lost(self, connection: Connection, now: float) -> None:
        """Take the end of a transport, however that came."""
        connection.closing = True
        self._detach(connection, now, will=True)

    def written(self, connection: Connection, now: float) -> None:
        """Send what had to wait: the transport took all of `Connection.take`, or has room again."""
        session = self._session_of(connection)
        if session is not None and session.queue:
            session.pump(now)

    def deadline(self) -> float | None:
        """Return when `tick` is due next; None if never."""
        stored = self.router.retained.deadline()
        if not self._timers:
            return stored
        return self._timers[0][0] if stored is None else min(stored, self._timers[0][0])

    def tick(self, now: float) -> None:
        """Do what is due."""
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2](now)
        self.router.retained.expire(now)

    def shut_down(self, now: float) -> None:
        """Tell every client and close; wills are published to nobody."""
        for connection in list(self._connections.values()):
            if connection.client_id is not None:
                connection.send(packets.disconnect(SHUTTING_DOWN))
            connection.close()
            self._detach(connection, now, will=False)

    def crash(self, now: float, *, forget_sessions: bool, forget_retained: bool) -> None:
        """Become what a killed broker is after its restart: no connections, no wills, perhaps less memory."""
        for connection in list(self._connections.values()):
            connection.closing = True
            self._detach(connection, now, will=False)
        self._connections.clear()
        for connection in self.touched:
            connection.take()
        self.touched.clear()
        for session in list(self.sessions.values()):
            session.will = None
            if forget_sessions:
                self._end_session(session, now)
        if forget_retained:
            self.router.forget_retained()

    def _take(self, connection: Connection, packet: packets.Packet, now: float) -> None:
        """Do what one of the rarer packets asks."""
        handler = self._handlers.get(type(packet))
        if handler is None:
            self._fail(connection, packets.PROTOCOL_ERROR, now)
        else:
            handler(connection, packet, now)

    # Connecting.

    def _first(self, connection: Connection, packet: packets.Packet | int, now: float) -> None:
        if not isinstance(packet, mqtt5.ConnectPacket):
            self._fail(connection, packets.PROTOCOL_ERROR, now)
            return
        refusal = admission.refusal(packet, self.limits, self._users)
        if refusal is not None:
            self._refuse(connection, refusal)
            return
        client_id = packet.client_id
        if not client_id:
            self._serial += 1
            client_id = f"auto-{self._serial}"
        resumed = self._claim(client_id, now, clean=packet.clean_start)
        session = resumed
        if session is None:
            if len(self.sessions) >= self.limits.max_sessions:
                self._refuse(connection, _ConnAck.QUOTA_EXCEEDED)
                return
            session = self.sessions[client_id] = Session(client_id, self.limits, self.stats)
        self._accept(connection, session, packet, now, resumed=resumed is not None)

    def _claim(self, client_id: str, now: float, *, clean: bool) -> Session | None:
        """Return the session to resume, after whoever uses it now was sent away; None if there is none."""
        session = self.sessions.get(client_id)
        if session is not None and session.connection is not None:
            self.stats.taken_over += 1
            old = session.connection
            old.send(packets.disconnect(TAKEN_OVER))
            old.close()
            self._detach(old, now, will=True)
            session = self.sessions.get(client_id)
        if session is not None and (clean or _gone(session, now)):
            self._end_session(session, now)
            return None
        return session

    def _accept(
        self, connection: Connection, session: Session, packet: mqtt5.ConnectPacket, now: float, *, resumed: bool
    ) -> None:
        limits = self.limits
        connection.client_id, connection.session = session.client_id, session
        connection.max_packet_size = packet.max_packet_size
        keep_alive = min(packet.keep_alive, limits.max_keep_alive_s)
        expiry = min(packet.session_expiry_interval, limits.max_session_expiry_s)
        session.expiry_s, session.expires_at, session.will_at = expiry, None, None
        session.will = (
            None if packet.will is None else Message(admission.will_packet(packet.will), now, session.client_id)
        )
        session.will_delay_s = 0 if packet.will is None else packet.will.will_delay_interval
        connection.send(
            mqtt5.ConnAckPacket(
                session_present=resumed,
                session_expiry_interval=expiry if expiry != packet.session_expiry_interval else None,
                assigned_client_id=session.client_id if not packet.client_id else None,
                server_keep_alive=keep_alive if keep_alive != packet.keep_alive else None,
                receive_max=limits.receive_maximum,
                max_qos=mqtt5.QoS.AT_LEAST_ONCE,
                max_packet_size=limits.max_packet_size,
            ).write()
        )
        if keep_alive:
            connection.keep_alive_s = GRACE * keep_alive
            self._at(now + connection.keep_alive_s, lambda late: self._check_alive(connection, late))
        session.attach(connection, packet.receive_max, now)
        self.router.back(session, now)

    def _refuse(self, connection: Connection, code: mqtt5.ConnAckReasonCode) -> None:
        self.stats.refused += 1
        connection.send(mqtt5.ConnAckPacket(reason_code=code).write())
        connection.close()
        self._connections.pop(id(connection), None)

    # Packets of connected clients.

    def _publish(self, connection: Connection, packet: mqtt5.PublishPacket, raw: bytes, now: float) -> None:
        packet_id = packet.packet_id
        cut = packets.bare_cut(raw) if packet_id else 0
        if not cut and (refusal := _refusal(packet)):
            self._fail(connection, refusal, now)
            return
        assert connection.client_id is not None
        code = self.router.publish(Message(packet, now, connection.client_id, raw, cut), now)
        if packet_id is not None:
            connection.send(packets.puback(packet_id, code))

    def _puback(self, connection: Connection, packet: mqtt5.PubAckPacket, now: float) -> None:
        self._session(connection).acknowledged(packet.packet_id, now)

    def _subscribe(self, connection: Connection, packet: mqtt5.SubscribePacket, now: float) -> None:
        if not packet.topic_filters or not packet.packet_id:
            self._fail(connection, packets.PROTOCOL_ERROR, now)
            return
        session = self._session(connection)
        codes: list[mqtt5.SubAckReasonCode] = []
        replays: list[Grant] = []
        for wanted in packet.topic_filters:
            code, grant = self.router.subscribe(session, wanted, packet.subscription_id)
            codes.append(mqtt5.SubAckReasonCode(code))
            if grant is not None:
                replays.append(grant)
        connection.send(mqtt5.SubAckPacket(packet.packet_id, codes).write())
        for grant in replays:
            self.router.replay(grant, now)

    def _unsubscribe(self, connection: Connection, packet: mqtt5.UnsubscribePacket, now: float) -> None:
        if not packet.patterns or not packet.packet_id:
            self._fail(connection, packets.PROTOCOL_ERROR, now)
            return
        session = self._session(connection)
        codes = [mqtt5.UnsubAckReasonCode(self.router.unsubscribe(session, one)) for one in packet.patterns]
        connection.send(mqtt5.UnsubAckPacket(packet.packet_id, codes).write())

    def _pingreq(self, connection: Connection, _packet: mqtt5.PingReqPacket, _now: float) -> None:
        connection.send(packets.PINGRESP)

    def _disconnect(self, connection: Connection, packet: mqtt5.DisconnectPacket, now: float) -> None:
        session = self._session(connection)
        expiry = packet.session_expiry_interval
        if expiry is not None:
            if expiry and not session.expiry_s:
                self._fail(connection, packets.PROTOCOL_ERROR, now)
                return
            session.expiry_s = min(expiry, self.limits.max_session_expiry_s)
        connection.close()
        self._detach(connection, now, will=bool(int(packet.reason_code)))

    # Ends.

    def _fail(self, connection: Connection, code: int, now: float) -> None:
        """End `connection` for what its client did; a DISCONNECT only makes sense after CONNACK."""
        if connection.client_id is not None:
            connection.send(packets.disconnect(code))
        connection.close()
        self._detach(connection, now, will=True)

    def _detach(self, connection: Connection, now: float, *, will: bool) -> None:
        self._connections.pop(id(connection), None)
        session = self._session_of(connection)
        if session is None:
            return
        session.connection = None
        if not will:
            session.will = None
        if session.will is not None:
            session.will_at = now + min(session.will_delay_s, session.expiry_s)
        session.expires_at = None if session.expiry_s == NEVER_S else now + session.expiry_s
        self.router.away(session, now)
        self._watch(session, now)

    def _watch(self, session: Session, now: float) -> None:
        """Do what is due for a session without connection, and see to it that the next due time is met."""
        if session.connection is not None or self.sessions.get(session.client_id) is not session:
            return
        if session.will_at is not None and now >= session.will_at:
            self._publish_will(session, now)
        if _gone(session, now):
            self._end_session(session, now)
            return
        due = [when for when in (session.will_at, session.expires_at) if when is not None]
        if due and (session.watched_at is None or min(due) < session.watched_at):
            session.watched_at = min(due)
            self._at(session.watched_at, lambda late: self._watched(session, late))

    def _watched(self, session: Session, now: float) -> None:
        session.watched_at = None
        self._watch(session, now)

    def _end_session(self, session: Session, now: float) -> None:
        self.stats.sessions_ended += 1
        del self.sessions[session.client_id]
        self.router.forget(session, now)
        self._publish_will(session, now)

    def _publish_will(self, session: Session, now: float) -> None:
        will, session.will, session.will_at = session.will, None, None
        if will is not None:
            self.stats.wills += 1
            will.arrived_at = now  # its expiry counts from its publication
            self.router.publish(will, now)

    # Timers.

    def _at(self, when: float, callback: Callable[[float], None]) -> None:
        self._serial += 1
        heapq.heappush(self._timers, (when, self._serial, callback))

    def _give_up(self, connection: Connection, now: float) -> None:
        if connection.client_id is None and not connection.closing:
            self.stats.timed_out += 1
            self._fail(connection, packets.PROTOCOL_ERROR, now)

    def _check_alive(self, connection: Connection, now: float) -> None:
        if connection.closing:
            return
        due = connection.heard_at + connection.keep_alive_s
        if now < due:
            self._at(due, lambda late: self._check_alive(connection, late))
            return
        self.stats.timed_out += 1
        self._fail(connection, KEEP_ALIVE_TIMEOUT, now)

    def _session(self, connection: Connection) -> Session:
        """Return the session of an accepted connection that is not closing: there is one."""
        session: Session = connection.session
        return session

    def _session_of(self, connection: Connection) -> Session | None:
        """Return the session that `connection` still holds; None if it has none, or lost it to another."""
        session: Session | None = connection.session
        return session if session is not None and session.connection is connection else None


def _gone(session: Session, now: float) -> bool:
    return session.expires_at is not None and now >= session.expires_at


def _refusal(packet: mqtt5.PublishPacket) -> int:
    """Return the DISCONNECT reason code for a PUBLISH that is none of ours to carry; 0 if it is."""
    if packet.qos is mqtt5.QoS.EXACTLY_ONCE:
        return QOS_NOT_SUPPORTED
    if packet.topic_alias is not None:
        return TOPIC_ALIAS_INVALID
    if packet.packet_id == 0 or packet.subscription_ids or not admission.forwardable(packet):
        return packets.PROTOCOL_ERROR
    return 0
