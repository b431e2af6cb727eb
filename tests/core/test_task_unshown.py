"""A broker that forgets tasks while their owner is away: whoever remembers one says it again, unless it was shown."""

from msgspec.structs import replace

from foa.core import effects as fx
from foa.core.effects import Effect, Key
from foa.core.machines.ownership.state import SHOW_S
from foa.core.machines.task.machine import LEFT_S
from foa.core.machines.task.state import Shadow
from foa.core.routing.ownership import Anew, Forget, Left, Lost, Opened, Unshown
from foa.wire.codec import MAX_PAYLOAD, encode
from foa.wire.ids import Epoch
from foa.wire.messages import Award, Result, State
from tests.core.task_bench import E1, Bench, chain, hit, sent
from tests.core.test_task_takeover import heir_of, owner_of

OWNERSHIP = Key("ownership")


def restarted() -> tuple[Bench, State]:
    """Return a coordinator whose journal alone knows the task, and the snapshot; others own its partition now."""
    owner = Bench(hit("a1"))
    snapshot, _ = owner_of(owner, plan=chain(), text="")
    again = Bench(hit("a1"))
    again.feed(fx.Restored(snapshot, age_s=1.0))
    return again, snapshot


def back(bench: Bench) -> list[Effect]:
    return bench.feed(fx.Told(OWNERSHIP, Anew(lost=False)))


def waited(bench: Bench, *, ours: bool = True) -> list[Effect]:
    bench.now += SHOW_S
    return bench.feed(fx.Told(OWNERSHIP, Unshown(frozenset({bench.partition} if ours else ()))))


def said(effects: list[Effect]) -> list[fx.Publish]:
    return [one for one in effects if isinstance(one, fx.Publish) and isinstance(one.message, State)]


def test_what_the_broker_does_not_show_is_read_back_and_then_said_again() -> None:
    bench, snapshot = restarted()
    asked = [one.patterns for one in back(bench) if isinstance(one, fx.Subscribe)]
    topic = bench.context.topics.task(bench.partition, "t1", "state/0")
    assert asked == [(topic, bench.context.topics.task(bench.partition, "t1", "result"))]
    (again,) = said(waited(bench))
    assert (again.topic, again.retain, again.envelope.epoch) == (topic, True, E1)
    assert isinstance(again.message, State)
    assert again.message.left_ms == snapshot.left_ms - 1000 - int(SHOW_S * 1000), "time goes on"
    assert replace(again.message, left_ms=snapshot.left_ms) == snapshot


def test_its_new_owner_who_never_heard_of_it_goes_on_with_it() -> None:
    bench, snapshot = restarted()
    back(bench)
    (again,) = said(waited(bench))
    owner = Bench(hit("a1"))
    heard = owner.received("state", again.message)
    effects = owner.feed(fx.Told(OWNERSHIP, Opened(owner.partition, Epoch(2, "c2"), heard)))
    assert owner.live.epoch == Epoch(2, "c2")
    running = [seat.award for work in snapshot.work for seat in work.seats]
    assert [one.award for one in sent(effects, Award)] == running, "it was awarded already"


def test_what_was_shown_is_not_said_again() -> None:
    bench, snapshot = restarted()
    back(bench)
    bench.feed(bench.received("state", snapshot)._replace(retained=True))
    assert said(waited(bench)) == []


def test_something_older_than_what_is_remembered_does_not_count_as_shown() -> None:
    bench, snapshot = restarted()
    back(bench)
    bench.feed(bench.received("state", replace(snapshot, seq=snapshot.seq - 1))._replace(retained=True))
    assert len(said(waited(bench))) == 1


def test_a_task_that_ended_meanwhile_is_not_brought_back() -> None:
    bench, snapshot = restarted()
    back(bench)
    bench.feed(bench.received("result", Result("t1", "done", snapshot.epoch))._replace(retained=True))
    assert said(waited(bench)) == []


