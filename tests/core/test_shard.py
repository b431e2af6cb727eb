"""The index node's machine: filling, serving, refusing, handing over."""

from random import Random
from typing import Any

import msgspec
import pytest

from foa.core.effects import (
    Delivered,
    Elapsed,
    Key,
    Measure,
    Offline,
    Online,
    Publish,
    Received,
    Request,
    Returned,
    Started,
    Stop,
    Subscribe,
    Told,
)
from foa.core.machines import shard
from foa.core.routing.rendezvous import share
from foa.core.vcv.bloom import bloom
from foa.wire.codec import encode
from foa.wire.envelope import Envelope
from foa.wire.ids import Epoch
from foa.wire.messages import Ask, Blob, Control, Dead, Embed, Found, Presence, Rejected, Vectors
from foa.wire.records import Query, Resources
from foa.wire.topics import Topic
from tests.core.index_net import MODEL, TOPICS, Net, Node, profile_of, vcv_of, vcv_topic

EVERYTHING = tuple(range(TOPICS.partitions))


def presence_of(net: Net, name: str) -> Presence:
    word = net.retained[TOPICS.presence("index", name)].message
    assert isinstance(word, Presence)
    return word


def filled(count: int = 30, shards: tuple[str, ...] = ("i1",), **knobs: Any) -> Net:
    net = Net()
    for number in range(count):
        net.agent(profile_of(number))
    for name in shards:
        net.shard(name, **knobs)
    net.run(3.0)
    return net


def names(found: Found, at: int = 0) -> list[str]:
    return [hit.agent for hit in found.hits[at]]


def dead(net: Net) -> list[str]:
    return [frame.message.reason for frame in net.sent if isinstance(frame.message, Dead)]


def test_a_lone_node_lists_all_partitions_once_filled() -> None:
    net = filled()
    assert presence_of(net, "i1").partitions == EVERYTHING
    assert len(net.nodes["i1"].index) == 30


def test_a_query_is_answered_with_its_nearest_agents() -> None:
    net = filled()
    net.lookup()
    found = net.found(Ask((Query("please translate the pdf"), Query("plot a forecast")), 5))
    assert found.covered == EVERYTHING
    assert [len(hits) for hits in found.hits] == [5, 5]
    assert "translate" in " ".join(found.hits[0][0].skills) or found.hits[0][0].cosine > 0.2
    cosines = [hit.cosine for hit in found.hits[0]]
    assert cosines == sorted(cosines, reverse=True)


def test_offline_and_cleared_agents_are_not_found_and_return() -> None:
    net = filled()
    net.lookup()
    ask = Ask((Query("please translate the pdf"),), 3)
    best = names(net.found(ask))[0]
    card = net.retained[TOPICS.discovery(best)]
    net.publish(card._replace(envelope=Envelope(status="offline")))
    assert best not in names(net.found(ask))
    net.publish(card)
    assert names(net.found(ask))[0] == best
    net.publish(Publish(TOPICS.discovery(best), None, retain=True))
    assert best not in names(net.found(ask))


def test_gates_hold_and_do_not_ruin_recall() -> None:
    net = Net()
    for number in range(200):
        net.agent(profile_of(number, holds=("gdpr",) if number % 50 == 0 else ()))
    net.shard("i1")
    net.run(2.0)
    net.lookup()
    found = net.found(Ask((Query("translate", policies=("gdpr",)), Query("translate", exclude=("org/unit/a3",))), 10))
    assert sorted(names(found)) == ["org/unit/a0", "org/unit/a100", "org/unit/a150", "org/unit/a50"]
    assert len(found.hits[1]) == 10


def test_when_nearly_all_are_refused_the_second_search_finds_the_rest() -> None:
    net = Net()
    for number in range(150):
        price = 0.0 if number == 77 else 5.0
        net.agent(profile_of(number, resources=Resources(price_call=price)))
    net.shard("i1")
    net.run(2.0)
    net.lookup()
    found = net.found(Ask((Query("forecast", budget=1.0),), 8))
    assert names(found) == ["org/unit/a77"]
    assert [c.refused.split(":")[0] for c in found.refused[0]] == ["budget"] * 3


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("identity", {"agent": "org/unit/other"}),
        ("model", {"model": "else"}),
        ("vector", {"c": b"\0\0"}),
        ("vector", {"e": b"\x00\x7c" * MODEL.dim}),
        ("bloom", {"s": bytes(32)}),
        ("conflict", {"name": "another content, same version"}),
    ],
)
def test_unsound_vectors_are_refused_aloud(reason: str, change: dict[str, Any]) -> None:
    net = filled(3)
    profile = profile_of(1)
    bad = msgspec.structs.replace(vcv_of(profile), **change)
    net.publish(Publish(vcv_topic(profile.agent), bad, retain=True))
    net.run(1.0)
    assert dead(net) == [reason]
    assert Measure("shard_refused", label=reason) in net.nodes["i1"].effects


