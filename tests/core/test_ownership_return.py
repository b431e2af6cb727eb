"""After a broker's absence: what it says of peers may be old, and they have time to come back before they are dead."""

from foa.core import effects as fx
from foa.core.machines.ownership.state import WILL_S
from foa.wire.messages import Presence
from tests.core.test_ownership import RULES, Node, exchange, firsts, settled


def _away(node: Node, seconds: float) -> None:
    node.feed(fx.Offline())
    node.now += seconds
    node.feed(fx.Online(resumed=True))


def _will(node: Node) -> fx.Publish:
    return fx.Publish(f"foa/v1/presence/coordinator/{node.state.node}", _dead(node))


def _dead(node: Node) -> Presence:
    return Presence(node.state.node, "coordinator", node.state.birth, alive=False)


def test_a_broker_that_comes_back_with_every_will_moves_nothing() -> None:
    c1, c2 = settled("c1", "c2")
    before = (c1.owns, c2.owns)
    for node in (c1, c2):
        _away(node, 1.0)
    c1.hear(_will(c2))
    c2.hear(_will(c1))
    exchange(c1, c2)
    for node in (c1, c2):
        node.elapse("reclaim")
        if "doubt" in node.timers:
            node.elapse("doubt")
    exchange(c1, c2)
    assert (c1.owns, c2.owns) == before
    assert all(claim.n == 1 for node in (c1, c2) for claim in node.state.claims.values()), "nobody claimed anew"


def test_a_peer_that_does_not_come_back_with_the_broker_is_dead_in_the_end() -> None:
    c1, c2 = settled("c1", "c2")
    _away(c1, 1.0)
    c1.hear(_will(c2))
    exchange(c1)
    assert c1.owns == firsts("c1", "c1", "c2"), "not yet"
    assert c1.timers["doubt"] == c1.now + RULES.return_s
    c1.elapse("doubt")
    exchange(c1)
    assert len(c1.owns) == len(firsts("c1", "c1"))


def test_a_will_while_the_bus_is_there_is_a_death_in_a_moment() -> None:
    c1, c2 = settled("c1", "c2")
    c1.hear(_will(c2))
    assert c1.timers["doubt"] == c1.now + WILL_S
    c1.elapse("doubt")
    exchange(c1)
    assert len(c1.owns) == len(firsts("c1", "c1"))


def test_a_broker_that_ends_in_good_order_publishes_every_will_and_moves_nothing() -> None:
    """Its wills come just before our own link ends: nothing is claimed on them, not even in the outbox."""
    c1, c2 = settled("c1", "c2")
    before = c1.owns
    assert [one for one in c1.hear(_will(c2)) or [] if isinstance(one, fx.Publish)] == []
    _away(c1, 1.0)
    alive = Presence("c2", "coordinator", c2.state.birth, partitions=tuple(c2.owns))
    c1.hear(fx.Publish("foa/v1/presence/coordinator/c2", alive))
    c1.elapse("doubt")
    exchange(c1)
    assert c1.owns == before


def test_who_died_just_before_our_own_link_broke_is_dead_in_the_end() -> None:
    c1, c2 = settled("c1", "c2")
    c1.hear(_will(c2))
    _away(c1, 1.0)
    assert c1.timers["doubt"] == c1.now + RULES.return_s
    c1.elapse("doubt")
    exchange(c1)
    assert len(c1.owns) == len(firsts("c1", "c1"))
