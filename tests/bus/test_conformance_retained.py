"""Conformance: retained frames, wills, and the expiry of both."""

from foa.bus.port import Subscription, Will
from foa.wire.envelope import Frame
from tests.bus.conformance import feature
from tests.bus.worlds import Recorder, World


@feature("retained")
async def test_the_last_retained_frame_is_sent_to_a_new_subscriber(world: World) -> None:
    a = await world.client("a")
    await a.subscribe("t")
    await a.publish("t", b"1", retain=True)
    await a.publish("t", b"2", retain=True)
    await world.until(lambda: a.heard.payloads == [b"1", b"2"])
    assert not any(frame.retain for frame in a.heard.frames)  # live ones
    b = await world.client("b")
    await b.subscribe("#")
    await world.until(lambda: b.heard.payloads == [b"2"])
    assert b.heard.frames[0].retain


@feature("retained: deletion")
async def test_an_empty_retained_frame_deletes(world: World) -> None:
    a = await world.client("a")
    await a.publish("t", b"1", retain=True)
    await a.publish("t", b"", retain=True)
    await a.subscribe("t")
    await a.publish("t", b"live")
    await world.until(lambda: a.heard.payloads == [b"live"])


@feature("retain handling")
async def test_retain_handling_says_when_retained_frames_are_sent(world: World) -> None:
    a = await world.client("a")
    await a.publish("t", b"1", retain=True)
    await a.subscribe(Subscription("t", retained=2))
    await world.settle()
    assert a.heard.payloads == []
    a.bus.unsubscribe(["t"])
    await a.subscribe(Subscription("t", retained=1))
    await world.until(lambda: len(a.heard.payloads) == 1)
    await a.subscribe(Subscription("t", retained=1))
    await world.settle()
    assert len(a.heard.payloads) == 1
    await a.subscribe(Subscription("t", retained=0))
    await world.until(lambda: len(a.heard.payloads) == 2)


@feature("retained: wildcards")
async def test_retained_frames_are_found_by_filter(world: World) -> None:
    a = await world.client("a")
    for topic in ("a", "a/b", "a/b/c", "a/x/c", "b/b", "$foa/a"):
        await a.publish(topic, topic.encode(), retain=True)
    for pattern, found in {
        "a/#": {"a", "a/b", "a/b/c", "a/x/c"},
        "a/+/c": {"a/b/c", "a/x/c"},
        "+/b": {"a/b", "b/b"},
        "#": {"a", "a/b", "a/b/c", "a/x/c", "b/b"},
        "$foa/+": {"$foa/a"},
    }.items():
        heard = Recorder()
        b = await world.client("b", heard, clean_start=True)
        await b.subscribe(pattern)
        await world.until(lambda found=found, heard=heard: len(heard.payloads) >= len(found))  # type: ignore[misc]
        assert {payload.decode() for payload in heard.payloads} == found
        await b.close()


@feature("5,000 retained", seconds=True)
async def test_a_large_replay_is_complete(world: World) -> None:
    a = await world.client("a")
    receipts: list[int] = []
    for number in range(5000):
        a.bus.publish(Frame(f"vcv/{number % 64}/o/u/{number}", b"%d" % number, retain=True), receipts.append)
    await world.until(lambda: len(receipts) == 5000)
    b = await world.client("b", receive_maximum=100)
    await b.subscribe("vcv/#")
    await world.until(lambda: len(b.heard.payloads) >= 5000, 20)
    assert len(set(b.heard.payloads)) == 5000


@feature("retained: expiry", seconds=True)
async def test_a_retained_frame_expires(world: World) -> None:
    a = await world.client("a")
    await a.publish("t", b"short", retain=True, expiry_s=1)
    await a.publish("u", b"long", retain=True, expiry_s=100)
    await world.pass_time(2.1)
    await a.subscribe("t", "u")
    await world.until(lambda: bool(a.heard.payloads))
    await world.settle()
    assert a.heard.payloads == [b"long"]
    left = a.heard.frames[0].expiry_s
    assert left is not None
    assert 96 <= left <= 99


@feature("will")
async def test_a_will_is_published_when_a_client_vanishes(world: World) -> None:
    a = await world.client("a")
    await a.subscribe("w/#")
    will = Frame("w/b", b"gone", retain=True, properties=(("a2a-status", "offline"),))
    b = await world.client("b", will=Will(will), session_expiry_s=0)
    b.bus.abort()
    await world.until(lambda: a.heard.payloads == [b"gone"])
    assert a.heard.frames[0].properties == will.properties
    c = await world.client("c")
    await c.subscribe("w/b")
    await world.until(lambda: c.heard.payloads == [b"gone"])
    assert c.heard.frames[0].retain


@feature("will: goodbye")
async def test_a_will_is_kept_back_after_a_goodbye_unless_asked_for(world: World) -> None:
    a = await world.client("a")
    await a.subscribe("w/#")
    b = await world.client("b", will=Will(Frame("w/b", b"gone")))
    await b.close()
    await world.settle()
    assert a.heard.payloads == []
    c = await world.client("c", will=Will(Frame("w/c", b"gone on purpose")))
    await c.close(will=True)
    await world.until(lambda: a.heard.payloads == [b"gone on purpose"])


@feature("will delay", seconds=True)
async def test_a_delayed_will_waits_and_is_called_off_by_a_return(world: World) -> None:
    a = await world.client("a")
    await a.subscribe("w/#")
    slow = await world.client("slow", will=Will(Frame("w/slow"), delay_s=2), backoff_min_s=20, backoff_max_s=20)
    quick = await world.client("quick", will=Will(Frame("w/quick"), delay_s=1))
    slow.bus.abort()
    quick.bus.abort()
    await world.until(lambda: len(quick.heard.facts) == 2)
    await world.pass_time(1.5)
    assert a.heard.frames == []
    await world.until(lambda: bool(a.heard.frames))
    await world.settle()
    assert [frame.topic for frame in a.heard.frames] == ["w/slow"]


@feature("message expiry", seconds=True)
async def test_a_frame_expires_in_the_session_of_an_absent_client(world: World) -> None:
    b = await world.client("b")
    await b.subscribe("t")
    await b.close()
    a = await world.client("a")
    await a.publish("t", b"short", expiry_s=1)
    await a.publish("t", b"long", expiry_s=50)
    await a.publish("t", b"for ever")
    await world.pass_time(2.1)
    back = await world.client("b")
    await world.until(lambda: len(back.heard.payloads) >= 2)
    assert back.heard.payloads == [b"long", b"for ever"]
    left = back.heard.frames[0].expiry_s
    assert left is not None
    assert 46 <= left <= 49
