"""The door of the cases planner: the plan of the nearest past request, or the order learned for listed steps."""

from collections.abc import Sequence
from typing import Final

import msgspec

from foa.core.dag.cases.adapting import adapted
from foa.core.dag.cases.features import jaccard
from foa.core.dag.cases.memory import is_worth, nearest
from foa.core.dag.cases.order import Model, Shaped, edges, observe, relation, shape_of
from foa.core.dag.cases.records import Case, Near, Rules
from foa.core.dag.clauses import asked_words, listing
from foa.core.dag.clauses.lists import content
from foa.core.dag.plan import check, reduced
from foa.wire.records import MAX_TEXT, Plan, Subtask

ORIGIN: Final = "cases"
FIT: Final = 0.3
"""What words in common count beside the cosine of two requests."""

_DIGITS: Final = 6


def propose(text: str, vector: bytes, cases: Sequence[Case], rules: Rules, order: Model | None = None) -> Plan | None:
    """Return a plan learned from `cases`, or None: nothing like it was done, or too little was seen.

    ``vector`` is the request's (float16 bytes). As `by_near`, after looking for the nearest cases. Never raises.
    """
    return by_near(text, nearest(cases, vector, rules.nearest), rules, order)


def by_near(text: str, near: Sequence[Near], rules: Rules, order: Model | None = None) -> Plan | None:
    """Return a plan learned from the cases nearest to a request, or None.

    A request that lists its own steps is given the order that ``order`` expects of them. Any other is given the plan
    that fits best, in the words of this request, of the cases at ``rules.floor`` or above: vectors tell what two pages
    are about, the words of what is asked which of the pages on one thing it is. How well a plan was done counts too.
    The plan passes `foa.core.dag.plan.check`. Never raises.
    """
    listed = listing(text)
    if listed is not None and len(listed.steps) > 1:
        return _ordered(listed.goal, listed.steps, near, rules, order or Model())
    wanted = asked_words(text)
    fitting: list[tuple[float, Near, Plan]] = []
    for each in near:
        if each.similarity >= rules.floor and is_worth(each.case):
            plan = adapted(each.case.plan, each.case.request, text)
            fit = round(each.similarity + FIT * _fit(wanted, asked_words(each.case.request), plan), _DIGITS)
            if fit >= rules.fit and check(plan) is None:
                fitting.append((fit, each, plan))
    if not fitting:
        return None
    best = min(fitting, key=lambda one: (-one[0] - FIT * one[1].case.score, -one[1].case.at))
    return reduced(msgspec.structs.replace(best[2], origin=(ORIGIN,)))


def _fit(wanted: frozenset[str], before: frozenset[str], plan: Plan) -> float:
    """Return how much of what is asked the adapted plan speaks of, and how much both requests ask in one: in [0, 2]."""
    said = content(" ".join(one.text for one in plan.subtasks))
    return len(wanted & said) / max(1, len(wanted)) + jaccard(wanted, before)


def _ordered(goal: str, steps: Sequence[str], near: Sequence[Near], rules: Rules, order: Model) -> Plan | None:
    if order.seen < rules.seen:
        return None
    width = len(str(len(steps)))
    ids = [f"{at:0{width}d}" for at in range(1, len(steps) + 1)]
    subtasks = tuple(Subtask(one, step[:MAX_TEXT]) for one, step in zip(ids, steps, strict=True))
    found = edges(order, goal, steps, shapes(near))
    return reduced(Plan(subtasks, tuple((ids[one], ids[other]) for one, other in found), origin=(ORIGIN,)))


def learned(order: Model, case: Case, before: Sequence[Case], rules: Rules) -> Model:
    """Return the model after a plan that worked; ``before`` are the cases remembered without it."""
    if not is_worth(case):
        return order
    listed = listing(case.request)
    goal = listed.goal if listed is not None else case.request
    near = shapes(nearest(before, case.vector, rules.nearest))
    return observe(order, goal, [one.text for one in case.plan.subtasks], _pairs(case.plan), near)


def shapes(near: Sequence[Near]) -> tuple[Shaped, ...]:
    """Return how alike past cases are, and the shapes of their plans."""
    return tuple(
        Shaped(each.similarity, shape_of(count, relation(count, _pairs(each.case.plan))))
        for each in near
        if is_worth(each.case)
        for count in (len(each.case.plan.subtasks),)
    )


def _pairs(plan: Plan) -> list[tuple[int, int]]:
    place = {one.id: at for at, one in enumerate(plan.subtasks)}
    return [(place[one], place[other]) for one, other in plan.edges]
