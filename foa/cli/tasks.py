"""``foa task …``: submit, watch, and look at tasks."""

import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from foa.cli import output
from foa.cli.ending import FAILED, NotFound, run_async
from foa.cli.loading import QUIET, options_of
from foa.errors import ConfigError, FoaError

if TYPE_CHECKING:
    from foa.nodes.client import Client, Outcome
    from foa.settings import Settings
    from foa.wire.messages import Result, State
    from foa.wire.records import Plan, Task

SUBMIT_EXAMPLES: Final = """\b
Examples:
  foa task submit "Summarise this text" --input text=notes.txt
  foa task submit "Profile this data and write a report" --input table=sales.csv --watch --out results
  foa task submit "Translate this" --input text=a.bin:text/plain --budget 0.10 --policy eu-only
  foa task submit "Quarterly figures" --plan plan.toml --no-wait --id figures-2026
"""
WATCH_EXAMPLES: Final = """\b
Examples:
  foa task watch figures-2026
  foa task watch figures-2026 --plain
"""
SHOW_EXAMPLES: Final = """\b
Examples:
  foa task show figures-2026
  foa task show figures-2026 --json
"""
LIST_EXAMPLES: Final = """\b
Examples:
  foa task list
  foa task list --json | jq length
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
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}

app = typer.Typer(help="Submit tasks and look at them.", no_args_is_help=True, rich_markup_mode=None)

TaskName = Annotated[str, typer.Argument(metavar="TASK", help="the task's id")]
Out = Annotated[Path | None, typer.Option(help="folder to write the results to")]


@app.command("submit", epilog=SUBMIT_EXAMPLES)
def submit(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(help="what is to be done, in plain words")],
    inputs: Annotated[list[str] | None, typer.Option("--input", metavar="NAME=FILE[:TYPE]", help="an input")] = None,
    plan: Annotated[Path | None, typer.Option(help="a plan of your own: .toml or .json")] = None,
    budget: Annotated[float | None, typer.Option(help="what it may cost at most, in USD", min=0)] = None,
    deadline: Annotated[str, typer.Option(help="how long it may take: 90s, 5m, 1h")] = "300s",
    policy: Annotated[list[str] | None, typer.Option(help="a policy label every agent must hold")] = None,
    skill: Annotated[list[str] | None, typer.Option(help="a skill the agent must have")] = None,
    team: Annotated[int, typer.Option(help="agents on each subtask; 0: as the matching decides", min=0, max=16)] = 0,
    prefer: Annotated[
        Literal["balanced", "cost", "quality", "latency"], typer.Option(help="what matters more")
    ] = "balanced",
    ident: Annotated[str, typer.Option("--id", help="its id; the same id again is the same task")] = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="wait for the result")] = True,
    watch: Annotated[bool, typer.Option("--watch", help="show the plan as it moves")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="watch in lines, not as a tree")] = False,
    out: Out = None,
    as_json: output.Json = False,
) -> None:
    """Submit a task, wait for its result, and print it."""
    options = options_of(ctx)
    settings = options.load(QUIET).settings
    task = checked_task(
        text,
        id=ident,
        inputs=dict(output.read_input(each) for each in inputs or ()),
        plan=None if plan is None else read_plan(plan),
        budget=budget,
        deadline_s=seconds(deadline),
        policies=policy or (),
        skills=skill or (),
        team=team,
        prefer=prefer,
    )
    if not wait:
        run_async(_hand_in(settings, task))
        output.as_json({"id": task.id, "status": "accepted"}) if as_json or options.json else print(task.id)
        return
    outcome = run_async(_see_through(settings, task, watch=watch, plain=plain))
    show_outcome(outcome.result, out, as_json=as_json or options.json)


def checked_task(text: str, **demands: Any) -> "Task":
    """Return a task that every peer will read; ConfigError names what its types refuse."""
    import msgspec

    from foa.nodes.client import task_of
    from foa.wire.records import Task

    if not text.strip():
        raise ConfigError("TEXT is empty; say what is to be done")
    try:
        return msgspec.msgpack.decode(msgspec.msgpack.encode(task_of(text, **demands)), type=Task)
    except (msgspec.ValidationError, OverflowError) as error:
        raise ConfigError(f"the task cannot be sent: {error}") from error


def seconds(text: str) -> float:
    """Return the seconds that ``90``, ``90s``, ``5m`` or ``1h`` are; ConfigError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?", text.strip())
    if match is None:
        raise ConfigError(f"--deadline {text}: must be a number and a unit, such as 90s, 5m or 1h")
    return float(match[1]) * _UNITS[match[2] or "s"]


