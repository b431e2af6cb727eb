"""The broker's caps: what happens at each, and that it is counted."""

from collections.abc import Callable

import mqtt5
import pytest

from foa.bus.mqtt import packets
from foa.bus.mqtt.broker.machine import Broker
from foa.bus.mqtt.broker.records import Connection, Limits
from tests.bus.reading import cut

QOS = packets.QOS


class Peer:
    """A client of a broker machine, written in packets."""

    def __init__(self, broker: Broker, client_id: str, now: float = 0.0, **connect: object) -> None:
        self.broker = broker
        self.connection: Connection = broker.connect(now)
        self.now = now
        self.said = self.say(mqtt5.ConnectPacket(client_id, **connect).write())  # type: ignore[arg-type]

    def say(self, data: bytes) -> list[packets.Packet]:
        """Send bytes; return all that waits for this client."""
        self.broker.receive(self.connection, data, self.now)
        return self.hear()

    def hear(self) -> list[packets.Packet]:
        found, fault = cut(packets.Reader(1 << 28), self.connection.take())
        assert fault is None
        self.broker.touched[:] = [one for one in self.broker.touched if one is not self.connection]
        self.broker.written(self.connection, self.now)
        return found

    def publish(self, topic: str, payload: bytes = b"x", **fields: object) -> int | None:
        """Publish with QoS 1 and return the code of the PUBACK."""
        packet = mqtt5.PublishPacket(topic, payload, qos=QOS[1], packet_id=1, **fields)  # type: ignore[arg-type]
        acks = [one for one in self.say(packet.write()) if isinstance(one, mqtt5.PubAckPacket)]
        return int(acks[0].reason_code) if acks else None

    def subscribe(self, *patterns: str) -> list[int]:
        filters = [mqtt5.TopicFilter(pattern) for pattern in patterns]
        (answer,) = (
            one for one in self.say(mqtt5.SubscribePacket(1, filters).write()) if isinstance(one, mqtt5.SubAckPacket)
        )
        return [int(code) for code in answer.reason_codes]


def reason(said: list[packets.Packet]) -> int:
    (last,) = said[-1:]
    assert isinstance(last, mqtt5.DisconnectPacket | mqtt5.ConnAckPacket)
    return int(last.reason_code)


def test_a_full_queue_drops_the_newest_and_tells_a_publisher_whom_nobody_heard() -> None:
    broker = Broker(Limits(max_queued=3))
    away = Peer(broker, "away", session_expiry_interval=100)
    away.subscribe("t", "both")
    broker.lost(away.connection, 0.0)
    a = Peer(broker, "a")
    assert [a.publish("t", b"%d" % number) for number in range(5)] == [0, 0, 0, 0x97, 0x97]
    a.subscribe("both")
    assert a.publish("both") == 0
    assert broker.stats.dropped_full == 3
    back = Peer(broker, "away", session_expiry_interval=100)
    assert [one.payload for one in back.said if isinstance(one, mqtt5.PublishPacket)] == [b"0", b"1", b"2"]


def test_a_slow_reader_loses_qos_0_and_keeps_qos_1_waiting() -> None:
    broker = Broker(Limits(max_choke_bytes=1000))
    slow = Peer(broker, "slow")
    slow.subscribe("#")
    slow.connection.paused = True
    a = Peer(broker, "a")
    a.say(mqtt5.PublishPacket("t", b"lost").write())
    for number in range(3):
        assert a.publish("t", b"%d" % number) == 0
    assert slow.connection.take() == b""
    assert broker.stats.dropped_slow == 1
    slow.connection.paused = False
    broker.written(slow.connection, 0.0)
    assert [one.payload for one in slow.hear() if isinstance(one, mqtt5.PublishPacket)] == [b"0", b"1", b"2"]
    for number in range(10):
        a.publish("t", bytes(300) + b"%d" % number)
    assert slow.connection.out_bytes < 2000
    heard = []
    while batch := slow.hear():
        heard += batch
    assert len(heard) == 10


@pytest.mark.parametrize(
    ("limits", "act", "code"),
    [
        (Limits(max_sessions=1), lambda broker, _a: Peer(broker, "b").said, 0x97),
        (Limits(max_connections=1), lambda broker, _a: Peer(broker, "b").said, 0x9F),
        (Limits(), lambda broker, _a: Peer(broker, "x" * 257).said, 0x85),
        (Limits(), lambda broker, _a: Peer(broker, "b", authentication_method="m").said, 0x8C),
        (Limits(), lambda broker, _a: Peer(broker, "b", will=mqtt5.Will("w", qos=QOS[2])).said, 0x9B),
        (Limits(), lambda broker, _a: Peer(broker, "b", will=mqtt5.Will("$share/g/w")).said, 0x90),
        (Limits(), lambda _b, a: a.say(mqtt5.PublishPacket("t", b"", qos=QOS[2], packet_id=1).write()), 0x9B),
        (Limits(), lambda _b, a: a.say(mqtt5.PublishPacket("", b"", topic_alias=1).write()), 0x94),
        (Limits(), lambda _b, a: a.say(mqtt5.PublishPacket("t", b"", subscription_ids=[1]).write()), 0x82),
        (Limits(), lambda _b, a: a.say(mqtt5.PubRecPacket(1).write()), 0x82),
        (Limits(), lambda _b, a: a.say(mqtt5.DisconnectPacket(session_expiry_interval=5).write()), 0x82),
        (Limits(max_packet_size=100), lambda _b, a: a.say(mqtt5.PublishPacket("t", bytes(100)).write()), 0x95),
    ],
)
def test_what_is_refused_with_which_code(
    limits: Limits, act: Callable[[Broker, Peer], list[packets.Packet]], code: int
) -> None:
    broker = Broker(limits)
    assert reason(act(broker, Peer(broker, "a"))) == code


