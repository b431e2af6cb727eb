"""Who owns which partition: coordinators on a tiny retained bus, and single steps where the order matters."""

from random import Random

import msgspec

from foa.core import effects as fx
from foa.core.effects import Effect, Event
from foa.core.machines import ownership
from foa.core.machines.ownership import Rules, State, owned, step
from foa.core.machines.ownership.state import AT_ONCE
from foa.core.routing.ownership import Anew, Holds, Left, Lost, Opened
from foa.core.routing.rendezvous import order
from foa.wire.ids import Epoch, partition_of
from foa.wire.messages import Blob, Cancel, Control, Dead, Own, Presence, Rejected, Submit
from foa.wire.records import Task
from foa.wire.topics import Topic, Topics

TOPICS = Topics("foa/v1", 8)
RULES = Rules(refresh_s=10.0, settle_s=0.25, reclaim_s=1.0)


class Node:
    """One ownership machine; frames it publishes are kept until `take`."""

    def __init__(self, name: str, birth: int = 1, now: float = 0.0) -> None:
        self.state = State(name, birth, TOPICS, RULES)
        self.now = now
        self.sent: list[fx.Publish] = []
        self.told: list[object] = []
        self.timers: dict[str, float] = {}

    def feed(self, event: Event) -> list[Effect]:
        self.state, effects = step(self.state, event, self.now, Random(1))
        for effect in effects:
            match effect:
                case fx.Publish():
                    self.sent.append(effect)
                case fx.TellAll(_, message) | fx.Tell(_, message):
                    self.told.append(message)
                case fx.Wake(timer, at):
                    self.timers[timer] = at
        return effects

    def take(self) -> list[fx.Publish]:
        said, self.sent = self.sent, []
        return said

    def hear(self, frame: fx.Publish) -> list[Effect]:
        topic = TOPICS.parse(frame.topic)
        assert not isinstance(frame.message, bytes)
        return self.feed(fx.Cleared(topic) if frame.message is None else fx.Received(topic, frame.message))

    def elapse(self, timer: str) -> list[Effect]:
        self.now = max(self.now, self.timers.pop(timer))
        return self.feed(fx.Elapsed(timer))

    @property
    def owns(self) -> list[int]:
        return [p for p in range(TOPICS.partitions) if owned(self.state, p) is not None]


def exchange(*nodes: Node) -> None:
    """Bring every frame to every node, its author too, until all is said."""
    while any(node.sent for node in nodes):
        for frame in [frame for node in nodes for frame in node.take()]:
            for node in nodes:
                node.hear(frame)


def settled(*names: str) -> list[Node]:
    nodes = [Node(name) for name in names]
    for node in nodes:
        node.feed(fx.Online(resumed=False))
    exchange(*nodes)
    for node in nodes:
        node.elapse("settle")
    exchange(*nodes)
    return nodes


def firsts(name: str, *names: str) -> list[int]:
    return [p for p in range(TOPICS.partitions) if order(p, names)[0] == name]


def test_every_partition_has_the_owner_whom_the_rendezvous_puts_first() -> None:
    nodes = settled("c1", "c2", "c3")
    for node in nodes:
        assert node.owns == firsts(node.state.node, "c1", "c2", "c3")


def test_a_claim_counts_only_once_it_is_read_back() -> None:
    node = Node("c1")
    node.feed(fx.Online(resumed=False))
    node.elapse("settle")
    assert node.owns == []
    claims = [frame for frame in node.take() if isinstance(frame.message, Own)]
    assert len(claims) == TOPICS.partitions
    node.hear(claims[3])
    assert node.owns == [3]
    assert Holds(3, Epoch(1, "c1")) in node.told


def test_a_claim_never_read_back_is_said_again() -> None:
    node = Node("c1")
    node.feed(fx.Online(resumed=False))
    node.elapse("settle")
    node.take()
    node.elapse("reclaim")
    assert sum(isinstance(frame.message, Own) for frame in node.take()) == TOPICS.partitions


def test_the_heir_claims_above_when_the_owner_dies() -> None:
    one, other = settled("c1", "c2")
    lost = one.owns
    other.hear(fx.Publish(TOPICS.presence("coordinator", "c1"), Presence("c1", "coordinator", 1, alive=False)))
    other.elapse("doubt")
    exchange(other)
    assert other.owns == list(range(TOPICS.partitions))
    assert {other.state.claims[p].n for p in lost} == {2}


