"""The shape of plans: against brute force, unmoved by names and needless edges, and the groups that run apart."""

from itertools import combinations

import msgspec
import networkx as nx
import pytest
from hypothesis import given, settings

from foa.core.dag import topology
from foa.core.dag.plan import reduced, width
from foa.core.dag.topology import MAX_EXACT, groups, joining, measure
from foa.wire.records import Plan, Subtask
from tests.core.test_dag_plan import a_plan, acyclic


def closure(plan: Plan) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(subtask.id for subtask in plan.subtasks)
    graph.add_edges_from(plan.edges)
    return nx.transitive_closure_dag(graph)


def renamed(plan: Plan) -> tuple[Plan, dict[str, str]]:
    """Turn the ids' order around."""
    names = {one.id: f"z{len(plan.subtasks) - at:03d}" for at, one in enumerate(plan.subtasks)}
    subtasks = tuple(msgspec.structs.replace(one, id=names[one.id]) for one in plan.subtasks[::-1])
    return Plan(subtasks, tuple((names[one], names[other]) for one, other in plan.edges)), names


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(acyclic())
def test_width_depth_and_coupling_are_what_they_say(plan: Plan) -> None:
    shape, bound = measure(plan), closure(plan)
    count = len(plan.subtasks)
    antichain = max(
        size
        for size in range(1, count + 1)
        for some in combinations(bound, size)
        if not bound.subgraph(some).number_of_edges()
    )
    assert shape.width == antichain
    assert shape.depth == nx.dag_longest_path_length(bound) + 1
    pairs = count * (count - 1) / 2
    assert shape.coupling == pytest.approx(bound.number_of_edges() / pairs if pairs else 0.0)
    assert (shape.topology == "single") == (count == 1)
    assert shape.topology != "sequential" or shape.coupling >= topology.DEFAULT.tight
    assert (shape.width == 1) == (shape.coupling == 1.0 or count == 1)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(acyclic())
def test_only_the_order_counts(plan: Plan) -> None:
    whole = msgspec.structs.replace(plan, edges=tuple(closure(plan).edges))
    other, names = renamed(plan)
    assert measure(plan) == measure(reduced(plan)) == measure(whole) == measure(other)
    assert groups(plan) == groups(reduced(plan)) == groups(whole)
    assert {frozenset(names[one] for one in group) for group in groups(plan)} == set(map(frozenset, groups(other)))


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(acyclic())
def test_groups_are_parts_of_which_each_waits_for_earlier_ones_only(plan: Plan) -> None:
    found, bound = groups(plan), closure(plan)
    assert sorted(one for group in found for one in group) == sorted(one.id for one in plan.subtasks)
    place = {one: at for at, group in enumerate(found) for one in group}
    assert all(place[one] <= place[other] for one, other in plan.edges)
    for one, other in combinations(found, 2):
        between = [bound.has_edge(a, b) for a in one for b in other]
        assert all(between) or not any(between)


@pytest.mark.parametrize(
    ("text", "shape", "parts"),
    [
        ("a", "single", ["a"]),
        ("a>b b>c", "sequential", ["abc"]),
        ("a b c", "parallel", ["a", "b", "c"]),
        ("a>b a>c a>d b>e c>e d>e", "parallel", ["a", "b", "c", "d", "e"]),
        ("a>b b>c d>e e>f", "hierarchical", ["abc", "def"]),
        ("s>a a>b s>c c>d b>t d>t", "hierarchical", ["s", "ab", "cd", "t"]),
        ("a>b b>c c>d d>e d>f", "mixed", ["abcd", "e", "f"]),
        ("a>c b>c b>d", "mixed", ["abcd"]),
        ("a>b c", "mixed", ["ab", "c"]),
    ],
)
def test_shapes_one_would_name(text: str, shape: str, parts: list[str]) -> None:
    plan = a_plan(text)
    assert measure(plan).topology == shape
    assert ["".join(sorted(group)) for group in groups(plan)] == parts


def test_nearly_a_chain_is_sequential() -> None:
    chain = " ".join(f"n{at:02d}>n{at + 1:02d}" for at in range(9))
    assert measure(a_plan(f"{chain} n08>x")).topology == "sequential"
    assert measure(a_plan("a>b b>c b>d")).topology == "parallel"


def test_a_huge_plan_is_measured_by_its_levels() -> None:
    count = MAX_EXACT + 1
    names = [f"n{at:04d}" for at in range(count)]
    plan = Plan(tuple(Subtask(one, "t") for one in names), tuple(zip(names, names[2:], strict=False)))
    assert measure(plan).width == width(plan) == 2
    assert measure(plan).topology == "hierarchical"


def test_joining_follows_shape_and_types() -> None:
    row, wide = measure(a_plan("a>b")), measure(a_plan("a b c"))
    assert joining(wide, [("x",), ("x",), ("x",)]) == "merge"
    assert joining(wide, [("x",), ("x",), ("y",)]) == "concatenate"
    assert joining(wide, [(), (), ()]) == "concatenate"
    assert joining(row, [("x",)], [("x",)]) == "rebase"
    assert joining(row, [("x",)], [("y",)]) == "concatenate"
    assert joining(row, [()], [()]) == "concatenate"
