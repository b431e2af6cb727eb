"""Escalation: cheap probes first, more only on disagreement, nobody twice, and an end."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.core.cluster.answers import Answer
from foa.core.cluster.escalate import Member, Move, Rules, next_move
from foa.wire.records import Given, Value

A, B, C, D = "o/u/a", "o/u/b", "o/u/c", "o/u/d"


def says(agent: str, words: str) -> Answer:
    return Answer(agent, (Given("out", Value("text/plain", media="text/plain", body=words.encode())),))


def pool(*asked: str, trust: float = 0.6, price: float = 1.0, known: float = 99.0) -> list[Member]:
    return [Member(agent, price, trust, agent in asked, known) for agent in (A, B, C, D)]


def test_the_first_is_always_asked_and_agreement_is_accepted() -> None:
    assert next_move([], pool()).agents == (A,)
    two = next_move([says(A, "7"), says(B, "7")], pool(A, B))
    assert two.kind == "accept"
    assert two.confidence > 0.85


def test_disagreement_asks_one_more() -> None:
    move = next_move([says(A, "7"), says(B, "8")], pool(A, B))
    assert (move.kind, move.agents) == ("ask", (C,))
    assert next_move([says(A, "7"), says(B, "8")], pool(A, B), Rules(worth=1.0)).kind == "accept"


def test_cheap_probes_come_first_and_the_dear_one_when_they_disagree() -> None:
    rules = Rules(worth=20.0)
    members = [Member(A, 9.0, 0.9), Member(B, 0.5, 0.7), Member(C, 0.5, 0.7)]
    assert next_move([], members, rules).agents == (B,)
    asked = [members[0], members[1]._replace(asked=True), members[2]._replace(asked=True)]
    agreed = next_move([says(B, "1"), says(C, "1")], asked, rules)
    assert agreed.kind == "accept"
    contested = next_move([says(B, "1"), says(C, "2")], asked, Rules(worth=40.0))
    assert (contested.kind, contested.agents) == ("ask", (A,))


def test_one_probe_that_can_change_no_lead_is_worth_nothing() -> None:
    """After one answer a second that is trusted less decides nothing: whoever it contradicts still leads."""
    members = [Member(A, 0.01, 0.6, asked=True), Member(B, 0.01, 0.5)]
    assert next_move([says(A, "1")], members, Rules(worth=1000.0)).kind == "accept"
    better = [members[0], members[1]._replace(trust=0.7)]
    assert next_move([says(A, "1")], better, Rules(worth=1000.0)).kind == "ask"


def test_an_answer_that_looks_wrong_asks_one_more() -> None:
    members = [Member(A, 1.0, 0.6, asked=True), Member(B, 1.0, 0.5)]
    assert next_move([says(A, "1.5")], members).kind == "accept"
    assert next_move([says(A, "1.5")], members, plausible={"fraction": -3.0}).agents == (B,)
    assert next_move([says(A, "15")], members, plausible={"fraction": -3.0}).kind == "accept"


def test_who_might_yet_be_the_best_is_asked_along_until_that_is_known() -> None:
    def tried(trust: float, known: float) -> bool:
        members = [Member(A, 1.0, 0.6, asked=True, known=known), Member(B, 1.0, trust, known=known)]
        return next_move([says(A, "1")], members, Rules(worth=1.0)).kind == "ask"

    assert tried(0.1, 15)
    assert not tried(0.1, 16)
    assert tried(0.55, 40)
    assert not tried(0.3, 40)
    assert not tried(0.59, 64)


def test_who_is_hardly_known_is_asked_along() -> None:
    members = [Member(A, 1.0, 0.9, asked=True, known=50), Member(B, 1.0, 0.2, known=3)]
    assert next_move([says(A, "1")], members, Rules(worth=1.0)).agents == (B,)
    assert next_move([says(A, "1")], members, Rules(worth=1.0, trial=0)).kind == "accept"


def test_the_budget_and_the_pool_end_it() -> None:
    split = [says(A, "1"), says(B, "2")]
    assert next_move(split, pool(A, B), Rules(budget=0.5)).reason.endswith("the budget is out")
    every = [says(A, "1"), says(B, "2"), says(C, "3"), says(D, "4")]
    assert next_move(every, pool(A, B, C, D)).reason.endswith("nobody is left")
    assert next_move([], [], Rules(rounds=3)) == Move("accept", (), "0.00 sure, nobody is left", 0.0)


def test_with_everybody_asked_a_round_of_refinement_is_the_next_step() -> None:
    every = [says(A, "1"), says(B, "2"), says(C, "3"), says(D, "4")]
    move = next_move(every, pool(A, B, C, D), Rules(rounds=1))
    assert (move.kind, move.agents) == ("refine", (A, B, C, D))
    assert move.confidence < 0.3
    assert next_move(every, pool(A, B, C, D), Rules(rounds=1, budget=3.0)).kind == "accept"
    alike = [says(agent, "1") for agent in (A, B, C, D)]
    assert next_move(alike, pool(A, B, C, D), Rules(rounds=1)).kind == "accept"


def test_strange_numbers_do_no_harm() -> None:
    nan, inf = float("nan"), float("inf")
    members = [Member(A, nan, nan), Member(B, inf, -2.0), Member(C, -1.0, 7.0, known=nan), Member(D, 1.0, 0.5)]
    for answers in ([], [says(A, ""), says("o/u/stranger", "9")]):
        move = next_move(answers, members)
        assert move.kind in ("accept", "ask", "refine")
        assert 0.0 <= move.confidence <= 1.0


words = st.sampled_from(["1", "2", "3", ""])
member_lists = st.lists(
    st.builds(
        Member, st.sampled_from([A, B, C, D]), st.floats(0, 5), st.floats(0, 1), st.just(False), st.floats(0, 64)
    ),
    max_size=4,
    unique_by=lambda one: one.agent,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(member_lists, st.lists(words, min_size=12, max_size=12), st.floats(0, 200), st.floats(0, 12), st.integers(0, 2))
def test_nobody_is_asked_twice_the_budget_holds_and_it_ends(
    members: list[Member], said: list[str], worth: float, budget: float, rounds: int
) -> None:
    answers: list[Answer] = []
    asked: list[str] = []
    left, voices = budget, iter(said * 9)
    prices = {one.agent: one.price for one in members}
    for _ in range(len(members) + rounds + 1):
        now = [one._replace(asked=one.agent in asked) for one in members]
        rules = Rules(worth=worth, budget=left, rounds=rounds)
        move = next_move(answers, now, rules)
        assert move == next_move(answers, now[::-1], rules)
        if move.kind == "accept":
            break
        if move.kind == "ask":
            assert not set(move.agents) & set(asked)
            asked += move.agents
        else:
            assert sorted(asked) == list(move.agents)
            rounds -= 1
        left -= sum(prices[agent] for agent in move.agents)
        assert left >= -1e-9
        answers += [says(agent, next(voices)) for agent in move.agents]
    else:
        raise AssertionError("it did not end")
