"""A member of a cluster and the lone worker: which draft is the best, how votes are spent, what ends an award."""

from math import isclose
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.core import effects as fx
from foa.core.cluster.agreement import form, similarity
from foa.core.cluster.strategies import CREDITS
from foa.core.effects import Effect, Key
from foa.core.machines.agent import announce
from foa.core.machines.agent.regard import ballot, best, weaklings
from foa.core.machines.agent.state import Answered, Charged, Joined, Progressed, Stumbled, Yielded
from foa.testing.agents import profile as profile_of
from foa.wire.messages import Asking, Done, Draft, Failed, Progress
from foa.wire.records import Subtask, Team, Usage
from foa.wire.topics import Topic
from tests.core.agent_bench import ME, Bench, award_of, sent, team, text

A2, A3 = "acme/tools/a2", "acme/tools/a3"


def draft(agent: str, body: str, number: int = 0, **more: Any) -> Draft:
    fields: dict[str, Any] = {"subtask": "main"} | more
    return Draft(f"w-{agent}", "t1", "cl1", agent, number, text(body), **fields)


def hear(bench: Bench, said: Draft, agent: str = "") -> list[Effect]:
    topic = Topic("channel", task=said.task, name=said.cluster, agent=agent or said.agent)
    return bench.feed(announce.KEY, fx.Received(topic, said))


def revises(bench: Bench, made: Yielded | Stumbled) -> list[Effect]:
    bench.jobs.pop("w1")
    return bench.feed(Key("award", "w1"), fx.Returned("revised", made))


def joined(rounds: int = 3, *members: str, **changes: Any) -> Bench:
    """Return a bench whose agent said "yes" in a team of three, or of `members`."""
    bench = Bench()
    one = Team("cl1", (ME, *(members or (A2, A3))), rounds, 1000, **changes.pop("team", {}))
    bench.offer(award_of(team=one, **changes))
    bench.yields("w1", text("yes it is"))
    return bench


# --- the best so far --------------------------------------------------------------------------------------