def read_plan(path: Path) -> "Plan":
    """Return the plan in a TOML or JSON file; ConfigError names the file, the key, the value and the mend."""
    import json

    from foa.core.dag import planfile

    try:
        body = path.read_text(encoding="utf-8")
        document = json.loads(body) if path.suffix == ".json" else tomllib.loads(body)
        if not isinstance(document, dict):
            raise ConfigError(f"--plan {path}: must hold a table with a list called subtask")
        return planfile.read(document)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"--plan {path}: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"--plan {path}: {error}") from error


async def _hand_in(settings: "Settings", task: "Task") -> None:
    from foa.nodes.client import Client

    async with Client(settings) as client:
        await client.send(task).accepted()


async def _see_through(settings: "Settings", task: "Task", *, watch: bool, plain: bool) -> "Outcome":
    from foa.cli.watching import screen
    from foa.cli.watching.picture import Picture
    from foa.nodes.client import Client

    async with Client(settings) as client:
        submitted = client.send(task, watch=watch)
        if not watch:
            return await submitted.result()
        async with screen.viewing(Picture(task.id, task.text), plain=plain, write=to_stderr) as view:
            return await screen.watch(submitted, view)


def to_stderr(line: str) -> None:
    """Print a line that is no result."""
    print(line, file=sys.stderr, flush=True)


def show_outcome(result: "Result", out: Path | None, *, as_json: bool) -> None:
    """Print a result; raise Exit(1) after one that is none."""
    if as_json:
        output.as_json(output.result_data(result))
    if result.status != "done":
        if not as_json:
            typer.echo(f"foa: task {result.task} {result.status}: {result.code}: {result.reason}", err=True)
        raise typer.Exit(FAILED)
    if not as_json:
        output.outputs(result, out)
    elif out is not None:
        for given in result.outputs:
            output.write_atomically(out / output.file_name(given), given.value.body or b"")


@app.command("watch", epilog=WATCH_EXAMPLES)
def watch(
    ctx: typer.Context, task: TaskName, plain: Annotated[bool, typer.Option("--plain", help="lines, no tree")] = False
) -> None:
    """Show a task as it moves: who has what, rounds, cost, time. Works at any moment of its life."""
    outcome = run_async(_watch(options_of(ctx).load(QUIET).settings, task, plain=plain))
    if outcome.status != "done":
        raise typer.Exit(FAILED)


async def _watch(settings: "Settings", task: str, *, plain: bool) -> "Outcome":
    from foa.cli.watching import screen
    from foa.cli.watching.picture import Picture
    from foa.nodes.client import Client

    async with Client(settings) as client:
        picture = Picture(_name(task))
        if not await screen.recall(client, picture):
            raise _unknown(task)
        submitted = client.follow(task)
        async with screen.viewing(picture, plain=plain, write=lambda line: print(line, flush=True)) as view:
            return await screen.watch(submitted, view)


def _name(task: str) -> str:
    from foa.wire.ids import is_segment

    if not is_segment(task):
        raise ConfigError(f"TASK {task!r} is no task id: 1 to 64 characters of A-Z a-z 0-9 _ . -")
    return task


def _unknown(task: str) -> NotFound:
    return NotFound(f"no task {task} is kept here; 'foa task list' shows those that are")


