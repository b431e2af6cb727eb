"""Killed at any moment, a broker with a store comes back as one that was not killed, but for the last batch."""

import random
from typing import Any

import mqtt5
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.bus.mqtt import packets
from foa.bus.mqtt.broker.keeping import forms
from foa.bus.mqtt.broker.machine import Broker
from foa.bus.mqtt.broker.records import Keeping, Loss
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
