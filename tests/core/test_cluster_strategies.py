"""Settling: every strategy's law, whatever strangers say, and the best so far that is never given up for worse."""

import random
from itertools import pairwise
from math import isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.core.cluster.answers import MOST, Answer, compare
from foa.core.cluster.belief import ALTERNATIVES, posterior, weight
from foa.core.cluster.strategies import CREDITS, best_so_far, case_of, settle, spent, standings, weak
from foa.wire.records import Given, Strategy, Value

A, B, C, D = "o/u/a", "o/u/b", "o/u/c", "o/u/d"
ALL: tuple[Strategy, ...] = ("", "majority", "weighted", "medoid", "quadratic", "anchor")


def says(agent: str, words: str, confidence: float | None = None, votes: dict[str, float] | None = None) -> Answer:
    outputs = (Given("out", Value("text/plain", media="text/plain", body=words.encode())),)
    return Answer(agent, outputs, confidence, votes or {})


def picked(strategy: Strategy, answers: list[Answer], trust: dict[str, float] | None = None) -> str:
    choice = settle(strategy, answers, trust or {})
    assert choice is not None
    assert 0.0 <= choice.score <= 1.0
    return choice.agent


def test_a_majority_is_counted_and_a_weighted_vote_listens_to_who_is_trusted() -> None:
    answers = [says(A, "41"), says(B, "42"), says(C, "42.0")]
    trust = {A: 0.9, B: 0.2, C: 0.2}
    assert picked("majority", answers, trust) == B
    assert picked("weighted", answers, trust) == A
    assert picked("weighted", answers, {A: 0.6, B: 0.5, C: 0.5}) == B


def test_ties_go_to_the_trusted_then_to_the_lower_id() -> None:
    answers = [says(C, "3"), says(B, "2"), says(A, "1")]
    for strategy in ALL:
        assert picked(strategy, answers) == A
        assert picked(strategy, answers, {B: 0.7}) == B


def test_prose_is_settled_by_nearness_and_short_answers_by_their_chance() -> None:
    prose = [says(A, "the cat sat on the mat"), says(B, "the cat sat on a mat"), says(C, "dogs bark at night")]
    chosen = settle("", prose, {})
    assert chosen is not None
    assert (chosen.how, chosen.agent in (A, B)) == ("medoid", True)
    short = settle("", [says(A, "1"), says(B, "1"), says(C, "2")], {})
    assert short is not None
    assert short.how == "weighted"


def test_who_says_nothing_supports_nothing() -> None:
    answers = [says(A, ""), says(B, ""), says(C, "7")]
    for strategy in ALL:
        assert picked(strategy, answers) == C
    assert settle("majority", [], {}) is None
    assert picked("majority", [says(A, "")]) == A


def test_votes_cost_their_square_and_clones_are_one_candidate() -> None:
    spread = [says(A, "1", votes={A: 5, B: 5, C: 5}), says(B, "2", votes={B: 9}), says(C, "3", votes={B: 2, C: 2})]
    assert picked("quadratic", spread) == B
    clones = [says(A, "1"), says(B, "2", votes={A: 10, C: 10}), says(C, "1", votes={B: 8}), says(D, "2")]
    assert picked("quadratic", clones, {D: 0.6}) == D


def test_a_member_that_is_not_sure_buys_less() -> None:
    answers = [says(A, "1", confidence=0.1), says(B, "2", confidence=0.9)]
    assert picked("quadratic", answers) == B


def test_the_anchor_is_what_its_peers_hold_of_it_and_the_weak_repair_again() -> None:
    votes = {A: 0.2, B: 0.3, C: 0.9}
    answers = [says(A, "one", votes=votes), says(B, "two", votes=votes), says(C, "three", votes=votes)]
    assert picked("anchor", answers) == C
    assert weak(answers, {}) == (A, B)
    assert weak([says(A, "x"), says(B, "x")], {}) == ()


def test_a_later_round_does_not_win_by_being_later() -> None:
    first = [says(A, "42"), says(B, "42"), says(C, "17")]
    later = [says(A, "17"), says(B, "5"), says(C, "6")]
    kept = best_so_far([first, later], {})
    assert kept is not None
    assert (kept.round, kept.choice.agent) == (0, A)
    mended = best_so_far([[says(A, "1"), says(B, "2"), says(C, "3")], [says(A, "2"), says(B, "2"), says(C, "2")]], {})
    assert mended is not None
    assert mended.choice.agent == B
    assert mended.choice.agreed


