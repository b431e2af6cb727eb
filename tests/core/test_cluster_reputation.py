"""Reputation and credit: what agreement alone teaches, what verdicts correct, and who earned what of an answer."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.core.cluster import reputation
from foa.core.cluster.agreement import SHAPES, form, shape
from foa.core.cluster.answers import Answer
from foa.core.cluster.credit import importance, merit
from foa.core.cluster.reputation import MEMORY, PRIOR, Reputation, company, known, learned, plausible, told, trust
from foa.wire.records import Given, Value

A, B, C, D = "o/u/a", "o/u/b", "o/u/c", "o/u/d"


def says(agent: str, words: str) -> Answer:
    return Answer(agent, (Given("out", Value("text/plain", media="text/plain", body=words.encode())),))


def debate(rng: random.Random, right: dict[str, float]) -> list[Answer]:
    """Everybody answers 0 where it is right, one of ten other things where not."""
    return [says(agent, "0" if rng.random() < p else str(rng.randint(1, 10))) for agent, p in right.items()]


def taught(right: dict[str, float], items: int, seed: int = 1) -> Reputation:
    rng, found = random.Random(seed), Reputation()
    for _ in range(items):
        found = learned(found, debate(rng, right))
    return found


@pytest.mark.slow
def test_agreement_alone_finds_who_is_usually_right() -> None:
    right = {A: 0.3, B: 0.4, C: 0.9, D: 0.5}
    found = taught(right, 200)
    assert sorted(right, key=lambda agent: trust(found, agent)) == sorted(right, key=right.__getitem__)
    assert all(abs(trust(found, agent) - rate) < 0.2 for agent, rate in right.items())


def test_a_stranger_has_the_prior_and_a_lone_answer_teaches_nothing() -> None:
    assert trust(Reputation(), A) == PRIOR
    assert learned(Reputation(), [says(A, "1")]) == Reputation()
    assert learned(Reputation(), [says(A, "1"), says(A, "2")]) == Reputation()
    assert known(learned(Reputation(), [says(A, "1"), says(B, "1")]), A) == 1.0


def test_verdicts_overrule_agreement() -> None:
    found = Reputation()
    for _ in range(100):
        found = learned(found, [says(A, "1"), says(B, "1"), says(C, "2")])
    assert trust(found, A) > 0.8
    assert trust(found, C) < 0.3
    for _ in range(200):
        found = told(told(found, A, 0.0), C, 1.0)
    assert trust(found, C) > 0.6
    assert trust(found, A) < 0.4


def test_a_kind_of_work_starts_from_all_work_and_goes_its_own_way() -> None:
    found = Reputation()
    for _ in range(200):
        found = told(told(found, A, 1.0, ["algebra"]), A, 0.0, ["poems"])
    assert trust(found, A, ["algebra"]) > 0.85
    assert trust(found, A, ["poems"]) < 0.15
    assert trust(found, A, ["letters"]) == trust(found, A) == pytest.approx(0.5)


def test_who_is_sent_to_hard_work_is_no_worse_beside_others() -> None:
    """A and B are equals; only B also sits in the company that gets the hard work."""
    found, rng = Reputation(), random.Random(1)
    easy, hard = [company([A, B])], [company([C, B])]
    for _ in range(100):
        for agent in (A, B):
            found = told(found, agent, float(rng.random() < 0.8), easy)
        for agent in (C, B):
            found = told(found, agent, float(rng.random() < 0.1), hard)
    assert trust(found, A) - trust(found, B) > 0.25
    assert abs(trust(found, A, easy) - trust(found, B, easy)) < 0.12
    assert trust(found, B, hard) < 0.25
    assert company([A, B]) == company([B, A, A]) != company([A, C])


def test_the_old_fades_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Reputation()
    for _ in range(700):
        found = told(found, A, 1.0)
    assert found.agents[A].told == pytest.approx(MEMORY)
    for _ in range(700):
        found = told(found, A, 0.0)
    assert trust(found, A) < 0.3
    monkeypatch.setattr(reputation, "MAX_AGENTS", 3)
    monkeypatch.setattr(reputation, "MAX_KINDS", 2)
    for agent in (A, B, C, A, D):
        found = told(found, agent, 1.0, ["x"])
    assert list(found.agents) == [C, A, D]
    assert list(found.kinds) == [(A, "x"), (D, "x")]


def test_strange_verdicts_are_read_as_wrong_or_bounded() -> None:
    for value in (float("nan"), float("inf"), -3.0):
        assert 0.0 < trust(told(Reputation(), A, value), A) < 1.0


def test_what_answers_look_like_is_learned_from_who_agrees_and_from_verdicts() -> None:
    found = Reputation()
    for number in range(40):
        found = learned(found, [says(A, "7"), says(B, "7"), says(C, f"{number}.5")])
    odds = plausible(found)
    assert odds["whole"] > 0.2
    assert odds["fraction"] < -0.5
    for number in range(400):
        found = told(found, C, 1.0, answer=says(C, f"{number}.5"))
        found = told(found, A, 0.0, answer=says(A, "7"))
    assert plausible(found)["fraction"] > odds["fraction"]
    assert plausible(found)["whole"] < odds["whole"]
    assert all(-4.0 <= value <= 4.0 for value in plausible(found).values())
    assert plausible(Reputation()) == {}


def test_shapes_are_few_and_told_from_the_outside() -> None:
    seen = {"7": "whole", "-7": "-whole", "1/3": "fraction", "-0.5": "-fraction", "cat": "word", "two cats": "words"}
    seen |= {"x^2": "formula", "30x(x-1)(x-2)(x-3)": "long formula", "": "nothing", "why " * 99: "prose"}
    assert {text: shape(form(says(A, text).outputs)) for text in seen} == seen
    pair = Answer(A, (Given("out", Value("json", media="application/json", body=b'{"a": 1, "b": 2}')),))
    assert shape(form(pair.outputs)) == "parts"
    assert {*seen.values(), "parts"} == set(SHAPES)


words = st.sampled_from(["1", "2", "3", "", "a b c"])
answers = st.lists(st.builds(says, st.sampled_from([A, B, C, D]), words), max_size=6)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(answers, max_size=5), st.integers(0, 99))
def test_trust_is_bounded_and_who_spoke_first_does_not_matter(rounds: list[list[Answer]], seed: int) -> None:
    one = other = Reputation()
    for said in rounds:
        first = list({answer.agent: answer for answer in said}.values())
        one = learned(one, first, ["k"])
        other = learned(other, random.Random(seed).sample(first, len(first)), ["k"])
    assert one == other
    assert all(0.0 < trust(one, agent, kinds) < 1.0 for agent in (A, B, C, D) for kinds in ([], ["k"], ["k", "l"]))


# --- credit -----------------------------------------------------------------------------------------------


def test_a_lone_agent_earned_it_all() -> None:
    assert importance([[says(A, "42")]], says(A, "42").outputs) == {A: 1.0}
    assert importance([[says(A, "1")], [says(A, "42")]], says(A, "42").outputs)[A] == pytest.approx(0.5)


def test_who_contradicts_earns_nothing_and_equals_share() -> None:
    found = importance([[says(A, "42"), says(B, "42"), says(C, "7")]], says(A, "42").outputs)
    assert found == {A: 0.5, B: 0.5, C: 0.0}
    assert merit(found) == {A: 1.0, B: 1.0, C: 0.0}


def test_who_said_it_first_earned_more_than_who_came_round() -> None:
    rounds = [[says(A, "42"), says(B, "7"), says(C, "9")], [says(A, "42"), says(B, "42"), says(C, "9")]]
    found = importance(rounds, says(A, "42").outputs)
    assert found[A] == pytest.approx(0.75)
    assert found[B] == pytest.approx(0.25)
    assert found[C] == 0.0


def test_nothing_accepted_that_anybody_said_is_nobodys() -> None:
    assert importance([[says(A, "1"), says(B, "2")]], says(C, "3").outputs) == {A: 0.0, B: 0.0}
    assert importance([], says(C, "3").outputs) == {}
    assert importance([[], []], ()) == {}
    assert merit({A: 0.0}) == {A: 0.0}


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(answers, max_size=4), words, st.integers(0, 99))
def test_shares_are_bounded_whatever_is_said_in_whatever_order(
    rounds: list[list[Answer]], accepted: str, seed: int
) -> None:
    target = says(A, accepted).outputs
    found = importance(rounds, target)
    assert all(0.0 <= value <= 1.0 for value in found.values())
    assert sum(found.values()) <= 1.0 + 1e-9
    assert all(0.0 <= value <= 1.0 for value in merit(found).values())
    one_each = [list({answer.agent: answer for answer in said}.values()) for said in rounds]
    shuffled = [random.Random(seed).sample(said, len(said)) for said in one_each]
    assert importance(shuffled, target) == pytest.approx(importance(one_each, target))
