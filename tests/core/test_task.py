"""The task machine as owner: acceptance, retries, leases, budgets, teams, the end."""

from typing import Any

import pytest

from foa.core import effects as fx
from foa.core.machines.task.finish import fitting
from foa.core.machines.task.state import Context, Live
from foa.wire.codec import MAX_PAYLOAD, encode
from foa.wire.messages import Accepted, Award, Cancel, Failed, Rejected, Result, Settled, State, Submit, Withdrawn
from foa.wire.records import Given, Plan, Subtask, Task, Usage, Value
from foa.wire.topics import Topics
from tests.core.task_bench import (
    E1,
    REPLY,
    Bench,
    chain,
    declined,
    done,
    failed,
    hit,
    progress,
    sent,
    taken,
    task,
    text,
)  # fmt: skip


def awards(bench: Bench, **changes: Any) -> list[Award]:
    return sent(bench.submit(task(**changes)), Award)


# --- acceptance -------------------------------------------------------------------------------------------


def test_accepts_only_after_the_broker_kept_the_snapshot() -> None:
    bench = Bench(hit("a1"))
    effects = bench.submit(task(), answer=False)
    receipts = [one for one in effects if isinstance(one, fx.Publish) and one.token == "accept"]
    assert [type(one.message) for one in receipts] == [State]
    accepted = [one for one in effects if isinstance(one, fx.Publish) and isinstance(one.message, Accepted)]
    assert accepted[0].topic == REPLY
    assert accepted[0].promise
    assert effects.index(receipts[0]) < effects.index(accepted[0])
    assert bench.live.accepted


def test_a_snapshot_the_broker_refuses_fails_the_task() -> None:
    bench = Bench()
    opened = bench.received("submit", Submit(task()), reply_to=REPLY)
    from foa.core.effects import Key
    from foa.core.routing.ownership import Opened

    bench.feed(fx.Told(Key("ownership"), Opened(bench.partition, E1, opened)), answer=False)
    effects = bench.feed(fx.Delivered("accept", 0x95))
    assert sent(effects, Accepted) == []
    assert sent(effects, Result)[0].code == "refused"


def test_a_repeated_submission_is_the_same_task() -> None:
    bench = Bench(hit("a1"))
    bench.submit(task())
    effects = bench.feed(bench.received("submit", Submit(task()), reply_to="foa/v1/reply/u2/task"))
    assert [one.topic for one in effects if isinstance(one, fx.Publish)] == ["foa/v1/reply/u2/task"]
    assert sent(effects, Award) == []


def test_after_the_end_a_repeated_submission_gets_the_result() -> None:
    bench = Bench(hit("a1"))
    (award,) = awards(bench)
    (result, _) = sent(bench.answer(done(award)), Result)
    effects = bench.feed(bench.received("submit", Submit(task()), reply_to=REPLY))
    assert sent(effects, Result) == [result]
    assert sent(effects, Award) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"text": " "}, "text"), ({"hops": ("a/b/c", "a/b/c")}, "loop")],
)
def test_what_cannot_be_taken_is_rejected_and_forgotten(changes: dict[str, Any], code: str) -> None:
    bench = Bench()
    effects = bench.submit(task(**changes))
    assert sent(effects, Rejected)[0].code == code
    assert bench.retired


# --- one award --------------------------------------------------------------------------------------------


def test_one_agent_does_it() -> None:
    bench = Bench(hit("a1"))
    (award,) = awards(bench)
    effects = bench.answer(done(award, "this"))
    retained, replied = sent(effects, Result)
    assert retained == replied
    assert (retained.status, retained.outputs[0].value.body, retained.outputs[0].agent) == (
        "done",
        b"this",
        award.agent,
    )
    assert sent(effects, Settled)[0].used
    cleared = [one for one in effects if isinstance(one, fx.Publish) and one.message is None]
    assert [one.topic for one in cleared] == [f"foa/v1/task/{bench.partition}/t1/state/0"]
    assert set(bench.timers) <= {"forget", "repeat"}


