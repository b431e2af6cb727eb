"""The laws of the consensus merge, on plans made up by hypothesis."""

import random
from itertools import pairwise

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.core.dag.merge import MergeRules, Proposal, merge
from foa.core.dag.plan import check, order, reduced
from foa.wire.records import Plan, Subtask

TEXTS = [
    "load the data", "clean the data", "profile the data", "plot the sales by month", "write a report", "find outliers",
    "train a model", "send an email to Anna", "translate the abstract", "count the rows",
]  # fmt: skip


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    size = draw(st.integers(1, 7))
    texts = draw(st.lists(st.sampled_from(TEXTS), min_size=size, max_size=size))
    names = draw(st.permutations([f"s{number}" for number in range(size)]))
    pairs = [(names[one], names[other]) for one in range(size) for other in range(one + 1, size)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=10)) if pairs else []
    subtasks = tuple(
        Subtask(name, text, policies=tuple(draw(st.lists(st.sampled_from("abc"), unique=True, max_size=2))))
        for name, text in zip(names, texts, strict=True)
    )
    return Plan(subtasks, tuple(edges), origin=("x",))


@st.composite
def proposals(draw: st.DrawFn) -> list[Proposal]:
    return [
        Proposal(f"p{draw(st.integers(0, 5))}", draw(plans()), leads=draw(st.booleans()))
        for _ in range(draw(st.integers(1, 6)))
    ]


def content(plan: Plan | None) -> tuple[object, object]:
    assert plan is not None
    return {one.id: one for one in plan.subtasks}, set(plan.edges)


@settings(max_examples=60, deadline=None)
@given(proposals(), st.integers(0, 10_000))
def test_order_of_arrival_does_not_matter(found: list[Proposal], seed: int) -> None:
    shuffled = random.Random(seed).sample(found, len(found))
    assert merge(found) == merge(shuffled)


@settings(max_examples=60, deadline=None)
@given(proposals())
def test_hearing_twice_changes_nothing(found: list[Proposal]) -> None:
    assert merge([*found, *found]) == merge(found)


@settings(max_examples=60, deadline=None)
@given(proposals())
def test_merging_the_merged_changes_nothing(found: list[Proposal]) -> None:
    plan, _ = merge(found)
    assert plan is not None
    again, _ = merge([Proposal("a", plan), Proposal("b", plan), Proposal("c", plan)])
    assert again == plan


@settings(max_examples=60, deadline=None)
@given(proposals())
def test_what_comes_out_is_a_reduced_plan_of_what_went_in(found: list[Proposal]) -> None:
    plan, report = merge(found)
    assert plan is not None
    assert check(plan) is None
    assert reduced(plan).edges == plan.edges
    assert [one.id for one in plan.subtasks] == list(order(plan)) == [one.id for one in report.kept]
    assert {one.text for one in plan.subtasks} <= {one.text for item in found for one in item.plan.subtasks}
    for kept in report.kept:
        assert len({planner for planner, _ in kept.members}) == len(kept.members)


@settings(max_examples=40, deadline=None)
@given(plans())
def test_one_plan_merges_to_itself(plan: Plan) -> None:
    assert content(merge([Proposal("p", plan)])[0]) == content(reduced(plan))
    assert content(merge([Proposal("p", plan), Proposal("q", plan)])[0]) == content(reduced(plan))


@settings(max_examples=40, deadline=None)
@given(proposals())
def test_a_policy_is_never_lost(found: list[Proposal]) -> None:
    plan, report = merge(found)
    assert plan is not None
    asked = {(item.planner, one.id): set(one.policies) for item in found for one in item.plan.subtasks}
    planners = [item.planner for item in found]
    for kept, subtask in zip(report.kept, plan.subtasks, strict=True):
        for member in kept.members:
            if planners.count(member[0]) == 1:
                assert asked[member] <= set(subtask.policies)


