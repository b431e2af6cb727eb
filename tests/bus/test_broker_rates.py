"""What one client may cost the others: how often it comes, how much it says, how much it leaves unread."""

import asyncio

import mqtt5
import pytest

from foa.bus.mqtt import packets
from foa.bus.mqtt.broker.machine import Broker
from foa.bus.mqtt.broker.rates import MAX_NAMES, Allowance, Bucket, Rates
from foa.bus.mqtt.broker.records import Limits, changed
from foa.bus.mqtt.broker.server import BrokerServer
from foa.bus.mqtt.client import MqttBus
from foa.bus.port import Options, Subscription
from foa.errors import ConfigError
from foa.wire.envelope import Frame
from tests.bus.test_broker_access import Own
from tests.bus.test_broker_limits import Peer, reason
from tests.bus.worlds import PATIENCE_S, Recorder

QOS = packets.QOS


def test_a_bucket_fills_up_to_its_burst_and_tells_when_it_is_level() -> None:
    bucket = Bucket(10, 20, 0.0)
    assert bucket.take(20, 0.0) == 0.0
    assert bucket.take(5, 0.0) == 0.5
    assert bucket.take(1, 100.0) == 100.0
    assert bucket.take(29, 100.0) == pytest.approx(101.0)


def test_an_allowance_waits_for_the_longer_of_both() -> None:
    assert Allowance(10, 0, 1, 0.0).take(20, 10**9, 0.0) == 1.0
    assert Allowance(0, 100, 1, 0.0).take(10**9, 400, 0.0) == 3.0
    assert Allowance(10, 100, 1, 0.0).take(20, 400, 0.0) == 3.0


def test_rates_remember_so_many_names_only() -> None:
    rates = Rates(1, 1)
    assert [rates.allows("a", 0.0), rates.allows("a", 0.0), rates.allows("a", 1.0)] == [True, False, True]
    for number in range(MAX_NAMES):
        assert rates.allows(str(number), 1.0)
    assert rates.allows("a", 1.0)
    assert len(rates._buckets) == MAX_NAMES
    assert all(Rates(0, 0).allows("a", 0.0) for _ in range(100))


def test_a_client_that_comes_too_often_is_refused_and_others_are_not() -> None:
    broker = Broker(Limits(max_connects_per_s=1, max_connects_burst=3))
    codes = [reason(Peer(broker, "a").said) for _ in range(5)]
    assert codes == [0, 0, 0, 0x9F, 0x9F]
    assert reason(Peer(broker, "b").said) == 0
    assert reason(Peer(broker, "a", 1.0).said) == 0
    assert broker.stats.churning == 2


def test_an_account_has_so_many_connections_and_may_come_back_to_its_own() -> None:
    broker = Broker(Limits(max_account_connections=2), Own())
    first = [Peer(broker, name, username="one") for name in "ab"]
    assert reason(Peer(broker, "c", username="one").said) == 0x97
    assert reason(Peer(broker, "c", username="two").said) == 0
    assert reason(Peer(broker, "a", username="one").said) == 0
    broker.lost(first[1].connection, 0.0)
    assert reason(Peer(broker, "d", username="one").said) == 0
    assert broker.stats.crowded == 1


def test_half_open_connections_crowd_out_each_other_and_nobody_else() -> None:
    broker = Broker(Limits(max_half_open=3))
    inside = Peer(broker, "inside")
    silent = [broker.connect(0.0) for _ in range(10)]
    assert [one.closing for one in silent] == [True] * 7 + [False] * 3
    assert broker.stats.half_open_dropped == 7
    assert not inside.connection.closing
    assert reason(Peer(broker, "late").said) == 0


def test_a_large_will_refuses_its_connection() -> None:
    broker = Broker(Limits(max_will_bytes=10))
    assert reason(Peer(broker, "a", will=mqtt5.Will("w", payload=bytes(11))).said) == 0x95
    assert reason(Peer(broker, "a", will=mqtt5.Will("w", payload=bytes(10))).said) == 0