def test_an_answer_that_comes_twice_is_settled_twice_and_counts_once() -> None:
    bench = Bench(hit("a1"))
    (award,) = awards(bench)
    bench.answer(done(award))
    effects = bench.answer(done(award))
    assert [one.used for one in sent(effects, Settled)] == [False]
    assert sent(effects, Result) == []


def test_a_retry_excludes_who_failed_and_gives_up_after_the_attempts() -> None:
    bench = Bench(hit("a1"), hit("a2"), hit("a3"))
    (award,) = awards(bench, attempts=2)
    (second,) = sent(bench.answer(failed(award)), Award)
    assert second.agent != award.agent
    assert (second.attempt, second.key) == (2, award.key)
    assert second.award != award.award
    result = sent(bench.answer(failed(second)), Result)[0]
    assert (result.status, result.code) == ("failed", "agent-failed")
    assert "attempt 2 of 2" in result.reason


def test_what_nobody_could_do_better_is_not_retried() -> None:
    bench = Bench(hit("a1"), hit("a2"))
    (award,) = awards(bench)
    assert sent(bench.answer(failed(award, retryable=False)), Result)[0].code == "agent-failed"


def test_declining_costs_no_attempt_and_no_award_id_is_used_twice() -> None:
    bench = Bench(hit("a1"), hit("a2"))
    (award,) = awards(bench, attempts=1)
    (second,) = sent(bench.answer(declined(award)), Award)
    assert second.attempt == award.attempt
    assert second.award != award.award
    assert second.agent != award.agent


def test_who_is_busy_is_asked_again_after_a_moment() -> None:
    bench = Bench(hit("a1"))
    (award,) = awards(bench, attempts=1)
    assert sent(bench.answer(declined(award, "busy")), Award) == []
    (again,) = sent(bench.elapse("relook"), Award)
    assert again.agent == award.agent
    assert again.award != award.award
    assert sent(bench.answer(declined(award, "busy")), Award) == [], "a late copy of the first no means nothing now"
    assert sent(bench.answer(done(again)), Result)[0].status == "done"


def test_who_asks_for_another_try_gets_it_after_its_pause() -> None:
    bench = Bench(hit("a1"))
    (award,) = awards(bench)
    pausing = Failed(award.award, award.task, award.agent, "retry", "the service is down", after_ms=3000)
    began = bench.now
    assert sent(bench.answer(pausing), Award) == []
    (again,) = sent(bench.elapse("relook"), Award)
    assert bench.now == pytest.approx(began + 3.0)
    assert (again.agent, again.attempt) == (award.agent, 2)


def test_a_subtask_done_after_all_is_not_missed_later() -> None:
    """Its agent was given up and nobody else found; then its answer came while another subtask still ran."""
    bench = Bench(hit("a1", slots=2), patience_s=5.0)
    one, other = awards(bench, plan=Plan((Subtask("a", "x"), Subtask("b", "y"))), text="")
    bench.hits.clear()
    bench.elapse(f"lease:{one.award}")
    assert list(bench.live.unplaced) == ["a"]
    bench.answer(done(one))
    assert bench.live.unplaced == {}
    assert sent(bench.answer(done(other)), Result)[0].status == "done"


def test_silence_ends_the_lease_and_progress_renews_it() -> None:
    bench = Bench(hit("a1"), hit("a2"))
    (award,) = awards(bench)
    lease = f"lease:{award.award}"
    first = bench.timers[lease]
    bench.now += 1.0
    bench.answer(taken(award, started=False))
    assert bench.timers[lease] > first + 1.0
    bench.now += 5.0
    bench.answer(progress(award))
    effects = bench.elapse(lease)
    assert sent(effects, Withdrawn)[0].award == award.award
    assert sent(effects, Award)[0].agent != award.agent


