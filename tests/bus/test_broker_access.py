"""What the broker does where somebody may not: it says so, counts it, and goes on."""

import mqtt5

from foa.bus.mqtt import packets
from foa.bus.mqtt.broker.machine import Broker
from foa.bus.mqtt.broker.ports import Identity
from tests.bus.test_broker_limits import Peer, reason

QOS = packets.QOS


class Own:
    """Everybody may write and hear below the own name only, and ask for anything but what is secret."""

    def refusal(self, packet: mqtt5.ConnectPacket, certified: str = "") -> mqtt5.ConnAckReasonCode | None:
        del certified
        return mqtt5.ConnAckReasonCode.BANNED if packet.client_id == "banned" else None

    def may_write(self, who: Identity, topic: str) -> bool:
        return topic.startswith((f"{who.client_id}/", "all/"))

    def may_hear(self, who: Identity, topic: str) -> bool:
        return topic.startswith((f"{who.client_id}/", "all/")) or who.client_id == "god"

    def may_ask(self, who: Identity, pattern: str) -> bool:
        del who
        return not pattern.startswith("secret/")


def payloads(said: list[packets.Packet]) -> list[bytes]:
    return [one.payload for one in said if isinstance(one, mqtt5.PublishPacket)]


def test_who_is_refused_is_told() -> None:
    assert reason(Peer(Broker(access=Own()), "banned").said) == 0x8A


def test_a_denied_publication_is_answered_counted_and_goes_nowhere() -> None:
    broker = Broker(access=Own())
    god = Peer(broker, "god")
    god.subscribe("#")
    a = Peer(broker, "a")
    assert a.publish("b/t", retain=True) == 0x87
    assert a.say(mqtt5.PublishPacket("b/t", b"quiet").write()) == []
    assert a.publish("a/t", b"heard") == 0
    assert payloads(god.hear()) == [b"heard"]
    assert broker.stats.denied_writes == 2
    assert broker.router.retained.count == 0


def test_a_will_that_may_not_be_written_refuses_its_connection() -> None:
    broker = Broker(access=Own())
    assert reason(Peer(broker, "a", will=mqtt5.Will("b/t")).said) == 0x87
    assert reason(Peer(broker, "a", will=mqtt5.Will("a/t")).said) == 0
    assert broker.stats.denied_wills == 1


def test_deliveries_replays_and_groups_leave_out_what_may_not_be_heard() -> None:
    broker = Broker(access=Own())
    god = Peer(broker, "god")
    assert god.publish("all/kept", b"1", retain=True) == 0
    a, b = Peer(broker, "a"), Peer(broker, "b")
    assert b.publish("b/kept", b"2", retain=True) == 0
    assert a.subscribe("secret/x", "#", "$share/g/+/t") == [0x87, 1, 1]
    assert payloads(a.hear()) == []
    assert b.subscribe("$share/g/+/t") == [1]
    assert b.publish("b/t", b"3") == 0  # only b of the group may hear it
    assert payloads(a.hear()) == []
    assert [b.publish("b/t", b"4") for _ in range(3)] == [0, 0, 0]
    assert payloads(a.hear()) == []
    assert god.publish("god/t") == 0x10  # nobody may hear it: as if there were no subscriber
    assert broker.stats.denied_subscriptions == 1


def test_a_session_is_resumed_by_its_own_account_only() -> None:
    broker = Broker(access=Own())
    first = Peer(broker, "a", username="one", session_expiry_interval=100)
    first.subscribe("all/#")
    broker.lost(first.connection, 0.0)
    (ack,) = Peer(broker, "a", username="two", session_expiry_interval=100).said
    assert isinstance(ack, mqtt5.ConnAckPacket)
    assert not ack.session_present