async def kept(client: "Client", task: str = "+") -> "list[State | Result]":
    """Return what is retained of tasks: the result of those that ended, the snapshot of the others."""
    from foa.wire.ids import partition_of
    from foa.wire.messages import Result, State

    partition = "+" if task == "+" else str(partition_of(_name(task), client.topics.partitions))
    base = f"task/{partition}/{task}"
    found: dict[str, State | Result] = {}
    for each in await client.collect([f"{base}/state/+", f"{base}/result"]):
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
    found = run_async(_kept(settings, task))
    if not found:
        raise _unknown(task)
    return found[0]


def summary(message: "State | Result") -> dict[str, Any]:
    """Return one task as a row."""
    from foa.wire.messages import Result

    if isinstance(message, Result):
        text = message.plan.subtasks[0].text if message.plan is not None and len(message.plan.subtasks) == 1 else ""
        ident, phase = message.task, message.status
        subtasks = len(message.plan.subtasks) if message.plan else 0
        done, cost = len(message.parts), message.cost
    else:
        ident, phase, text = message.task.id, message.phase, message.task.text
        subtasks = len(message.plan.subtasks) if message.plan else 0
        done, cost = sum(work.phase == "done" for work in message.work), message.spent
    return {
        "id": ident,
        "status": phase,
        "subtasks": subtasks,
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
def show(ctx: typer.Context, task: TaskName, as_json: output.Json = False) -> None:
    """Show what is kept of a task: its plan, who has what, how it ended."""
    from foa.cli.watching.picture import Picture
    from foa.wire.messages import Result

    options = options_of(ctx)
    message = one_kept(options.load(QUIET).settings, task)
    if as_json or options.json:
        output.as_json(_shown(message))
        return
    picture = Picture(task)
    if isinstance(message, Result):
        picture.apply_result(message)
    else:
        picture.apply_state(message)
    print(f"task {task}  {picture.phase}  {picture.ms / 1000:.1f} s  {picture.spent:g} USD  at {message.epoch.node}")
    if picture.text:
        print(f"  {picture.text}")
    if picture.reason:
        print(f"  {picture.reason}")
    rows = [
        {"subtask": r.id, "phase": r.phase, "try": r.attempt, "rounds": r.rounds, "agents": ", ".join(r.seats),
         "after": ", ".join(r.after), "text": r.text[:60]}
        for r in picture.rows.values()
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
    return {**summary(message), **bare, "decisions": msgspec.to_builtins(message.decisions)}


@app.command("cancel", epilog=CANCEL_EXAMPLES)
def cancel(
    ctx: typer.Context,
    task: TaskName,
    reason: Annotated[str, typer.Option(help="why; its agents and watchers are told")] = "",
    as_json: output.Json = False,
) -> None:
    """End a task; says how it ended, for it may have ended before."""
    options = options_of(ctx)
    result = run_async(_cancel(options.load(QUIET).settings, task, reason)).result
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
        found = await kept(client, _name(task))
        if not found:
            raise _unknown(task)
        submitted = client.follow(task, watch=False)
        if not isinstance(found[0], Result):
            submitted.cancel(reason)
        return await submitted.result()


@app.command("result", epilog=RESULT_EXAMPLES)
def result(
    ctx: typer.Context,
    task: TaskName,
    wait: Annotated[bool, typer.Option("--wait", help="wait for a task that still runs")] = False,
    out: Out = None,
    as_json: output.Json = False,
) -> None:
    """Print the result of a task that ended."""
    options = options_of(ctx)
    outcome = run_async(_result(options.load(QUIET).settings, task, wait=wait))
    show_outcome(outcome.result, out, as_json=as_json or options.json)


async def _result(settings: "Settings", task: str, *, wait: bool) -> "Outcome":
    from foa.nodes.client import Client
    from foa.wire.messages import Result

    async with Client(settings) as client:
        found = await kept(client, _name(task))
        if not found:
            raise _unknown(task)
        if not wait and not isinstance(found[0], Result):
            raise FoaError(f"task {task} still runs; --wait for it, or see 'foa task watch {task}'")
        return await client.follow(task, watch=False).result()