def test_a_late_answer_of_who_was_given_up_counts_and_ends_the_second_award() -> None:
    bench = Bench(hit("a1", 0.01), hit("a2", 0.01))
    (award,) = awards(bench, budget=0.01)
    (second,) = sent(bench.elapse(f"lease:{award.award}"), Award)
    effects = bench.answer(done(award, cost=0.01))
    assert [one.award for one in sent(effects, Withdrawn)] == [second.award]
    assert sent(effects, Result)[0].cost == pytest.approx(0.01)


def test_nobody_is_waited_for_with_patience_then_said_why() -> None:
    bench = Bench(patience_s=1.0)
    awards(bench)
    while "relook" in bench.timers:
        effects = bench.elapse("relook")
    assert sent(effects, Result)[0].code == "no-route"


def test_the_deadline_ends_it_and_withdraws() -> None:
    bench = Bench(hit("a1"))
    (award,) = awards(bench)
    effects = bench.elapse("deadline")
    assert sent(effects, Result)[0].status == "expired"
    assert sent(effects, Withdrawn)[0].award == award.award


def test_a_cancel_ends_it_and_the_first_end_wins() -> None:
    bench = Bench(hit("a1"))
    (award,) = awards(bench)
    effects = bench.feed(bench.received("cancel", Cancel("t1", "enough")))
    assert (sent(effects, Result)[0].status, sent(effects, Result)[0].reason) == ("cancelled", "enough")
    assert sent(effects, Withdrawn)[0].award == award.award
    assert sent(bench.answer(done(award)), Result) == []
    assert bench.ended.result.status == "cancelled"


# --- money ------------------------------------------------------------------------------------------------


def test_an_award_shows_what_may_be_spent_on_it() -> None:
    bench = Bench(hit("a1", 0.01))
    (award,) = awards(bench, budget=0.01)
    assert award.budget == pytest.approx(0.01)


def test_a_team_is_paid_from_one_budget() -> None:
    bench = Bench(hit("a1", 0.02), hit("a2", 0.02), hit("a3", 0.02))
    given = awards(bench, team=3, budget=0.05)
    assert len(given) == 2
    assert "the budget pays for 2" in bench.live.decisions[-1].reason


def test_who_is_too_dear_is_not_awarded() -> None:
    bench = Bench(hit("a1", 1.0), patience_s=0.0)
    effects = bench.submit(task(budget=0.5))
    assert sent(effects, Award) == []
    assert sent(effects, Result)[0].code == "budget"


def test_cost_adds_up_over_attempts() -> None:
    bench = Bench(hit("a1"), hit("a2"))
    (award,) = awards(bench)
    from msgspec.structs import replace

    (second,) = sent(bench.answer(replace(failed(award), usage=Usage(1, 0.25))), Award)
    assert sent(bench.answer(done(second, cost=0.5)), Result)[0].cost == pytest.approx(0.75)


# --- effects = once ---------------------------------------------------------------------------------------


def once(bench: Bench, *, consent: bool = False) -> Award:
    """Submit, and let the award go: it waits until the broker has the snapshot that names it."""
    plan = Plan((Subtask("pay", "pay this", consent=consent),))
    effects = bench.submit(task(plan=plan))
    assert sent(effects, Award) == []
    token = [one.token for one in effects if isinstance(one, fx.Publish) and one.token.startswith("sent:")][-1]
    (award,) = sent(bench.feed(fx.Delivered(token, 0)), Award)
    return award


def test_once_that_never_left_is_awarded_again() -> None:
    bench = Bench(hit("o1", effects="once"), hit("o2", effects="once"))
    bench.submit(task(plan=Plan((Subtask("pay", "pay this"),))))
    (lease,) = [timer for timer in bench.timers if timer.startswith("lease:")]
    bench.elapse(lease)
    assert bench.live.works["pay"].attempt == 2


