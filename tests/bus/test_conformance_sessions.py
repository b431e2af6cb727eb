"""Conformance: sessions over reconnects, crashes, take-overs and silence."""

import pytest

from foa.bus.port import Will
from foa.errors import BusError, Refused
from foa.wire.envelope import Frame
from tests.bus.conformance import feature
from tests.bus.worlds import Recorder, World

CONNECT = b"\x10\x0f\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x02me"


@feature("redelivery with DUP")
async def test_what_was_not_acknowledged_comes_again(world: World) -> None:
    b = await world.client("b", Recorder(acks=False))
    await b.subscribe("t")
    a = await world.client("a")
    for number in range(3):
        await a.publish("t", b"%d" % number)
    await world.until(lambda: len(b.heard.deliveries) == 3)
    b.heard.deliveries[0].ack()
    await world.settle()
    first = b.heard.deliveries[1]
    b.bus.abort()
    await world.until(lambda: len(b.heard.deliveries) == 5)
    first.ack()  # void: its connection is gone
    assert b.heard.facts[1].session_present
    assert [(one.frame.payload, one.duplicate) for one in b.heard.deliveries[3:]] == [(b"1", True), (b"2", True)]
    b.bus.abort()
    await world.until(lambda: len(b.heard.deliveries) == 7)


@feature("resend with DUP")
async def test_what_the_broker_did_not_acknowledge_is_sent_again(world: World) -> None:
    b = await world.client("b")
    await b.subscribe("t")
    a = await world.client("a")
    receipts: list[int] = []
    for number in range(50):
        a.bus.publish(Frame("t", b"%d" % number), receipts.append)
        if number % 10 == 5:
            await world.until(lambda: bool(receipts))
            a.bus.abort()
    await world.until(lambda: len(receipts) == 50)
    await world.until(lambda: len(set(b.heard.payloads)) == 50)
    assert list(dict.fromkeys(b.heard.payloads)) == [b"%d" % number for number in range(50)]


@feature("session resumed, replay not lost")
async def test_a_replay_finds_the_listener_in_place(world: World) -> None:
    b = await world.client("b")
    await b.subscribe("t")
    await b.close()
    a = await world.client("a")
    receipts: list[int] = []
    for number in range(500):
        a.bus.publish(Frame("t", b"%d" % number), receipts.append)
    await world.until(lambda: receipts == [0] * 500)
    back = await world.client("b")
    await world.until(lambda: len(back.heard.payloads) == 500)
    assert back.heard.facts[0].session_present
    assert back.heard.payloads == [b"%d" % number for number in range(500)]


@feature("clean start")
async def test_clean_start_begins_anew_but_a_reconnect_resumes(world: World) -> None:
    b = await world.client("b")
    await b.subscribe("t")
    await b.close()
    again = await world.client("b", clean_start=True)
    assert not again.heard.facts[0].session_present
    a = await world.client("a")
    assert await a.publish("t") == 0x10
    again.bus.abort()
    await world.until(lambda: len(again.heard.facts) == 2)
    assert again.heard.facts[1].session_present


@feature("session expiry", seconds=True)
async def test_a_session_ends_when_its_expiry_passes(world: World) -> None:
    b = await world.client("b", session_expiry_s=1)
    await b.subscribe("t")
    await b.close()
    await world.pass_time(2.2)
    back = await world.client("b")
    assert not back.heard.facts[0].session_present


@feature("subscriptions made again")
async def test_a_lost_session_is_made_again(world: World) -> None:
    b = await world.client("b")
    await b.subscribe("t/#", "u", "$share/g/v")
    b.bus.unsubscribe(["u"])
    await world.settle()
    await world.crash()
    await world.until(lambda: bool(b.heard.ends))
    assert b.heard.ends[0][1] is False
    b.bus.subscribe([])
    await world.restart()
    await world.until(lambda: len(b.heard.facts) == 2)
    assert not b.heard.facts[1].session_present
    await world.settle()
    a = await world.client("a")
    for topic in ("t/1", "u", "v"):
        await a.publish(topic, topic.encode())
    await world.until(lambda: b.heard.payloads == [b"t/1", b"v"])


@feature("queued over an outage")
async def test_frames_published_during_an_outage_arrive_after_it(world: World) -> None:
    a = await world.client("a")
    await a.subscribe("t")
    await world.settle()
    await world.crash()
    receipts: list[int] = []
    await world.until(lambda: bool(a.heard.ends))
    for number in range(100):
        a.bus.publish(Frame("t", b"%d" % number), receipts.append)
    assert a.bus.backlog == 100
    await world.restart()
    await world.until(lambda: a.heard.payloads == [b"%d" % number for number in range(100)])
    await world.until(lambda: receipts == [0] * 100)