def test_the_late_will_of_an_old_life_means_nothing() -> None:
    one, other = settled("c1", "c2")
    again = Presence("c1", "coordinator", 5)
    other.hear(fx.Publish(TOPICS.presence("coordinator", "c1"), again))
    other.take()
    other.hear(fx.Publish(TOPICS.presence("coordinator", "c1"), Presence("c1", "coordinator", 1, alive=False)))
    assert other.state.peers["c1"] == again
    assert other.sent == []
    assert one.owns


def test_our_own_will_is_answered_with_our_presence() -> None:
    (node,) = settled("c1")
    node.hear(fx.Publish(TOPICS.presence("coordinator", "c1"), Presence("c1", "coordinator", 1, alive=False)))
    assert [frame.message.alive for frame in node.take() if isinstance(frame.message, Presence)] == [True]
    node.hear(fx.Publish(TOPICS.presence("coordinator", "c1"), Presence("c1", "coordinator", 0, alive=False)))
    assert [frame.message.alive for frame in node.take() if isinstance(frame.message, Presence)] == [True], (
        "the late will of an older life stands at the broker now, for all who come after"
    )


def test_a_higher_claim_ends_ownership_and_who_is_still_first_claims_above() -> None:
    one, _ = settled("c1", "c2")
    partition = one.owns[0]
    higher = fx.Publish(TOPICS.own(partition), Own(partition, Epoch(7, "c2")))
    one.hear(higher)
    assert partition not in one.owns
    assert Lost(partition) in one.told
    one.elapse("reclaim")
    claims = {frame.message.epoch for frame in one.take() if isinstance(frame.message, Own)}
    assert claims == {Epoch(8, "c1")}


def test_a_lower_claim_is_answered_with_the_highest() -> None:
    one, _ = settled("c1", "c2")
    partition = one.owns[0]
    one.hear(fx.Publish(TOPICS.own(partition), Own(partition, Epoch(0, "c2"))))
    assert [frame.message for frame in one.take()] == [Own(partition, one.state.claims[partition])]


def test_who_restarts_claims_above_its_own_earlier_life() -> None:
    again = Node("c1", birth=2)
    again.feed(fx.Online(resumed=True))
    again.hear(fx.Publish(TOPICS.own(3), Own(3, Epoch(5, "c1"))))
    assert again.owns == []
    again.elapse("settle")
    exchange(again)
    assert again.state.claims[3] == Epoch(6, "c1")


def test_a_silent_peer_is_dead_after_three_terms_but_not_by_our_own_absence() -> None:
    one, other = settled("c1", "c2")
    del other
    one.now = 31.0
    one.feed(fx.Offline())
    one.elapse("refresh")
    assert "c2" in one.state.peers, "offline, its silence says nothing"
    one.feed(fx.Online(resumed=True))
    while one.timers["refresh"] <= 61.0:
        one.elapse("refresh")
    assert "c2" in one.state.peers
    one.elapse("refresh")
    exchange(one)
    assert one.owns == list(range(TOPICS.partitions))


def test_who_leaves_is_ranked_no_more_and_serves_until_others_have_claimed() -> None:
    one, other = settled("c1", "c2")
    had = one.owns
    one.feed(fx.Told(ownership.KEY, "leave"))
    assert one.owns == had
    exchange(one, other)
    assert one.owns == []
    assert other.owns == list(range(TOPICS.partitions))


def test_frames_of_unknown_tasks_are_for_the_owner_and_the_heir_alone() -> None:
    one, other = settled("c1", "c2")
    third = Node("c3")
    partition = one.owns[0]
    received = fx.Received(Topic("cancel", partition, "t1"), Cancel("t1"))
    for node, expected in ((one, one.state.claims[partition]), (other, None)):
        (tell,) = node.feed(received)
        assert isinstance(tell, fx.Tell)
        assert tell.message == Opened(partition, expected, received)
    assert third.feed(received) == []


# --- the door ---------------------------------------------------------------------------------------------


def at_the_door(node: Node, document: bytes, reply_to: str = "") -> list[fx.Publish]:
    node.feed(fx.Received(Topic("door"), Blob(document), reply_to=reply_to))
    return node.take()


def test_a_document_with_an_id_becomes_a_submission_by_owner_and_heir() -> None:
    nodes = settled("c1", "c2", "c3")
    said = [frame for node in nodes for frame in at_the_door(node, b'{"id": "t9", "text": "echo this"}')]
    partition = partition_of("t9", TOPICS.partitions)
    assert [frame.topic for frame in said] == [TOPICS.task(partition, "t9", "submit")] * 2
    assert {frame.reply_to for frame in said} == {TOPICS("tasks/t9/result")}
    submit = said[0].message
    assert isinstance(submit, Submit)
    assert isinstance(submit.task, Task)
    assert submit.task.format == "json"


