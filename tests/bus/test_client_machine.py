"""The client machine alone: acknowledgements in order, the window, identifiers, refusals, timers."""

import mqtt5
import pytest

from foa.bus.inbox import Inbound
from foa.bus.mqtt import packets
from foa.bus.mqtt.outbox import PacketIds
from foa.bus.mqtt.session import CONNECTING, DOWN, UP, ClientSession
from foa.bus.output import Ended, Granted, Output, Receipted
from foa.bus.port import Options, Subscription, Will
from foa.errors import BusError
from foa.wire.envelope import Frame
from tests.bus.reading import cut


class Machine:
    """A client machine, and the broker's side of it in packets."""

    def __init__(self, **options: object) -> None:
        self.output = Output(lambda: None)
        self.session = ClientSession(Options("me", **options), self.output)  # type: ignore[arg-type]

    def up(self, now: float = 0.0, **connack: object) -> list[packets.Packet]:
        """Connect; return what was sent after CONNECT."""
        self.session.start(now)
        self.sent()
        self.session.receive(mqtt5.ConnAckPacket(**connack).write(), now)  # type: ignore[arg-type]
        assert self.session.state == UP
        return self.sent()

    def sent(self) -> list[packets.Packet]:
        found, fault = cut(packets.Reader(1 << 28), self.output.taken())
        assert fault is None
        return found

    def events(self) -> list[object]:
        events: list[object] = list(self.output.events)
        self.output.events.clear()
        return events

    def deliver(self, *packet_ids: int) -> list[Inbound]:
        for packet_id in packet_ids:
            self.session.receive(packets.encode(Frame("t"), packet_id), 0.0)
        return [event for event in self.events() if isinstance(event, Inbound)]


def acks(found: list[packets.Packet]) -> list[int]:
    return [one.packet_id for one in found if isinstance(one, mqtt5.PubAckPacket)]


def test_acknowledgements_leave_in_the_order_of_receipt() -> None:
    machine = Machine(receive_maximum=100)
    machine.up()
    one, two, three, four = machine.deliver(1, 2, 3, 4)
    three.ack()
    two.ack()
    assert acks(machine.sent()) == []
    one.ack()
    one.ack()
    assert acks(machine.sent()) == [1, 2, 3]
    four.ack()
    assert acks(machine.sent()) == [4]


def test_one_that_hangs_does_not_hold_the_others_for_ever() -> None:
    machine = Machine(receive_maximum=8)
    machine.up()
    hung, *others = machine.deliver(*range(1, 9))
    for one in others[:4]:
        one.ack()
    assert acks(machine.sent()) == []
    others[4].ack()
    assert acks(machine.sent()) == [2, 3, 4, 5, 6]
    hung.ack()
    assert acks(machine.sent()) == [1]


def test_an_acknowledgement_of_an_earlier_connection_is_void() -> None:
    machine = Machine()
    machine.up()
    (old,) = machine.deliver(1)
    machine.session.lost("cut")
    machine.up(session_present=True)
    (new,) = machine.deliver(1)
    old.ack()
    assert machine.sent() == []
    new.ack()
    assert acks(machine.sent()) == [1]


def test_the_window_is_kept_to_and_resends_come_first() -> None:
    machine = Machine()
    codes: list[int] = []
    for number in range(5):
        machine.session.publish(Frame("t", b"%d" % number), codes.append, 0.0)
    first = machine.up(receive_max=2)
    assert [(one.payload, one.duplicate) for one in first] == [(b"0", False), (b"1", False)]  # type: ignore[union-attr]
    machine.session.receive(packets.puback(first[0].packet_id, 0x10), 0.0)  # type: ignore[union-attr, arg-type]
    assert [one.payload for one in machine.sent()] == [b"2"]  # type: ignore[union-attr]
    assert [event.code for event in machine.events() if isinstance(event, Receipted)] == [0x10]
    machine.session.lost("cut")
    again = machine.up(session_present=True, receive_max=2)
    assert [(one.payload, one.duplicate) for one in again] == [(b"1", True), (b"2", True)]  # type: ignore[union-attr]
    machine.session.lost("cut")
    anew = machine.up(session_present=False, receive_max=65_535)
    assert [(one.payload, one.duplicate) for one in anew] == [  # type: ignore[union-attr]
        (b"1", False),
        (b"2", False),
        (b"3", False),
        (b"4", False),
    ]


def test_identifiers_go_round_and_skip_those_in_use() -> None:
    ids = PacketIds()
    assert [ids.take() for _ in range(3)] == [1, 2, 3]
    ids.free(2)
    for expected in range(4, 65_536):
        assert ids.take() == expected
        ids.free(expected)
    assert ids.take() == 2


@pytest.mark.parametrize(
    ("code", "final"),
    [(0x86, True), (0x87, True), (0x85, True), (0x84, True), (0x8A, True), (0x88, False), (0x97, False)],
)
def test_which_refusals_are_final(code: int, final: bool) -> None:
    machine = Machine(username="ann")
    machine.session.start(0.0)
    machine.session.receive(mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode(code)).write(), 0.0)
    (end,) = machine.events()
    assert isinstance(end, Ended)
    assert end.final is final
    assert not end.stood
    assert f"0x{code:02X}" in end.reason
    assert "\n" not in end.reason


