"""Clusters: when answers are the same, when rounds end, who represents; the demo's three detectors among them."""

import itertools
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.core.cluster.agreement import form, similarity
from foa.core.cluster.answers import Answer
from foa.core.cluster.rounds import Outcome, Refining, add, advance, latest, peers, status
from foa.core.cluster.strategies import settle
from foa.wire.messages import Draft
from foa.wire.records import Given, Ref, Team, Value

A, B, C, D = "o/u/a", "o/u/b", "o/u/c", "o/u/d"


def says(value: Any, name: str = "out") -> tuple[Given, ...]:
    return (Given(name, Value("outliers", body=msgspec.json.encode(value))),)


def text(words: str) -> tuple[Given, ...]:
    return (Given("out", Value("text/plain", media="text/plain", body=words.encode())),)


def near(one: tuple[Given, ...], other: tuple[Given, ...]) -> float:
    assert similarity(form(one), form(other)) == similarity(form(other), form(one))
    return similarity(form(one), form(other))


def outliers(method: str, rows: list[int]) -> dict[str, Any]:
    return {
        "answer": {"rows": rows},
        "method": method,
        "rows": [{"row": row, "score": len(method) * row} for row in rows],
    }


def test_a_declared_answer_is_all_that_counts() -> None:
    assert near(says(outliers("z-score", [3, 9, 27])), says(outliers("isolation", [27, 9, 3]))) == 1.0
    assert near(says(outliers("z", [3, 9])), says(outliers("z", [3, 9, 10, 11]))) == 0.5
    assert form(says(outliers("z", [3, 9]))).digest == form(says(outliers("lof", [9, 3]))).digest


def test_json_is_compared_by_its_items() -> None:
    assert near(says({"a": 1, "b": [1, 2]}), says({"b": [2.0, 1], "a": 1.0})) == 1.0
    assert near(says({"mean": 10.0}), says({"mean": 10.004})) == 1.0
    assert near(says({"mean": 10.0}), says({"mean": 10.1})) == 0.0
    assert near(says([1, 1]), says([1])) == 0.5
    assert near(says({"a": True}), says({"a": 1})) == 0.0
    assert near(says({"city": "New  York"}), says({"city": "new york"})) == 1.0
    assert near(says(None), says(None)) == 1.0
    assert near((), ()) == 1.0


def test_text_is_compared_by_its_words() -> None:
    assert near(text("The answer is 42."), text("the answer is 42")) == 1.0
    assert near(text("yes"), text("no")) == 0.0
    assert near(text("a b c"), text("a b d")) == 0.5


def test_bodies_by_digest_are_equal_or_not() -> None:
    one = (Given("out", Value("x", ref=Ref("a" * 64, 9))),)
    other = (Given("out", Value("x", ref=Ref("b" * 64, 9))),)
    assert near(one, one) == 1.0
    assert near(one, other) < 0.9


def test_strange_bodies_do_no_harm() -> None:
    for body in (b"{", b"\xff\xfe", b"[" * 5000, b"1" + b"0" * 400, b'{"answer":', b"", b"[" * 90 + b"1" + b"]" * 90):
        found = form((Given("out", Value("x", body=body)),))
        assert similarity(found, found) == 1.0


leaf = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=6)
values = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner), max_leaves=8
)


@settings(max_examples=80, deadline=None)
@given(values, values)
def test_similarity_is_symmetric_and_bounded(one: Any, other: Any) -> None:
    assert 0.0 <= near(says(one), says(other)) <= 1.0
    assert near(says(one), says(one)) == 1.0


# --- rounds -----------------------------------------------------------------------------------------------


def draft(agent: str, number: int, value: Any, *, complete: bool = False) -> Draft:
    return Draft(f"w-{agent}", "t", "c", agent, number, says(value), complete)


def refining(*members: str, rounds: int = 3) -> Refining:
    return Refining(Team("c", members, rounds))


def heard(view: Refining, *drafts: Draft) -> Refining:
    for one in drafts:
        view, reason = add(view, one)
        assert reason == ""
    return view


def test_three_detectors_disagree_revise_and_agree() -> None:
    view = refining(A, B, C)
    view = heard(view, draft(A, 0, outliers("z", [1, 2])), draft(B, 0, outliers("iqr", [2, 3])))
    assert status(view) == Outcome("wait", "2 of 3 have spoken")
    view = heard(view, draft(C, 0, outliers("forest", [2, 9])))
    assert status(view).verdict == "next"
    view = advance(view)
    assert [one.agent for one in peers(view, B)] == [A, C]
    view = heard(view, *(draft(one, 1, outliers(one, [2])) for one in (C, A)))
    assert status(view).verdict == "wait"
    assert status(heard(view, draft(B, 1, outliers("iqr", [2])))) == Outcome(
        "stop", "more than two thirds agree", agreed=True
    )


def test_agreement_stops_early_and_two_of_three_is_not_enough() -> None:
    view = heard(refining(A, B, C, D), *(draft(one, 0, [7]) for one in (A, B, C)))
    assert status(view).agreed
    view = heard(refining(A, B, C), draft(A, 0, [7]), draft(B, 0, [7]))
    assert status(view).verdict == "wait"
    assert status(view, late=True).verdict == "next"


