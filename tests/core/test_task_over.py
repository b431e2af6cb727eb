"""After the end: a result is told until acknowledged, an id stays taken, a failed task leaves all that is left."""

from typing import Any

import msgspec
import pytest

from foa.core import effects as fx
from foa.core.dag.replay import next_id, replay, request_of
from foa.core.effects import Effect, Key
from foa.core.machines.task.over.telling import LONGEST_S, REPEAT_S, TIMER
from foa.core.routing.ownership import Forget, Holds, Opened, Over
from foa.wire.ids import MAX_SEGMENT, Epoch
from foa.wire.messages import Accepted, Acknowledged, Award, Cancel, Letter, Rejected, Result, State, Submit
from foa.wire.records import Given, Ref, Value
from tests.core.task_bench import E1, E2, REPLY, Bench, chain, done, failed, hit, sent, task


def awarded(effects: list[Effect]) -> list[Award]:
    return sent(effects, Award)


def ended(**changes: Any) -> tuple[Bench, Result]:
    """Return a task that was done, and its result."""
    bench = Bench(hit("a1"))
    effects = bench.submit(task(**changes))
    effects += bench.feed(fx.Delivered("sent:1", 0))
    (award,) = awarded(effects)
    result = sent(bench.answer(done(award)), Result)[0]
    return bench, result


def poisoned(bench: Bench, effects: list[Effect]) -> list[Effect]:
    """Fail every award until the task is over; return the last effects."""
    for _ in range(20):
        for award in awarded(effects):
            effects = bench.answer(failed(award))
        if not awarded(effects):
            due = min(bench.timers, key=lambda name: bench.timers[name])
            if type(bench.state).__name__ == "Ended":
                return effects
            effects = bench.elapse(due)
    raise AssertionError("it never ended")


# --- told until acknowledged ------------------------------------------------------------------------------------


def test_a_result_is_told_ever_more_rarely_until_it_is_acknowledged() -> None:
    bench, result = ended(retention_s=7200)
    pauses = []
    for _ in range(12):
        before = bench.now
        told = [one for one in bench.elapse(TIMER) if isinstance(one, fx.Publish)]
        assert [(one.topic, one.message, one.retain) for one in told] == [(REPLY, result, False)]
        pauses.append(bench.now - before)
    assert pauses[:3] == [REPEAT_S, 2 * REPEAT_S, 4 * REPEAT_S]
    assert pauses[-1] == LONGEST_S
    bench.feed(bench.received("ack", Acknowledged("t1", E1)))
    assert TIMER not in bench.timers


def test_nobody_is_told_after_the_life_of_the_retained_result() -> None:
    bench, _ = ended(deadline_ms=10_000, retention_s=10)
    began = bench.now
    while TIMER in bench.timers:
        bench.elapse(TIMER)
    assert bench.now <= began + 21
    assert bench.feed(fx.Told(Key("memory"), Forget()))[-1] == fx.Retire()


def test_who_is_not_told_yet_is_not_forgotten_unless_there_is_no_room() -> None:
    bench, _ = ended(retention_s=7200)
    assert bench.feed(fx.Told(Key("memory"), Forget())) == [
        fx.Tell(Key("memory"), Over(bench.context.rules.remember_s))
    ]
    assert fx.Retire() in bench.feed(fx.Told(Key("memory"), Forget(full=True)))


def test_an_heir_that_heard_the_result_tells_it_once_it_owns_the_task() -> None:
    first = Bench(hit("a1"))
    effects = first.submit(task())
    snapshot = sent(effects, State)[-1]
    effects += first.feed(fx.Delivered("sent:1", 0))
    (result, _) = sent(first.answer(done(awarded(effects)[0])), Result)
    heir = Bench()
    heir.feed(fx.Told(Key("ownership"), Opened(heir.partition, None, heir.received("state", snapshot))))
    heir.feed(heir.received("result", result)._replace(expiry_s=40))
    assert TIMER not in heir.timers
    heir.feed(fx.Told(Key("ownership"), Holds(heir.partition, E2)))
    assert sent(heir.elapse(TIMER), Result) == [result]


def test_who_took_another_result_is_on_record() -> None:
    bench, _ = ended()
    effects = bench.feed(bench.received("ack", Acknowledged("t1", Epoch(9, "c9"))))
    assert fx.Measure("foa_results_differ_total") in effects


# --- one id, one task -------------------------------------------------------------------------------------------


def again(bench: Bench, **changes: Any) -> list[Effect]:
    return bench.feed(bench.received("submit", Submit(task(**changes)), reply_to="foa/v1/reply/u2/task"))


def test_the_same_submission_again_hears_the_result_and_another_that_the_id_is_taken() -> None:
    bench, result = ended()
    assert [type(one) for one in sent(again(bench), Accepted | Result)] == [Accepted, Result]  # type: ignore[arg-type]
    assert sent(again(bench, deadline_ms=5_000), Result) == [result]
    effects = again(bench, text="something else")
    (refusal,) = sent(effects, Rejected)
    assert refusal.code == "taken"
    assert sent(effects, Result) == []


def test_a_task_that_runs_is_not_given_away_to_another_of_its_id() -> None:
    bench = Bench(hit("a1"))
    bench.submit(task())
    (refusal,) = sent(again(bench, text="something else"), Rejected)
    assert refusal.code == "taken"
    assert bench.live.reply_to == REPLY
    assert sent(again(bench), Accepted) == [Accepted("t1", E1)]


def test_a_result_of_another_request_that_the_broker_kept_ends_the_task_with_a_refusal() -> None:
    _, other = ended(text="another thing")
    bench = Bench(hit("a1"))
    bench.submit(task())
    effects = bench.feed(bench.received("result", other))
    assert [one.code for one in sent(effects, Rejected)] == ["taken"]
    assert bench.ended.result == other


