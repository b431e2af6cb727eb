"""Random proposals, good and hostile, merged: what comes out is a plan, whatever went in."""

from collections.abc import Sequence
from random import Random
from typing import Any, Final

from foa.bench.plans.data import Say
from foa.core.dag.merge import DEFAULT, Proposal, merge
from foa.core.dag.plan import check, reduced
from foa.wire.records import Plan, Subtask

_WORDS: Final = ("load", "clean", "plot", "send", "count", "data", "rows", "sales", "report", "mail")
_IDS: Final = ("a", "b", "c", "d", "e", "f", "g", "not an id", "")
_WEIGHTS: Final = (1.0, 1.0, 1.0, 0.1, 5.0, 1e12, 0.0, -1.0, float("nan"), float("inf"))
_TOLD_EACH: Final = 10_000


def fuzzed(cases: int, seed: int, say: Say) -> dict[str, Any]:
    """Return how many of so many random merges broke which law: each must be 0."""
    rng = Random(f"fuzz {seed}")
    broken = {"cyclic_or_dangling": 0, "not_reduced": 0, "over_cap": 0, "order_matters": 0, "invented": 0, "lost": 0}
    merged = 0
    for at in range(cases):
        proposals = [_proposal(rng) for _ in range(rng.randint(1, 6))]
        plan, report = merge(proposals)
        for law in _broken(proposals, plan, heard=bool(report.voices)):
            broken[law] += 1
        broken["order_matters"] += (plan, report) != merge(rng.sample(proposals, len(proposals)))
        merged += plan is not None
        if (at + 1) % _TOLD_EACH == 0:
            say(f"{at + 1} of {cases} random merges")
    return {"cases": cases, "merged": merged, **broken}


def _broken(proposals: Sequence[Proposal], plan: Plan | None, *, heard: bool) -> list[str]:
    """Return the laws that one merge broke."""
    valid = any(check(one.plan) is None for one in proposals)
    if plan is None:
        return ["lost"] if valid or heard else []
    if check(plan) is not None:
        return ["cyclic_or_dangling"]
    said = {one.text for proposal in proposals for one in proposal.plan.subtasks}
    most = max(len(one.plan.subtasks) for one in proposals if check(one.plan) is None)
    found = []
    if reduced(plan).edges != plan.edges:
        found.append("not_reduced")
    # Of any number of voices a kept subtask has half at least, so no plan is more than twice as large as the largest.
    if len(plan.subtasks) > min(DEFAULT.cap, 2 * most):
        found.append("over_cap")
    if not {one.text for one in plan.subtasks} <= said:
        found.append("invented")
    return found


def _proposal(rng: Random) -> Proposal:
    """Return a proposal: mostly a plan, sometimes with a cycle, an edge to nowhere, an id twice or no id at all."""
    hostile = rng.random() < 0.15  # noqa: PLR2004 - some are
    ids = [rng.choice(_IDS) for _ in range(rng.randint(0, 7))] if hostile else list(_IDS[: rng.randint(1, 7)])
    subtasks = tuple(Subtask(one, " ".join(rng.choices(_WORDS, k=rng.randint(1, 3)))) for one in ids)
    pairs = [(one, other) for one in ids for other in (_IDS if hostile else ids) if hostile or one < other]
    edges = tuple(rng.sample(pairs, min(len(pairs), rng.randint(0, 8))))
    turned = rng.sample(ids, len(ids))
    names = dict(zip(ids, turned, strict=True)) if not hostile else {}
    return Proposal(
        f"p{rng.randrange(6)}",
        Plan(subtasks, tuple((names.get(one, one), names.get(other, other)) for one, other in edges)),
        rng.choice(_WEIGHTS),
        leads=rng.random() < 0.7,  # noqa: PLR2004 - most do
    )
