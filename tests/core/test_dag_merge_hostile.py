"""What no planner can do to a merge: alone, twice, in bulk, in a circle, at length; and that each one counts."""

import random
from itertools import pairwise
from math import isnan

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.bench.plans.fuzz import fuzzed
from foa.core.dag.merge import MergeRules, Proposal, merge, recorded
from foa.core.dag.merge.record import MOST_BYTES
from foa.core.dag.merge.weights import RANGE, bounded, shares
from foa.core.dag.plan import check
from foa.wire.deliberation import Deliberation
from foa.wire.records import Plan, Subtask

STEPS = (
    "load the data",
    "clean every row",
    "find outliers",
    "plot sales by month",
    "write a report",
    "mail it to Anna",
)


def chain(*texts: str) -> Plan:
    ids = [f"{number:03d}" for number in range(len(texts))]
    return Plan(tuple(map(Subtask, ids, texts)), tuple(pairwise(ids)), origin=("x",))


def texts(plan: Plan | None) -> list[str]:
    assert plan is not None
    return [one.text for one in plan.subtasks]


HONEST = [Proposal(name, chain(*STEPS)) for name in ("a", "b")]
JUNK = {
    "bulk": chain(*(f"junk number {at} of nothing" for at in range(128))),
    "echoes": chain(*(STEPS * 21)),
    "cycle": Plan((Subtask("x", "p"), Subtask("y", "q")), (("x", "y"), ("y", "x"))),
    "length": chain(*(f"{step} {'x' * 40_000}" for step in STEPS)),
    "floods": chain(*("x" * 65_000 for _ in range(9))),
    "reversed": chain(*STEPS[::-1]),
    "nowhere": Plan((Subtask("x", "p"),), (("x", "z"),)),
    "nothing": Plan(()),
}


@pytest.mark.parametrize("kind", JUNK)
@pytest.mark.parametrize("name", ["0-first", "zz-last"])
@pytest.mark.parametrize("weight", [1.0, 1e12, float("inf"), float("nan"), -5.0])
def test_one_hostile_proposal_changes_nothing(kind: str, name: str, weight: float) -> None:
    plan, report = merge([*HONEST, Proposal(name, JUNK[kind], weight)])
    assert texts(plan) == list(STEPS)
    assert plan is not None
    assert len(plan.edges) == len(STEPS) - 1
    assert report.agreed


def test_a_text_with_much_behind_it_is_not_taken_for_what_its_vector_says() -> None:
    """Models read a text's beginning only, so a flood behind a copied text is as near as the text itself."""
    flood = "load the data" + " x" * 9_000
    vectors = {"load the data": np.array([1.0, 0.0]), "read the data in": np.array([0.96, 0.28])}
    vectors[flood] = np.array([0.99, 0.141])
    given_ = [("0", flood), ("a", "load the data"), ("b", "read the data in")]
    plan, _ = merge([Proposal(name, chain(text)) for name, text in given_], vectors)
    assert len(texts(plan)) == 1
    assert flood not in texts(plan)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=8))
def test_nobody_is_half_of_three_and_weights_keep_their_order(weights: list[float]) -> None:
    found = bounded(weights)
    assert all(1 / RANGE <= one <= RANGE for one in found)
    numbers = [(one, other) for one, other in zip(weights, found, strict=True) if not isnan(one)]
    assert all(one[1] <= other[1] for one in numbers for other in numbers if one[0] <= other[0])
    split = shares(found)
    if len(split) > 2:
        assert all(2 * one < sum(split) for one in split)
    if len(split) == 2:
        assert split[0] == split[1]


@pytest.mark.parametrize("weight", [0.001, 0.5, 3.0, 1e9])
def test_equal_weights_are_no_weights(weight: float) -> None:
    rng = random.Random(7)
    for _ in range(40):
        plain = [Proposal(f"p{at}", chain(*rng.sample(STEPS, rng.randint(1, 6)))) for at in range(rng.randint(1, 5))]
        assert merge([one._replace(weight=weight) for one in plain]) == merge(plain)


def test_a_better_reputation_decides_between_two_and_two() -> None:
    left, right = chain(*STEPS[:3]), chain(*STEPS[3:])
    two = [Proposal("a", left), Proposal("b", left), Proposal("c", right, 3.0), Proposal("d", right)]
    assert texts(merge(two)[0]) == list(STEPS[3:])
    assert texts(merge([one._replace(weight=1.0) for one in two])[0]) == list(STEPS[:3])


def test_a_better_reputation_decides_the_order() -> None:
    ahead, back = chain("load the data", "find outliers"), chain("find outliers", "load the data")
    plan, _ = merge([Proposal("a", ahead), Proposal("b", ahead), Proposal("c", back, 1.6), Proposal("d", back, 1.6)])
    assert plan is not None
    assert texts(plan) == ["find outliers", "load the data"]


WHIMS = ("brew some coffee", "feed our parrot", "translate an abstract", "paint that wall")


