"""Tasks that a living owner hands over, words that only the heir heard, journals that are old, agents that died."""

from foa.core import effects as fx
from foa.core.effects import Key
from foa.core.machines.task.machine import HANDED_S
from foa.core.machines.task.state import Live, Shadow
from foa.core.routing.ownership import Follow, Gone, Holds, Lost
from foa.wire.messages import Asking, Award, Declined, Input, State
from tests.core.task_bench import E2, Bench, chain, done, hit, sent, taken, task
from tests.core.test_task_takeover import heir_of, owner_of

OWNERSHIP = Key("ownership")


def handed(bench: Bench) -> list[fx.Effect]:
    return bench.feed(fx.Told(OWNERSHIP, Holds(bench.partition, E2, handed=True)))


def test_a_task_handed_over_begins_with_its_last_owners_last_word() -> None:
    """What that owner decided after the claim was read is not decided again."""
    owner = Bench(hit("a1"))
    snapshot, (first,) = owner_of(owner, plan=chain(), text="")
    heir = heir_of(owner, snapshot)
    assert sent(handed(heir), Award) == []
    (second,) = sent(owner.answer(done(first)), Award)
    (word,) = sent(owner.feed(fx.Told(OWNERSHIP, Lost(owner.partition))), State)
    assert word.last
    heir.answer(done(first))
    assert isinstance(heir.state, Shadow)
    effects = heir.feed(heir.received("state", word))
    assert [one.award for one in sent(effects, Award)] == [second.award], "the second step is awarded already"
    assert [seat.award for seat in heir.live.works["b"].seats] == [second.award]
    assert not sent(effects, State)[0].last
    assert "handed" not in heir.timers


def test_a_last_word_that_never_comes_is_not_waited_for_long() -> None:
    owner = Bench(hit("a1"))
    snapshot, _ = owner_of(owner)
    heir = heir_of(owner, snapshot)
    handed(heir)
    assert heir.timers["handed"] == heir.now + HANDED_S
    heir.elapse("handed")
    assert isinstance(heir.state, Live)


def test_who_loses_the_partition_again_meanwhile_waits_for_nothing() -> None:
    owner = Bench(hit("a1"))
    snapshot, _ = owner_of(owner)
    heir = heir_of(owner, snapshot)
    handed(heir)
    heir.feed(fx.Told(OWNERSHIP, Lost(heir.partition)))
    assert "handed" not in heir.timers
    heir.feed(fx.Elapsed("handed"))
    assert isinstance(heir.state, Shadow)


def test_the_time_a_node_was_away_counts_where_only_its_journal_has_the_task() -> None:
    owner = Bench(hit("a1"))
    snapshot, _ = owner_of(owner)
    again = Bench(hit("a1"))
    again.feed(fx.Restored(snapshot, age_s=7.0))
    again.become_owner()
    assert again.live.ends == again.now + snapshot.left_ms / 1000 - 7.0


def test_what_the_broker_counted_stands_above_our_own_clock() -> None:
    """Its expiry goes down by its clock; ours may have been set wrong by days while we were away."""
    owner = Bench(hit("a1"))
    snapshot, _ = owner_of(owner)
    again = Bench(hit("a1"))
    again.feed(fx.Restored(snapshot, age_s=400_000.0))
    whole = snapshot.left_ms // 1000 + snapshot.task.retention_s + 1
    again.feed(again.received("state", snapshot)._replace(retained=True, expiry_s=whole - 3))
    again.become_owner()
    assert again.live.ends == again.now + snapshot.left_ms / 1000 - 3


def asked() -> tuple[Bench, State]:
    """Return an owner whose task asks a person, and its snapshot."""
    owner = Bench(hit("a1"))
    _, (award,) = owner_of(owner)
    effects = owner.answer(Asking(award.award, "t1", award.agent, "Which?"))
    return owner, sent(effects, State)[-1]


def words(bench: Bench, token: bytes = b"w1") -> fx.Received:
    return bench.received("input", Input("t1", text="that one"), reply_to="me")._replace(correlation=token)


def test_a_persons_words_that_reached_the_heir_alone_are_taken_by_it() -> None:
    owner, snapshot = asked()
    heir = heir_of(owner, snapshot)
    assert not [one for one in heir.feed(words(heir)) if isinstance(one, fx.Publish)], "the owner answers"
    (award,) = sent(heir.become_owner(), Award)
    assert [given.value.body for given in award.inputs] == [b"that one"]


def test_words_that_the_owner_took_are_not_taken_again() -> None:
    owner, snapshot = asked()
    heir = heir_of(owner, snapshot)
    heir.feed(words(heir))
    after = sent(owner.feed(words(owner)), State)[-1]
    assert after.heard == (b"w1",)
    heir.feed(heir.received("state", after))
    heir.become_owner()
    assert len(heir.live.works["main"].heard) == 1


def test_the_awards_of_an_agent_that_died_are_given_to_others_at_once() -> None:
    bench = Bench(hit("a1"), hit("a2", 0.5))
    effects = bench.submit(task())
    (award,) = sent(effects, Award)
    assert fx.Tell(Key("vigil"), Follow(award.agent)) in effects
    bench.answer(taken(award))
    assert sent(bench.feed(fx.Told(Key("vigil"), Gone("acme/tools/nobody"))), Award) == []
    (again,) = sent(bench.feed(fx.Told(Key("vigil"), Gone(award.agent))), Award)
    assert again.agent != award.agent
    assert f"lease:{award.award}" not in bench.timers


def test_an_heir_follows_the_agents_it_inherits() -> None:
    owner = Bench(hit("a1"))
    snapshot, (award,) = owner_of(owner)
    assert fx.Tell(Key("vigil"), Follow(award.agent)) in heir_of(owner, snapshot).become_owner()


def test_who_leaves_is_not_barred_from_the_task() -> None:
    """It may be upgraded, and is back in a moment."""
    bench = Bench(hit("a1"))
    (award,) = sent(bench.submit(task()), Award)
    bench.answer(Declined(award.award, "t1", award.agent, "draining", "this agent is leaving"))
    work = bench.live.works["main"]
    assert award.agent not in (*work.barred, *work.failed)


def test_where_everybody_declined_for_good_nobody_is_waited_for() -> None:
    bench = Bench(hit("a1"), hit("a2", 0.5))
    effects = bench.submit(task())
    for _ in range(2):
        (award,) = sent(effects, Award)
        effects = bench.answer(Declined(award.award, "t1", award.agent, "inputs", "no such thing"))
    assert bench.ended.result.status == "failed"
    assert bench.now == 100.0, "at once"
