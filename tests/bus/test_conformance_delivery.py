"""Conformance: how frames travel, from publisher to subscriber."""

import pytest

from foa.bus.mqtt.broker.records import Limits
from foa.bus.port import Subscription
from foa.errors import BusError
from foa.wire.envelope import Frame
from tests.bus.conformance import feature
from tests.bus.worlds import Recorder, World


@feature("properties forwarded")
async def test_everything_a_frame_says_arrives(world: World) -> None:
    b = await world.client("b")
    await b.subscribe("t/#")
    a = await world.client("a")
    frame = Frame(
        "t/\N{GREEK SMALL LETTER ALPHA}",
        bytes(range(256)),
        expiry_s=60,
        response_topic="reply/a/1",
        correlation=b"\0\xff",
        content_type="application/msgpack",
        properties=(("foa-epoch", "1:a"), ("k", "v"), ("k", "w")),
    )
    assert await a.publish(**{field: getattr(frame, field) for field in frame.__struct_fields__}) == 0
    await world.until(lambda: bool(b.heard.deliveries))
    assert b.heard.frames == [frame]


@feature("QoS 0")
async def test_qos_0_is_settled_when_sent(world: World) -> None:
    b = await world.client("b")
    await b.subscribe("t")
    a = await world.client("a")
    assert await a.publish("t", b"1", qos=0) == 0
    await world.until(lambda: b.heard.payloads == [b"1"])
    assert b.heard.frames[0].qos == 0


@feature("lower QoS wins")
async def test_a_subscription_limits_the_qos(world: World) -> None:
    b = await world.client("b")
    assert await b.subscribe(Subscription("t", qos=0), Subscription("u", qos=1)) == (0, 1)
    a = await world.client("a")
    await a.publish("t", qos=1)
    await a.publish("u", qos=0)
    await world.until(lambda: len(b.heard.frames) == 2)
    assert [frame.qos for frame in b.heard.frames] == [0, 0]


@feature("order")
async def test_frames_of_a_topic_stay_in_order(world: World) -> None:
    b = await world.client("b")
    await b.subscribe("t/+")
    a = await world.client("a")
    for number in range(1000):
        a.bus.publish(Frame(f"t/{number % 3}", b"%d" % number))
    await world.until(lambda: len(b.heard.deliveries) == 1000)
    assert b.heard.payloads == [b"%d" % number for number in range(1000)]
    await world.until(lambda: a.bus.backlog == 0)


@feature("PUBACK 0x10")
async def test_the_receipt_tells_that_nobody_subscribes(world: World) -> None:
    a = await world.client("a")
    assert await a.publish("nobody/here") == 0x10


@feature("unsubscribe")
async def test_unsubscribe_ends_delivery(world: World) -> None:
    a = await world.client("a")
    await a.subscribe("t", "u")
    await a.publish("t", b"1")
    a.bus.unsubscribe(["t"])
    assert await a.publish("t", b"2") == 0x10
    await a.publish("u", b"3")
    await world.until(lambda: a.heard.payloads[-1:] == [b"3"])
    assert a.heard.payloads == [b"1", b"3"]


@feature("no local")
async def test_no_local_leaves_out_own_frames(world: World) -> None:
    a, b = await world.client("a"), await world.client("b")
    await a.subscribe(Subscription("t", no_local=True))
    await a.publish("t", b"own")
    await b.publish("t", b"other")
    await world.until(lambda: bool(a.heard.payloads))
    await world.settle()
    assert a.heard.payloads == [b"other"]


@feature("$ topics")
async def test_leading_wildcards_do_not_see_dollar_topics(world: World) -> None:
    a = await world.client("a")
    await a.subscribe(Subscription("#", identifier=1), Subscription("+/x", identifier=2))
    await a.subscribe(Subscription("$foa/#", identifier=3))
    await a.publish("$foa/x")
    await a.publish("foa/y")
    await world.until(lambda: len(a.heard.deliveries) == 2)
    await world.settle()
    assert [one.subscription_ids for one in a.heard.deliveries] == [(3,), (1,)]


@feature("subscription identifiers")
async def test_identifiers_of_all_matching_subscriptions_arrive(world: World) -> None:
    a = await world.client("a")
    await a.subscribe(Subscription("t/#", identifier=7), Subscription("t/+", identifier=300))
    await a.publish("t/x")
    await world.until(lambda: {i for one in a.heard.deliveries for i in one.subscription_ids} == {7, 300})


