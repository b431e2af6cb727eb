"""Killed at any moment, a broker with a store comes back as one that was not killed, but for the last batch."""

import random
from typing import Any

import mqtt5
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.bus.mqtt import packets
from foa.bus.mqtt.broker.keeping import forms
from foa.bus.mqtt.broker.machine import Broker
from foa.bus.mqtt.broker.records import Keeping, Loss
from foa.bus.mqtt.broker.sessions import ITEM_OVERHEAD
from tests.bus.kept import Drawer, picture
from tests.bus.test_broker_limits import Peer

QOS = packets.QOS
WEIGHTS = {
    "connect": 3,
    "lose": 1.5,
    "leave": 0.5,
    "subscribe": 3,
    "unsubscribe": 0.5,
    "publish": 8,
    "clear": 0.5,
    "ack": 4,
    "wait": 1,
    "batch": 3,
}
CLIENTS, TOPICS = ("a", "b", "c"), ("t", "t/1", "u")
FILTERS = ("t/#", "u", "+", "$share/g/t/#", "$share/g/u")

LENGTH = 80


def acts_of(seed: int) -> list[tuple[Any, ...]]:
    """Return what clients do in one play, drawn so that sessions fill."""
    rng = random.Random(seed)

    def one() -> tuple[Any, ...]:
        name, topic, flag, qos = rng.choice(CLIENTS), rng.choice(TOPICS), rng.random() < 0.3, int(rng.random() < 0.8)
        what = rng.choices(*zip(*WEIGHTS.items(), strict=True))[0]
        return {
            "connect": ("connect", name, rng.choice((0, 50, 100, 100)), rng.random() < 0.2, rng.randint(1, 3)),
            "subscribe": ("subscribe", name, rng.choice(FILTERS), qos, flag),
            "unsubscribe": ("unsubscribe", name, rng.choice(FILTERS[:3])),
            "publish": ("publish", name, topic, qos, flag, rng.choice((None, None, 3))),
            "clear": ("clear", name, topic),
            "wait": ("wait", rng.choice((0.5, 0.5, 20.0))),
            "batch": ("batch",),
        }.get(what, (what, name))

    return [one() for _ in range(LENGTH)]


