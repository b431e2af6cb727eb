"""Tasks that change hands: what an heir remembers, how it goes on, and whose result counts."""

from typing import Any

import pytest
from msgspec.structs import replace

from foa.core import effects as fx
from foa.core.effects import Key
from foa.core.machines.task.machine import OFFERED_S
from foa.core.machines.task.replies.ended import MAX_RESTORED
from foa.core.machines.task.state import Ended, Shadow
from foa.core.routing.ownership import Forget, Left, Lost, Opened
from foa.wire.ids import Epoch
from foa.wire.messages import Accepted, Award, Cancel, Declined, Result, Settled, State, Submit, Taken, Withdrawn
from foa.wire.records import Plan, Subtask
from tests.core.task_bench import E1, E2, REPLY, Bench, chain, done, failed, hit, sent, taken, task


def owner_of(bench: Bench, **changes: Any) -> tuple[State, list[Award]]:
    """Run the task at its first owner; return the last snapshot it published and its awards."""
    effects = bench.submit(task(**changes))
    return sent(effects, State)[-1], sent(effects, Award)


def heir_of(bench: Bench, snapshot: State) -> Bench:
    heir = Bench(*bench.hits)
    told = heir.received("state", snapshot)
    heir.feed(fx.Told(Key("ownership"), Opened(heir.partition, None, told)))
    return heir


def test_an_heir_goes_on_from_the_snapshot_and_repeats_what_runs_under_its_epoch() -> None:
    owner = Bench(hit("a1"))
    snapshot, (award,) = owner_of(owner)
    heir = heir_of(owner, snapshot)
    effects = heir.become_owner()
    (again,) = sent(effects, Award)
    assert (again.award, again.agent, again.epoch) == (award.award, award.agent, E2)
    assert sent(effects, State)[0].epoch == E2
    assert sent(effects, Accepted) == [Accepted("t1", E2)]
    result = sent(heir.answer(done(award)), Result)[0]
    assert (result.status, result.epoch) == ("done", E2)


def test_an_heir_hears_the_answers_that_came_while_nobody_owned_it() -> None:
    owner = Bench(hit("a1"))
    snapshot, (first,) = owner_of(owner, plan=chain(), text="")
    heir = heir_of(owner, snapshot)
    heir.answer(taken(first))
    heir.answer(done(first, "one"))
    (second,) = sent(heir.become_owner(), Award)
    assert second.subtask.id == "b"
    assert [given.value.body for given in second.inputs] == [b"one"]


def test_an_heir_with_the_submission_alone_begins_anew() -> None:
    heir = Bench(hit("a1"))
    opened = Opened(heir.partition, None, heir.received("submit", Submit(task()), reply_to=REPLY))
    assert sent(heir.feed(fx.Told(Key("ownership"), opened)), Award) == []
    effects = heir.become_owner()
    assert [award.epoch for award in sent(effects, Award)] == [E2]


def test_an_award_that_nobody_has_any_more_waits_for_no_lease() -> None:
    owner = Bench(hit("a1"), hit("a2"))
    snapshot, (award,) = owner_of(owner)
    heir = heir_of(owner, snapshot)
    heir.become_owner()
    over = Declined(award.award, "t1", award.agent, "over", "it was settled long ago")
    effects = heir.answer(over)
    (second,) = sent(effects, Award)
    assert (second.agent, second.attempt) == ("acme/tools/a2", award.attempt)


def test_what_was_heard_along_is_not_awarded_again() -> None:
    owner = Bench(hit("a1"))
    snapshot, (award,) = owner_of(owner)
    heir = heir_of(owner, snapshot)
    heir.answer(done(award))
    assert sent(heir.become_owner(), Award) == []


def test_an_award_that_waits_at_an_agent_and_stands_no_more_is_taken_back() -> None:
    owner = Bench(hit("a1"))
    _, (award,) = owner_of(owner)
    other = replace(taken(award), award="of-long-ago", started=False)
    assert [word.award for word in sent(owner.answer(other), Withdrawn)] == ["of-long-ago"]
    assert sent(owner.answer(replace(taken(award), started=False)), Withdrawn) == []
    assert sent(owner.answer(replace(other, started=True)), Withdrawn) == [], "what was begun may count yet"
    owner.answer(done(award))
    assert isinstance(owner.state, Ended)
    assert [word.award for word in sent(owner.answer(other), Withdrawn)] == ["of-long-ago"]