def test_publications_and_subscriptions_that_are_refused_leave_the_connection() -> None:
    broker = Broker(Limits(max_subscriptions=2, max_retained=1))
    a = Peer(broker, "a")
    assert a.publish("x" * 1025) == 0x90
    assert a.publish("$share/g/t") == 0x90
    assert a.subscribe("$share/+/t", "x" * 1025, "t", "u", "v") == [0x8F, 0x8F, 1, 1, 0x97]
    assert a.publish("t", retain=True) == 0
    assert a.publish("u", retain=True) == 0x97
    assert broker.stats.retained_refused == 1
    assert not a.connection.closing


def test_a_connection_without_connect_is_given_up() -> None:
    broker = Broker(Limits(connect_timeout_s=10))
    connection = broker.connect(0.0)
    assert broker.deadline() == 10.0
    broker.tick(9.9)
    assert broker.stats.timed_out == 0
    broker.tick(10.0)
    assert connection.closing
    assert broker.stats.timed_out == 1


def test_caps_that_a_client_exceeds_are_announced_to_it() -> None:
    broker = Broker()
    (ack,) = Peer(broker, "", keep_alive=6000, session_expiry_interval=0xFFFFFFFF).said
    assert isinstance(ack, mqtt5.ConnAckPacket)
    assert ack.server_keep_alive == 600
    assert ack.session_expiry_interval == 7 * 86_400
    assert ack.assigned_client_id in broker.sessions
    assert ack.max_qos == QOS[1]
    assert ack.topic_alias_max == 0


def test_an_old_client_is_told_so_in_its_own_words() -> None:
    broker = Broker()
    connection = broker.connect(0.0)
    broker.receive(connection, b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x", 0.0)
    assert connection.take() == b"\x20\x02\x00\x01"
    assert connection.closing


def test_a_smaller_window_after_a_reconnect_is_kept_to() -> None:
    broker = Broker()
    b = Peer(broker, "b", session_expiry_interval=100)
    b.subscribe("t")
    a = Peer(broker, "a")
    for number in range(6):
        a.publish("t", b"%d" % number)
    assert len(b.hear()) == 6
    broker.lost(b.connection, 0.0)
    b = Peer(broker, "b", session_expiry_interval=100, receive_max=2)
    heard = [one for one in b.said if isinstance(one, mqtt5.PublishPacket)]
    assert [(one.payload, one.duplicate) for one in heard] == [(b"0", True), (b"1", True)]
    seen = [one.payload for one in heard]
    while heard:
        one = heard.pop(0)
        assert one.packet_id is not None
        more = [new for new in b.say(packets.puback(one.packet_id)) if isinstance(new, mqtt5.PublishPacket)]
        heard += more
        seen += [new.payload for new in more]
        assert len(heard) <= 2
    assert seen == [b"%d" % number for number in range(6)]


def test_an_encoding_serves_all_receivers_alike() -> None:
    broker = Broker()
    peers = [Peer(broker, f"p{number}") for number in range(3)]
    for peer in peers:
        peer.subscribe("t")
    Peer(broker, "a").publish("t", b"body")
    pieces = [peer.connection.out for peer in peers]
    assert pieces[0][0] is pieces[1][0] is pieces[2][0]


def test_many_messages_into_a_dead_group_are_counted() -> None:
    broker = Broker()
    b = Peer(broker, "b")
    b.subscribe("$share/g/t")
    broker.lost(b.connection, 0.0)  # its session expiry is 0: the group is empty
    assert Peer(broker, "a").publish("t") == 0x10
    assert not broker.router._groups._root.children


def test_the_broker_tells_of_itself_when_it_is_asked() -> None:
    broker = Broker(Limits(max_queued=1))
    away = Peer(broker, "away", session_expiry_interval=100)
    away.subscribe("t")
    broker.lost(away.connection, 0.0)
    a = Peer(broker, "a")
    assert [a.publish("t", retain=True), a.publish("t")] == [0, 0x97]
    asking = mqtt5.SubscribePacket(1, [mqtt5.TopicFilter("$SYS/broker/#")]).write()
    said = {one.topic: (one.payload, one.retain) for one in a.say(asking) if isinstance(one, mqtt5.PublishPacket)}
    expected = {
        "clients/connected": b"1",
        "sessions/count": b"2",
        "retained messages/count": b"1",
        "messages/dropped/full": b"1",
        "messages/held/bytes": b"257",
    }
    assert {topic: said[f"$SYS/broker/{topic}"] for topic in expected} == {
        topic: (value, True) for topic, value in expected.items()
    }
    assert "$SYS/broker/store/lag" not in said
    assert a.publish("$SYS/broker/uptime") == 0x90
    everything = mqtt5.SubscribePacket(2, [mqtt5.TopicFilter("#")]).write()
    assert [one.topic for one in a.say(everything) if isinstance(one, mqtt5.PublishPacket)] == ["t"]
