"""``foa task …``: watch tasks, look at them, end them; `submitting` hands them in."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from foa.cli import output
from foa.cli.dlq import outbox, replaying
from foa.cli.ending import FAILED, NotFound, run_async
from foa.cli.loading import QUIET, options_of
from foa.cli.submitting import SUBMIT_EXAMPLES, submit
from foa.cli.watching import answering
from foa.cli.watching.screen import QUIET_S
from foa.errors import FoaError

if TYPE_CHECKING:
    from foa.nodes.client import Client, Outcome
    from foa.settings import Settings
    from foa.wire.messages import Result, State

WATCH_EXAMPLES: Final = """\b
Examples:
  foa task watch figures-2026
  foa task watch figures-2026 --plain
"""
SHOW_EXAMPLES: Final = """\b
Examples:
  foa task show figures-2026
  foa task show figures-2026 --json
  foa task show figures-2026 --svg plan.svg
"""
LIST_EXAMPLES: Final = """\b
Examples:
  foa task list
  foa task list --json | jq length
"""
FEEDBACK_EXAMPLES: Final = """\b
Examples:
  foa task feedback figures-2026 --score 0.9
  foa task feedback figures-2026 --score 0 --subtask chart --comment "the axis was wrong"
"""
CANCEL_EXAMPLES: Final = """\b
Examples:
  foa task cancel figures-2026 --reason "wrong quarter"
"""
RESULT_EXAMPLES: Final = """\b
Examples:
  foa task result figures-2026
  foa task result figures-2026 --out results
