"""Rounds: who is late, who is ahead, who is a guest, and when nothing more is to come."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from foa.core.cluster.rounds import Refining, add, advance, caught_up, latest, peers, status
from foa.wire.messages import Draft
from foa.wire.records import Given, Team, Value

A, B, C, D, E = (f"o/u/{name}" for name in "abcde")


def draft(agent: str, number: int, body: str = "x", **more: Any) -> Draft:
    fields: dict[str, Any] = {"award": f"w-{agent}", "subtask": "main"} | more
    return Draft(task="t", cluster="c", agent=agent, round=number,
                 outputs=(Given("out", Value("text/plain", "text/plain", body.encode())),), **fields)  # fmt: skip


def refining(*members: str, **team: Any) -> Refining:
    return Refining(Team("c", members, **({"rounds": 3} | team)), subtask="main")


def heard(view: Refining, *drafts: Draft) -> Refining:
    for one in drafts:
        view, _ = add(view, one)
    return view


spoken = st.tuples(st.sampled_from([A, B, C, D, E]), st.integers(0, 5), st.sampled_from(["x", "y", "z"]), st.booleans())


@settings(max_examples=40, deadline=None)
@given(st.lists(spoken, max_size=16), st.integers(0, 3), st.booleans())
def test_whatever_is_heard_the_view_is_bounded_and_a_late_round_ends(
    said: list[tuple[str, int, str, bool]], rounds: int, late: bool
) -> None:
    view = refining(A, B, C, rounds=rounds, guests=(D,))
    for agent, number, body, complete in said:
        view = heard(view, draft(agent, number, body, complete=complete))
        places = [(one.agent, one.round) for one in view.drafts]
        assert len(places) == len(set(places)) <= 3 * (rounds + 1)
        assert {one.agent for one in view.drafts} <= {A, B, C}
        assert {one.agent for one in view.guests} <= {D}
        if status(view, late=late).verdict == "next":
            view = advance(view)
        assert view.round <= rounds
    for _ in range(rounds + 1):
        outcome = status(view, late=True)
        if outcome.verdict == "stop":
            break
        view = advance(view)
    assert outcome.verdict == "stop"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([B, C]), st.integers(0, 3)), max_size=8), st.integers(0, 99))
def test_the_order_in_which_members_are_heard_does_not_matter(said: list[tuple[str, int]], seed: int) -> None:
    drafts = sorted({(agent, number): draft(agent, number, f"{agent}{number}") for agent, number in said}.values(),
                    key=lambda one: (one.agent, one.round))  # fmt: skip
    queues = {agent: [one for one in drafts if one.agent == agent] for agent in (B, C)}
    dice, mixed = random.Random(seed), []
    while any(queues.values()):  # each one's own frames stay in order
        mixed.append(queues[dice.choice([agent for agent, queue in queues.items() if queue])].pop(0))
    one, other = heard(refining(A, B, C), *drafts), heard(refining(A, B, C), *mixed)
    assert (latest(one), status(one), caught_up(one, A).round) == (
        latest(other),
        status(other),
        caught_up(other, A).round,
    )


def test_a_single_member_hurries_nobody_but_its_only_partner() -> None:
    assert caught_up(heard(refining(A, B, C), draft(B, 3)), A).round == 0
    assert caught_up(heard(refining(A, B, C), draft(B, 3), draft(C, 2)), A).round == 2
    assert caught_up(heard(refining(A, B, C, D), draft(B, 3), draft(C, 1)), A).round == 1
    assert caught_up(heard(refining(A, B), draft(B, 2)), A).round == 2
    assert caught_up(refining(A), A).round == 0


def test_a_late_draft_is_shown_and_its_author_not_waited_for() -> None:
    view = advance(heard(refining(A, B, C), draft(A, 0), draft(B, 0, "y")))
    view = heard(view, draft(C, 0, "z"))
    assert [one.agent for one in peers(view, A)] == [B, C]
    assert view.silent == (C,)
    assert status(heard(view, draft(A, 1), draft(B, 1, "u"))).verdict == "next"
    assert heard(view, draft(C, 1)).silent == ()


def test_who_is_ahead_counts_in_the_rounds_between() -> None:
    view = heard(refining(A, B), draft(A, 0), draft(B, 2, "y"))
    assert status(view).verdict == "next"
    assert [one.round for one in latest(advance(view))] == [0, 2]


def test_under_another_award_a_member_begins_anew() -> None:
    view = heard(refining(A, B), draft(B, 0), draft(B, 1, "y"), draft(B, 0, "z", award="w2"))
    assert [(one.award, one.round) for one in view.drafts] == [("w2", 0)]


def test_guests_are_seen_and_never_counted() -> None:
    view = heard(refining(A, B, guests=(C,)), draft(A, 0), draft(C, 0, "z", subtask="other"))
    assert status(view).verdict == "wait"
    assert [one.agent for one in peers(view, A)] == [C]
    assert add(view, draft(D, 0))[1]
    assert add(view, draft(B, 0, subtask="other"))[1]
    alone = heard(refining(A, guests=(C,)), draft(A, 0))
    assert status(alone).agreed
    assert status(heard(alone, draft(C, 0, "z", subtask="other"))).verdict == "next"


def test_first_critiques_are_news_and_later_ones_are_not() -> None:
    view = advance(heard(refining(A, B), draft(A, 0), draft(B, 0, "y")))
    view = heard(view, draft(A, 1, critiques={B: "why y?"}), draft(B, 1, "y"))
    assert status(view).verdict == "next"
    view = heard(advance(view), draft(A, 2, critiques={B: "but why y?"}), draft(B, 2, "y"))
    assert status(view).reason == "nothing changed"


def test_the_round_of_critiques_is_not_judged_by_change() -> None:
    view = heard(advance(heard(refining(A, B, strategy="anchor"), draft(A, 0), draft(B, 0, "y"))), draft(A, 1),
                 draft(B, 1, "y"))  # fmt: skip
    assert status(view).verdict == "next"