def test_a_vector_in_a_foreign_partition_and_a_stale_one_are_refused() -> None:
    net = filled(3)
    profile = profile_of(1)
    here = TOPICS.parse(vcv_topic(profile.agent)).partition
    net.publish(Publish(TOPICS.vcv((here + 1) % 16, profile.agent), vcv_of(profile)))
    net.publish(Publish(vcv_topic(profile.agent), vcv_of(profile, 0)))
    net.run(1.0)
    assert dead(net) == ["partition", "stale"]


def test_a_stranger_with_a_card_alone_is_derived_until_it_speaks_for_itself() -> None:
    net = filled(5)
    net.lookup()
    net.agent(profile_of(50), vector=False)
    net.run(1.0)
    assert "org/unit/a50" not in names(net.found(Ask((Query("x"),), 20)))
    net.run(10.0)
    assert "org/unit/a50" in names(net.found(Ask((Query("x"),), 20)))
    assert net.nodes["i1"].state.strangers == {}
    net.agent(profile_of(50), counter=7)
    found = net.found(Ask((Query("x"),), 20))
    assert [hit.version.counter for hit in found.hits[0] if hit.agent == "org/unit/a50"] == [7]
    assert dead(net) == []


def test_a_broken_card_is_refused_once() -> None:
    net = filled(2)
    net.publish(Publish(TOPICS.discovery("org/unit/zz"), Blob(body=b"nonsense"), Envelope(status="online")))
    net.run(30.0)
    assert dead(net) == ["card"]


def test_strangers_cannot_make_us_write_elsewhere() -> None:
    net = filled(2)
    ask = Ask((Query("x"),), 1)
    net.publish(Publish(TOPICS.index("i1", "ask"), ask, reply_to=TOPICS.own(3), correlation=b"c"))
    net.run(0.1)
    assert dead(net) == ["ask"]


def test_texts_of_many_askers_are_embedded_together() -> None:
    net = filled(2)
    node = net.nodes["i1"]
    for number in range(10):
        net.publish(
            Publish(
                TOPICS.index("i1", "embed"), Embed((f"text {number}",)),
                reply_to=TOPICS.reply("me", "x"), correlation=bytes([number]),
            )
        )  # fmt: skip
    net.embedded.clear()
    net.drain()
    answers = [frame for frame in net.sent if isinstance(frame.message, Vectors)]
    assert [frame.correlation for frame in answers] == [bytes([number]) for number in range(10)]
    assert len(net.embedded) <= 3
    assert node.state.work.jobs == {}
    assert node.state.work.batches == {}


def test_partitions_are_shared_and_everything_stays_covered_on_join_and_death() -> None:
    net = filled(40, ("i1", "i2", "i3"), replicas=2)
    net.run(5.0)
    for name in ("i1", "i2", "i3"):
        assert presence_of(net, name).partitions == share(name, ("i1", "i2", "i3"), 16, 2)
        assert len(net.nodes[name].index) < 40
    net.kill("i2")
    net.run(5.0)
    assert presence_of(net, "i1").partitions == presence_of(net, "i3").partitions == EVERYTHING


def test_the_old_holder_answers_until_the_new_one_is_complete() -> None:
    net = filled(40, ("i1",), replicas=1)
    before = dict(net.retained)
    net.lost_replays = {topic for topic in before if "/vcv/" in topic}
    net.shard("i2", replicas=1)
    net.run(2.0)
    assert presence_of(net, "i1").partitions == EVERYTHING
    net.lost_replays = set()
    net.run(10.0)
    assert presence_of(net, "i1").partitions == share("i1", ("i1", "i2"), 16)
    assert presence_of(net, "i2").partitions == share("i2", ("i1", "i2"), 16)
    assert len(net.nodes["i1"].index) + len(net.nodes["i2"].index) == 40


