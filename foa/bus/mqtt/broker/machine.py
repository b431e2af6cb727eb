"""The broker machine: connections, sessions, wills and timers, without sockets and without a clock.

A shell (`server.BrokerServer`, `foa.bus.memory.MemoryNetwork`) tells it of connections, bytes and time, and
after each call writes out the connections in `touched`. It is total: nothing a peer sends makes it raise.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import mqtt5

from foa.bus.mqtt import packets
from foa.bus.mqtt.broker import admission, reporting
from foa.bus.mqtt.broker.connecting import Door
from foa.bus.mqtt.broker.keeping.forms import Ident
from foa.bus.mqtt.broker.keeping.ledger import Ledger
from foa.bus.mqtt.broker.keeping.restoring import Restoring
from foa.bus.mqtt.broker.lifetimes import Lifetimes, Timers, gone
from foa.bus.mqtt.broker.ports import Access, Identity
from foa.bus.mqtt.broker.records import Connection, Keeping, Limits, Loss, Message, Stats
from foa.bus.mqtt.broker.routing.retained import RetainedStore
from foa.bus.mqtt.broker.routing.router import NOT_AUTHORIZED, Router
from foa.bus.mqtt.broker.sessions import Grant, Session

GRACE: Final = 1.5

CONNECT: Final = b"\x10"
KEEP_ALIVE_TIMEOUT: Final = 0x8D
TAKEN_OVER: Final = 0x8E
SHUTTING_DOWN: Final = 0x8B
OLD_MQTT_REFUSED: Final = b"\x20\x02\x00\x01"  # CONNACK of MQTT 3.1.1: unacceptable protocol version

_ConnAck = mqtt5.ConnAckReasonCode


class Broker:
    """All of the broker but its sockets."""

    def __init__(
        self,
        limits: Limits | None = None,
        access: Access | None = None,
        keeping: Keeping | None = None,
        users: Mapping[str, str] | None = None,
    ) -> None:
        """With `access` it decides who gets in, and who writes and hears what; with `users` none but they get in.

        With `keeping` there is a `ledger`, whose batches the shell must write.
        """
        self.limits = limits or Limits()
        self.stats = Stats()
        self.touched: list[Connection] = []
        self.ledger = None if keeping is None else Ledger(self.stats, keeping)
        self.router = Router(self.limits, self.stats, access, self.ledger)
        self._timers = Timers()
        self._lifetimes = Lifetimes(self.limits, self.stats, self.router, self._timers, self.ledger)
        self.sessions = self._lifetimes.sessions
        self._access = access
        self._door = Door(self.limits, self.stats, access, users, self.sessions)
        self._connections: dict[int, Connection] = {}
        self._handlers: dict[type, Callable[..., None]] = {
            mqtt5.PubAckPacket: self._puback,
            mqtt5.SubscribePacket: self._subscribe,
            mqtt5.UnsubscribePacket: self._unsubscribe,
            mqtt5.PingReqPacket: self._pingreq,
            mqtt5.DisconnectPacket: self._disconnect,
        }

    # What a shell tells.

    def connect(self, now: float, certified: str = "") -> Connection:
        """Take a new transport; `certified` is the name in the client's certificate, if the shell checked one."""
        connection = Connection(self.limits, self.touched, now, certified)
        self.stats.connections += 1
        if len(self._connections) >= self.limits.max_connections:
            self._refuse(connection, _ConnAck.CONNECTION_RATE_EXCEEDED)
            return connection
        self._connections[id(connection)] = connection
        if (crowded_out := self._door.opened(connection)) is not None:
            self._fail(crowded_out, packets.PROTOCOL_ERROR, now)
        self._timers.at(now + self.limits.connect_timeout_s, lambda late: self._give_up(connection, late))
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
        if connection.allowance is not None:
            self._charge(connection, found, len(data), now)
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
            self._malformed(connection, fault, now)

    def _malformed(self, connection: Connection, fault: packets.Fault, now: float) -> None:
        self.stats.malformed += 1
        if connection.client_id is None and "protocol version" in fault.detail:
            connection.send(OLD_MQTT_REFUSED)
        self._fail(connection, fault.code, now)

    def _charge(self, connection: Connection, found: list[packets.Packet | int], size: int, now: float) -> None:
        """Count what a client publishes; one that does too much is not read until it is even again."""
        assert connection.allowance is not None
        published = sum(type(packet) is mqtt5.PublishPacket for packet in found)
        connection.rest_until = connection.allowance.take(published, size, now)
        self.stats.throttled += connection.rest_until > now

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
        due = [when for when in (self.router.retained.deadline(), self._timers.next) if when is not None]
        return min(due, default=None)

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._timers.run(now)
        self.router.retained.expire(now)

    def restore(self, rows: Iterable[tuple[str, Ident, bytes]], now: float) -> None:
        """Fill an empty broker with what was kept."""
        assert self.ledger is not None
        Restoring(self.limits, self.router, self._lifetimes, self.ledger, now).take(rows)

    def rights_changed(self) -> None:
        """Ask the access anew about everything: it has other rules now."""
        self.router.forget_matches()
        for session in self.sessions.values():
            session.writable.clear()

    def shut_down(self, now: float) -> None:
        """Tell every client and close; wills are published to nobody."""
        for connection in list(self._connections.values()):
            if connection.client_id is not None:
                connection.send(packets.disconnect(SHUTTING_DOWN))
            connection.close()
        self._detach_all(now)

    def crash(self, now: float, loss: Loss, rng: random.Random) -> None:
        """Become what a killed broker is after its restart: no connections, no wills, perhaps less memory."""
        for connection in list(self._connections.values()):
            connection.closing = True
        self._detach_all(now)
        for connection in self.touched:
            connection.take()
        self.touched.clear()
        self._lifetimes.lose(loss, now)
        self.router.retained.lose(loss, rng)

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
        self._door.spoke(connection)
        refusal = self._door.refusal(packet, connection.certified, now)
        if refusal is not None:
            self._refuse(connection, refusal)
            return
        who = self._door.identity(packet, connection.certified)
        resumed = self._claim(who, now, clean=packet.clean_start)
        session = resumed or self._lifetimes.begin(who, now)
        if session is None:
            self._refuse(connection, _ConnAck.QUOTA_EXCEEDED)
            return
        self._accept(connection, session, packet, now, resumed=resumed is not None)

    def _claim(self, who: Identity, now: float, *, clean: bool) -> Session | None:
        """Return the session to resume, after whoever uses it now was sent away; None if there is none.

        The session of another account is never resumed: it ends.
        """
        session = self.sessions.get(who.client_id)
        if session is not None and session.connection is not None:
            self.stats.taken_over += 1
            old = session.connection
            old.send(packets.disconnect(TAKEN_OVER))
            old.close()
            self._detach(old, now, will=True)
            session = self.sessions.get(who.client_id)
        if session is not None and (clean or gone(session, now) or not session.expiry_s or session.identity != who):
            self._lifetimes.end(session, now)
            return None
        return session

    def _accept(
        self, connection: Connection, session: Session, packet: mqtt5.ConnectPacket, now: float, *, resumed: bool
    ) -> None:
        limits = self.limits
        self._door.entered(session.identity)
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
            self._timers.at(now + connection.keep_alive_s, lambda late: self._check_alive(connection, late))
        self._lifetimes.noted(session)
        session.attach(connection, packet.receive_max, now)
        self.router.back(session, now)

    def _refuse(self, connection: Connection, code: mqtt5.ConnAckReasonCode) -> None:
        self.stats.refused += 1
        connection.send(mqtt5.ConnAckPacket(reason_code=code).write())
        connection.close()
        self._connections.pop(id(connection), None)
        self._door.spoke(connection)

    # Packets of connected clients.

    def _publish(self, connection: Connection, packet: mqtt5.PublishPacket, raw: bytes, now: float) -> None:
        packet_id = packet.packet_id
        cut = packets.bare_cut(raw) if packet_id else 0
        if not cut and (refusal := admission.unforwardable(packet)):
            self._fail(connection, refusal, now)
            return
        session, before = self._session(connection), self._changes()
        if self._access is None or self.router.may_write(session, packet.topic):
            code = self.router.publish(Message(packet, now, session.client_id, raw, cut), now)
        else:
            self.stats.denied_writes += 1
            code = NOT_AUTHORIZED
        if packet_id is not None:
            self._answer(connection, packets.puback(packet_id, code), before)

    def _puback(self, connection: Connection, packet: mqtt5.PubAckPacket, now: float) -> None:
        self._session(connection).acknowledged(packet.packet_id, now)

    def _subscribe(self, connection: Connection, packet: mqtt5.SubscribePacket, now: float) -> None:
        if not packet.topic_filters or not packet.packet_id:
            self._fail(connection, packets.PROTOCOL_ERROR, now)
            return
        session, before = self._session(connection), self._changes()
        codes: list[mqtt5.SubAckReasonCode] = []
        replays: list[Grant] = []
        for wanted in packet.topic_filters:
            code, grant = self.router.subscribe(session, wanted, packet.subscription_id, now)
            codes.append(mqtt5.SubAckReasonCode(code))
            if grant is not None:
                replays.append(grant)
        self._answer(connection, mqtt5.SubAckPacket(packet.packet_id, codes).write(), before)
        for grant in replays:
            of_ours = grant.pattern.startswith(reporting.ROOT)
            self.router.replay(grant, now, self._report(now) if of_ours else None)

    def _report(self, now: float) -> RetainedStore:
        """Return what the broker says of itself."""
        lag = None if self.ledger is None else self.ledger.pending
        return reporting.report(self.stats, self.sessions, self.router.retained, lag, now)

    def _unsubscribe(self, connection: Connection, packet: mqtt5.UnsubscribePacket, now: float) -> None:
        if not packet.patterns or not packet.packet_id:
            self._fail(connection, packets.PROTOCOL_ERROR, now)
            return
        session, before = self._session(connection), self._changes()
        codes = [mqtt5.UnsubAckReasonCode(self.router.unsubscribe(session, one)) for one in packet.patterns]
        self._answer(connection, mqtt5.UnsubAckPacket(packet.packet_id, codes).write(), before)

    def _changes(self) -> int:
        return 0 if self.ledger is None else self.ledger.changes

    def _answer(self, connection: Connection, answer: bytes, before: int) -> None:
        """Send `answer`; if anything changed since `before` that must survive, once that is written."""
        if self.ledger is None or self.ledger.changes == before:
            connection.send(answer)
        else:
            self.ledger.hold(connection, answer)

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

    def _detach_all(self, now: float) -> None:
        """Let all sessions lose their connections at once: none gets what another of its group had."""
        sessions = [session for one in self._connections.values() if (session := self._session_of(one)) is not None]
        self._connections.clear()
        for session in sessions:
            self._door.left(session.identity)
            session.connection = None
        for session in sessions:
            self._lifetimes.left(session, now, will=False)

    def _detach(self, connection: Connection, now: float, *, will: bool) -> None:
        self._connections.pop(id(connection), None)
        self._door.spoke(connection)
        session = self._session_of(connection)
        if session is None:
            return
        self._door.left(session.identity)
        self._lifetimes.left(session, now, will=will)

    # Timers.

    def _give_up(self, connection: Connection, now: float) -> None:
        if connection.client_id is None and not connection.closing:
            self.stats.timed_out += 1
            self._fail(connection, packets.PROTOCOL_ERROR, now)

    def _check_alive(self, connection: Connection, now: float) -> None:
        if connection.closing:
            return
        due = max(connection.heard_at, connection.rest_until) + connection.keep_alive_s
        if now < due:
            self._timers.at(due, lambda late: self._check_alive(connection, late))
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