answers = st.sampled_from(["yes", "no", "yes and no", "42", "a b c d", "a b c"])
surely = st.none() | st.floats(0, 1)
drafts = st.lists(st.tuples(answers, surely), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(drafts, st.lists(answers, max_size=4), st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_no_draft_of_its_own_is_worth_more_than_the_best(
    tried: list[tuple[str, float | None]], others: list[str], trust: list[float]
) -> None:
    mine = [draft(ME, body, number, confidence=sure) for number, (body, sure) in enumerate(tried)]
    said = [draft(f"o/u/p{number}", body) for number, body in enumerate(others)]
    weights = dict(zip([ME, *(one.agent for one in said)], trust, strict=False))
    own = weights[ME] or 0.5

    def worth(one: Draft) -> float:
        near = sum(weights[peer.agent] * similarity(form(one.outputs), form(peer.outputs)) for peer in said)
        sure = 0.5 if one.confidence is None else one.confidence
        return (near + own * sure) / (sum(weights[peer.agent] for peer in said) + own)

    found = best(mine, said, weights)
    assert all(worth(found) >= worth(one) - 1e-8 for one in mine)
    assert not any(one.round > found.round and worth(one) > worth(found) - 1e-10 for one in mine)


def test_a_revision_that_loses_support_is_not_sent() -> None:
    bench = joined(1)
    hear(bench, draft(A2, "yes it was"))
    hear(bench, draft(A3, "no idea"))
    revises(bench, Yielded(text("something else")))
    hear(bench, draft(A2, "yes it was", 1))
    (done,) = sent(hear(bench, draft(A3, "no clue", 1)), Done)
    assert (done.outputs, done.rounds, done.agreed) == (text("yes it is"), 0, False)


def test_a_revision_its_author_is_sure_of_is() -> None:
    bench = joined(1, A2)
    hear(bench, draft(A2, "no"))
    revises(bench, Yielded(text("something else"), confidence=0.95))
    (done,) = sent(hear(bench, draft(A2, "never", 1)), Done)
    assert (done.outputs, done.rounds, done.confidence) == (text("something else"), 1, 0.95)


def test_the_best_is_what_is_revised() -> None:
    bench = joined(3, A2)
    hear(bench, draft(A2, "yes it was"))
    revises(bench, Yielded(text("something else")))
    hear(bench, draft(A2, "yes it is so", 1))
    assert bench.jobs["w1"].draft == text("yes it is")


@pytest.mark.parametrize("stumbled", [Stumbled("failed", "handler", "boom"), Stumbled("declined", "inputs", "no")])
def test_a_revision_that_fails_lets_the_draft_stand_for_good(stumbled: Stumbled) -> None:
    bench = joined(3, A2)
    hear(bench, draft(A2, "no"))
    (said,) = sent(revises(bench, stumbled), Draft)
    assert (said.outputs, said.complete, said.round) == (text("yes it is"), True, 1)
    hear(bench, draft(A2, "nope", 1))
    assert bench.jobs == {}
    (done,) = sent(hear(bench, draft(A2, "yes it is", 2)), Done)
    assert (done.outputs, done.agreed) == (text("yes it is"), True)


# --- rounds -----------------------------------------------------------------------------------------------


def test_what_it_heard_while_at_work_counts_and_nothing_is_said_twice() -> None:
    bench = Bench()
    bench.offer(award_of(team=team("a1", "a2", "a3")))
    hear(bench, draft(A2, "yes"))
    hear(bench, draft(A2, "yes"))
    hear(bench, draft(A3, "no"))
    effects = bench.yields("w1", text("maybe"))
    (said,) = [one for one in effects if isinstance(one, fx.Publish) and isinstance(one.message, Draft)]
    assert (said.retain, said.expiry_s) == (True, 4)
    assert bench.jobs["w1"].peers == (text("yes"), text("no"))
    assert sent(hear(bench, draft(A2, "yes")), Draft) == []


def test_what_it_heard_while_it_waited_for_a_slot_counts() -> None:
    bench = Bench()
    bench.offer(award_of("w0", "t0"))
    bench.offer(award_of(team=team("a1", "a2")))
    hear(bench, draft(A2, "yes"))
    bench.yields("w0", text("x"))
    (done,) = sent(bench.yields("w1", text("yes")), Done)
    assert (done.agreed, done.rounds) == (True, 0)


def test_nobody_speaks_for_another_and_its_own_earlier_life_is_no_peer() -> None:
    bench = joined(2, A2)
    assert hear(bench, draft(A2, "yes it is"), agent="acme/tools/a9") == []
    assert sent(hear(bench, draft(ME, "yes it is", 1)), Done) == []
    assert sent(hear(bench, draft(A2, "yes it is")), Done)[0].agreed


def test_clusters_of_one_name_in_two_tasks_are_two() -> None:
    bench = Bench(profile_of(ME, slots=2))
    bench.offer(award_of("w1", "t1", team=team("a1", "a2")))
    bench.offer(award_of("w2", "t2", team=team("a1", "a2")))
    bench.yields("w1", text("one"))
    bench.yields("w2", text("two"))
    assert [one.award for one in sent(hear(bench, draft(A2, "one")), Done)] == ["w1"]
    assert isinstance(bench.awards["w2"], Joined)
    assert set(bench.agent.clusters) == {"w2"}


def test_critiques_and_scores_travel_with_the_draft() -> None:
    bench = joined(3, A2)
    hear(bench, draft(A2, "no"))
    made = Yielded(None, critiques={A2: "why?", "o/u/stranger": "x"}, scores={A2: 0.25, "o/u/stranger": 1.0})
    (said,) = sent(revises(bench, made), Draft)
    assert (said.critiques, said.votes, said.subtask) == ({A2: "why?"}, {A2: 0.25}, "main")


def test_money_that_does_not_reach_for_another_round_ends_it() -> None:
    bench = joined(3, A2, budget=1.0)
    bench.feed(Key("award", "w1"), fx.Told(Key("shell"), Charged(0.6, 100, 20)))
    (done,) = sent(hear(bench, draft(A2, "no")), Done)
    assert (done.usage, done.agreed) == (Usage(0, 0.6, 100, 20), False)


def test_time_that_does_not_reach_for_another_round_ends_it() -> None:
    bench = Bench()
    bench.offer(award_of(team=team("a1", "a2"), left_ms=20_000))
    bench.now = 11.0
    bench.yields("w1", text("yes"))
    assert sent(hear(bench, draft(A2, "no")), Done)[0].agreed is False


# --- anchor -----------------------------------------------------------------------------------------------


def test_anchor_critiques_first_repairs_once_and_the_weak_again() -> None:
    bench = joined(4, team={"strategy": "anchor"})
    hear(bench, draft(A2, "yes it was"))
    hear(bench, draft(A3, "no way at all"))
    assert bench.jobs["w1"].critical
    revises(bench, Yielded(None, critiques={A2: "tense", A3: "wrong"}, scores={A2: 0.9, A3: 0.1}))
    hear(bench, draft(A2, "yes it was", 1, critiques={ME: "is or was?"}, votes={ME: 0.9, A3: 0.0}))
    hear(bench, draft(A3, "no way at all", 1, critiques={ME: "no"}, votes={ME: 0.2, A2: 0.9}))
    job = bench.jobs["w1"]
    assert (job.round, job.critical) == (2, False)
    assert [one.critiques[ME] for one in job.others] == ["is or was?", "no"]
    revises(bench, Yielded(text("yes it is")))
    hear(bench, draft(A2, "yes it was", 2, votes={ME: 0.9, A3: 0.0}))
    (done,) = sent(hear(bench, draft(A3, "never", 2, votes={ME: 0.9, A2: 0.9})), Done)
    assert (done.outputs, done.rounds) == (text("yes it is"), 2)


def test_anchor_repairs_a_weak_draft_again_and_waits_for_the_weak_alone() -> None:
    bench = joined(4, team={"strategy": "anchor"})
    hear(bench, draft(A2, "no it was"))
    hear(bench, draft(A3, "no way"))
    revises(bench, Yielded(None))
    for agent, body in ((A2, "no it was"), (A3, "no way")):
        hear(bench, draft(agent, body, 1))
    revises(bench, Yielded(text("yes it was"), confidence=0.2, scores={A2: 0.9, A3: 0.9}))
    for agent, body in ((A2, "no it was"), (A3, "no way")):
        hear(bench, draft(agent, body, 2, votes={ME: 0.1, A2: 0.9, A3: 0.9}))
    job = bench.jobs["w1"]
    assert (job.round, job.critical) == (3, False)
    (done,) = sent(revises(bench, Yielded(text("no it is"), confidence=0.9)), Done)
    assert done.outputs == text("no it is")


def test_anchor_with_one_round_repairs_at_once() -> None:
    bench = joined(1, A2, team={"strategy": "anchor"})
    hear(bench, draft(A2, "no"))
    assert not bench.jobs["w1"].critical


def test_who_is_unsure_is_weak_whatever_others_hold_of_it() -> None:
    said = [draft(ME, "yes", confidence=0.2), draft(A2, "yes", confidence=0.9)]
    assert weaklings(said, {}) == (ME,)


# --- votes ------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.lists(answers, min_size=1, max_size=5), surely, st.dictionaries(st.integers(0, 4), st.floats(0, 1)))
def test_votes_cost_their_square_and_no_more_than_the_credits(
    others: list[str], sure: float | None, scores: dict[int, float]
) -> None:
    said = [draft(f"o/u/p{number}", body) for number, body in enumerate(others)]
    one = Team("cl1", (ME, *(peer.agent for peer in said)), 3, strategy="quadratic")
    votes = ballot(one, draft(ME, "yes", confidence=sure), said, {f"o/u/p{at}": value for at, value in scores.items()})
    assert sum(value * value for value in votes.values()) <= CREDITS + 1e-6
    assert not votes or isclose(sum(value * value for value in votes.values()), CREDITS)
    held = {f"o/u/p{at}": value for at, value in scores.items() if f"o/u/p{at}" in votes}
    for low, high in ((low, high) for low in held for high in held if held[low] < held[high]):
        assert votes[low] <= votes[high]


def test_without_scores_votes_go_by_similarity_and_strangers_get_none() -> None:
    one = Team("cl1", (ME, A2, A3), 3, strategy="quadratic")
    said = [draft(A2, "yes"), draft(A3, "no"), draft("o/u/guest", "yes")]
    votes = ballot(one, draft(ME, "yes"), said, {})
    assert set(votes) == {ME, A2}
    assert isclose(votes[ME], votes[A2])


def test_votes_are_in_the_answer() -> None:
    bench = joined(0, A2, team={"strategy": "quadratic"})
    (done,) = sent(hear(bench, draft(A2, "no")), Done)
    assert done.votes == {ME: pytest.approx(10.0)}


# --- asking, refuting, charging, streaming ----------------------------------------------------------------

QUESTION = Stumbled("asking", "ask", "Which column?", options=("a", "b"))


@pytest.mark.parametrize("effects", ["idempotent", "once"])
def test_a_question_ends_the_award_and_is_kept_until_it_is_settled(effects: Any) -> None:
    bench = Bench(profile_of(ME, slots=1, effects=effects))
    bench.offer(award_of())
    if effects == "once":
        bench.recorded("w1")
    (asked,) = sent(bench.stumbles("w1", QUESTION), Asking)
    assert (asked.question, asked.options) == ("Which column?", ("a", "b"))
    assert (bench.kept, bench.agent.running, bench.agent.begun) == ({"w1": asked}, (), {})
    assert sent(bench.elapse("w1", "repeat"), Asking) == [asked]
    assert sent(bench.restart(), Asking) == [asked]
    bench.settle("w1")
    assert (bench.kept, bench.awards) == ({}, {})
    bench.offer(award_of("w2", attempt=2))
    if effects == "once":
        bench.recorded("w2")
    assert set(bench.jobs) == {"w2"}


def test_a_question_in_a_round_of_revision_is_asked_too() -> None:
    bench = joined(3, A2)
    hear(bench, draft(A2, "no"))
    assert len(sent(revises(bench, QUESTION), Asking)) == 1
    assert isinstance(bench.awards["w1"], Answered)
    assert bench.agent.clusters == {}


def test_a_refuted_input_is_named_with_what_was_charged() -> None:
    bench = Bench()
    bench.offer(award_of())
    bench.feed(Key("award", "w1"), fx.Told(Key("shell"), Charged(0.25, 10, 2)))
    wrong = Stumbled("failed", "refuted", "the columns are swapped", refutes="load")
    (failed,) = sent(bench.stumbles("w1", wrong), Failed)
    assert (failed.code, failed.refutes, failed.retryable) == ("refuted", "load", True)
    assert failed.usage == Usage(0, 0.25, 10, 2)


@pytest.mark.parametrize(
    ("charges", "usage"),
    [
        ([], Usage(cost=0.01)),
        ([Charged(0.0)], Usage()),
        ([Charged(0.5, 3, 4), Charged(0.25, 1, 0)], Usage(cost=0.75, tokens_in=4, tokens_out=4)),
        ([Charged(float("nan")), Charged(-1.0), Charged(float("inf"))], Usage(cost=0.01)),
    ],
)
def test_the_bill_is_what_was_charged_else_the_declared_price(charges: list[Charged], usage: Usage) -> None:
    bench = Bench(profile_of(ME, price=0.01))
    bench.offer(award_of())
    for charge in charges:
        bench.feed(Key("award", "w1"), fx.Told(Key("shell"), charge))
    assert sent(bench.yields("w1", text("x")), Done)[0].usage == usage


def test_at_the_deadline_what_was_charged_is_billed() -> None:
    bench = Bench()
    bench.offer(award_of(subtask=Subtask("main", "x")))
    bench.feed(Key("award", "w1"), fx.Told(Key("shell"), Charged(0.5)))
    assert sent(bench.elapse("w1", "deadline"), Failed)[0].usage.cost == 0.5


def test_a_piece_of_the_answer_travels_without_receipt() -> None:
    bench = Bench()
    bench.offer(award_of())
    effects = bench.feed(Key("award", "w1"), fx.Told(Key("shell"), Progressed(0.0, "", "Once upon")))
    (said,) = [one for one in effects if isinstance(one, fx.Publish)]
    assert isinstance(said.message, Progress)
    assert (said.message.partial, said.qos) == ("Once upon", 0)
