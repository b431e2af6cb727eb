"""``foa explain``: why a task was planned so and went where it went, from what was recorded when it was decided."""

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from foa.cli import output
from foa.cli.charts import WIDE
from foa.cli.ending import NotFound
from foa.cli.loading import QUIET, options_of
from foa.cli.searching import deliberating, figures
from foa.cli.tasks import one_kept, summary

if TYPE_CHECKING:
    from foa.wire.messages import Result, State
    from foa.wire.records import Candidate, Decision

EXAMPLES: Final = """\b
Examples:
  foa explain figures-2026
  foa explain figures-2026 --subtask chart
  foa explain figures-2026 --subtask planning
  foa explain figures-2026 --svg plan.svg
  foa explain figures-2026 --json | jq '.decisions[].chosen'
  foa explain figures-2026 --json | jq '.deliberations[].voices[] | {planner, kept, refused}'
"""
PLANNING: Final = "planning"
SVG_HELP: Final = "draw the plan into this file instead; - is standard output"
ALPHA: Final = (
    f"{figures.ALPHA}: the cosine of vectors, the share of rare words that the agent uses too, and the mean reward of "
    "how many finished tasks near this one."
)
LEARNED: Final = (
    "Expected reward is the learner's, ± the width of its confidence; bound is their sum, and the order. From rewards: "
    "how many of the agent's were behind it, older ones counting less."
)


def explain(
    ctx: typer.Context,
    task: Annotated[str, typer.Argument(metavar="TASK", help="the task's id")],
    subtask: Annotated[str, typer.Option(help="this subtask alone; 'planning' is who was asked to plan")] = "",
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help=SVG_HELP)] = None,
    as_json: output.Json = False,
) -> None:
    """Tell why a task was planned so, changed so, and given to whom it was given.

    Who proposed which subtasks, what was kept and dropped; every change of the plan; who was considered for each
    subtask, each part of every score, which gate refused whom, who was chosen; how teams came to one answer. All of it
    was recorded when it was decided; nothing is computed again.
    """
    from foa.cli.planning.files import write_svg

    options = options_of(ctx)
    message = one_kept(options.load(QUIET).settings, task)
    decisions = narrowed(message, subtask)
    wants_json = as_json or options.json
    if svg is not None:
        write_svg(message, svg, quiet=wants_json)
    if wants_json:
        recorded = deliberating.data(message, subtask)
        output.as_json({**summary(message), **recorded, "decisions": [_data(message, each) for each in decisions]})
    elif svg is None:
        _tell(message, decisions, subtask)


def _tell(message: "State | Result", decisions: "Sequence[Decision]", subtask: str) -> None:
    """Print all that is recorded: the plan, its changes, decisions by subtask, clusters."""
    for line in (*_head(message), *deliberating.planning(message, subtask)):
        print(line)
    for line in deliberating.changes(deliberating.edits(message, subtask)):
        print(line)
    last = ""
    for decision in decisions:
        if name(decision) != last:
            last = name(decision)
            print(f"\n{last}" + (f": {text}" if (text := _text(message, decision.subtask)) else ""))
        _show(message, decision)
    for line in deliberating.together(message, subtask):
        print(line)
    if any(decision.candidates for decision in decisions):
        print()
        print(textwrap.fill(ALPHA, WIDE))
    if any(each.mean is not None for one in decisions for each in one.candidates):
        print(textwrap.fill(LEARNED, WIDE))


def name(decision: "Decision") -> str:
    """Return what a decision was about: a subtask's id, or the word for planning."""
    return PLANNING if decision.subtask.startswith("~") else decision.subtask


def narrowed(message: "State | Result", subtask: str) -> "list[Decision]":
    """Return the decisions on `subtask` ("": on all), attempt by attempt; NotFound if nothing is recorded of it."""
    order = list(dict.fromkeys(map(name, message.decisions)))
    recorded = [*order, *(each for each in deliberating.names(message) if each not in order)]
    if subtask and subtask not in recorded:
        known = ", ".join(recorded) or "none at all yet"
        raise NotFound(f"nothing was decided on subtask {subtask}; decisions there are on: {known}")
    found = [each for each in message.decisions if subtask in {"", name(each), each.subtask}]
    return sorted(found, key=lambda each: (order.index(name(each)), each.attempt))


