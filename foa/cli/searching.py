"""``foa search`` and ``foa explain``: whom a request would go to, and why a task went where it went."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from foa.cli import output
from foa.cli.ending import FAILED, run_async
from foa.cli.loading import QUIET, options_of

if TYPE_CHECKING:
    from foa.settings import Settings
    from foa.wire.messages import Found
    from foa.wire.records import Candidate, Decision, Query

SEARCH_EXAMPLES: Final = """\b
Examples:
  foa search "find what is unusual in this table"
  foa search "translate a contract" --policy eu-only --budget 0.05 --explain
  foa search "chart this" --given text/csv --json
"""
EXPLAIN_EXAMPLES: Final = """\b
Examples:
  foa explain figures-2026
  foa explain figures-2026 --json
"""
_PARTS: Final = ("score", "cosine", "spec", "fit", "cost", "price")
_QUERY_LIMIT: Final = 64


def search(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(help="what is to be done, in plain words")],
    *,
    k: Annotated[int, typer.Option("--k", "-k", help="how many agents", min=1, max=_QUERY_LIMIT)] = 5,
    skill: Annotated[list[str] | None, typer.Option(help="a skill the agent must have")] = None,
    policy: Annotated[list[str] | None, typer.Option(help="a policy label it must hold")] = None,
    given: Annotated[list[str] | None, typer.Option(help="a type that is at hand, such as text/csv")] = None,
    budget: Annotated[float | None, typer.Option(help="what one call may cost at most, in USD", min=0)] = None,
    prefer: Annotated[
        Literal["balanced", "cost", "quality", "latency"], typer.Option(help="what matters more")
    ] = "balanced",
    explain: Annotated[bool, typer.Option("--explain", help="show the score's parts, and who was refused")] = False,
    as_json: output.Json = False,
) -> None:
    """Find agents by meaning, scored as a coordinator would."""
    from foa.core.routing.choose import consider
    from foa.core.routing.score import Weights, preferring
    from foa.wire.records import Query

    options = options_of(ctx)
    settings = options.load(QUIET).settings
    query = Query(text, skills=tuple(skill or ()), policies=tuple(policy or ()), offered=_types(given), budget=budget)
    found = run_async(_search(settings, query, k))
    chosen = settings.matching
    weights = preferring(Weights(shortfall=chosen.shortfall, cost=chosen.cost, related=chosen.related), prefer)
    hits = found.hits[0] if found.hits else ()
    candidates = list(consider(query, hits, weights))
    seen = {each.agent for each in candidates}
    candidates += [each for each in (found.refused[0] if found.refused else ()) if each.agent not in seen]
    if as_json or options.json:
        output.as_json(
            {"model": found.model, "partitions": len(found.covered), "candidates": list(map(_row, candidates))}
        )
    else:
        shown = candidates if explain else [each for each in candidates if not each.refused]
        show_candidates(shown, parts=explain)
        print(f"{len(found.covered)} of {settings.wire.partitions} partitions answered, model {found.model}")
    if all(each.refused for each in candidates):
        raise typer.Exit(FAILED)


def _types(given: list[str] | None) -> tuple[str, ...]:
    return tuple(output.TYPES.get(each, each) for each in given or ())


async def _search(settings: "Settings", query: "Query", k: int) -> "Found":
    from foa.nodes.client import Client

    async with Client(settings) as client:
        return await client.search([query], k)


def _row(candidate: "Candidate") -> dict[str, Any]:
    row: dict[str, Any] = {"agent": candidate.agent}
    if candidate.refused:
        return row | {"cosine": round(candidate.cosine, 4), "refused": candidate.refused}
    return row | {part: round(getattr(candidate, part), 4) for part in _PARTS}


def show_candidates(
    candidates: Sequence["Candidate"], *, parts: bool, chosen: Sequence[str] = (), indent: str = ""
) -> None:
    """Print candidates: those who may with their scores, best first, then the refused with the gate that did it."""
    permitted = [_row(each) for each in candidates if not each.refused]
    if chosen:
        for row in permitted:
            row[""] = "→" if row["agent"] in chosen else ""
    columns = ("agent", *(_PARTS if parts else ("score",)))
    if permitted or not candidates:
        output.table(permitted, (*(("",) if chosen else ()), *columns), f"{indent}nobody permitted and able was found")
    for each in candidates:
        if each.refused:
            print(f"{indent}✗ {each.agent}  cosine {each.cosine:.3f}  {each.refused}")


def explain(
    ctx: typer.Context,
    task: Annotated[str, typer.Argument(metavar="TASK", help="the task's id")],
    as_json: output.Json = False,
) -> None:
    """Tell who was considered for each subtask, with which score, which gate refused whom, and who was chosen."""
    import msgspec

    from foa.cli.tasks import one_kept, summary

    options = options_of(ctx)
    message = one_kept(options.load(QUIET).settings, task)
    if as_json or options.json:
        output.as_json({**summary(message), "decisions": msgspec.to_builtins(message.decisions)})
        return
    plan = message.plan
    texts = {subtask.id: subtask.text for subtask in plan.subtasks} if plan is not None else {}
    if plan is not None:
        print(f"plan from {', '.join(plan.origin) or 'the submitter'}: {len(plan.subtasks)} subtasks")
    if not message.decisions:
        print("nothing was decided yet")
    for decision in message.decisions:
        _explain(decision, texts.get(decision.subtask, ""))


def _explain(decision: "Decision", text: str) -> None:
    name = "planning" if decision.subtask.startswith("~") else decision.subtask
    print(f"\n{name}, attempt {decision.attempt}" + (f": {text}" if text else ""))
    print(f"  chosen: {', '.join(decision.chosen) or 'nobody'}; {decision.reason}")
    if decision.covered:
        print(f"  {decision.covered} partitions answered")
    show_candidates(decision.candidates, parts=True, chosen=decision.chosen, indent="  ")