@pytest.mark.parametrize("how", ["failed", "failed-unheard", "silent", "silent-unheard"])
def test_once_is_not_repeated_without_consent(how: str) -> None:
    bench = Bench(hit("o1", effects="once"), hit("o2", effects="once"))
    award = once(bench)
    if not how.endswith("unheard"):
        bench.answer(taken(award))
    effects = bench.answer(failed(award)) if "failed" in how else bench.elapse(f"lease:{award.award}")
    assert sent(effects, Award) == []
    assert "consent" in sent(effects, Result)[0].reason


def test_once_is_repeated_with_consent_or_before_its_start() -> None:
    bench = Bench(hit("o1", effects="once"), hit("o2", effects="once"))
    award = once(bench, consent=True)
    bench.answer(taken(award))
    bench.answer(failed(award))
    assert bench.live.works["pay"].attempt == 2
    other = Bench(hit("o1", effects="once"), hit("o2", effects="once"))
    other.answer(failed(once(other), "inputs"))
    assert other.live.works["pay"].attempt == 2


# --- plans and teams --------------------------------------------------------------------------------------


def test_a_subtask_waits_for_those_before_it_and_gets_their_outputs() -> None:
    bench = Bench(hit("a1"))
    (first,) = awards(bench, plan=chain(), text="")
    (second,) = sent(bench.answer(done(first, "one")), Award)
    assert [given.value.body for given in second.inputs] == [b"one"]
    result = sent(bench.answer(done(second, "two")), Result)[0]
    assert [given.value.body for given in result.outputs] == [b"two"]
    assert [part.subtask for part in result.parts] == ["a", "b"]


def test_a_bad_plan_is_refused_with_the_reason() -> None:
    bench = Bench()
    loop = Plan((Subtask("a", "x"), Subtask("b", "y")), (("a", "b"), ("b", "a")))
    result = sent(bench.submit(task(plan=loop)), Result)[0]
    assert result.code == "plan"
    assert "cycle" in result.reason


def test_a_team_is_represented_by_what_most_say() -> None:
    bench = Bench(hit("a1"), hit("a2"), hit("a3"))
    given = awards(bench, team=3)
    assert len({award.award for award in given}) == 3
    assert {award.team.members for award in given if award.team} == {tuple(award.agent for award in given)}
    for award, body in zip(given, ("yes", "no", "yes"), strict=True):
        effects = bench.answer(done(award, body))
    result = sent(effects, Result)[0]
    assert result.outputs[0].value.body == b"yes"
    assert len(result.parts[0].agents) == 3


def test_a_team_goes_on_without_its_silent_member() -> None:
    bench = Bench(hit("a1"), hit("a2"))
    one, other = awards(bench, team=2)
    bench.answer(done(one, "yes"))
    effects = bench.elapse(f"lease:{other.award}")
    assert sent(effects, Result)[0].outputs == text_of(one, "yes")
    assert bench.ended.result.status == "done"


def text_of(award: Award, body: str) -> object:
    from msgspec.structs import replace

    return tuple(replace(given, source=award.subtask.id, agent=award.agent) for given in text(body))


def test_policies_are_a_gate() -> None:
    bench = Bench(hit("a1"), hit("a2", holds=("eu",)))
    (award,) = awards(bench, policies=("eu",))
    assert award.agent == "acme/tools/a2"


def test_a_result_too_large_for_a_frame_goes_without_its_records() -> None:
    plan = Plan(tuple(Subtask(f"s{at}", "x" * 40_000) for at in range(20)))
    live = Live(3, E1, Task("t1", "much"), 0.0, 60.0, plan=plan)
    outputs = tuple(Given(f"o{at}", Value("text/plain", "text/plain", b"y" * 16_000)) for at in range(20))
    large = Result("t1", "done", E1, outputs, plan=plan)
    small, blobs = fitting(live, Context(Topics()), 0.0, large)
    assert len(encode(small)) <= MAX_PAYLOAD
    assert (len(small.outputs), small.plan, len(blobs)) == (20, None, 20)
    assert all(given.value.ref is not None for given in small.outputs)