def test_a_replica_that_missed_something_heals() -> None:
    net = filled(20, ("i1", "i2"), replicas=2)
    net.nodes["i2"].deaf = True
    net.agent(profile_of(100))
    net.drain()
    net.nodes["i2"].deaf = False
    assert len(net.nodes["i2"].index) == 20
    net.run(60.0)
    assert len(net.nodes["i2"].index) == 21
    assert presence_of(net, "i1").digests == presence_of(net, "i2").digests


def test_a_node_corrects_what_its_own_will_says_and_ignores_ghosts() -> None:
    net = filled(2)
    net.publish(Publish(TOPICS.presence("index", "i1"), Presence("i1", "index", 1, alive=False), retain=True))
    net.run(0.1)
    assert presence_of(net, "i1").alive


def test_draining_hands_over_and_stops() -> None:
    net = filled(20, ("i1", "i2"), replicas=1)
    net.publish(Publish(TOPICS("control/drain"), Control("drain", "i1")))
    net.run(5.0)
    assert Stop("drained") in net.nodes["i1"].effects
    assert presence_of(net, "i2").partitions == EVERYTHING
    assert not presence_of(net, "i1").alive


def test_while_a_node_leaves_somebody_serves_every_partition() -> None:
    net = filled(20, ("i1", "i2", "i3"), replicas=1)
    net.publish(Publish(TOPICS("control/drain"), Control("drain", "i1")))
    for _ in range(100):
        net.run(0.05)
        words = [presence_of(net, name) for name in ("i1", "i2", "i3")]
        assert {p for word in words if word.alive for p in word.partitions} == set(EVERYTHING)
    assert Stop("drained") in net.nodes["i1"].effects


def test_the_last_node_goes_on_serving_unless_it_is_urged_to_leave() -> None:
    net = filled(5)
    net.publish(Publish(TOPICS("control/drain"), Control("drain", "i1")))
    net.run(60.0)
    node = net.nodes["i1"]
    assert Stop("drained") not in node.effects
    assert presence_of(net, "i1").partitions == EVERYTHING
    _, effects = shard.step(node.state, Told(Key("shell"), "leave"), 99.0, Random(0))
    assert Stop("drained") in effects


def test_an_agent_that_says_nothing_any_more_is_found_no_more_and_a_late_will_changes_nothing() -> None:
    net = filled(2)
    node = net.nodes["i1"]
    agent = profile_of(0).agent
    card = Received(Topic("discovery", agent=agent), Blob(b"{}"), Envelope(status="online", epoch=Epoch(7, "x")))
    state, _ = shard.step(node.state, card._replace(expiry_s=180), 10.0, Random(0))
    will = Envelope(status="offline", epoch=Epoch(6, "x"), source="lwt")
    state, effects = shard.step(state, card._replace(envelope=will), 11.0, Random(0))
    assert effects == [Measure("shard_late_wills")]
    assert state.catalogue.is_findable(agent)
    state, _ = shard.step(state, Elapsed("refresh"), 189.0, Random(0))
    assert state.catalogue.is_findable(agent)
    state, _ = shard.step(state, Elapsed("refresh"), 191.0, Random(0))
    assert not state.catalogue.is_findable(agent)


def test_presence_is_refreshed_and_the_silent_are_replaced() -> None:
    net = filled(20, ("i1", "i2"), replicas=1)
    del net.nodes["i2"]  # vanishes without a will
    net.run(45.0)
    assert presence_of(net, "i1").partitions == EVERYTHING


def test_unknown_events_change_nothing() -> None:
    node: Node = filled(1).nodes["i1"]
    for event in (Started(), Offline(), Delivered("x", 0), Elapsed("other"), Returned("embed:99"), Returned("zzz")):
        state, effects = shard.step(node.state, event, 9.0, Random(0))
        assert (state, effects) == (node.state, [])


def test_when_the_broker_forgets_the_living_are_found_throughout_and_the_dead_vanish() -> None:
    net = filled(20, ("i1", "i2"), replicas=2)
    net.lookup()
    net.retained.clear()
    for name in ("i1", "i2", "asker"):
        net.feed(name, Online(False))
    net.run(4.0)
    assert len(net.found(Ask((Query("x"),), 50)).hits[0]) == 20
    for number in range(19):
        net.agent(profile_of(number))
    net.run(60.0)
    assert sorted(names(net.found(Ask((Query("x"),), 50)))) == sorted(f"org/unit/a{n}" for n in range(19))