def test_an_heir_takes_a_silent_seat_for_dead_after_a_lease() -> None:
    owner = Bench(hit("a1"), hit("a2"))
    snapshot, (award,) = owner_of(owner)
    heir = heir_of(owner, snapshot)
    heir.become_owner()
    (second,) = sent(heir.elapse(f"lease:{award.award}"), Award)
    assert second.agent != award.agent


def test_an_answer_to_an_award_the_heir_never_heard_of_counts_by_its_key() -> None:
    owner = Bench(hit("a1"))
    before = sent(owner.submit(task(), answer=False), State)[-1]
    (award,) = sent(owner.feed(owner.found(owner.asked.pop())), Award)
    heir = Bench()
    heir.feed(fx.Told(Key("ownership"), Opened(heir.partition, None, heir.received("state", before))))
    heir.become_owner()
    assert sent(heir.answer(done(award)), Result)[0].status == "done"


def test_once_that_ran_when_its_owner_died_is_not_repeated_by_the_heir() -> None:
    owner = Bench(hit("o1", effects="once"), hit("o2", effects="once"))
    snapshot, _ = owner_of(owner, plan=Plan((Subtask("pay", "pay"),)), text="")
    heir = heir_of(owner, snapshot)
    heir.become_owner()
    (lease,) = [timer for timer in heir.timers if timer.startswith("lease:")]
    assert "consent" in sent(heir.elapse(lease), Result)[0].reason


def test_a_cancel_heard_by_the_heir_ends_the_task() -> None:
    owner = Bench(hit("a1"))
    heir = heir_of(owner, owner_of(owner)[0])
    heir.feed(heir.received("cancel", Cancel("t1", "enough")))
    assert sent(heir.become_owner(), Result)[0].status == "cancelled"


def test_a_cancel_that_overtakes_its_submission_is_not_lost() -> None:
    bench = Bench(hit("a1"))
    cancel = bench.received("cancel", Cancel("t1", "enough"))
    bench.feed(fx.Told(Key("ownership"), Opened(bench.partition, E1, cancel)))
    assert not bench.retired
    effects = bench.feed(bench.received("submit", Submit(task()), reply_to=REPLY))
    assert sent(effects, Result)[0].status == "cancelled"


def test_an_owner_that_only_remembered_begins_when_the_submission_comes() -> None:
    """It was heir and heard answers of a task it knows nothing else of; then it became owner."""
    bench = Bench(hit("a1"))
    stray = Taken("x.1.1.0", "t1", "acme/tools/a1")
    bench.feed(fx.Told(Key("ownership"), Opened(bench.partition, None, bench.received("answer", stray))))
    bench.become_owner()
    assert sent(bench.feed(bench.received("submit", Submit(task()), reply_to=REPLY)), Award)


def test_an_answer_nobody_can_place_is_settled_so_that_it_ends() -> None:
    owner = Bench(hit("a1"))
    (award,) = owner_of(owner)[1]
    other = Bench()
    effects = other.feed(fx.Told(Key("ownership"), Opened(other.partition, E2, other.received("answer", done(award)))))
    assert [(one.award, one.used) for one in sent(effects, Settled)] == [(award.award, False)]
    assert other.retired


def test_who_lost_the_partition_steps_back_and_forgets_in_time() -> None:
    owner = Bench(hit("a1"))
    (award,) = owner_of(owner)[1]
    owner.feed(fx.Told(Key("ownership"), Lost(owner.partition)))
    assert isinstance(owner.state, Shadow)
    assert list(owner.timers) == ["forget"]
    assert sent(owner.answer(failed(award)), Award) == []
    owner.elapse("forget")
    assert owner.retired


def test_who_stands_by_no_more_forgets_soon_what_it_remembered() -> None:
    snapshot, _ = owner_of(Bench(hit("a1")))
    heir = heir_of(Bench(), snapshot)
    heir.feed(fx.Told(Key("ownership"), Left(heir.partition)))
    effects = heir.elapse("forget")
    assert fx.Persist(None) in effects
    assert heir.retired


