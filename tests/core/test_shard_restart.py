"""An index node that comes back with what it kept: it serves at once, and ends up with what the broker has."""

from foa.core.effects import Event, Publish
from foa.core.routing.rendezvous import share
from foa.wire.messages import Ask, Presence, Vcv
from foa.wire.records import Query
from tests.core.index_net import TOPICS, Net, event_of, profile_of, vcv_topic

EVERYTHING = tuple(range(TOPICS.partitions))
ALL = Ask((Query("x"),), 50)


def filled(shards: tuple[str, ...] = ("i1",), replicas: int = 2) -> Net:
    net = Net()
    for number in range(20):
        net.agent(profile_of(number))
    for name in shards:
        net.shard(name, replicas=replicas)
    net.run(3.0)
    return net


def served(net: Net, name: str) -> tuple[int, ...]:
    word = net.retained[TOPICS.presence("index", name)].message
    assert isinstance(word, Presence)
    return word.partitions


def agents(net: Net) -> list[str]:
    return sorted(hit.agent for hit in net.found(ALL).hits[0])


def test_all_that_is_known_is_kept_and_nothing_else() -> None:
    net = filled()
    node = net.nodes["i1"]
    net.publish(Publish(vcv_topic("org/unit/a3"), None, retain=True))
    net.agent(profile_of(4), 2)
    net.publish(Publish(TOPICS.discovery("org/unit/a5"), None, retain=True))
    net.run(1.0)
    assert set(node.kept) == set(node.state.catalogue.entries)
    for agent, kept in node.kept.items():
        assert kept.entry == node.state.catalogue.entries[agent]
        assert kept.online == node.state.catalogue.online.get(agent)


def test_a_lone_node_serves_what_it_kept_though_the_replay_is_lost() -> None:
    net = filled()
    kept = net.nodes["i1"].kept
    net.kill("i1")
    net.lost_replays = set(net.retained)
    net.shard("i1", 2, kept)
    net.run(0.6)
    assert served(net, "i1") == EVERYTHING
    net.lookup()
    net.feed("asker", net_presence(net, "i1"))
    assert len(agents(net)) == 20


def net_presence(net: Net, name: str) -> Event:
    return event_of(net.retained[TOPICS.presence("index", name)], retained=True)


def test_what_it_kept_is_announced_when_it_has_heard_who_else_is_there() -> None:
    net = filled()
    kept = net.nodes["i1"].kept
    net.kill("i1")
    net.retained.pop(TOPICS.presence("index", "i1"))  # nothing of its earlier life is there to be corrected
    net.lost_replays = set(net.retained)
    net.shard("i1", 2, kept)
    net.run(0.3)
    assert served(net, "i1") == tuple(sorted({each.entry.partition for each in kept.values() if each.entry}))


def test_what_changed_meanwhile_comes_with_the_replay_and_what_went_goes() -> None:
    net = filled()
    kept = dict(net.nodes["i1"].kept)
    net.kill("i1")
    for topic in (vcv_topic("org/unit/a3"), TOPICS.discovery("org/unit/a3")):
        net.publish(Publish(topic, None, retain=True))
    net.agent(profile_of(4), 9)
    net.agent(profile_of(77))
    net.shard("i1", 2, kept)
    net.run(60.0)
    node = net.nodes["i1"]
    assert set(node.state.catalogue.entries) == {f"org/unit/a{n}" for n in range(20) if n != 3} | {"org/unit/a77"}
    assert node.state.catalogue.entries["org/unit/a4"].hit.version.counter == 9
    assert set(node.kept) == set(node.state.catalogue.entries)
    net.lookup()
    assert len(agents(net)) == 20


def test_an_agent_whose_card_went_is_found_until_that_is_certain() -> None:
    net = filled()
    kept = dict(net.nodes["i1"].kept)
    net.kill("i1")
    net.publish(Publish(TOPICS.discovery("org/unit/a3"), None, retain=True))
    net.shard("i1", 2, kept)
    net.run(60.0)
    net.lookup()
    assert "org/unit/a3" not in agents(net)


def test_a_replica_decides_whether_it_is_complete_at_once() -> None:
    net = filled(("i1", "i2"))
    kept = dict(net.nodes["i1"].kept)
    net.kill("i1")
    changed = vcv_topic("org/unit/a4")
    net.agent(profile_of(4), 9)
    net.run(2.0)
    net.lost_replays = {topic for topic, frame in net.retained.items() if isinstance(frame.message, Vcv)}
    net.shard("i1", 2, kept)
    net.run(0.6)
    behind = TOPICS.parse(changed).partition
    assert set(EVERYTHING) - set(served(net, "i1")) == {behind}
    net.lost_replays = set()
    net.run(20.0)
    assert served(net, "i1") == EVERYTHING


def test_partitions_that_others_have_now_are_given_up() -> None:
    net = filled()
    kept = dict(net.nodes["i1"].kept)
    net.kill("i1")
    net.shard("i2", replicas=1)
    net.shard("i3", replicas=1)
    net.run(5.0)
    net.shard("i1", 2, kept, replicas=1)
    net.run(5.0)
    node = net.nodes["i1"]
    mine = share("i1", ("i1", "i2", "i3"), 16)
    assert served(net, "i1") == mine
    assert {entry.partition for entry in node.state.catalogue.entries.values()} <= set(mine)
    assert set(node.kept) == set(node.state.catalogue.entries)
    assert len(node.index) == len(node.state.catalogue.columns)