@feature("receive maximum, ours")
async def test_at_most_our_receive_maximum_is_outstanding(world: World) -> None:
    b = await world.client("b", Recorder(acks=False), receive_maximum=5)
    await b.subscribe("t")
    a = await world.client("a")
    for number in range(20):
        await a.publish("t", b"%d" % number)
    await world.settle()
    assert len(b.heard.deliveries) == 5
    if world.broker == "mosquitto":
        world.lacks("Mosquitto 2.0.11 keeps to it at first, then sends a whole window again for every PUBACK")
    b.heard.deliveries[0].ack()
    b.heard.deliveries[1].ack()
    await world.until(lambda: len(b.heard.deliveries) == 7)
    b.heard.acks = True
    for delivery in b.heard.deliveries[2:7]:
        delivery.ack()
    await world.until(lambda: b.heard.payloads == [b"%d" % number for number in range(20)])


@feature("receive maximum, the broker's", limits=Limits(receive_maximum=3))
async def test_the_brokers_receive_maximum_is_obeyed(world: World) -> None:
    a = await world.client("a")
    assert a.heard.facts[0].receive_maximum == 3
    receipts: list[int] = []
    for _ in range(100):
        a.bus.publish(Frame("t"), receipts.append)
    await world.until(lambda: len(receipts) == 100)
    assert not a.heard.ends


@feature("maximum packet size, the broker's", limits=Limits(max_packet_size=2000))
async def test_a_frame_too_large_for_the_broker_is_refused_here(world: World) -> None:
    a = await world.client("a")
    assert a.heard.facts[0].maximum_packet_size == 2000
    with pytest.raises(BusError, match=r"packet of 30\d\d bytes on 't', the broker takes 2000"):
        a.bus.publish(Frame("t", bytes(3000)))
    assert await a.publish("t", bytes(1900)) == 0x10


@feature("maximum packet size, ours")
async def test_the_broker_leaves_out_what_we_do_not_take(world: World) -> None:
    b = await world.client("b", maximum_packet_size=500)
    await b.subscribe("t")
    a = await world.client("a")
    await a.publish("t", bytes(1000))
    await a.publish("t", b"small")
    await world.until(lambda: b"small" in b.heard.payloads)
    assert b.heard.payloads == [b"small"]
    assert not b.heard.ends


@feature("shared subscriptions")
async def test_a_shared_subscription_gives_each_frame_to_one_member(world: World) -> None:
    b, c = await world.client("b"), await world.client("c")
    await b.subscribe("$share/g/t/#")
    await c.subscribe("$share/g/t/#")
    a = await world.client("a")
    for number in range(40):
        await a.publish(f"t/{number}", b"%d" % number)
    await world.until(lambda: len(b.heard.deliveries) + len(c.heard.deliveries) == 40)
    await world.settle()
    assert sorted(b.heard.payloads + c.heard.payloads) == sorted(b"%d" % number for number in range(40))
    assert len(b.heard.deliveries) >= 10
    assert len(c.heard.deliveries) >= 10


@feature("shared: a member leaves")
async def test_what_a_leaving_member_did_not_acknowledge_goes_to_another(world: World) -> None:
    if world.broker == "mosquitto":
        world.lacks("Mosquitto 2.0.11 keeps unacknowledged shared messages for the member that left")
    b, c = await world.client("b", Recorder(acks=False)), await world.client("c")
    await b.subscribe("$share/g/t")
    a = await world.client("a")
    for number in range(10):
        await a.publish("t", b"%d" % number)
    await world.until(lambda: len(b.heard.deliveries) == 10)
    await c.subscribe("$share/g/t")
    await b.close()
    await world.until(lambda: c.heard.payloads == [b"%d" % number for number in range(10)])


@feature("shared: nobody there")
async def test_shared_frames_wait_while_no_member_is_connected(world: World) -> None:
    if world.broker == "mosquitto":
        world.lacks("Mosquitto 2.0.11 deals them out to the absent members, and each keeps its own until it returns")
    b, c = await world.client("b"), await world.client("c")
    await b.subscribe("$share/g/t")
    await c.subscribe("$share/g/t")
    await b.close()
    await c.close()
    a = await world.client("a")
    for number in range(4):
        assert await a.publish("t", b"%d" % number) == 0
    back = await world.client("c")
    await world.until(lambda: back.heard.payloads == [b"%d" % number for number in range(4)])


@feature("bounded backlog", limits=Limits(receive_maximum=1))
async def test_publish_refuses_above_max_queued_and_tells_when_drained(world: World) -> None:
    a = await world.client("a", max_queued=10)
    receipts: list[int] = []
    for _ in range(10):
        a.bus.publish(Frame("t"), receipts.append)
    assert a.bus.backlog == 10
    with pytest.raises(BusError, match="10 frames wait"):
        a.bus.publish(Frame("t"))
    await world.until(lambda: len(receipts) == 10)
    assert a.heard.drains == 1
    assert a.bus.backlog == 0