def test_who_steps_back_and_comes_back_goes_on() -> None:
    owner = Bench(hit("a1"))
    (award,) = owner_of(owner)[1]
    owner.feed(fx.Told(Key("ownership"), Lost(owner.partition)))
    owner.answer(done(award))
    assert sent(owner.become_owner(Epoch(3, "c1")), Result)[0].status == "done"


def test_who_steps_back_hands_its_snapshot_over_and_the_new_owner_mends_the_brokers() -> None:
    owner = Bench(hit("a1"))
    owner_of(owner)
    (handed,) = sent(owner.feed(fx.Told(Key("ownership"), Lost(owner.partition))), State)
    other = Bench(hit("a1"))
    received = other.received("state", handed)
    effects = other.feed(fx.Told(Key("ownership"), Opened(other.partition, E2, received)))
    assert [one.epoch for one in sent(effects, State)] == [E2]
    assert [one.epoch for one in sent(other.feed(received), State)] == [E2]


def test_the_deadline_stays_where_it_was_whoever_owns_the_task() -> None:
    owner = Bench(hit("a1"))
    owner_of(owner)
    ends = owner.live.ends
    owner.now += 3.0
    owner.feed(fx.Told(Key("ownership"), Lost(owner.partition)))
    owner.now += 4.0
    owner.become_owner(Epoch(3, "c1"))
    assert owner.live.ends == pytest.approx(ends, abs=0.01)
    assert owner.timers["deadline"] == pytest.approx(ends, abs=0.01)


# --- whose result counts ----------------------------------------------------------------------------------


def result_of(status: str, epoch: Epoch) -> Result:
    return Result("t1", status, epoch)  # type: ignore[arg-type]


def test_another_owners_result_ends_a_running_task_and_is_what_the_submitter_hears() -> None:
    owner = Bench(hit("a1"))
    owner_of(owner)
    theirs = result_of("done", E2)
    effects = owner.feed(owner.received("result", theirs))
    assert owner.ended.result == theirs
    said = [one for one in effects if isinstance(one, fx.Publish) and isinstance(one.message, Result)]
    assert [(one.topic, one.message) for one in said] == [(REPLY, theirs)]


def test_what_is_read_back_first_is_final_and_restored_when_overwritten() -> None:
    bench = Bench(hit("a1"))
    (award,) = owner_of(bench)[1]
    mine, _ = sent(bench.answer(done(award)), Result)
    bench.feed(bench.received("result", mine))
    assert sent(bench.feed(bench.received("result", result_of("failed", E2))), Result) == [mine]


def test_who_reads_anothers_result_before_its_own_adopts_it() -> None:
    bench = Bench(hit("a1"))
    (award,) = owner_of(bench)[1]
    bench.answer(done(award))
    theirs = result_of("failed", E2)
    effects = bench.feed(bench.received("result", theirs))
    assert (bench.ended.result, bench.ended.confirmed, bench.ended.restored) == (theirs, True, 1)
    assert sent(effects, Result) == [theirs]
    assert fx.Persist(theirs) in effects


def test_two_who_both_believe_to_be_first_do_not_quarrel_for_ever() -> None:
    one, other = Ended(0, result_of("done", E1), confirmed=True), Ended(0, result_of("failed", E2), confirmed=True)
    benches = (Bench(), Bench())
    benches[0].state, benches[1].state = one, other
    said, turns = [other.result], 0
    while said:
        said = sent(benches[turns % 2].feed(benches[0].received("result", said[0])), Result)
        turns += 1
    assert turns <= 2 * MAX_RESTORED + 1


def test_an_owner_that_goes_on_with_what_has_ended_is_told_the_result() -> None:
    """The broker remembered the snapshot and forgot the result: nobody else knows."""
    owner = Bench(hit("a1"))
    stale, (award,) = owner_of(owner)
    mine, _ = sent(owner.answer(done(award)), Result)
    owner.feed(owner.received("result", mine))
    assert sent(owner.feed(owner.received("state", stale)), Result) == [mine], "who remembers it so learns how it ended"
    heir = heir_of(Bench(), stale)
    (theirs,) = sent(heir.become_owner(), State)
    assert sent(owner.feed(owner.received("state", theirs)), Result) == [mine]
    heir.feed(heir.received("result", mine))
    assert heir.ended.result == mine