class Play:
    """One broker, and the clients that act on it."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.now = 0.0
        self.peers: dict[str, Peer] = {}
        self.said = 0

    def act(self, act: tuple[Any, ...]) -> None:
        what, *rest = act
        if what == "connect":
            self._connect(*rest)
        elif what == "wait":
            self.now += rest[0]
            self.broker.tick(self.now)
        elif rest and rest[0] in self.peers:
            peer = self.peers[rest[0]]
            peer.now = self.now
            getattr(self, f"_{what}")(peer, *rest[1:])
            for one in self.peers.values():
                one.now = self.now
                one.hear()
        items = [item for one in self.broker.sessions.values() for item in (*one.inflight.values(), *one.queue)]
        assert self.broker.stats.held_bytes == sum(item.message.size + ITEM_OVERHEAD for item in items)

    def _connect(self, name: str, expiry: int, clean: bool, window: int) -> None:
        if name in self.peers:
            return
        options: dict[str, Any] = {"session_expiry_interval": expiry, "clean_start": clean, "receive_max": window}
        self.peers[name] = Peer(self.broker, name, self.now, keep_alive=0, **options)

    def _lose(self, peer: Peer) -> None:
        self.broker.lost(peer.connection, self.now)
        self.peers = {name: one for name, one in self.peers.items() if one is not peer}

    def _leave(self, peer: Peer) -> None:
        peer.say(mqtt5.DisconnectPacket().write())
        self._lose(peer)

    def _subscribe(self, peer: Peer, pattern: str, qos: int, flag: bool) -> None:
        own = flag and not pattern.startswith("$share")  # no local on a shared subscription is an error
        wanted = mqtt5.TopicFilter(pattern, max_qos=QOS[qos], no_local=own, retain_as_published=flag)
        peer.say(mqtt5.SubscribePacket(1, [wanted], subscription_id=7 if flag else None).write())

    def _unsubscribe(self, peer: Peer, pattern: str) -> None:
        peer.say(mqtt5.UnsubscribePacket(1, [pattern]).write())

    def _publish(self, peer: Peer, topic: str, qos: int, retain: bool, expiry: int | None) -> None:
        self.said += 1
        packet = mqtt5.PublishPacket(
            topic,
            b"%d" % self.said,
            qos=QOS[qos],
            packet_id=1 if qos else None,
            retain=retain,
            message_expiry_interval=expiry,
            user_properties=[("k", "v")] if retain else [],
        )
        peer.say(packet.write())

    def _clear(self, peer: Peer, topic: str) -> None:
        peer.say(mqtt5.PublishPacket(topic, b"", retain=True).write())

    def _ack(self, peer: Peer) -> None:
        session = peer.connection.session
        if session.inflight:
            peer.say(packets.puback(min(session.inflight)))


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from((0.0, 1.5e9)))
def test_a_killed_broker_comes_back_as_it_was_at_its_last_batch(seed: int, offset: float) -> None:
    acts = acts_of(seed)
    drawer, kept = Drawer(), Play(Broker(None, None, Keeping(offset)))
    done = 0
    for number, act in enumerate(acts, 1):
        kept.act(act)
        if act == ("batch",):
            drawer.take(kept.broker)
            _hold_nothing_unused(drawer)
            done = number
    plain = Play(Broker())
    for act in acts[:done]:
        plain.act(act)
    plain.broker.crash(plain.now, Loss(), random.Random(0))
    again = drawer.broker(plain.now, offset)
    assert again.stats.unreadable == 0
    expected = picture(plain.broker, plain.now)
    found = picture(again, plain.now)
    assert _rounded(found) == _rounded(expected)
    drawer.take(again)
    assert picture(drawer.broker(plain.now, offset), plain.now) == found
    _hold_nothing_unused(drawer)
    for name in CLIENTS:
        options: dict[str, Any] = {"session_expiry_interval": 9, "clean_start": False}
        one, other = (Peer(broker, name, plain.now, **options) for broker in (again, plain.broker))
        assert _told(one) == _told(other)


def _told(peer: Peer) -> list[Any]:
    """Return what a client is told, in no order; identifiers only of what it may have had before."""
    return sorted(
        repr((one.topic, one.payload, one.qos, one.duplicate and one.packet_id, one.retain, one.subscription_ids))
        if isinstance(one, mqtt5.PublishPacket)
        else repr(one)
        for one in peer.said
        if not isinstance(one, mqtt5.PublishPacket) or one.qos is not QOS[0]
    )


def _rounded(seen: dict[str, Any]) -> dict[str, Any]:
    for session in seen["sessions"].values():
        session["expires"] = None if session["expires"] is None else round(session["expires"], 3)
    return seen


def _hold_nothing_unused(drawer: Drawer) -> None:
    """Hold that the bodies in the store are those that somebody waits for or that are retained, each once."""
    named = {forms.decode_delivery(body).message for (kind, _), body in drawer.rows.items() if kind == forms.DELIVERY}
    named |= {forms.decode_number(body) for (kind, _), body in drawer.rows.items() if kind == forms.RETAINED}
    assert {ident for kind, ident in drawer.rows if kind == forms.MESSAGE} == named


def test_an_answer_waits_for_its_batch_also_when_nothing_is_left_to_write() -> None:
    broker = Broker(None, None, Keeping())
    b = Peer(broker, "b", session_expiry_interval=100)
    assert not any(isinstance(one, mqtt5.SubAckPacket) for one in b.say(_asking("t")))
    Drawer().take(broker)
    assert any(isinstance(one, mqtt5.SubAckPacket) for one in b.hear())
    a = Peer(broker, "a")
    assert a.publish("t") is None
    assert a.publish("nobody") == 0x10  # nothing to keep: answered at once
    (one,) = b.hear()
    assert isinstance(one, mqtt5.PublishPacket)
    b.say(packets.puback(one.packet_id or 0))
    assert broker.ledger is not None
    assert not broker.ledger.idle
    assert broker.ledger.take() == []
    broker.ledger.written(done=True)
    assert [type(one) for one in a.hear()] == [mqtt5.PubAckPacket]
    assert broker.ledger.idle


def test_without_waiting_answers_are_sent_at_once() -> None:
    broker = Broker(None, None, Keeping(acks_wait=False))
    b = Peer(broker, "b", session_expiry_interval=100)
    assert b.subscribe("t") == [1]
    assert Peer(broker, "a").publish("t", retain=True) == 0


def _asking(pattern: str) -> bytes:
    return mqtt5.SubscribePacket(1, [mqtt5.TopicFilter(pattern)]).write()


def test_a_will_waits_for_its_client_to_come_back_after_a_restart() -> None:
    drawer, broker = Drawer(), Broker(None, None, Keeping())
    for name, expiry in (("lasting", 100), ("passing", 0), ("alone", 100)):
        will = mqtt5.Will(f"w/{name}", payload=name.encode(), qos=QOS[1], retain=True)
        Peer(broker, name, session_expiry_interval=expiry, will=will)
    drawer.take(broker)
    again = drawer.broker(50.0)
    hears = Peer(again, "hears", 50.0, keep_alive=0)
    hears.subscribe("w/#")
    Peer(again, "lasting", 50.0, clean_start=False, session_expiry_interval=100)
    assert hears.hear() == []
    again.tick(50.0 + again.limits.restart_grace_s)
    assert sorted(one.payload for one in hears.hear() if isinstance(one, mqtt5.PublishPacket)) == [b"alone", b"passing"]
    assert again.stats.wills == 2


def test_what_a_store_holds_that_makes_no_sense_is_counted_and_taken_away() -> None:
    rows: dict[tuple[str, str | int], bytes] = {
        ("message", 1): b"\xc1",
        ("message", 2): forms.encode(forms.MessageForm(0.0, "a", b"\x30\xff")),
        ("retained", "t"): forms.encode(9),
        ("session", "a"): b"",
        ("subscription", "b"): forms.encode(forms.SubscriptionForm("b", "t", 1, False, False, (), 0.0)),
        ("delivery", 3): forms.encode(forms.DeliveryForm("a", "", 1, 1, False, (), 0)),
    }
    drawer = Drawer()
    drawer.rows = rows
    broker = drawer.broker()
    assert broker.stats.unreadable == 6
    drawer.take(broker)
    assert drawer.rows == {}


def test_what_expired_while_the_broker_was_down_is_gone() -> None:
    drawer, broker = Drawer(), Broker(None, None, Keeping(1000.0))
    away = Peer(broker, "away", session_expiry_interval=5)
    away.say(_asking("t"))
    broker.lost(away.connection, 0.0)
    a = Peer(broker, "a")
    for expiry in (3, 30):
        a.publish("t", b"%d" % expiry, message_expiry_interval=expiry)
        a.publish(f"kept/{expiry}", message_expiry_interval=expiry, retain=True)
    drawer.take(broker)
    again = drawer.broker(0.0, 1004.0)  # its clock began anew, four seconds later
    assert [one.packet.topic for one in again.router.retained.matching("#", 0.0)] == ["kept/30"]
    assert [item.message.packet.payload for item in again.sessions["away"].queue] == [b"30"]
    again.tick(1.0)
    assert "away" not in again.sessions