def test_what_was_removed_while_a_lone_node_was_away_is_forgotten() -> None:
    net = filled(10)
    net.nodes["i1"].deaf = True
    gone = profile_of(3).agent
    net.publish(Publish(vcv_topic(gone), None, retain=True))
    net.publish(Publish(TOPICS.discovery(gone), None, retain=True))
    net.nodes["i1"].deaf = False
    net.feed("i1", Online(False))
    net.perform(net.nodes["i1"], Subscribe(tuple(net.nodes["i1"].patterns)))  # as the bus does
    net.run(60.0)
    assert len(net.nodes["i1"].index) == 9
    assert gone not in net.nodes["i1"].state.catalogue.entries


def test_dead_letters_are_bounded_but_all_is_counted() -> None:
    net = filled(1)
    bad = msgspec.structs.replace(vcv_of(profile_of(0)), model="else")
    for _ in range(50):
        net.publish(Publish(vcv_topic(bad.agent), bad))
    net.drain()
    assert len(dead(net)) == 10
    assert net.nodes["i1"].effects.count(Measure("shard_refused", label="model")) == 50


def test_large_answers_are_cut_to_what_the_wire_takes() -> None:
    net = Net()
    skills = tuple(f"{'s' * 50}{n}" for n in range(128))
    for number in range(100):
        vcv = msgspec.structs.replace(vcv_of(profile_of(number)), skills=skills, s=bloom(skills))
        net.publish(Publish(vcv_topic(vcv.agent), vcv, retain=True))
        net.agent(profile_of(number), vector=False)
    net.shard("i1")
    net.run(2.0)
    net.lookup()
    found = net.found(Ask((Query("x"), Query("y")), 1000))
    assert len(encode(found)) < 256 * 1024
    assert 5 < len(found.hits[0]) < 100


def test_a_stream_of_newcomers_does_not_starve_the_first_stranger() -> None:
    net = filled(1)
    for number in range(100, 110):
        net.agent(profile_of(number), vector=False)
        net.run(1.0)
    assert len(net.nodes["i1"].index) >= 4


def test_a_failing_embedder_or_index_is_told_to_the_asker() -> None:
    node = filled(1).nodes["i1"]
    reply, ask = TOPICS.reply("me", "x"), Ask((Query("x"),), 3)
    asked = Received(TOPICS.parse(TOPICS.index("i1", "ask")), ask, reply_to=reply, correlation=b"1")
    state, (request,) = shard.step(node.state, asked, 9.0, Random(0))
    assert isinstance(request, Request)
    state, effects = shard.step(state, Returned(request.token, None, "no model"), 9.0, Random(0))
    (answer,) = [effect for effect in effects if isinstance(effect, Publish)]
    assert answer.message == Rejected("", "embed", "no model")
    state, (request,) = shard.step(state, asked, 9.0, Random(0))
    assert isinstance(request, Request)
    made = Vectors(MODEL.model, (vcv_of(profile_of(0)).c,))
    state, (search,) = shard.step(state, Returned(request.token, made), 9.0, Random(0))
    assert isinstance(search, Request)
    state, effects = shard.step(state, Returned(search.token, None, "broken"), 9.0, Random(0))
    (answer,) = [effect for effect in effects if isinstance(effect, Publish)]
    assert answer.message == Rejected("", "index", "broken")
    assert not state.work.jobs
    assert not state.work.searches


def test_jobs_that_nobody_waits_for_are_dropped_and_too_many_are_refused() -> None:
    node = filled(1).nodes["i1"]
    state = node.state
    topic, reply = TOPICS.parse(TOPICS.index("i1", "embed")), TOPICS.reply("me", "x")
    for _ in range(1024):
        state, _ = shard.step(state, Received(topic, Embed(("x",)), reply_to=reply), 9.0, Random(0))
    state, effects = shard.step(state, Received(topic, Embed(("x",)), reply_to=reply), 9.0, Random(0))
    assert isinstance(effects[0], Publish)
    assert isinstance(effects[0].message, Rejected)
    state, _ = shard.step(state, Elapsed("refresh"), 100.0, Random(0))
    assert not state.work.jobs
    state, effects = shard.step(state, Received(topic, Embed(("x",)), reply_to=reply), 100.0, Random(0))
    assert [effect.service for effect in effects if isinstance(effect, Request)] == ["embed"]