def test_silence_ends_a_connection_in_every_state() -> None:
    machine = Machine(connect_timeout_s=3.0, keep_alive_s=10)
    assert machine.session.deadline() is None
    machine.session.start(100.0)
    assert (machine.session.state, machine.session.deadline()) == (CONNECTING, 103.0)
    machine.session.tick(103.0)
    assert machine.session.state == DOWN
    machine.up(200.0, server_keep_alive=4)
    assert machine.session.deadline() == 204.0
    machine.sent()
    machine.session.tick(204.0)
    assert [type(one) for one in machine.sent()] == [mqtt5.PingReqPacket]
    machine.session.sent(204.0)
    assert machine.session.deadline() == 206.0
    machine.session.receive(packets.PINGRESP, 205.0)
    assert machine.session.deadline() == 208.0
    machine.session.tick(208.0)
    machine.session.tick(211.0)
    assert machine.session.state == DOWN


def test_a_client_that_only_sends_qos_0_asks_whether_the_broker_lives() -> None:
    machine = Machine(keep_alive_s=10)
    machine.up()
    for second in range(1, 60):
        now = float(second)
        machine.session.publish(Frame("t", qos=0), None, now)
        machine.session.tick(now)
        if any(isinstance(one, mqtt5.PingReqPacket) for one in machine.sent()):
            assert second % 10 == 0
            machine.session.receive(packets.PINGRESP, now)
        machine.session.sent(now)
    assert machine.session.state == UP
    for second in range(60, 66):
        machine.session.publish(Frame("t", qos=0), None, float(second))
        machine.session.tick(float(second))
    assert machine.session.state == DOWN


def test_a_call_with_many_subscriptions_is_answered_once() -> None:
    machine = Machine()
    machine.up()
    wanted = [Subscription(f"t/{number}", identifier=1 + number // 150) for number in range(300)]
    codes: list[tuple[int, ...]] = []
    machine.session.subscribe(wanted, codes.append)
    asked = machine.sent()
    sizes = [len(one.topic_filters) for one in asked if isinstance(one, mqtt5.SubscribePacket)]
    assert sizes == [100, 50, 100, 50]
    for index, one in reversed(list(enumerate(asked))):
        assert isinstance(one, mqtt5.SubscribePacket)
        grade = mqtt5.SubAckReasonCode(index % 2)
        machine.session.receive(mqtt5.SubAckPacket(one.packet_id, [grade] * len(one.topic_filters)).write(), 0.0)
    (event,) = machine.events()[-1:]
    assert isinstance(event, Granted)
    assert event.codes == (0,) * 100 + (1,) * 50 + (0,) * 100 + (1,) * 50


def test_a_lost_session_asks_for_everything_once() -> None:
    machine = Machine()
    machine.up()
    machine.session.subscribe([Subscription("a"), Subscription("b")], None)
    (asked,) = machine.sent()
    assert isinstance(asked, mqtt5.SubscribePacket)
    machine.session.receive(mqtt5.SubAckPacket(asked.packet_id, [mqtt5.SubAckReasonCode(1)] * 2).write(), 0.0)
    machine.session.subscribe([Subscription("c")], None)
    machine.session.unsubscribe(["a"])
    machine.session.lost("cut")
    again = machine.up(session_present=False)
    patterns = [[one.pattern for one in packet.topic_filters] for packet in again[:2]]  # type: ignore[union-attr]
    assert patterns == [["b"], ["c"]]
    assert isinstance(again[2], mqtt5.UnsubscribePacket)
    machine.session.lost("cut")
    resumed = machine.up(session_present=True)
    assert [type(one) for one in resumed] == [mqtt5.SubscribePacket, mqtt5.SubscribePacket, mqtt5.UnsubscribePacket]


@pytest.mark.parametrize(
    "frame",
    [
        Frame("a/#"),
        Frame(""),
        Frame("t", qos=2),
        Frame("t", response_topic="+"),
        Frame("\ud800"),
        Frame("t" * 70_000),
        Frame("t", correlation=bytes(70_000)),
        Frame("t", properties=(("k", "v" * 70_000),)),
        Frame("t", expiry_s=2**32),
        Frame("t", expiry_s=-1),
        Frame("t", bytearray(b"x")),  # type: ignore[arg-type]
    ],
)
def test_what_mqtt_cannot_carry_is_a_bus_error_at_once(frame: Frame) -> None:
    machine = Machine()
    with pytest.raises(BusError):
        machine.session.publish(frame, None, 0.0)
    machine.up()
    with pytest.raises(BusError):
        machine.session.publish(frame, None, 0.0)
    assert machine.session.backlog == 0
    assert machine.session.state == UP


def test_options_and_filters_that_cannot_be_written_are_bus_errors() -> None:
    for bad in ({"will": Will(Frame("#"))}, {"keep_alive_s": 70_000}, {"username": "\ud800"}, {"receive_maximum": 0}):
        with pytest.raises(BusError):
            Machine(**bad)
    machine = Machine()
    for one in (
        Subscription("a", qos=2),
        Subscription("a#"),
        Subscription("a", identifier=0),
        Subscription("a", retained=3),
    ):
        with pytest.raises(BusError):
            machine.session.subscribe([one], None)


def test_a_frame_too_large_for_a_new_broker_is_settled() -> None:
    machine = Machine()
    machine.session.publish(Frame("t", bytes(500)), lambda _code: None, 0.0)
    assert machine.up(max_packet_size=100) == []
    assert [event.code for event in machine.events() if isinstance(event, Receipted)] == [0x95]
    assert machine.session.backlog == 0
