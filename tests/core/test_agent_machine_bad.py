"""Handlers that hang or end the process, owners that never settle, a bus that is away: what the agent makes of them."""

from typing import Any

import pytest

from foa.core import effects as fx
from foa.core.effects import Effect, Key
from foa.core.machines.agent import announce
from foa.core.machines.agent.state import Charged, Progressed, Stumbled
from foa.core.turns import AGE_S
from foa.testing.agents import profile as profile_of
from foa.wire.messages import Award, Declined, Done, Draft, Failed, Progress, Taken
from foa.wire.topics import Topic
from tests.core.agent_bench import ME, Bench, award_of, sent, team, text


def tell(bench: Bench, ident: str, message: Any) -> list[Effect]:
    return bench.feed(Key("award", ident), fx.Told(Key("shell"), message))


# --- hung -------------------------------------------------------------------------------------------------


def test_a_handler_without_a_sign_of_its_own_is_given_up_and_its_slot_freed() -> None:
    bench = Bench(hung_s=5.0)
    bench.offer(award_of())
    bench.offer(award_of("w2", "t2"))
    assert bench.timers["w1", "hung"] == 5.0
    (beat,) = sent(bench.elapse("w1", "beat"), Progress)
    assert beat.award == "w1"
    assert bench.timers["w1", "hung"] == 5.0, "renewing the lease is no sign of the handler's"
    effects = bench.elapse("w1", "hung")
    (failed,) = sent(effects, Failed)
    assert (failed.code, failed.retryable) == ("hung", True)
    assert "no sign for 5 s" in failed.reason
    assert bench.cancelled == ["w1"]
    assert bench.agent.running == ("w2",)
    assert "w2" in bench.jobs


@pytest.mark.parametrize("sign", [Progressed(0.5, "half"), Progressed(0.0, "", "piece"), Charged(0.01)])
def test_its_own_signs_give_it_another_term(sign: Any) -> None:
    bench = Bench(hung_s=5.0)
    bench.offer(award_of())
    bench.now = 4.0
    tell(bench, "w1", sign)
    assert bench.timers["w1", "hung"] == 9.0


def test_without_a_known_term_the_deadline_ends_it() -> None:
    bench = Bench()
    bench.offer(award_of(left_ms=3000))
    assert ("w1", "hung") not in bench.timers
    assert sent(bench.elapse("w1", "deadline"), Failed)[0].code == "deadline"


def test_a_revision_that_hangs_lets_the_draft_stand() -> None:
    bench = Bench(profile_of(ME, slots=1, refines=True), hung_s=2.0)
    bench.offer(award_of(team=team("a1", "a2")))
    bench.yields("w1", text("mine"))
    assert ("w1", "hung") not in bench.timers, "whoever waits for its team is not at work"
    said = Draft("w-a2", "t1", "cl1", "acme/tools/a2", 0, text("no way at all"))
    bench.feed(announce.KEY, fx.Received(Topic("channel", task="t1", name="cl1", agent="acme/tools/a2"), said))
    assert bench.jobs["w1"].round == 1
    effects = bench.elapse("w1", "hung")
    assert [(one.round, one.outputs) for one in sent(effects, Draft)] == [(1, text("mine"))]
    assert bench.cancelled == ["w1"]
    assert bench.jobs == {}


# --- crashed, poison --------------------------------------------------------------------------------------


def crash(bench: Bench, award: Award) -> list[Failed]:
    """Take an award, die over it, come back; return what is said then."""
    bench.offer(award)
    assert award.award in bench.jobs
    return sent(bench.restart(), Failed)


def test_who_died_over_an_award_says_so_at_once_and_does_not_begin_it_again() -> None:
    bench = Bench()
    (failed,) = crash(bench, award_of())
    assert (failed.award, failed.code, failed.retryable) == ("w1", "crashed", True)
    assert bench.jobs == {}
    assert sent(bench.restart(), Failed) == [failed], "until it is settled"
    bench.settle("w1")
    assert sent(bench.restart(), Failed) == []


def test_what_ended_it_too_often_is_declined_over_restarts_and_other_work_is_not() -> None:
    bench = Bench(crashes=2)
    for attempt in (1, 2):
        crash(bench, award_of(f"w{attempt}", attempt=attempt))
        bench.settle(f"w{attempt}")
    bench.restart()
    (declined,) = sent(bench.offer(award_of("w3", attempt=3)), Declined)
    assert (declined.code, declined.reason) == ("poison", "this process ended 2 times while it worked on this")
    bench.offer(award_of("w4", "t4"))
    assert "w4" in bench.jobs
    bench.yields("w4", text("fine"))
    bench.now = 100.0  # past the deadline of those awards
    bench.offer(award_of("w5"))
    assert "w5" in bench.jobs