def noisy() -> list[Proposal]:
    """Four copies of one good plan; each has left out one step, and has one of its own instead."""
    found = []
    for at in range(4):
        own = [step for place, step in enumerate(STEPS) if place != at]
        own.insert(at, WHIMS[at])
        found.append(Proposal(f"p{at}", chain(*own)))
    return found


def test_four_imperfect_plans_make_what_none_of_them_is() -> None:
    plan, report = merge(noisy())
    assert texts(plan) == list(STEPS)
    assert report.agreed
    assert all(texts(plan) != texts(one.plan) for one in noisy())


@pytest.mark.parametrize("without", range(4))
def test_each_planner_counts_and_none_is_echoed(without: int) -> None:
    """Whoever is left out, what two of the other three have stays; a merge that copied one of them would fail."""
    rest = [one for at, one in enumerate(noisy()) if at != without]
    plan, _ = merge(rest)
    assert texts(plan) == list(STEPS)
    assert all(texts(plan) != texts(one.plan) for one in rest)


def test_every_planner_can_tip_a_vote() -> None:
    """Two have a step and two have not: whoever of those who have it goes, the step goes."""
    without, whole = chain(*STEPS[:5]), chain(*STEPS)
    votes = [Proposal("a", whole), Proposal("b", whole), Proposal("c", without)]
    assert texts(merge(votes)[0]) == list(STEPS)
    for gone in ("a", "b"):
        left = [one for one in votes if one.planner != gone]
        others = [*left, Proposal("d", without)]
        assert texts(merge(others)[0]) == list(STEPS[:5])


def test_demands_are_combined() -> None:
    one = Subtask(
        "s", "load", skills=("csv", "odd"), needs=("text/csv",), produces=("table",), team=2, policies=("eu",)
    )
    two = Subtask("s", "load", skills=("csv",), needs=("text/csv",), approve=True, strategy="medoid", depth=1)
    three = Subtask(
        "s", "load", skills=("csv",), needs=("junk",), strategy="majority", policies=("gdpr",), consent=True
    )
    plan, _ = merge([Proposal(name, Plan((it,))) for name, it in (("a", one), ("b", two), ("c", three))])
    assert plan is not None
    found = plan.subtasks[0]
    assert (found.skills, found.needs, found.produces) == (("csv",), ("text/csv",), ())
    assert set(found.policies) == {"eu", "gdpr"}
    assert (found.approve, found.consent, found.team, found.depth, found.strategy) == (True, False, 0, 1, "majority")


def test_what_is_recorded_says_who_was_heard_and_what_was_kept() -> None:
    proposals = [*HONEST, Proposal("bad", JUNK["cycle"], 2.0), Proposal("c", chain(*STEPS[:5], "count the rows"), 0.5)]
    plan, report = merge(proposals)
    found = recorded(report, proposals, at_ms=7, subtask="s")
    assert (found.at_ms, found.subtask, found.anchor, found.agreed) == (7, "s", report.anchor, True)
    assert [(one.planner, one.kept, one.weight) for one in found.voices] == [
        ("a", 6, 1.0), ("b", 6, 1.0), ("c", 5, 0.5), ("bad", 0, 1.0),
    ]  # fmt: skip
    assert found.voices[0].plan == HONEST[0].plan
    assert "cycle" in found.voices[3].refused
    assert found.voices[3].plan is None
    assert [one.id for one in found.kept] == [one.id for one in report.kept]
    assert plan is not None


@pytest.mark.parametrize("kind", JUNK)
def test_what_is_recorded_is_bounded_and_can_be_sent(kind: str) -> None:
    proposals = [Proposal(f"planner-{at}-{'n' * 300}", JUNK[kind], float("inf")) for at in range(20)]
    body = msgspec.json.encode(recorded(merge(proposals)[1], proposals, subtask="s" * 99))
    assert len(body) <= MOST_BYTES
    msgspec.json.decode(body, type=Deliberation)


def test_sizes_of_texts_are_bounded() -> None:
    plan, report = merge([Proposal("a", chain("x" * 50, "y" * 51))], rules=MergeRules(chars=100))
    assert plan is None
    assert "at most 100" in report.dropped[0].reason


@pytest.mark.slow
def test_random_and_hostile_proposals_break_no_law() -> None:
    found = fuzzed(500, 3, lambda _: None)
    assert found.pop("cases") == 500
    assert 450 < found.pop("merged") <= 500
    assert set(found.values()) == {0}


def test_random_weights_leave_a_plan() -> None:
    rng = random.Random(1)
    for _ in range(60):
        found = [
            Proposal(f"p{at}", chain(*rng.sample(STEPS, 4)), rng.choice([0.0, 1.0, 9.0, float("nan"), -1.0, 1e99]))
            for at in range(rng.randint(1, 6))
        ]
        plan, report = merge(found)
        assert plan is not None
        assert check(plan) is None
        assert (plan, report) == merge(found[::-1])
