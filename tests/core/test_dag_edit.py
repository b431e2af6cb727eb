"""Edits of a running plan: whatever is put in a subtask's place, the result is a plan in which all old orders hold."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.core.dag.edit import spliced
from foa.core.dag.plan import ancestors, check, check_edit, descendants, predecessors, sinks
from foa.errors import ProposalError
from foa.wire.ids import MAX_SEGMENT
from foa.wire.records import Phase, Plan, Subtask

pytestmark = pytest.mark.slow

names = st.sampled_from(["a", "b", "a.b", "b.a", "x", "y" * MAX_SEGMENT, "y" * 63 + "z", "a." + "y" * 60, "0", "_-."])


@st.composite
def plans(draw: st.DrawFn, most: int = 6) -> Plan:
    idents = draw(st.lists(names, min_size=1, max_size=most, unique=True))
    subtasks = tuple(
        Subtask(
            ident,
            f"do {ident}",
            policies=tuple(draw(st.lists(st.sampled_from(["eu", "us"]), max_size=2, unique=True))),
            produces=tuple(draw(st.lists(st.sampled_from(["csv", "html"]), max_size=2, unique=True))),
            weight=draw(st.floats(0, 100)),
            consent=draw(st.booleans()),
            approve=draw(st.booleans()),
            depth=draw(st.integers(0, 3)),
        )
        for ident in idents
    )
    pairs = [(idents[one], idents[other]) for other in range(len(idents)) for one in range(other)]
    edges = tuple(draw(st.lists(st.sampled_from(pairs), max_size=8, unique=True))) if pairs else ()
    return Plan(subtasks, edges)


@st.composite
def running(draw: st.DrawFn) -> tuple[Plan, str, dict[str, Phase]]:
    """Return a plan in which some have started, each after all it waits for, and one subtask that has not."""
    plan = draw(plans())
    before = predecessors(plan)
    phases: dict[str, Phase] = {}
    for one in plan.subtasks:
        free = all(phases.get(other) == "done" for other in before[one.id])
        able: list[Phase] = ["waiting", "done", "running"] if free else ["waiting"]
        phases[one.id] = draw(st.sampled_from(able))
    waiting = [one.id for one in plan.subtasks if phases[one.id] == "waiting"]
    if not waiting:
        phases[plan.subtasks[-1].id] = "waiting"
        waiting = [plan.subtasks[-1].id]
    return plan, draw(st.sampled_from(waiting)), phases


def of(after: Plan, before: Plan) -> tuple[Subtask, ...]:
    """Return what came in, in the order of the plan that was put in."""
    old = {one.id for one in before.subtasks}
    return tuple(one for one in after.subtasks if one.id not in old)


@given(running(), plans())
def test_the_result_is_a_plan_in_which_what_has_started_is_as_it_was(
    case: tuple[Plan, str, dict[str, Phase]], part: Plan
) -> None:
    plan, ident, phases = case
    after = spliced(plan, ident, part, phases)
    assert check(after) is None
    assert check_edit(plan, after, phases) is None
    idents = [one.id for one in after.subtasks]
    assert len(set(idents)) == len(idents) == len(plan.subtasks) - 1 + len(part.subtasks)
    assert ident not in idents
    assert all(len(one) <= MAX_SEGMENT for one in idents)
    assert [one for one in after.subtasks if one in plan.subtasks] == [one for one in plan.subtasks if one.id != ident]


@given(running(), plans())
def test_all_old_orders_hold_and_what_came_stands_where_it_stood(
    case: tuple[Plan, str, dict[str, Phase]], part: Plan
) -> None:
    plan, ident, phases = case
    after = spliced(plan, ident, part, phases)
    came = of(after, plan)
    for one in plan.subtasks:
        if one.id != ident:
            old = set(ancestors(plan, one.id)) - {ident}
            assert old <= set(ancestors(after, one.id))
            assert not set(ancestors(after, one.id)) - {new.id for new in came} - old
    above, below = set(ancestors(plan, ident)), set(descendants(plan, ident))
    inner = {one.id: new.id for one, new in zip(part.subtasks, came, strict=True)}
    for one in part.subtasks:
        assert above <= set(ancestors(after, inner[one.id]))
        assert below <= set(descendants(after, inner[one.id]))
        assert {inner[other] for other in ancestors(part, one.id)} == set(ancestors(after, inner[one.id])) - above


@given(running(), plans(), st.booleans())
def test_what_came_inherits(case: tuple[Plan, str, dict[str, Phase]], part: Plan, deeper: bool) -> None:
    plan, ident, phases = case
    lead = next(one for one in plan.subtasks if one.id == ident)
    came = of(spliced(plan, ident, part, phases, deeper=deeper), plan)
    for one, new in zip(part.subtasks, came, strict=True):
        assert set(new.policies) == {*lead.policies, *one.policies}
        assert new.consent is (lead.consent or one.consent)
        assert new.approve is one.approve
        assert new.text == one.text
        assert new.depth == (lead.depth + 1 if deeper else max(lead.depth, one.depth))
    assert sum(new.weight for new in came) == pytest.approx(lead.weight)
    ends = sinks(part)
    if len(ends) == 1:
        (last,) = (new for one, new in zip(part.subtasks, came, strict=True) if one.id == ends[0])
        assert set(lead.produces) <= set(last.produces)


@given(running(), plans())
def test_the_same_edit_gives_the_same_plan_and_only_once(case: tuple[Plan, str, dict[str, Phase]], part: Plan) -> None:
    plan, ident, phases = case
    after = spliced(plan, ident, part, phases)
    assert after == spliced(plan, ident, part, phases)
    for _ in range(2):
        with pytest.raises(ProposalError, match="not in the plan"):
            spliced(after, ident, part, phases)


@given(running(), plans(), st.sampled_from(["running", "done", "failed", "cancelled"]))
def test_what_has_started_is_not_replaced(case: tuple[Plan, str, dict[str, Phase]], part: Plan, phase: Phase) -> None:
    plan, ident, phases = case
    for _ in range(2):
        with pytest.raises(ProposalError, match="has started"):
            spliced(plan, ident, part, phases | {ident: phase})


@given(running(), st.integers(1, 4))
def test_edits_upon_edits_leave_a_plan(case: tuple[Plan, str, dict[str, Phase]], times: int) -> None:
    """The ids of what is planned again and again stay apart, and short enough."""
    plan, ident, phases = case
    pair = Plan((Subtask("half", "half"), Subtask("rest", "rest")), (("half", "rest"),))
    orders: dict[str, Any] = {one.id: set(ancestors(plan, one.id)) - {ident} for one in plan.subtasks}
    for _ in range(times * 5):
        before = plan
        plan = spliced(plan, ident, pair, phases)
        assert check(plan) is None
        ident = of(plan, before)[0].id
    for one in plan.subtasks:
        assert orders.get(one.id, set()) <= set(ancestors(plan, one.id))


def test_too_large_an_edit_is_refused() -> None:
    plan = Plan((Subtask("a", "a"), Subtask("b", "b")))
    part = Plan(tuple(Subtask(f"s{at}", "x") for at in range(8192)))
    with pytest.raises(ProposalError, match="at most"):
        spliced(plan, "a", part, {})
