"""A stranger's bytes do no harm: neither machine raises, whatever arrives in whatever pieces."""

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.bus.mqtt import packets
from foa.bus.mqtt.broker.machine import OLD_MQTT_REFUSED, Broker
from foa.bus.mqtt.broker.records import Limits
from foa.bus.mqtt.session import DOWN, UP, ClientSession
from foa.bus.output import Ended, Output
from foa.bus.port import Options
from foa.wire.envelope import Frame
from tests.bus.reading import cut

QOS1 = mqtt5.QoS.AT_LEAST_ONCE
SAMPLES = [
    mqtt5.ConnectPacket("a", will=mqtt5.Will("w", payload=b"x", qos=QOS1), keep_alive=9).write(),
    mqtt5.ConnAckPacket(receive_max=4).write(),
    mqtt5.PublishPacket("t/a", b"payload", qos=QOS1, packet_id=3, user_properties=[("k", "v")]).write(),
    mqtt5.PublishPacket("t/a", b"payload", retain=True, message_expiry_interval=4, response_topic="r").write(),
    mqtt5.PubAckPacket(3).write(),
    mqtt5.SubscribePacket(1, [mqtt5.TopicFilter("t/#")], subscription_id=9).write(),
    mqtt5.SubscribePacket(2, [mqtt5.TopicFilter("$share/g/t/+", max_qos=QOS1)]).write(),
    mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]).write(),
    mqtt5.UnsubscribePacket(7, ["t/#"]).write(),
    mqtt5.PingReqPacket().write(),
    mqtt5.PingRespPacket().write(),
    mqtt5.DisconnectPacket(session_expiry_interval=5).write(),
    mqtt5.AuthPacket(authentication_method="x").write(),
]


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Valid packets, some of them damaged, cut into pieces."""
    data = bytearray(b"".join(draw(st.lists(st.sampled_from(SAMPLES) | st.binary(max_size=8), max_size=8))))
    for _ in range(draw(st.integers(0, 3))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
    pieces = [bytes(data[a:b]) for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return [piece for piece in pieces if piece]


@given(streams(), st.booleans())
def test_the_broker_never_raises(pieces: list[bytes], greeted: bool) -> None:
    broker = Broker(Limits(max_packet_size=200))
    watcher = broker.connect(0.0)
    broker.receive(watcher, SAMPLES[0].replace(b"\0\x01a", b"\0\x01z") + SAMPLES[5], 0.0)
    connection = broker.connect(0.0)
    now = 0.0
    if greeted:
        broker.receive(connection, SAMPLES[0], now)
    for piece in pieces:
        now += 1.0
        broker.receive(connection, piece, now)
        broker.tick(now)
    answer = connection.take()
    assert answer == OLD_MQTT_REFUSED or packets.Reader(10_000).feed(answer)[1] is None
    broker.lost(connection, now)
    broker.tick(now + 1000.0)
    assert packets.Reader(10_000).feed(watcher.take())[1] is None


@given(streams(), st.booleans())
def test_the_client_never_raises(pieces: list[bytes], greeted: bool) -> None:
    output = Output(lambda: None)
    session = ClientSession(Options("a", maximum_packet_size=200), output)
    session.publish(Frame("t"), lambda _code: None, 0.0)
    session.start(0.0)
    if greeted:
        session.receive(SAMPLES[1], 0.0)
        assert session.state == UP
    for piece in pieces:
        session.receive(piece, 1.0)
    session.tick(100.0)
    assert session.state == DOWN
    assert any(isinstance(event, Ended) for event in output.events)
    sent = packets.Reader(10_000).feed(output.taken())
    assert sent[1] is None


@given(st.binary(min_size=1, max_size=300))
def test_noise_never_raises(data: bytes) -> None:
    packets.Reader(100).feed(data)


@pytest.mark.parametrize("sample", SAMPLES)
def test_strings_that_are_not_utf_8_are_malformed(sample: bytes) -> None:
    """Every string of every packet: the codec would panic."""
    assert packets.Reader(1000).feed(sample)[1] is None
    for text in (b"MQTT", b"t/a", b"k", b"v", b"r", b"w", b"t/#", b"g/t/+", b"x"):
        if sample.count(text) == 1 and sample.index(text) > 3 and not sample.endswith(b"\0\x01x"):
            data = sample.replace(text, b"\xff" * len(text))
            found, fault = packets.Reader(1000).feed(data)
            assert found == []
            assert fault is not None
            assert fault.code == packets.MALFORMED


@pytest.mark.parametrize("packet", ["33060003b42f6100", "340700051100800005", "3506000374af6100"])
def test_a_topic_that_is_not_utf_8_is_malformed_also_where_the_packet_is_cut_short(packet: str) -> None:
    found, fault = packets.Reader(1000).feed(bytes.fromhex(packet))
    assert found == []
    assert fault is not None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the codec's own, beside its panic
def test_a_panic_of_the_codec_is_a_fault_of_its_packet() -> None:
    """A string that reaches out of its properties into a body that is no text; the panic is no `Exception`."""
    packet = bytes.fromhex("31160003742f61090200000004080005727061e00700051100000005")
    found, fault = packets.Reader(1000).feed(packet)
    assert found == []
    assert fault is not None
    assert fault.code == packets.MALFORMED


def test_a_packet_is_refused_by_its_header_before_it_is_taken() -> None:
    reader = packets.Reader(1000)
    assert reader.feed(b"\x30\xff\xff")[1] is None
    _, fault = reader.feed(b"\x7f")
    assert fault is not None
    assert fault.code == packets.PACKET_TOO_LARGE


def test_what_came_before_a_fault_is_taken() -> None:
    found, fault = cut(packets.Reader(1000), SAMPLES[2] + SAMPLES[4] + b"\0\0" + SAMPLES[2])
    assert [type(packet) for packet in found] == [mqtt5.PublishPacket, mqtt5.PubAckPacket]
    assert fault is not None


def test_a_packet_may_come_byte_by_byte() -> None:
    reader = packets.Reader(1 << 20)
    data = mqtt5.PublishPacket("t", bytes(200_000)).write()
    for at in range(len(data) - 1):
        assert reader.feed(data[at : at + 1]) == ([], None)
    assert not reader.idle
    (packet,), fault = reader.feed(data[-1:])
    assert isinstance(packet, mqtt5.PublishPacket)
    assert fault is None
    assert reader.idle


@given(st.integers(1, 3000), st.integers(0, 65_535), st.booleans())
def test_the_hand_made_encodings_are_the_codecs(size: int, packet_id: int, dup: bool) -> None:
    assert packets.puback(packet_id) == mqtt5.PubAckPacket(packet_id).write()
    none = mqtt5.PubAckReasonCode.NO_MATCHING_SUBSCRIBERS
    assert packets.puback(packet_id, 0x10) == mqtt5.PubAckPacket(packet_id, reason_code=none).write()
    frame = Frame("tópic/x", bytes(size), properties=(("a", "b"),), response_topic="r")
    packet = mqtt5.read(memoryview(packets.encode(frame, 1)))[0]
    assert isinstance(packet, mqtt5.PublishPacket)
    assert packets.frame_of(packet) == frame
    template = packets.forward(packet, 1, retain=False, expiry_s=None, ids=())
    head = packets.marked_duplicate(template.head) if dup else template.head
    data = head + packet_id.to_bytes(2, "big") + template.tail
    assert data == packets.encode(frame, packet_id, duplicate=dup)
    assert len(data) == template.size
    start, end = packets.topic_span(data)
    assert data[start:end].decode() == frame.topic
    assert list(packets.split(data + packets.PINGREQ + data)) == [data, packets.PINGREQ, data]


@given(st.integers(0, 3000), st.integers(1, 65_535), st.booleans())
def test_a_bare_publication_is_passed_on_as_the_codec_would(size: int, packet_id: int, dup: bool) -> None:
    frame = Frame("tópic/x", bytes(size))
    raw = packets.encode(frame, packet_id, duplicate=dup)
    at = packets.bare_cut(raw)
    packet = mqtt5.read(memoryview(raw))[0]
    assert isinstance(packet, mqtt5.PublishPacket)
    assert packets.forward_bare(raw, at) == packets.forward(packet, 1, retain=False, expiry_s=None, ids=())


def test_only_a_bare_publication_is_passed_on_as_it_is() -> None:
    bare = packets.encode(Frame("t", b"x"), 7)
    assert packets.bare_cut(bare)
    assert not packets.bare_cut(bare[:1] + bytes((bare[1] | 0x80, 0)) + bare[2:])  # a length longer than needed
    for other in (Frame("t", b"x", qos=0), Frame("t", properties=(("a", "b"),)), Frame("t", response_topic="r")):
        assert not packets.bare_cut(packets.encode(other, 7))
    for sample in SAMPLES:
        if sample[0] >> 4 != 3:
            assert not packets.bare_cut(sample)
