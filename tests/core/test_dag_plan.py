"""Plans: the laws that are checked, and the graph functions against networkx as the oracle."""

import math

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.core.dag import plan as dag
from foa.core.dag.atomic import cover
from foa.errors import ProposalError
from foa.wire.records import MAX_SUBTASKS, Plan, Subtask


def a_plan(text: str, **weights: float) -> Plan:
    """Read "a>b b>c d": edges, and subtasks alone."""
    edges = [tuple(part.split(">")) for part in text.split() if ">" in part]
    names = sorted({name for part in text.split() for name in part.split(">")})
    subtasks = tuple(Subtask(name, f"do {name}", weight=weights.get(name, 1.0)) for name in names)
    return Plan(subtasks, tuple((one, other) for one, other in edges))


@st.composite
def acyclic(draw: st.DrawFn) -> Plan:
    size = draw(st.integers(1, 9))
    names = draw(st.permutations([f"n{number}" for number in range(size)]))
    pairs = [(names[one], names[other]) for one in range(size) for other in range(one + 1, size)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    weights = draw(st.lists(st.floats(0, 10), min_size=size, max_size=size))
    return Plan(tuple(Subtask(one, "t", weight=w) for one, w in zip(names, weights, strict=True)), tuple(edges))


def graph(plan: Plan) -> nx.DiGraph:
    made = nx.DiGraph()
    made.add_nodes_from(subtask.id for subtask in plan.subtasks)
    made.add_edges_from(plan.edges)
    return made


@settings(max_examples=80, deadline=None)
@given(acyclic())
def test_the_graph_functions_agree_with_networkx(plan: Plan) -> None:
    oracle = graph(plan)
    assert dag.check(plan) is None
    assert list(dag.order(plan)) == list(nx.lexicographical_topological_sort(oracle))
    assert set(dag.reduced(plan).edges) == set(nx.transitive_reduction(oracle).edges)
    assert set(dag.sinks(plan)) == {one for one in oracle if oracle.out_degree(one) == 0}
    assert dag.depth(plan) == nx.dag_longest_path_length(oracle) + 1
    for one in oracle:
        assert set(dag.descendants(plan, one)) == nx.descendants(oracle, one)
        assert set(dag.ancestors(plan, one)) == nx.ancestors(oracle, one)


def test_critical_path_is_the_heaviest_ties_by_id() -> None:
    assert dag.critical_path(a_plan("a>b b>d a>c c>d", c=5.0)) == ("a", "c", "d")
    assert dag.critical_path(a_plan("a>b b>d a>c c>d")) == ("a", "b", "d")


def test_ready_follows_the_phases() -> None:
    plan = a_plan("a>b b>d c>d e")
    assert dag.ready(plan, {}) == ("a", "c", "e")
    assert dag.ready(plan, {"a": "done", "c": "running", "e": "failed"}) == ("b",)
    assert dag.ready(plan, {"a": "done", "b": "done", "c": "done", "e": "done"}) == ("d",)


def test_levels_depth_width() -> None:
    plan = a_plan("a>b b>d c>d e")
    assert dag.levels(plan) == (("a", "c", "e"), ("b",), ("d",))
    assert (dag.depth(plan), dag.width(plan)) == (3, 3)
    assert dag.ancestors(plan, "d") == ("a", "b", "c")


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (Plan(()), "subtasks is empty"),
        (Plan((Subtask("a", "x"), Subtask("a", "y"))), "id 'a' is given twice"),
        (Plan((Subtask("a b", "x"),)), "id 'a b': must be 1 to 64"),
        (Plan((Subtask("a", " "),)), "text of 'a' is empty"),
        (Plan((Subtask("a", "x", weight=math.nan),)), "weight of 'a' is nan"),
        (Plan((Subtask("a", "x"),), (("a", "b"),)), "edge 'a' -> 'b': 'b' is no subtask"),
        (Plan((Subtask("a", "x"),), (("a", "a"),)), "cannot wait for itself"),
        (a_plan("z>a a>b b>c c>a c>d"), "edges form a cycle a -> b -> c -> a"),
        (Plan(tuple(Subtask(f"s{n}", "x") for n in range(MAX_SUBTASKS + 1))), f"at most {MAX_SUBTASKS}"),
    ],
)
def test_every_law_is_named_in_one_line(plan: Plan, said: str) -> None:
    fault = dag.check(plan)
    assert fault is not None
    assert said in fault
    assert "\n" not in fault
    with pytest.raises(ProposalError):
        dag.validated(plan)


def test_only_what_has_not_started_may_change() -> None:
    before = a_plan("a>b b>c")
    assert dag.check_edit(before, a_plan("a>b b>c b>d"), {"a": "done", "b": "running"}) is None
    assert "has started" in str(dag.check_edit(before, a_plan("b>c"), {"a": "done"}))
    assert "edges into 'b'" in str(dag.check_edit(before, a_plan("a>b b>c d>b"), {"b": "running"}))
    assert "cycle" in str(dag.check_edit(before, a_plan("a>b b>a"), {}))
    assert dag.check_edit(before, a_plan("x>y"), {}) is None


def test_the_largest_plan_is_quick() -> None:
    names = [f"n{number:04d}" for number in range(1024)]
    edges = tuple((names[at], names[at + step]) for at in range(1016) for step in range(1, 9))
    plan = Plan(tuple(Subtask(name, "x") for name in names), edges)
    assert dag.check(plan) is None
    assert len(dag.reduced(plan).edges) == 1023


def test_one_agent_covers_only_if_good_for_every_clause() -> None:
    assert cover({"a": 0.9, "b": 0.5}, [{"a": 0.9}]).agent == "a"
    assert cover({}, [{}]) == (True, "", "the text is one clause")
    specialists = cover({"a": 0.6, "b": 0.58}, [{"a": 0.9, "b": 0.3}, {"a": 0.3, "b": 0.9}])
    assert not specialists.atomic
    allrounder = cover({"a": 0.6, "b": 0.58, "c": 0.57}, [{"a": 0.3, "b": 0.6, "c": 0.6}, {"b": 0.6, "c": 0.6}])
    assert (allrounder.atomic, allrounder.agent) == (True, "b")
    assert not cover({"a": 0.1}, [{"a": 0.1}, {"a": 0.1}]).atomic
    assert not cover({"a": 0.9}, [{"a": 0.9}, {}]).atomic