def chain(*texts: str) -> Plan:
    ids = [f"{number}" for number in range(len(texts))]
    return Plan(tuple(map(Subtask, ids, texts)), tuple(pairwise(ids)), origin=("x",))


def test_a_malformed_proposal_is_dropped_alone() -> None:
    good = chain("load the data", "write a report")
    bad = msgspec.structs.replace(good, edges=(("0", "1"), ("1", "0")))
    plan, report = merge([Proposal("bad", bad), Proposal("good", good)])
    assert content(plan) == content(good)
    assert report.voices == ("good",)
    assert "cycle" in report.dropped[0].reason


def test_nothing_valid_is_no_plan() -> None:
    plan, report = merge([Proposal("bad", Plan(()))])
    assert plan is None
    assert report.dropped[0].what == "plan"
    assert merge([])[0] is None


def test_the_majority_keeps_and_drops() -> None:
    common = chain("load the data", "clean the data", "write a report")
    odd = chain("load the data", "clean the data", "send an email to Anna", "write a report")
    plan, report = merge([Proposal("a", common), Proposal("b", odd), Proposal("c", common)])
    assert content(plan) == content(common)
    assert ("b", "2", "1 of 3 planners have it") in [tuple(one) for one in report.dropped]
    assert report.agreed


def test_an_order_through_a_dropped_subtask_is_kept() -> None:
    """All but b think of two steps as unordered; b alone has a middle step, which is dropped."""
    odd = chain("load the data", "send an email to Anna", "write a report")
    plain = chain("load the data", "write a report")
    plan, _ = merge([Proposal("a", plain), Proposal("b", odd), Proposal("c", plain)])
    assert plan is not None
    assert plan.edges == (("0", "1"),)


def test_a_cycle_of_votes_loses_its_weakest_edge() -> None:
    one, other = chain("load the data", "find outliers"), chain("find outliers", "load the data")
    plan, report = merge([Proposal("a", one), Proposal("b", one), Proposal("c", other)])
    assert plan is not None
    texts = {subtask.id: subtask.text for subtask in plan.subtasks}
    assert [(texts[before], texts[after]) for before, after in plan.edges] == [("load the data", "find outliers")]
    assert any("1 of 3" in dropped.reason for dropped in report.dropped)
    even, report = merge([Proposal("a", one), Proposal("c", other)])
    assert even is not None
    assert len(even.edges) == 1
    assert any("cycle" in dropped.reason for dropped in report.dropped)


def test_strangers_to_each_other_leave_one_whole_plan() -> None:
    a, b, c = chain("load the data", "find outliers"), chain("train a model"), chain("count the rows")
    plan, report = merge([Proposal("a", a), Proposal("b", b), Proposal("c", c)])
    assert content(plan) == content(a)
    assert not report.agreed
    assert report.anchor == "a"


def test_vectors_align_what_words_do_not() -> None:
    one, other = chain("make a chart"), chain("visualize it")
    vectors = {"make a chart": np.array([1.0, 0.0]), "visualize it": np.array([0.9, 0.436])}
    _, report = merge([Proposal("a", one), Proposal("b", other)], vectors)
    assert report.kept[0].members == (("a", "0"), ("b", "0"))
    _, report = merge([Proposal("a", one), Proposal("b", other)])
    assert len(report.kept[0].members) == 1


def test_caps_hold() -> None:
    wide = Plan(tuple(Subtask(f"s{number:02d}", f"text{number}") for number in range(30)), origin=("x",))
    plan, _ = merge([Proposal("a", wide)], rules=MergeRules(cap=10))
    assert plan is not None
    assert len(plan.subtasks) == 10
    none, report = merge([Proposal("a", wide)], rules=MergeRules(size=20))
    assert none is None
    assert "at most 20" in report.dropped[0].reason
    _, report = merge([Proposal(f"p{number}", wide) for number in range(10)])
    assert len(report.voices) == 8