def test_a_result_decided_but_never_said_is_said_after_the_restart() -> None:
    mine = result_of("done", E1)
    bench = Bench()
    bench.feed(fx.Restored(mine))
    assert sent(bench.become_owner(), Result) == [mine]
    bench.feed(bench.received("result", mine))
    assert sent(bench.become_owner(Epoch(3, "c1")), Result) == []


def test_a_result_from_an_earlier_life_yields_to_what_stands_at_the_broker() -> None:
    bench = Bench()
    bench.feed(fx.Restored(result_of("done", E1)))
    theirs = result_of("failed", E2)
    passing = bench.received("result", theirs)
    assert bench.feed(passing) == [], "what passes by may be overwritten already: only what is kept counts"
    bench.feed(passing._replace(retained=True))
    assert (bench.ended.result, bench.ended.confirmed) == (theirs, True)


def test_a_snapshot_from_an_earlier_life_is_older_than_the_heirs() -> None:
    owner = Bench(hit("a1"))
    snapshot, (award,) = owner_of(owner)
    again = Bench(hit("a1"))
    again.feed(fx.Restored(snapshot))
    newer = replace(snapshot, epoch=E2, seq=1, work=tuple(replace(one, attempt=2, seats=()) for one in snapshot.work))
    again.feed(again.received("state", newer))
    assert isinstance(again.state, Shadow)
    assert again.state.snapshot == newer
    again.become_owner(Epoch(3, "c1"))
    assert again.live.works[award.subtask.id].attempt == 2


def test_what_is_unknown_and_late_leaves_nothing_behind() -> None:
    for event in (fx.Delivered("accept", 0), fx.Told(Key("memory"), Forget()), fx.Elapsed("relook")):
        bench = Bench()
        bench.feed(event)
        assert bench.retired, event


def test_an_answer_that_was_paid_is_not_paid_again_by_the_next_owner() -> None:
    """What was done was taken back, so that its award has no seat any more: only the snapshot can tell."""
    owner = Bench(hit("a1"), hit("a2"))
    _, (first,) = owner_of(owner, plan=chain(), text="", budget=10.0)
    paid = done(first, "one", cost=1.0)
    (second,) = sent(owner.answer(paid), Award)
    refuted = replace(failed(second), refutes="a")
    effects = owner.answer(refuted)
    snapshot = sent(effects, State)[-1]
    assert (snapshot.spent, snapshot.paid[0]) == (1.0, first.award)
    heir = heir_of(owner, snapshot)
    heir.become_owner()
    for _ in range(2):
        effects = heir.answer(paid)
        assert [one.used for one in sent(effects, Settled)] == [False]
    assert heir.live.spent == 1.0


def test_what_was_done_before_the_owner_changed_is_paid_once_though_it_is_taken_back_after() -> None:
    owner = Bench(hit("a1"), hit("a2"))
    _, (first,) = owner_of(owner, plan=chain(), text="", budget=10.0)
    paid = done(first, "one", cost=1.0)
    effects = owner.answer(paid)
    (second,) = sent(effects, Award)
    heir = heir_of(owner, sent(effects, State)[-1])
    heir.become_owner()
    heir.answer(replace(failed(second), refutes="a"))
    assert heir.live.works["a"].phase != "done", "it is done again"
    heir.answer(paid)
    assert heir.live.spent == 1.0


def test_a_submission_that_its_owner_never_kept_is_soon_forgotten() -> None:
    """It was refused, for want of room or of quota: should the owner die much later, it must not run after all."""
    heir = Bench(hit("a1"))
    opened = Opened(heir.partition, None, heir.received("submit", Submit(task(deadline_ms=3_600_000)), reply_to=REPLY))
    heir.feed(fx.Told(Key("ownership"), opened))
    assert heir.timers["forget"] == heir.now + OFFERED_S
    heir.elapse("forget")
    assert heir.retired
