"""The MQTT machines as fuzz targets: streams of damaged packets, in any pieces, at any time."""

from typing import Final

import mqtt5

from foa.bus.mqtt import packets
from foa.bus.mqtt.broker.machine import Broker
from foa.bus.mqtt.broker.records import Limits
from foa.bus.mqtt.session import ClientSession
from foa.bus.output import Output
from foa.bus.port import Options, Subscription
from foa.testing.fuzzing.mutate import damaged
from foa.testing.fuzzing.tape import Tape
from foa.wire.envelope import Frame

QOS1: Final = mqtt5.QoS.AT_LEAST_ONCE
LIMITS: Final = Limits(
    max_packet_size=2000, max_queued=50, max_queued_bytes=10_000, max_choke_bytes=20_000, max_retained=50,
    max_sessions=20, max_connections=20, max_subscriptions=20,
)  # fmt: skip
PACKETS: Final[tuple[bytes, ...]] = (
    mqtt5.ConnectPacket("a", will=mqtt5.Will("t/w", payload=b"x", qos=QOS1, retain=True), keep_alive=9).write(),
    mqtt5.ConnectPacket("b", clean_start=True, session_expiry_interval=30, receive_max=2).write(),
    mqtt5.ConnAckPacket(receive_max=4).write(),
    mqtt5.PublishPacket("t/a", b"payload", qos=QOS1, packet_id=3, user_properties=[("k", "v")]).write(),
    mqtt5.PublishPacket("t/a", b"payload", retain=True, message_expiry_interval=4, response_topic="r").write(),
    mqtt5.PublishPacket("t/b", b"y" * 300, retain=True, qos=QOS1, packet_id=4, correlation_data=b"c").write(),
    mqtt5.PublishPacket("t/a", b"", retain=True).write(),
    mqtt5.PubAckPacket(1).write(),
    mqtt5.SubscribePacket(1, [mqtt5.TopicFilter("t/#", max_qos=QOS1)], subscription_id=9).write(),
    mqtt5.SubscribePacket(2, [mqtt5.TopicFilter("$share/g/t/+", max_qos=QOS1)]).write(),
    mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]).write(),
    mqtt5.UnsubscribePacket(7, ["t/#"]).write(),
    mqtt5.PingReqPacket().write(),
    mqtt5.PingRespPacket().write(),
    mqtt5.DisconnectPacket(session_expiry_interval=5).write(),
    mqtt5.AuthPacket(authentication_method="x").write(),
)


def _pieces(tape: Tape) -> bytes:
    """Return a few packets, about a third of them damaged."""
    found = b""
    for _ in range(1 + tape.number(4)):
        packet = tape.choice(PACKETS)
        found += damaged(tape, packet, PACKETS) if tape.chance(3) else packet
    return found


def broker(data: bytes) -> None:
    """Attack the broker's machine over several connections; what it sends stays well-formed, its memory capped."""
    tape = Tape(data)
    machine, now = Broker(LIMITS), 0.0
    watcher = machine.connect(now)
    machine.receive(watcher, PACKETS[1] + PACKETS[8], now)
    reader = packets.Reader(1 << 20)
    open_ = [machine.connect(now)]
    while not tape.over:
        now += tape.choice((0.0, 0.01, 1.0, 20.0))
        connection = tape.choice(open_)
        match tape.number(8):
            case 0:
                open_.append(machine.connect(now))
            case 1 if len(open_) > 1:
                open_.remove(connection)
                machine.lost(connection, now)
            case 2:
                machine.written(connection, now)
            case _:
                machine.receive(connection, _pieces(tape), now)
        machine.tick(now)
        assert reader.feed(watcher.take())[1] is None
        for one in open_:
            if not tape.chance(4):
                one.take()
            assert one.out_bytes <= LIMITS.max_choke_bytes + 2 * LIMITS.max_packet_size
    assert len(machine.sessions) <= LIMITS.max_sessions


def client(data: bytes) -> None:
    """Attack the client's machine as a hostile broker would."""
    tape = Tape(data)
    output = Output(lambda: None)
    session, now = ClientSession(Options("a", maximum_packet_size=2000, max_queued=50), output), 0.0
    session.subscribe([Subscription("t/#")], None)
    session.start(now)
    while not tape.over:
        now += tape.choice((0.0, 0.01, 1.0, 20.0))
        match tape.number(8):
            case 0 if session.backlog < 50:  # noqa: PLR2004 - the cap given above
                session.publish(Frame("t/x", tape.bytes(20)), lambda _code: None, now)
            case 1:
                session.lost("cut")
                session.start(now)
            case 2:
                session.tick(now)
            case _:
                session.receive(_pieces(tape), now)
        output.events.clear()
        assert packets.Reader(1 << 20).feed(output.taken())[1] is None
    assert session.backlog <= 50  # noqa: PLR2004