@feature("expiry in our own queue", seconds=True)
async def test_frames_expire_while_they_wait_for_a_connection(world: World) -> None:
    a = await world.client("a")
    await a.subscribe("t")
    await world.settle()
    await world.crash()
    await world.until(lambda: bool(a.heard.ends))
    receipts: dict[str, int] = {}
    a.bus.publish(Frame("t", b"short", expiry_s=1), lambda code: receipts.update(short=code))
    a.bus.publish(Frame("t", b"long", expiry_s=30), lambda code: receipts.update(long=code))
    await world.pass_time(1.5)
    await world.restart()
    await world.until(lambda: len(receipts) == 2)
    assert receipts == {"short": 0x83, "long": 0}
    await world.until(lambda: a.heard.payloads == [b"long"])
    left = a.heard.frames[0].expiry_s
    assert left is not None
    assert 20 <= left <= 29


@feature("take-over")
async def test_a_second_process_with_the_same_identity_ends_the_first(world: World) -> None:
    first = await world.client("b")
    await first.subscribe("t")
    second = await world.client("b")
    await world.until(lambda: bool(first.heard.ends))
    if world.broker == "mosquitto":
        world.lacks("Mosquitto 2.0.11 closes the first without DISCONNECT 0x8E, so each takes the session back")
    reason, final = first.heard.ends[0]
    assert final
    assert "0x8E" in reason
    assert second.heard.facts[0].session_present
    with pytest.raises(BusError, match="closed"):
        first.bus.publish(Frame("t"))
    await world.pass_time(0.2)
    assert not second.heard.ends
    await second.publish("t", b"mine")
    await world.until(lambda: second.heard.payloads == [b"mine"])


@feature("take-over: will")
async def test_a_take_over_publishes_the_will_of_the_first(world: World) -> None:
    a = await world.client("a")
    await a.subscribe("w")
    if world.broker == "mosquitto":
        world.lacks("Mosquitto publishes no will at a take-over (eclipse-mosquitto/mosquitto issue 3509)")
    await world.client("b", will=Will(Frame("w", b"first")))
    await world.client("b")
    await world.until(lambda: a.heard.payloads == [b"first"])


@feature("keep-alive: we ping", seconds=True)
async def test_an_idle_client_stays_connected(world: World) -> None:
    a = await world.client("a", keep_alive_s=1)
    await world.pass_time(2.6)
    assert not a.heard.ends
    assert await a.publish("t") == 0x10


@feature("keep-alive: silent client", seconds=True)
async def test_the_broker_gives_a_silent_client_up(world: World) -> None:
    a = await world.client("a")
    await a.subscribe("w")
    quiet = await world.client(
        "b", will=Will(Frame("w", b"silent")), keep_alive_s=1, backoff_min_s=20, backoff_max_s=20
    )
    quiet.fall_silent()
    await world.until(lambda: a.heard.payloads == [b"silent"], 8)


@feature("keep-alive: silent broker", seconds=True)
async def test_a_silent_broker_is_given_up(world: World) -> None:
    """After one and a half keep-alives; paho counts two."""
    a = await world.client("a", keep_alive_s=1)
    world.freeze()
    await world.until(lambda: bool(a.heard.ends), 2.5)
    assert "the broker was silent for" in a.heard.ends[0][0]
    assert a.heard.ends[0][1] is False


@feature("wrong password", users={"ann": "secret"})
async def test_a_refusal_is_final_and_says_why(world: World) -> None:
    heard = Recorder()
    if world.virtual:
        await world.client("a", heard, username="ann", password="wrong")
    else:
        with pytest.raises(Refused, match="refused user 'ann'"):
            await world.client("a", heard, username="ann", password="wrong")
    reason, final = heard.ends[0]
    assert final
    assert "refused user 'ann'" in reason
    if world.broker == "ours":
        assert "bad user name or password (0x86)" in reason
        good = await world.client("b", username="ann", password="secret")
        assert good.heard.facts


@feature("malformed packets")
async def test_malformed_bytes_end_their_connection_only(world: World) -> None:
    a = await world.client("a")
    answer, closed = await world.talk(CONNECT)
    assert answer[:1] == b"\x20"
    assert not closed
    for bad in (b"\x00\x00", b"\x36\x05\x00\x01a\x00\x01", b"\x30\xff\xff\xff\xff\x7f", b"\x82\x00"):
        answer, closed = await world.talk(CONNECT + bad)
        if world.broker == "ours":
            assert b"\xe0" in answer
        assert closed
    assert await a.publish("t") == 0x10


@feature("first packet not CONNECT")
async def test_a_stranger_that_does_not_introduce_itself_is_closed(world: World) -> None:
    for first in (b"\xc0\x00", b"\x30\x04\x00\x01a\x00", b"GET / HTTP/1.1\r\n\r\n"):
        answer, closed = await world.talk(first)
        assert closed
        assert answer == b""
    _, closed = await world.talk(CONNECT + CONNECT)
    assert closed