def test_a_document_without_an_id_needs_a_reply_topic() -> None:
    (node,) = settled("c1")
    (letter,) = at_the_door(node, b'{"text": "echo this"}')
    assert isinstance(letter.message, Dead)
    (submission,) = at_the_door(node, b'{"text": "echo this"}', reply_to="somewhere/else")
    assert isinstance(submission.message, Submit)
    assert submission.reply_to == "somewhere/else"


def test_a_document_that_cannot_be_read_is_refused_once_in_all() -> None:
    nodes = settled("c1", "c2", "c3")
    said = [frame for node in nodes for frame in at_the_door(node, b"{]", reply_to="who/asked")]
    assert sum(isinstance(frame.message, Dead) for frame in said) == 1
    replies = [frame for frame in said if frame.topic == "who/asked"]
    assert len(replies) == 1
    assert isinstance(replies[0].message, bytes)
    assert b"rejected" in replies[0].message.lower() or b"reason" in replies[0].message
    assert not any(isinstance(frame.message, Rejected) for frame in said)


def test_a_claim_that_was_not_read_back_before_the_link_broke_is_made_again() -> None:
    """Its echo may be old: who claimed above it meanwhile is heard only after it."""
    node = Node("c1")
    node.feed(fx.Online(resumed=False))
    node.elapse("settle")
    claims = [frame for frame in node.take() if isinstance(frame.message, Own)]
    node.feed(fx.Offline())
    node.feed(fx.Online(resumed=True))
    for frame in claims:
        node.hear(frame)
    assert node.owns == []
    higher = Own(0, Epoch(5, "c2"))
    node.hear(fx.Publish(TOPICS.own(0), higher, retain=True))
    node.take()
    node.elapse("reclaim")
    exchange(node)
    assert node.owns == list(range(TOPICS.partitions))
    assert owned(node.state, 0) == Epoch(6, "c1")


# --- lives, leaving, flapping -----------------------------------------------------------------------------


def test_a_life_claims_above_all_its_journal_has_of_earlier_ones() -> None:
    """Even where the broker has not shown its earlier claims yet: awards of two lives are told apart by their epoch."""
    again = Node("c1", birth=2)
    again.feed(fx.Restored(Own(3, Epoch(9, "c1"))))
    again.feed(fx.Online(resumed=False))
    effects = again.elapse("settle")
    assert again.state.claims[3] == Epoch(10, "c1")
    kept = {effect.part: effect.message for effect in effects if isinstance(effect, fx.Persist)}
    assert kept["3"] == Own(3, Epoch(10, "c1"))
    claims = [effect for effect in effects if isinstance(effect, fx.Publish) and isinstance(effect.message, Own)]
    assert all(claim.promise for claim in claims), "none leaves before the journal has it"


def test_what_is_retained_is_read_back_before_anything_is_said_again() -> None:
    """A ghost that was away says nothing of what others have taken meanwhile."""
    one, other = settled("c1", "c2")
    mine = one.owns
    one.feed(fx.Offline())
    other.hear(fx.Publish(TOPICS.presence("coordinator", "c1"), Presence("c1", "coordinator", 1, alive=False)))
    other.elapse("doubt")
    exchange(other)
    one.feed(fx.Online(resumed=True))
    assert not [frame for frame in one.take() if isinstance(frame.message, Own)]
    for partition in mine:
        one.hear(fx.Publish(TOPICS.own(partition), Own(partition, other.state.claims[partition])))
    assert Lost(mine[0]) in one.told


def test_a_claim_the_broker_forgot_is_said_again_after_a_moment() -> None:
    (one,) = settled("c1")
    one.feed(fx.Offline())
    one.feed(fx.Online(resumed=False))
    one.take()
    one.hear(fx.Publish(TOPICS.own(3), Own(3, one.state.claims[3])))
    one.elapse("reclaim")
    said = {frame.message.partition for frame in one.take() if isinstance(frame.message, Own)}
    assert said == set(range(TOPICS.partitions)) - {3}
    assert Anew(lost=True) in one.told


def test_who_is_drained_hands_over_and_then_ends() -> None:
    one, other = settled("c1", "c2")
    drain = fx.Received(Topic("control", name="drain"), Control("drain", "c1"))
    said = one.feed(drain)
    assert fx.Stop("drained") not in said, "it serves until others have claimed"
    assert [frame.message.alive for frame in one.sent if isinstance(frame.message, Presence)] == [False]
    ended = []
    while one.sent or other.sent:
        for frame in [*one.take(), *other.take()]:
            ended += one.hear(frame)
            other.hear(frame)
    assert fx.Stop("drained") in ended
    assert other.owns == list(range(TOPICS.partitions))
    assert (
        Holds(firsts("c1", "c1", "c2")[0], other.state.claims[firsts("c1", "c1", "c2")[0]], handed=True) in other.told
    )