def test_who_publishes_too_much_rests_and_loses_nothing() -> None:
    broker = Broker(Limits(max_messages_per_s=10, rate_burst_s=1))
    a, b = Peer(broker, "a", keep_alive=1), Peer(broker, "b", keep_alive=0)
    b.subscribe("t")
    packet = mqtt5.PublishPacket("t", b"x", qos=QOS[1], packet_id=1).write()
    acks = a.say(packet * 50)
    assert [int(one.reason_code) for one in acks if isinstance(one, mqtt5.PubAckPacket)] == [0] * 50
    assert len(b.hear()) == 50
    assert a.connection.rest_until == pytest.approx(4.0)
    assert b.connection.rest_until == 0.0
    broker.tick(5.0)
    assert broker.stats.timed_out == 0  # it could not have been heard
    broker.tick(5.6)
    assert broker.stats.timed_out == 1
    assert broker.stats.throttled == 1


def test_all_sessions_together_hold_so_much_and_who_keeps_up_is_served() -> None:
    broker = Broker(Limits(max_held_bytes=10_000))
    for name in ("away", "gone"):
        peer = Peer(broker, name, session_expiry_interval=100)
        peer.subscribe("t")
        broker.lost(peer.connection, 0.0)
    silent, prompt, a = Peer(broker, "silent"), Peer(broker, "prompt"), Peer(broker, "a")
    silent.subscribe("t")
    prompt.subscribe("t")
    for number in range(100):
        assert a.publish("t", bytes(1000)) == 0, number
        (one,) = prompt.hear()
        assert isinstance(one, mqtt5.PublishPacket)
        prompt.say(packets.puback(one.packet_id or 0))
        silent.hear()
    assert broker.stats.held_bytes < 14_000
    assert broker.stats.dropped_full > 200
    for name in ("away", "gone"):
        Peer(broker, name, clean_start=True)
    broker.lost(silent.connection, 0.0)
    assert broker.stats.held_bytes == 0


@pytest.mark.slow
def test_over_sockets_a_throttled_client_is_read_more_slowly_and_others_are_not() -> None:
    asyncio.run(_throttled())


async def _throttled() -> None:
    server = BrokerServer(Limits(max_messages_per_s=1000, rate_burst_s=0.1))
    await server.start("127.0.0.1", 0)
    loud, calm = (MqttBus(Options(name, port=server.port), Recorder()) for name in ("loud", "calm"))
    reader = MqttBus(Options("reader", port=server.port), heard := Recorder())
    for bus in (loud, calm, reader):
        await bus.open(PATIENCE_S)
    reader.subscribe([Subscription("t/#")])
    loop = asyncio.get_running_loop()
    began, codes, calm_codes = loop.time(), list[int](), list[int]()
    for _ in range(300):
        loud.publish(Frame("t/loud", bytes(500)), codes.append)
    while len(codes) < 300:
        calm.publish(Frame("t/calm"), calm_codes.append)
        await asyncio.sleep(0.01)
        assert loop.time() < began + PATIENCE_S
    assert loop.time() - began > 0.15  # 300 at 1000 a second, 100 of them at once
    while len(heard.deliveries) < 300 + len(calm_codes):
        await asyncio.sleep(0.01)
        assert loop.time() < began + PATIENCE_S
    assert server.broker.stats.throttled > 0
    for bus in (loud, calm, reader):
        await bus.close()
    await server.stop()


def test_caps_are_changed_by_name_and_mistakes_are_one_line() -> None:
    assert changed(["max_queued=7", "max_messages_per_s=0.5"]) == Limits(max_queued=7, max_messages_per_s=0.5)
    assert changed([]) == Limits()
    for word, mend in (("max_queued", "is no NAME=NUMBER"), ("nothing=1", "one of the names max_packet_size, ")):
        with pytest.raises(ConfigError, match=f"--limit {word}: .*{mend}"):
            changed([word])
    for word in ("max_queued=many", "max_queued=-1", "max_messages_per_s=inf", "max_messages_per_s=nan"):
        with pytest.raises(ConfigError, match=f"--limit {word}: .*give a? ?number"):
            changed([word])