def test_silence_is_no_consent() -> None:
    choice = settle("majority", [says(A, "1"), says(B, "1")], {}, members=4)
    assert choice is not None
    assert (choice.share, choice.agreed) == (0.5, False)


def test_the_chances_are_those_of_the_model() -> None:
    """One coin: product over who said it of p K / (1 - p), 1 for each answer nobody gave."""
    found = posterior([0, 0, 1], [weight(0.6), weight(0.5), weight(0.8)])
    odds = [0.6 * 10 / 0.4 * 10, 0.8 * 10 / 0.2]
    total = sum(odds) + ALTERNATIVES + 1 - 2
    assert found == {0: pytest.approx(odds[0] / total), 1: pytest.approx(odds[1] / total)}
    assert posterior([-1], [1.0]) == {}


@pytest.mark.parametrize("strategy", ALL)
def test_strange_numbers_do_no_harm(strategy: Strategy) -> None:
    nan, inf = float("nan"), float("inf")
    answers = [
        says(A, "1", nan, {B: nan, C: inf, "nobody": 3.0}),
        says(B, "2", inf, {A: -4.0, B: 1e300}),
        says(C, "\\frac{" * 40, -1.0, dict.fromkeys((str(at) for at in range(999)), 1.0)),
        Answer(D, ()),
    ]
    choice = settle(strategy, answers, {A: nan, B: inf, C: -3.0}, members=-2)
    assert choice is not None
    assert 0.0 <= choice.score <= 1.0


@pytest.mark.slow
def test_a_flood_of_answers_is_cut() -> None:
    flood = [says(f"o/u/{at}", str(at % 3)) for at in range(2 * MOST)]
    assert len(compare(flood).group) == MOST
    assert settle("", flood, {}) is not None


members = st.sampled_from([A, B, C, D])
amounts = st.none() | st.floats(0, 1)
answer = st.builds(
    says,
    members,
    st.sampled_from(["1", "2", "3.0", "3", "", "a b c d", "a b c e", "\\frac12"]),
    amounts,
    st.none() | st.dictionaries(members, st.floats(0, 20), max_size=4),
)
team = st.lists(answer, min_size=1, max_size=4, unique_by=lambda one: one.agent)
trusts = st.dictionaries(members, st.floats(0, 1))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ALL), team, trusts, st.integers(0, 99))
def test_who_spoke_first_does_not_matter(
    strategy: Strategy, answers: list[Answer], trust: dict[str, float], seed: int
) -> None:
    shuffled = random.Random(seed).sample(answers, len(answers))
    one, other = settle(strategy, answers, trust), settle(strategy, shuffled, trust)
    assert one is not None
    assert other is not None
    assert (one.agent, one.how, one.credit) == (other.agent, other.how, other.credit)
    assert isclose(one.score, other.score, abs_tol=1e-9)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ALL[1:]), st.lists(team, min_size=1, max_size=3), trusts)
def test_the_choice_is_never_worse_than_the_one_before(
    strategy: Strategy, history: list[list[Answer]], trust: dict[str, float]
) -> None:
    """By its own criterion, on the evidence of all rounds up to now."""
    for before, now in pairwise(range(1, len(history) + 1)):
        earlier = best_so_far(history[:before], trust, strategy=strategy)
        later = best_so_far(history[:now], trust, strategy=strategy)
        assert earlier is not None
        assert later is not None
        flat = [one for answers in history[:now] for one in answers]
        scores = standings(strategy, case_of(flat, trust))
        at = sum(map(len, history[: earlier.round])) + earlier.choice.place
        assert later.choice.score >= scores[at] - 1e-9


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.dictionaries(members, st.floats(allow_nan=True, allow_infinity=True)), st.floats(0, CREDITS))
def test_nobody_spends_more_than_the_budget(votes: dict[str, float], budget: float) -> None:
    counted = spent(votes, budget)
    assert sum(value**2 for value in counted.values()) <= budget + 1e-6
    assert all(value >= 0.0 for value in counted.values())
