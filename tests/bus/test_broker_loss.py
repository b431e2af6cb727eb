"""A killed broker that comes back without a part of what it knew."""

import random

import mqtt5

from foa.bus.mqtt import packets
from foa.bus.mqtt.broker.machine import Broker
from foa.bus.mqtt.broker.records import Loss
from tests.bus.test_broker_limits import Peer


def said(peer: Peer) -> list[bytes]:
    return [one.payload for one in peer.said if isinstance(one, mqtt5.PublishPacket)]


def resumed(peer: Peer) -> bool:
    (ack,) = (one for one in peer.said if isinstance(one, mqtt5.ConnAckPacket))
    return ack.session_present


def crowd() -> Broker:
    """Two sessions away with a message each in their queues, fifty retained topics."""
    broker = Broker()
    for name in ("a", "b"):
        peer = Peer(broker, name, session_expiry_interval=100)
        peer.subscribe("t")
        broker.lost(peer.connection, 0.0)
    writer = Peer(broker, "w")
    writer.publish("t", b"queued")
    for number in range(50):
        writer.publish(f"kept/{number}", b"1", retain=True)
    return broker


def test_named_sessions_are_forgotten() -> None:
    broker = crowd()
    broker.crash(1.0, Loss(sessions=("a", "unknown")), random.Random(1))
    a, b = (Peer(broker, name, session_expiry_interval=100) for name in "ab")
    assert [(resumed(one), said(one)) for one in (a, b)] == [(False, []), (True, [b"queued"])]
    assert broker.router.retained.count == 50


def test_a_share_of_the_retained_topics_is_forgotten_as_the_seed_says() -> None:
    kept = []
    for seed in (1, 1, 2):
        broker = crowd()
        broker.crash(1.0, Loss(retained=0.5), random.Random(seed))
        kept.append([one.packet.topic for one in broker.router.retained.matching("#", 1.0)])
        assert 10 < len(kept[-1]) < 40
    assert kept[0] == kept[1] != kept[2]


def test_what_came_since_a_time_is_forgotten() -> None:
    broker = crowd()
    later = 10.0
    peer = Peer(broker, "a", later, session_expiry_interval=100)
    peer.say(packets.puback(1))
    peer.subscribe("u")
    new = Peer(broker, "new", later, session_expiry_interval=100)
    writer = Peer(broker, "w", later)
    writer.publish("kept/new", b"1", retain=True)
    for one in (peer, new):
        broker.lost(one.connection, later)
    writer.publish("t", b"late")
    broker.crash(later, Loss(since=5.0), random.Random(1))
    back = Peer(broker, "a", later, session_expiry_interval=100)
    assert (resumed(back), said(back)) == (True, [])
    assert not resumed(Peer(broker, "new", later))
    assert said(Peer(broker, "b", later, session_expiry_interval=100)) == [b"queued"]
    assert broker.router.retained.count == 50
    writer = Peer(broker, "w", later)
    assert [writer.publish("u"), writer.publish("t")] == [0x10, 0]