def test_what_was_at_work_beside_it_is_not_blamed_twice() -> None:
    """All that was at work is suspect; each is done alone then, and only what ends the process again is declined."""
    bench = Bench(profile_of(ME, slots=4), backlog=9, crashes=2)
    for number in range(3):
        bench.offer(award_of(f"w{number}", f"t{number}"))
    bench.restart()
    for number in range(3):
        bench.settle(f"w{number}", f"t{number}")
    for number in range(4):
        bench.offer(award_of(f"x{number}", f"t{number}", attempt=2))
    assert list(bench.jobs) == ["x0"]
    bench.yields("x0", text("innocent"))
    assert list(bench.jobs) == ["x1"]
    bench.restart()
    bench.settle("x1", "t1")
    assert [one.code for one in sent(bench.offer(award_of("y1", "t1", attempt=3)), Declined)] == ["poison"]
    bench.offer(award_of("y2", "t2", attempt=3))
    assert list(bench.jobs) == ["y2"]


def test_what_is_remembered_of_crashes_is_bounded() -> None:
    bench = Bench(crashes=1)
    for number in range(announce.MAX_CRASHES + 5):
        crash(bench, award_of(f"w{number}", f"t{number}"))
        bench.settle(f"w{number}", f"t{number}")
    assert len(bench.agent.crashes) == announce.MAX_CRASHES
    assert sum(name.startswith("#") for name in bench.kept) == announce.MAX_CRASHES


def test_withdrawn_work_is_no_crash() -> None:
    bench = Bench()
    bench.offer(award_of())
    bench.withdraw("w1")
    assert bench.kept == {}
    assert bench.restart() == []


# --- answers that nobody settles --------------------------------------------------------------------------


def test_an_answer_is_given_up_when_nobody_can_want_it_any_more() -> None:
    bench = Bench(keep_s=60.0)
    bench.offer(award_of(left_ms=20_000))
    bench.yields("w1", text("this"))
    assert bench.timers["w1", "expire"] == 80.0
    bench.elapse("w1", "expire")
    assert bench.kept == {}
    assert bench.awards == {}
    assert bench.agent.answers == {}


def test_of_too_many_answers_the_oldest_is_given_up_and_a_late_settlement_does_no_harm() -> None:
    bench = Bench(kept=3)
    for number in range(5):
        bench.offer(award_of(f"w{number}", f"t{number}"))
        bench.yields(f"w{number}", text("this"))
    assert sorted(bench.kept) == ["w2", "w3", "w4"]
    bench.settle("w0", "t0")
    assert list(bench.agent.answers) == ["w2", "w3", "w4"]
    (again,) = sent(bench.elapse("w2", "repeat"), Done)
    assert again.award == "w2"
    bench.restart()
    assert sorted(bench.agent.answers) == ["w2", "w3", "w4"]


def test_while_the_bus_is_away_nothing_piles_up_and_afterwards_all_is_said_at_once() -> None:
    bench = Bench()
    bench.offer(award_of())
    bench.yields("w1", text("one"))
    bench.feed(announce.KEY, fx.Offline())
    assert ("w1", "repeat") not in bench.timers
    bench.offer(award_of("w2", "t2"))
    bench.yields("w2", text("two"))
    assert ("w2", "repeat") not in bench.timers, "finished while it was away"
    said = sent(bench.feed(announce.KEY, fx.Online(resumed=False)), Done)
    assert sorted(done.award for done in said) == ["w1", "w2"]
    assert ("w1", "repeat") in bench.timers


# --- whose turn -------------------------------------------------------------------------------------------


def test_what_waits_goes_by_priority_and_an_older_one_as_if_of_a_higher() -> None:
    bench = Bench(backlog=9)
    bench.offer(award_of("w0", "t0", left_ms=600_000))
    bench.offer(award_of("low", "t1", left_ms=600_000, priority=3))
    bench.now = 1.0
    bench.offer(award_of("plain", "t2", left_ms=600_000))
    bench.offer(award_of("same", "t3", left_ms=600_000))
    bench.offer(award_of("high", "t4", left_ms=600_000, priority=8))
    assert list(bench.agent.waiting) == ["high", "plain", "same", "low"]
    bench.now = 1.0 + 2 * AGE_S
    effects = bench.offer(award_of("late", "t5", left_ms=600_000))
    assert sent(effects, Taken)[0].started is False
    assert list(bench.agent.waiting) == ["high", "plain", "same", "low", "late"]
    bench.yields("w0", text("x"))
    assert bench.agent.running == ("high",)
    assert bench.agent.turns.keys() == set(bench.agent.waiting)


def test_who_is_stumbled_over_frees_every_slot() -> None:
    bench = Bench(profile_of(ME, slots=2), backlog=9, hung_s=1.0)
    for number in range(6):
        bench.offer(award_of(f"w{number}", f"t{number}"))
    bench.stumbles("w0", Stumbled("failed", "handler", "boom"))
    bench.stumbles("w1", Stumbled("declined", "inputs", "no"))
    bench.elapse("w2", "hung")
    bench.withdraw("w3", "t3")
    bench.stumbles("w4", Stumbled("asking", "ask", "which?"))
    bench.yields("w5", text("x"))
    assert (bench.agent.running, bench.agent.waiting, bench.agent.turns) == ((), (), {})