def test_a_request_is_the_same_by_what_it_asks_not_by_how_it_travels() -> None:
    inline = (Given("x", Value("text/plain", "text/plain", b"abc")),)
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    ref = (Given("x", Value("text/plain", "text/plain", ref=Ref(digest, 3))),)
    base = task(inputs=inline)
    assert request_of(base) == request_of(task(inputs=ref, deadline_ms=1, retention_s=9, submitter="somebody"))
    for changes in ({"text": "b"}, {"inputs": ()}, {"plan": chain()}, {"skills": ("s",)}, {"budget": 1.0}):
        assert request_of(task(**({"inputs": inline} | changes))) != request_of(base), changes


def test_a_stranger_s_other_request_is_refused_beside_the_outcome_that_is_kept_not_over_it() -> None:
    bench, _ = ended(format="json")
    door = f"foa/v1/tasks/{bench.ident}/result"
    other = task(format="json", text="something else")
    effects = bench.feed(bench.received("submit", Submit(other), reply_to=door))
    (frame,) = [one for one in effects if isinstance(one, fx.Publish)]
    assert (frame.topic, frame.retain) == (door, False)
    assert isinstance(frame.message, bytes)
    assert b'"code":"taken"' in frame.message
    assert TIMER not in bench.timers, "strangers do not acknowledge"


# --- given up ---------------------------------------------------------------------------------------------------


def test_poison_leaves_a_letter_with_every_attempt_and_what_is_left() -> None:
    bench = Bench(hit("a1"), hit("a2"), planners=0, patience_s=0.5)
    wanted = task(plan=chain(), attempts=2)
    effects = bench.submit(wanted)
    effects += bench.feed(fx.Delivered("sent:1", 0))
    (first,) = awarded(effects)
    effects = bench.answer(done(first, "A"))
    for timer in [name for name in bench.timers if name.startswith("sent")]:
        effects += bench.elapse(timer)
    effects = poisoned(bench, effects)
    (letter,) = sent(effects, Letter)
    (frame,) = [one for one in effects if isinstance(one, fx.Publish) and one.message == letter]
    assert frame.topic == f"foa/v1/dlq/{bench.partition}/t1"
    assert (frame.retain, frame.expiry_s) == (True, letter.keep_s)
    assert (letter.subtask, letter.code, letter.text) == ("b", "agent-failed", "then")
    assert len(letter.attempts) >= 2
    assert all("it went wrong" in one.reason for one in letter.attempts)
    assert letter.again is not None
    assert [one.subtask for one in letter.again.finished] == ["a"]
    assert bench.ended.result.again == letter.again


def test_a_replay_does_not_do_again_what_had_finished() -> None:
    bench = Bench(hit("a1"), planners=0, patience_s=0.5)
    effects = bench.submit(task(plan=chain(), attempts=1))
    effects += bench.feed(fx.Delivered("sent:1", 0))
    effects = bench.answer(done(awarded(effects)[0], "A"))
    left = sent(poisoned(bench, effects), Letter)[0].again
    assert left is not None
    second = replay(left)
    assert (second.id, second.origin) == ("t1.r1", "t1")
    other = Bench(hit("a1"), ident="t1.r1", planners=0)
    effects = other.submit(second)
    effects += other.feed(fx.Delivered("sent:1", 0))
    (award,) = awarded(effects)
    assert award.subtask.id == "b"
    assert [given.value.body for given in award.inputs if given.source == "a"] == [b"A"]
    result = sent(other.answer(done(award, "AB")), Result)[0]
    assert (result.status, [part.subtask for part in result.parts]) == ("done", ["a", "b"])
    assert result.outputs[0].value.body == b"AB"


@pytest.mark.parametrize("how", ["cancel", "deadline"])
def test_a_task_that_was_cancelled_or_came_too_late_can_be_retried_and_leaves_no_letter(how: str) -> None:
    bench = Bench()
    bench.submit(task())
    effects = bench.feed(bench.received("cancel", Cancel("t1"))) if how == "cancel" else bench.elapse("deadline")
    assert sent(effects, Letter) == []
    assert sent(effects, Result)[0].again == task()


def test_the_letter_of_a_private_task_lives_no_longer_than_its_result() -> None:
    bench = Bench(hit("a1"), planners=0, patience_s=0.5)
    effects = bench.submit(task(private=True, attempts=1))
    effects += bench.feed(fx.Delivered("sent:1", 0))
    (letter,) = sent(poisoned(bench, effects), Letter)
    assert letter.keep_s <= 41


def test_ids_of_replays_follow_from_the_old_and_always_fit() -> None:
    assert [next_id("t"), next_id("t.r1"), next_id("t.r9")] == ["t.r1", "t.r2", "t.r10"]
    long = "x" * MAX_SEGMENT
    seen = {long}
    for _ in range(12):
        long = next_id(long)
        assert len(long) <= MAX_SEGMENT
        assert long not in seen
        seen.add(long)


def test_a_result_that_the_journal_alone_knows_is_told_to_whoever_goes_on_with_the_task() -> None:
    bench = Bench(hit("a1"))
    (snapshot, *_) = sent(bench.submit(task()), State)
    result = Result("t1", "failed", E1)
    bench = Bench(hit("a1"))
    bench.feed(fx.Restored(result))
    shown = bench.received("state", msgspec.structs.replace(snapshot, epoch=E2))
    assert bench.feed(shown._replace(retained=True)) == [], "the result that stands may be shown after it"
    assert [one.message for one in bench.feed(shown) if isinstance(one, fx.Publish)] == [result]