"""
app = typer.Typer(help="Submit tasks and look at them.", no_args_is_help=True, rich_markup_mode=None)
app.command("submit", epilog=SUBMIT_EXAMPLES)(submit)
app.command("answer", epilog=answering.EXAMPLES)(answering.answer)
app.command("outbox", epilog=outbox.EXAMPLES)(outbox.outbox)
app.command("retry", epilog=replaying.RETRY_EXAMPLES)(replaying.retry)

TaskName = Annotated[str, typer.Argument(metavar="TASK", help="the task's id")]


@app.command("watch", epilog=WATCH_EXAMPLES)
def watch(
    ctx: typer.Context, task: TaskName, plain: Annotated[bool, typer.Option("--plain", help="lines, no tree")] = False
) -> None:
    """Show a task as it moves, at any moment of its life: what planners said, the plan, who has what, cost, time.

    On a terminal it is a tree, and what the task asks a person is asked right there.
    """
    outcome = run_async(_watch(options_of(ctx).load(QUIET).settings, output.checked_name(task), plain=plain))
    if outcome.status != "done":
        raise typer.Exit(FAILED)


async def _watch(settings: "Settings", task: str, *, plain: bool) -> "Outcome":
    from foa.cli.watching import asking, screen
    from foa.cli.watching.picture import Picture
    from foa.nodes.client import Client

    async with Client(settings) as client:
        picture = Picture(task)
        if not await screen.recall(client, picture):
            raise _unknown(task)
        submitted = client.follow(task)
        async with screen.viewing(picture, plain=plain, write=lambda line: print(line, flush=True)) as view:
            return await asking.watch(client, submitted, view, here=asking.somebody(plain=plain))


def _unknown(task: str) -> NotFound:
    return NotFound(f"no task {task} is kept here; 'foa task list' shows those that are")


async def kept(client: "Client", task: str = "+") -> "list[State | Result]":
    """Return what is retained of tasks: the result of those that ended, the snapshot of the others."""
    from foa.wire.ids import partition_of
    from foa.wire.messages import Result, State

    partition = "+" if task == "+" else str(partition_of(task, client.topics.partitions))
    base = f"task/{partition}/{task}"
    found: dict[str, State | Result] = {}
    for each in await client.collect([f"{base}/state/+", f"{base}/result"], QUIET_S):
        message = each.message
        if isinstance(message, Result):
            found[message.task] = message
        elif isinstance(message, State) and not isinstance(found.get(message.task.id), Result):
            found[message.task.id] = message
    return [found[name] for name in sorted(found)]


async def _kept(settings: "Settings", task: str = "+") -> "Sequence[State | Result]":
    from foa.nodes.client import Client

    async with Client(settings) as client:
        return await kept(client, task)


def one_kept(settings: "Settings", task: str) -> "State | Result":
    """Return what is retained of one task; NotFound if nothing is."""
    found = run_async(_kept(settings, output.checked_name(task)))
    if not found:
        raise _unknown(task)
    return found[0]


def summary(message: "State | Result") -> dict[str, Any]:
    """Return one task as a row."""
    from foa.wire.messages import Result

    subtasks = message.plan.subtasks if message.plan is not None else ()
    if isinstance(message, Result):
        ident, phase, done, cost = message.task, str(message.status), len(message.parts), message.cost
        text = message.text
    else:
        asked = any(work.question and work.phase not in {"done", "failed", "cancelled"} for work in message.work)
        ident, phase, text = message.task.id, "input required" if asked else str(message.phase), message.task.text
        done, cost = sum(work.phase == "done" for work in message.work), message.spent
    return {
        "id": ident,
        "status": phase,
        "subtasks": len(subtasks),
        "done": done,
        "cost": cost,
        "ms": message.ms,
        "owner": message.epoch.node,
        "text": text[:80],
    }


@app.command("list", epilog=LIST_EXAMPLES)
def list_(ctx: typer.Context, as_json: output.Json = False) -> None:
    """List the tasks that run, and those whose results are still kept."""
    options = options_of(ctx)
    rows = [summary(each) for each in run_async(_kept(options.load(QUIET).settings))]
    if as_json or options.json:
        output.as_json(rows)
    else:
        columns = ("id", "status", "done", "subtasks", "cost", "ms", "owner", "text")
        output.table(rows, columns, "no task is kept here")


@app.command("show", epilog=SHOW_EXAMPLES)
def show(
    ctx: typer.Context,
    task: TaskName,
    svg: Annotated[
        Path | None,
        typer.Option("--svg", metavar="FILE", help="draw the plan into this file instead; - is standard output"),
    ] = None,
    as_json: output.Json = False,
) -> None:
    """Show what is kept of a task: its plan, who has what, what it asks, how it ended; or draw its plan."""
    from foa.cli.planning.files import picture_of, write_svg
    from foa.cli.watching.planned import nested
    from foa.cli.watching.tree import guides, phase_of, question_lines

    options = options_of(ctx)
    message = one_kept(options.load(QUIET).settings, task)
    wants_json = as_json or options.json
    if svg is not None:
        write_svg(message, svg, quiet=wants_json)
    if wants_json:
        output.as_json(_shown(message))
    if wants_json or svg is not None:
        return
    picture = picture_of(message)
    print(f"task {task}  {picture.phase}  {picture.ms / 1000:.1f} s  {picture.spent:g} USD  at {message.epoch.node}")
    if picture.text:
        print(f"  {output.printable(picture.text)}")
    if picture.reason:
        print(f"  {output.printable(picture.reason)}")
    for asked in picture.questions.values():
        print("\n".join(question_lines(asked)))
    rows = [
        {"subtask": guides(lasts)[0] + r.id, "phase": phase_of(r, picture), "try": r.attempt, "rounds": r.rounds,
         "agents": ", ".join(r.seats), "after": ", ".join(r.after), "text": r.text[:60]}
        for lasts, r, _ in nested(picture.rows, picture.parents, picture.before)
    ]  # fmt: skip
    output.table(rows, ("subtask", "phase", "try", "rounds", "agents", "after", "text"), "  it has no plan yet")


def _shown(message: "State | Result") -> dict[str, Any]:
    """Return all but bodies, which a result shows."""
    import msgspec

    bare = msgspec.to_builtins({"work": getattr(message, "work", ()), "plan": message.plan})
    for work in bare["work"]:
        work.pop("outputs", None)
        for seat in work.get("seats", ()):
            seat.pop("outputs", None)
    recorded = {"decisions": message.decisions, "deliberations": message.deliberations, "edits": message.edits}
    return {**summary(message), **bare, **msgspec.to_builtins(recorded)}


@app.command("cancel", epilog=CANCEL_EXAMPLES)
def cancel(
    ctx: typer.Context,
    task: TaskName,
    reason: Annotated[str, typer.Option(help="why; its agents and watchers are told")] = "",
    as_json: output.Json = False,
) -> None:
    """End a task; says how it ended, for it may have ended before."""
    options = options_of(ctx)
    result = run_async(_cancel(options.load(QUIET).settings, output.checked_name(task), reason)).result
    if as_json or options.json:
        output.as_json({"id": task, "status": result.status, "reason": result.reason})
    else:
        print(f"task {task} {result.status}" + (f": {result.reason}" if result.reason else ""))
    if result.status != "cancelled":
        raise typer.Exit(FAILED)


async def _cancel(settings: "Settings", task: str, reason: str) -> "Outcome":
    from foa.nodes.client import Client
    from foa.wire.messages import Result

    async with Client(settings) as client:
        found = await kept(client, task)
        if not found:
            raise _unknown(task)
        submitted = client.follow(task, watch=False)
        if not isinstance(found[0], Result):
            submitted.cancel(reason)
        return await submitted.result()


@app.command("feedback", epilog=FEEDBACK_EXAMPLES)
def feedback(
    ctx: typer.Context,
    task: TaskName,
    score: Annotated[float, typer.Option(help="how good the result was, from 0 to 1", min=0.0, max=1.0)],
    subtask: Annotated[str, typer.Option(help="judge this subtask alone, not all of the task")] = "",
    comment: Annotated[str, typer.Option(help="why, for the log")] = "",
    as_json: output.Json = False,
) -> None:
    """Say how good a finished task was: its agents are chosen more, or less, for the like of it from now on."""
    options = options_of(ctx)
    run_async(_feedback(options.load(QUIET).settings, output.checked_name(task), score, subtask, comment))
    if as_json or options.json:
        output.as_json({"id": task, "score": score, "subtask": subtask})
    else:
        print(f"task {task} counts as {score:g}" + (f" for {subtask}" if subtask else ""))


async def _feedback(settings: "Settings", task: str, score: float, subtask: str, comment: str) -> None:
    from foa.nodes.client import Client

    async with Client(settings) as client:
        await client.feedback(task, score, subtask=subtask, comment=comment)


@app.command("result", epilog=RESULT_EXAMPLES)
def result(
    ctx: typer.Context,
    task: TaskName,
    wait: Annotated[bool, typer.Option("--wait", help="wait for a task that still runs")] = False,
    out: output.Out = None,
    as_json: output.Json = False,
) -> None:
    """Print the result of a task that ended."""
    options = options_of(ctx)
    outcome = run_async(_result(options.load(QUIET).settings, output.checked_name(task), wait=wait))
    output.outcome(outcome.result, out, json_wanted=as_json or options.json)


async def _result(settings: "Settings", task: str, *, wait: bool) -> "Outcome":
    from foa.nodes.client import Client
    from foa.wire.messages import Result

    async with Client(settings) as client:
        found = await kept(client, task)
        if not found:
            raise _unknown(task)
        if not wait and not isinstance(found[0], Result):
            raise FoaError(f"task {task} still runs; --wait for it, or see 'foa task watch {task}'")
        return await client.follow(task, watch=False).result()