def _text(message: "State | Result", subtask: str) -> str:
    texts = {each.id: each.text for each in message.plan.subtasks} if message.plan is not None else {}
    return _clean(texts.get(subtask, ""))[: WIDE - 20]


def _clean(text: str) -> str:
    return output.printable(" ".join(text.split()))


def _head(message: "State | Result") -> Iterator[str]:
    kept = summary(message)
    yield f"task {kept['id']} {kept['status']}: {_clean(kept['text'])}"
    if (plan := message.plan) is not None:
        yield f"plan from {', '.join(plan.origin) or 'the submitter'}: {len(plan.subtasks)} subtasks"
    if not message.decisions:
        yield "nothing was decided yet"


def _data(message: "State | Result", decision: "Decision") -> dict[str, Any]:
    """Return a decision with every field of every candidate, and what became of it."""
    import msgspec

    fields = msgspec.structs.asdict(decision)
    return {**fields, "candidates": [*map(figures.row, decision.candidates)], "became": became(message, decision)}


def _show(message: "State | Result", decision: "Decision") -> None:
    able = figures.permitted(decision.candidates)
    marks = {each.agent: "→" for each in able if each.agent in decision.chosen}
    print(f"\n  attempt {decision.attempt}, chosen: {', '.join(decision.chosen) or 'nobody'}")
    gates = figures.verdicts(decision.candidates)
    asked = f"{decision.covered} partitions answered" if decision.covered else ""
    rows = {"why": _why(decision, able), "became": became(message, decision), "gates": gates, "asked": asked}
    for word, said in rows.items():
        if said:
            print(textwrap.fill(f"{word:<8}{_clean(said)}", WIDE, initial_indent="    ", subsequent_indent=" " * 12))
    columns: tuple[str, ...] = figures.PARTS
    if any(each.mean is not None for each in able):
        print()
        figures.table(figures.expectations(able, marks), figures.EXPECTATIONS, "    ")
    else:
        columns = (*columns, "price")
    if able:
        print()
        figures.table(figures.parts(able, marks), columns, "    ")
    for line in figures.refusals(decision.candidates, "    "):
        print(line)


def _why(decision: "Decision", able: "Sequence[Candidate]") -> str:
    """Return the reason as recorded, and by how much the first was ahead of the next."""
    others = [each for each in able if each.agent not in decision.chosen]
    best = next((each for each in able if each.agent in decision.chosen), None)
    if best is None or not others or best.probe:
        return decision.reason
    word = "alpha" if best.mean is None else "bound"
    return f"{decision.reason}; {word} {_bound(best):.4f}, of the next one not chosen {_bound(others[0]):.4f}"


def _bound(candidate: "Candidate") -> float:
    return candidate.score if candidate.mean is None else candidate.mean + candidate.width


def became(message: "State | Result", decision: "Decision") -> str:
    """Return what is known of how an attempt went on: how it ended, or which one followed ("": not known)."""
    from foa.wire.messages import Result

    if isinstance(message, Result):
        for part in message.parts:
            if (part.subtask, part.attempt) == (decision.subtask, decision.attempt):
                rounds = f" and {part.rounds} rounds" if part.rounds else ""
                agreed = "" if part.agreed else ", without agreement"
                return f"done by {', '.join(part.agents)} after {part.ms} ms{rounds} for {part.cost:g} USD{agreed}"
    else:
        for work in message.work:
            if (work.id, work.attempt) == (decision.subtask, decision.attempt):
                seats = [
                    f"{seat.agent} {seat.phase}{f' ({seat.reason})' if seat.reason else ''}" for seat in work.seats
                ]
                return "; ".join(seats) or work.phase
    later = [each.attempt for each in message.decisions if each.subtask == decision.subtask]
    following = [attempt for attempt in later if attempt > decision.attempt]
    return f"not the end of it: attempt {min(following)} followed" if following else ""