def test_a_snapshot_older_than_any_result_would_be_is_not_said() -> None:
    bench, snapshot = restarted()
    back(bench)
    bench.now += (snapshot.left_ms / 1000) + snapshot.task.retention_s + 1
    assert said(waited(bench)) == []


def test_who_stands_by_no_more_forgets_nothing_that_was_not_shown() -> None:
    bench, snapshot = restarted()
    back(bench)
    left = fx.Told(OWNERSHIP, Left(bench.partition))
    bench.feed(left)
    assert not bench.retired
    bench.feed(bench.received("state", snapshot)._replace(retained=True))
    bench.feed(left)
    bench.elapse("forget")
    assert bench.retired


def test_what_the_journal_alone_has_is_not_forgotten_before_the_broker_was_asked() -> None:
    bench, _ = restarted()
    bench.feed(fx.Told(OWNERSHIP, Left(bench.partition)))
    assert not bench.retired


def test_who_stands_by_no_more_says_what_was_not_shown_and_then_forgets_it() -> None:
    """Else it would go on one day with what has ended unheard."""
    bench, _ = restarted()
    back(bench)
    bench.feed(fx.Told(OWNERSHIP, Left(bench.partition)))
    assert len(said(waited(bench, ours=False))) == 1
    assert bench.timers["forget"] == bench.now + LEFT_S
    back(bench)  # the broker may have gone back in time meanwhile, and nobody own the task yet
    assert len(said(waited(bench, ours=False))) == 1
    bench.elapse("forget")
    assert bench.retired


def test_a_former_owner_keeps_the_task_until_the_next_was_heard_of() -> None:
    bench = Bench(hit("a1"))
    snapshot, _ = owner_of(bench, plan=chain(), text="")
    (word,) = sent(bench.feed(fx.Told(OWNERSHIP, Lost(bench.partition))), State)
    bench.feed(fx.Told(OWNERSHIP, Left(bench.partition)))
    assert isinstance(bench.state, Shadow)
    assert [one.message for one in said(waited(bench))] == [
        replace(word, last=False, left_ms=word.left_ms - int(SHOW_S * 1000))
    ]
    other = heir_of(bench, snapshot)
    (next_word, *_) = sent(other.become_owner(), State)
    bench.feed(bench.received("state", next_word))
    bench.feed(fx.Told(OWNERSHIP, Left(bench.partition)))
    bench.elapse("forget")
    assert bench.retired


def test_an_owner_says_its_own_word_again_where_an_older_one_of_it_stands() -> None:
    owner = Bench(hit("a1"))
    snapshot, _ = owner_of(owner, plan=chain(), text="")
    assert sent(owner.feed(owner.received("state", replace(snapshot, seq=snapshot.seq - 1))), State)
    assert not sent(owner.feed(owner.received("state", replace(snapshot, seq=owner.live.seq))), State)


def test_an_heir_that_was_never_asked_to_tell_a_result_forgets_it_in_time() -> None:
    bench = Bench(hit("a1"))
    snapshot, _ = owner_of(bench)
    heir = heir_of(bench, snapshot)
    ended = heir.received("result", Result("t1", "done", snapshot.epoch))._replace(retained=True, expiry_s=4000)
    heir.feed(ended)
    assert heir.ended.to is not None, "its owner may die before it was heard"
    heir.feed(fx.Told(Key("memory"), Forget(full=False)))
    assert heir.retired


def test_a_snapshot_that_would_be_too_large_leaves_out_its_older_records() -> None:
    owner = Bench(hit("a1"))
    owner_of(owner, plan=chain(), text="")
    (decision, *_) = owner.live.decisions
    long = replace(decision, reason="x" * 500)
    owner.state = replace(owner.live, decisions=(decision,) + (long,) * 1000)
    (word,) = sent(owner.feed(fx.Told(OWNERSHIP, Anew(lost=False))), State)
    assert 0 < len(word.decisions) < 1001
    assert len(encode(word)) <= MAX_PAYLOAD
    assert owner.live.decisions[0] == decision, "what is known here stays"
