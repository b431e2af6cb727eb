"""The asking side: one leg where one suffices, one fan-out else, patience, retries, memory; and churn."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.adapters.embed import serve
from foa.core.effects import Publish, Told
from foa.core.machines import lookup
from foa.core.machines.lookup.state import Job, keep_answer, reusable
from foa.core.routing.exchange import Answer, Asked
from foa.core.vcv.vector import cosine
from foa.wire.messages import Ask, Embed, Found, Presence, Rejected, Vectors
from foa.wire.records import Query
from tests.core.index_net import ME, MODEL, TOPICS, WORDS, Net, profile_of, vcv_of, vcv_topic

EVERYTHING = tuple(range(TOPICS.partitions))
ASK = Ask((Query("please translate the pdf"), Query("plot the csv")), 5)


def world(agents: int = 30, shards: int = 3, replicas: int = 1) -> Net:
    net = Net()
    for number in range(agents):
        net.agent(profile_of(number))
    for number in range(shards):
        net.shard(f"i{number}", replicas=replicas)
    net.run(6.0)
    net.lookup()
    net.sent.clear()
    return net


def asked(net: Net, kind: type) -> list[str]:
    return [frame.topic.split("/")[3] for frame in net.sent if isinstance(frame.message, kind)]


def oracle(agents: dict[int, int], text: str, k: int) -> list[tuple[str, float]]:
    """Return the k nearest by brute force over what was published."""
    vectors = {number: vcv_of(profile_of(number), counter) for number, counter in agents.items()}
    query = vcv_of_text(text)
    scored = [(vcv.agent, cosine(query, vcv.c)) for vcv in vectors.values()]
    return sorted(scored, key=lambda pair: (-round(pair[1], 5), pair[0]))[:k]


def vcv_of_text(text: str) -> bytes:
    return serve(MODEL, (text,)).vectors[0]


def test_one_covering_node_gets_the_text_itself() -> None:
    net = world(shards=1)
    found = net.found(ASK)
    assert asked(net, Embed) == []
    assert asked(net, Ask) == ["i0"]
    assert found.covered == EVERYTHING
    assert all(found.vectors)


def test_several_nodes_get_the_vector_after_one_leg_for_it() -> None:
    net = world()
    found = net.found(ASK)
    assert len(asked(net, Embed)) == 1
    assert sorted(asked(net, Ask)) == ["i0", "i1", "i2"]
    assert found.covered == EVERYTHING
    for at, query in enumerate(ASK.queries):
        best = oracle(dict.fromkeys(range(30), 1), query.text, 5)
        assert [round(hit.cosine, 3) for hit in found.hits[at]] == [round(value, 3) for _, value in best]


def test_repeats_skip_the_embedding() -> None:
    net = world()
    net.found(ASK)
    net.sent.clear()
    net.found(ASK)
    assert asked(net, Embed) == []
    net.embedded.clear()
    node = net.ask(Embed((ASK.queries[1].text, ASK.queries[0].text)))
    answer = node.told[-1].found
    assert isinstance(answer, Vectors)
    assert len(answer.vectors) == 2
    assert net.embedded == []


def test_replicas_make_few_legs() -> None:
    net = world(shards=3, replicas=3)
    net.found(ASK)
    assert len(asked(net, Ask)) == 1


def test_many_in_flight_each_get_their_own_answer() -> None:
    net = world()
    node = net.nodes["asker"]
    texts = [f"{a} and {b}" for a in WORDS for b in WORDS]
    for number, text in enumerate(texts):
        net.queue.append(("asker", Told(ME, Asked(f"t{number}", Ask((Query(text),), 3)))))
    net.run(2.0)
    answers = {answer.token: answer.found for answer in node.told}
    assert len(answers) == len(texts)
    for number in (0, 17, 120):
        found = answers[f"t{number}"]
        assert isinstance(found, Found)
        best = oracle(dict.fromkeys(range(30), 1), texts[number], 3)
        assert [round(hit.cosine, 3) for hit in found.hits[0]] == [round(value, 3) for _, value in best]
    state = node.state
    assert not state.jobs
    assert not state.asked
    assert not +state.loads


def test_without_any_index_node_it_waits_then_answers_emptily() -> None:
    net = Net()
    net.lookup(wait_s=3.0)
    node = net.ask(ASK)
    net.run(2.9)
    assert node.told == []
    net.run(0.2)
    assert node.told == [Answer("t", Found(hits=((), ())))]


def test_a_question_waits_for_the_first_index_node() -> None:
    net = Net()
    net.agent(profile_of(1))
    net.lookup()
    node = net.ask(ASK)
    net.shard("i0")
    net.run(3.0)
    assert isinstance(node.told[0].found, Found)
    assert node.told[0].found.covered == EVERYTHING


def test_without_an_index_node_there_are_no_vectors_and_a_reason() -> None:
    net = Net()
    net.lookup(wait_s=1.0)
    node = net.ask(Embed(("x",)))
    net.run(2.0)
    assert node.told[0].found is None
    assert node.told[0].error


def test_a_deaf_shard_is_asked_elsewhere_once() -> None:
    net = world(shards=2, replicas=2)
    first = "i0" if asked_of(net) == "i0" else "i1"
    net.nodes[first].deaf = True
    net.sent.clear()
    found = net.found(msgspec.structs.replace(ASK, k=3))
    assert found.covered == EVERYTHING
    assert len(found.hits[0]) == 3


def asked_of(net: Net) -> str:
    net.found(ASK)
    return asked(net, Ask)[0]


def test_who_was_silent_is_asked_last_until_it_is_heard() -> None:
    net = world(shards=2, replicas=2)
    silent = asked_of(net)
    net.nodes[silent].deaf = True
    net.nodes[silent].timers.clear()  # a dead node whose will is not there yet says nothing
    node = net.nodes["asker"]
    number = 0
    while silent not in node.state.doubted:
        number += 1
        net.ask(Ask((Query(f"text {number} that nobody has the vector of"),), 3), token=f"a{number}")
        net.run(node.state.setup.answer_s + 0.1)
        assert node.told[-1].token == f"a{number}", "not even the vectors are waited for where another makes them"
    assert asked_by(net, "later") == {"i0", "i1"} - {silent}
    net.nodes[silent].deaf = False
    back = node.state.members.presences()[silent]
    net.publish(Publish(TOPICS.presence("index", silent), back, retain=True))
    assert asked_by(net, "after") == {"i0", "i1"}


def asked_by(net: Net, word: str) -> set[str]:
    """Return who is asked 20 new questions, each answered in full."""
    net.sent.clear()
    for number in range(20):
        net.ask(Ask((Query(f"{word} {number}"),), 3), token=f"{word} {number}")
        net.run(0.1)
        told = net.nodes["asker"].told[-1]
        assert told.token == f"{word} {number}"
        assert isinstance(told.found, Found)
        assert told.found.covered == EVERYTHING
    return set(asked(net, Ask))


def test_a_late_shard_is_left_out_and_the_answer_says_so() -> None:
    net = world(shards=3, replicas=1)
    net.found(ASK)
    net.nodes["i1"].deaf = True
    found = net.found(ASK)
    assert 0 < len(found.covered) < 16
    assert found.hits[0]


def test_a_death_is_noticed_before_the_timeout() -> None:
    net = world(shards=2, replicas=2)
    net.found(ASK)
    node = net.nodes["asker"]
    net.nodes["i0"].deaf = net.nodes["i1"].deaf = True
    net.ask(ASK, token="u")
    leg = next(iter(next(iter(node.state.jobs.values())).legs.values()))
    net.nodes["i0"].deaf = net.nodes["i1"].deaf = False
    net.kill(leg.node)
    net.run(0.01)
    assert node.told[-1].token == "u"
    assert isinstance(node.told[-1].found, Found)
    assert node.told[-1].found.covered == EVERYTHING


def test_a_refusal_is_asked_elsewhere_and_foreign_answers_are_nothing() -> None:
    net = world(shards=2, replicas=2)
    for shard in ("i0", "i1"):
        net.nodes[shard].deaf = True
    node = net.ask(ASK)
    job = next(iter(node.state.jobs.values()))
    correlation = next(iter(job.legs))
    reply = TOPICS.reply("asker", "lookup")
    net.publish(Publish(reply, Found(hits=()), correlation=b"unknown"))
    net.publish(Publish(reply, Rejected("", "busy", "later"), correlation=correlation))
    net.publish(Publish(reply, Rejected("", "busy", "later"), correlation=correlation))
    net.drain()
    assert len(job.legs) == 1
    assert correlation not in job.legs
    net.publish(Publish(reply, Found(hits=(), model="else"), correlation=next(iter(job.legs))))
    net.drain()
    assert node.told[-1].found == Found(hits=((), ()))


def test_what_a_restarted_node_does_not_cover_is_asked_of_its_replica() -> None:
    net = world(shards=2, replicas=2)
    net.found(ASK)
    node = net.nodes["asker"]
    for shard in ("i0", "i1"):
        net.nodes[shard].deaf = True
    net.ask(ASK, token="r")
    job = next(iter(node.state.jobs.values()))
    ((correlation, leg),) = job.legs.items()
    for shard in ("i0", "i1"):
        net.nodes[shard].deaf = False
    empty = Found(hits=((), ()), model=job.model)
    net.publish(Publish(TOPICS.reply("asker", "lookup"), empty, correlation=correlation))
    net.run(0.1)
    assert asked(net, Ask)[-1] != leg.node
    assert isinstance(node.told[-1].found, Found)
    assert node.told[-1].found.covered == EVERYTHING
    assert node.told[-1].found.hits[0]


def test_two_models_are_never_mixed() -> None:
    net = world(shards=1)
    foreign = Presence("x9", "index", 1, partitions=(0, 1), model="other")
    net.publish(Publish(TOPICS.presence("index", "x9"), foreign, retain=True))
    net.found(ASK)
    assert set(asked(net, Ask)) == {"i0"}


def test_what_was_asked_of_a_node_that_was_away_is_asked_when_it_is_back() -> None:
    """Questions travel without a receipt: one that is sent while the node reconnects is lost."""
    net = world(shards=1)
    net.found(ASK)
    net.nodes["i0"].deaf = True
    node = net.ask(Ask((Query("never asked before"),), 3), token="late")
    net.run(0.5)
    assert all(answer.token != "late" for answer in node.told)
    net.nodes["i0"].deaf = False
    back = next(iter(node.state.members.presences().values()))
    net.publish(Publish(TOPICS.presence("index", "i0"), back, retain=True))
    net.run(0.5)
    assert node.told[-1].token == "late"
    assert isinstance(node.told[-1].found, Found)
    assert node.told[-1].found.hits[0]


def test_the_memory_of_vectors_is_bounded() -> None:
    net = world(shards=1)
    node = net.nodes["asker"]
    for first in range(0, lookup.MAX_VECTORS + 640, 64):
        net.ask(Embed(tuple(f"t{first + at}" for at in range(64))))
    assert len(node.state.vectors) == lookup.MAX_VECTORS
    assert {len(place) for place in node.state.vectors} == {16}, "a long text takes no more room than a short one"


def test_an_answer_is_kept_no_longer_than_it_serves() -> None:
    state = lookup.new(lookup.Setup(topics=TOPICS, node="me", reuse_s=0.25))
    for number in range(50):
        ask, now = Ask((Query(f"t{number}"),), 3), number * 0.1
        keep_answer(state, Job(ME, "", ask, now), Found(hits=((),), covered=(0,)), now)
        assert reusable(state, ask, now + 0.2) is not None
        assert reusable(state, ask, now + 0.3) is None
        assert len(state.answers) <= 4, "in a quarter of a second three were asked before this one"


MOVES = st.lists(
    st.tuples(st.sampled_from(("join", "kill", "restart", "vanish", "agent", "update", "offline", "remove")),
              st.integers(0, 3)),
    max_size=8,
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(MOVES, st.integers(1, 2), st.sets(st.integers(0, 11), max_size=4))
def test_whoever_comes_and_goes_the_answers_are_those_of_one_big_table(
    moves: list[tuple[str, int]], copies: int, lost: set[int]
) -> None:
    net = Net()
    net.lookup()
    agents = dict.fromkeys(range(12), 1)
    for number in agents:
        net.agent(profile_of(number))
    epoch = 1
    net.lost_replays = {vcv_topic(profile_of(number).agent) for number in lost}
    net.shard("i9", replicas=copies)
    net.run(2.0)
    for kind, which in moves:
        epoch += 1
        node = f"i{which}"
        if kind == "join" or (kind == "restart" and node not in net.nodes):
            net.nodes.pop(node, None)
            net.shard(node, epoch=epoch, replicas=copies)
        elif kind == "restart":
            net.kill(node)
            net.shard(node, epoch=epoch, replicas=copies)
        elif kind == "kill" and node in net.nodes:
            net.kill(node)
        elif kind == "vanish":
            net.nodes.pop(node, None)
        else:
            change(net, agents, kind, which)
        net.run(0.4)
    net.lost_replays = set()
    net.run(60.0)
    found = net.found(Ask((Query("please translate the pdf"),), 8))
    assert found.covered == EVERYTHING
    best = oracle(agents, "please translate the pdf", 8)
    assert [(hit.version.counter, round(hit.cosine, 3)) for hit in found.hits[0]] == [
        (agents[int(agent.rpartition("/a")[2])], round(value, 3)) for agent, value in best
    ]


def change(net: Net, agents: dict[int, int], kind: str, which: int) -> None:
    if kind == "agent":
        number = 20 + which
        agents[number] = agents.get(number, 0) + 1
        net.agent(profile_of(number), agents[number])
    elif kind == "update" and which in agents:
        agents[which] += 1
        net.agent(profile_of(which), agents[which])
    elif kind == "offline" and which + 4 in agents:
        del agents[which + 4]
        net.agent(profile_of(which + 4), status="offline", vector=False)
    elif kind == "remove" and which + 8 in agents:
        del agents[which + 8]
        agent = profile_of(which + 8).agent
        net.publish(Publish(vcv_topic(agent), None, retain=True))
        net.publish(Publish(TOPICS.discovery(agent), None, retain=True))