def test_who_is_dropped() -> None:
    view = heard(refining(A, B, rounds=1), draft(A, 0, 1))
    for bad, why in [
        (draft(C, 0, 1), "no member"),
        (draft(A, 0, 2), "has spoken"),
        (draft(B, 2, 1), "beyond the last"),
        (msgspec.structs.replace(draft(B, 0, 1), cluster="other"), "no member"),
    ]:
        same, reason = add(view, bad)
        assert same is view
        assert why in reason
    late, reason = add(advance(view), draft(B, 0, 1))
    assert (reason, [one.agent for one in peers(late, A)]) == ("", [B])
    assert "is over" in add(heard(late, draft(B, 1, 2)), draft(B, 0, 3))[1]


def test_a_faster_member_is_kept_for_its_round() -> None:
    view = heard(refining(A, B), draft(A, 0, 1), draft(A, 1, 5), draft(B, 0, 2))
    assert [one.round for one in latest(view)] == [0, 0]
    view = heard(advance(view), draft(B, 1, 5))
    assert status(view).agreed


def test_the_ends() -> None:
    view = heard(refining(A, B), draft(A, 0, 1, complete=True), draft(B, 0, 2, complete=True))
    assert status(view) == Outcome("stop", "all who spoke are complete")
    view = heard(advance(heard(refining(A, B), draft(A, 0, 1), draft(B, 0, 2))), draft(A, 1, 1), draft(B, 1, 2))
    assert status(view) == Outcome("stop", "nothing changed")
    view = heard(refining(A, B, rounds=0), draft(A, 0, 1), draft(B, 0, 2))
    assert status(view) == Outcome("stop", "the rounds are out")
    assert status(refining(A, B), late=True) == Outcome("stop", "nobody has spoken")


def test_who_is_complete_need_not_speak_again() -> None:
    view = heard(refining(A, B), draft(A, 0, 1, complete=True), draft(B, 0, 2))
    assert status(view).verdict == "next"
    view = heard(advance(view), draft(B, 1, 1))
    assert status(view).agreed


def test_silence_never_deadlocks() -> None:
    view = heard(refining(A, B, C), draft(A, 0, 1))
    for _ in range(10):
        outcome = status(view, late=True)
        if outcome.verdict == "stop":
            break
        view = advance(view)
    assert outcome.verdict == "stop"
    assert view.round <= view.team.rounds


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=4, max_size=4), st.integers(0, 999))
def test_the_order_of_hearing_does_not_matter_and_agreement_only_grows(said: list[int], seed: int) -> None:
    drafts = [draft(agent, 0, value) for agent, value in zip((A, B, C, D), said, strict=True)]
    ends = set()
    for arrived in (drafts, random.Random(seed).sample(drafts, 4)):
        view, agreed = refining(A, B, C, D), False
        for one in arrived:
            view = heard(view, one)
            assert status(view).agreed >= agreed
            agreed = status(view).agreed
        ends.add(status(view))
    assert len(ends) == 1


# --- representative ---------------------------------------------------------------------------------------


def test_the_majority_wins_for_short_answers() -> None:
    choice = settle("", [Answer(A, says(41)), Answer(B, says(42)), Answer(C, says(42))], {A: 1.0, C: 0.9})
    assert choice is not None
    assert (choice.agent, choice.place, choice.how, choice.agreed) == (C, 2, "weighted", False)
    assert choice.share == pytest.approx(2 / 3)
    assert choice.credit == {A: 0.0, B: 1.0, C: 1.0}


def test_the_medoid_stands_for_texts_weighted_by_reputation() -> None:
    answers = [Answer(A, text("cats like fish")), Answer(B, text("cats like milk")), Answer(C, text("dogs like bones"))]
    choice = settle("", answers, {})
    assert choice is not None
    assert (choice.agent, choice.how) == (A, "medoid")
    trusted = settle("", answers, {C: 9.0})
    assert trusted is not None
    assert trusted.agent == C


def test_the_silent_count_against_agreement_and_ties_go_by_id() -> None:
    answers = [Answer(B, says(1)), Answer(A, says(1))]
    choice = settle("", answers, {}, members=3)
    assert choice is not None
    assert (choice.agent, choice.agreed) == (A, False)
    assert settle("", [], {}) is None
    for shuffled in itertools.permutations([Answer(A, says(1)), Answer(B, says(2)), Answer(C, says(3))]):
        found = settle("", list(shuffled), {})
        assert found is not None
        assert found.agent == A


def test_a_member_that_let_a_round_pass_is_not_waited_for_again_until_it_speaks() -> None:
    view = heard(refining(A, B, C), draft(A, 0, 1), draft(B, 0, 2))
    assert status(view).verdict == "wait"
    assert status(view, late=True).verdict == "next"
    view = heard(advance(view), draft(A, 1, 3), draft(B, 1, 4))
    assert status(view).verdict == "next"
    back = heard(advance(view), draft(C, 2, 5), draft(A, 2, 5))
    assert status(back).verdict == "wait"
    assert back.silent == ()