def test_nobody_else_is_drained_and_an_old_order_is_not_obeyed() -> None:
    one, _ = settled("c1", "c2")
    order_of = Topic("control", name="drain")
    for received in (
        fx.Received(order_of, Control("drain", "c2")),
        fx.Received(order_of, Control("drain")),
        fx.Received(order_of, Control("drain", "c1"), retained=True),
    ):
        assert one.feed(received) == []


def test_the_last_one_leaves_only_when_it_is_urged_to() -> None:
    (one,) = settled("c1")
    assert fx.Stop("drained") not in one.feed(fx.Received(Topic("control", name="drain"), Control("drain", "c1")))
    assert one.owns == list(range(TOPICS.partitions))
    assert fx.Stop("drained") in one.feed(fx.Told(ownership.KEY, "leave"))


def test_who_joins_takes_little_at_a_time_from_the_living_and_all_at_once_from_the_dead() -> None:
    topics = Topics("foa/v1", 64)
    node = State("c9", 1, topics, RULES, settled=True)
    owner = Presence("c1", "coordinator", 1)
    claims = {p: Epoch(1, "c1") for p in range(64)}
    beside = msgspec.structs.replace(node, peers={"c1": owner}, claims=claims)
    _, effects = step(beside, fx.Elapsed("more"), 0.0, Random(1))
    claimed = [each for each in effects if isinstance(each, fx.Publish) and isinstance(each.message, Own)]
    assert len(claimed) == AT_ONCE
    assert any(isinstance(each, fx.Wake) and each.timer == "more" for each in effects)
    dead = msgspec.structs.replace(node, peers={"c1": msgspec.structs.replace(owner, alive=False)}, claims=claims)
    _, effects = step(dead, fx.Elapsed("more"), 0.0, Random(1))
    assert sum(isinstance(each, fx.Publish) and isinstance(each.message, Own) for each in effects) == 64


def test_who_flaps_holds_itself_back_longer_each_time_and_steady_ones_do_not_notice() -> None:
    flapping, steady = settled("c1", "c2")
    pauses = []
    for _ in range(8):
        flapping.feed(fx.Offline())
        flapping.now += 1.0
        flapping.feed(fx.Online(resumed=True))
        if flapping.state.held:
            pauses.append(flapping.timers["hold"] - flapping.now)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    exchange(flapping, steady)
    assert steady.owns == list(range(TOPICS.partitions)), "a node held back is ranked by nobody"
    flapping.elapse("hold")
    exchange(flapping, steady)
    assert flapping.owns == firsts("c1", "c1", "c2")


def test_who_stands_by_no_more_says_so_to_its_tasks() -> None:
    """What they remember grows old unheard: a node held back for long would go on with what has ended meanwhile."""
    nodes = settled("c1", "c2")
    third = Node("c3")
    third.feed(fx.Online(resumed=False))
    exchange(*nodes, third)
    third.elapse("settle")
    exchange(*nodes, third)
    gone = [one for one in nodes[0].told if isinstance(one, Left)]
    assert gone
    assert {one.partition for one in gone} == {p for p, role in nodes[0].state.roles.items() if role == "none"}


def test_where_everybody_is_held_back_they_serve_all_the_same() -> None:
    one, other = settled("c1", "c2")
    for node in (one, other):
        for _ in range(4):
            node.feed(fx.Offline())
            node.feed(fx.Online(resumed=True))
        assert node.state.held
    exchange(one, other)
    assert one.owns == firsts("c1", "c1", "c2")
    assert other.owns == firsts("c2", "c1", "c2")


def test_a_node_that_was_stopped_takes_nobody_for_dead_when_it_goes_on() -> None:
    one, _ = settled("c1", "c2")
    mine = one.owns
    one.now = one.timers["refresh"] + 500.0
    one.feed(fx.Elapsed("refresh"))
    exchange(one)
    assert "c2" in one.state.peers
    assert one.owns == mine


def test_lives_of_a_clock_set_back_by_days_are_topped() -> None:
    (one,) = settled("c1")
    earlier = Presence("c1", "coordinator", 10**12)
    one.hear(fx.Publish(TOPICS.presence("coordinator", "c1"), earlier))
    (said,) = one.take()
    assert isinstance(said.message, Presence)
    assert said.message.epoch == 10**12 + 1
