"""``foa task submit``: from words, files and demands to a task, and from its result to files and the terminal."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from foa.cli import output
from foa.cli.dlq import waiting
from foa.cli.dlq.waiting import seconds
from foa.cli.ending import run_async
from foa.cli.loading import QUIET, options_of
from foa.errors import ConfigError

if TYPE_CHECKING:
    from foa.nodes.client import Outcome
    from foa.settings import Settings
    from foa.wire.records import Plan, Task

SUBMIT_EXAMPLES: Final = """\b
Examples:
  foa task submit "Summarise this text" --input text=notes.txt
  foa task submit "Profile this data and write a report" --input table=sales.csv --watch --out results
  foa task submit "Translate this" --input text=a.bin:text/plain --budget 0.10 --policy eu-only
  foa task submit "Quarterly figures" --plan plan.toml --no-wait --id figures-2026
  foa task submit "Which is the largest of these?" --input text=list.txt --team 3 --strategy weighted
  foa task submit "Send the report to the board" --input text=report.md --attended --watch
"""
Strategies = Literal["auto", "majority", "weighted", "medoid", "quadratic", "anchor"]
Joinings = Literal["auto", "concatenate", "rebase", "merge"]
Preferences = Literal["balanced", "cost", "quality", "latency"]


def submit(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(help="what is to be done, in plain words")],
    *,
    inputs: Annotated[list[str] | None, typer.Option("--input", metavar="NAME=FILE[:TYPE]", help="an input")] = None,
    plan: Annotated[Path | None, typer.Option(help="a plan of your own: .toml or .json")] = None,
    budget: Annotated[float | None, typer.Option(help="what it may cost at most, in USD", min=0)] = None,
    deadline: Annotated[str, typer.Option(help="how long it may take: 90s, 5m, 1h")] = "300s",
    policy: Annotated[list[str] | None, typer.Option(help="a policy label every agent must hold")] = None,
    skill: Annotated[list[str] | None, typer.Option(help="a skill the agent must have")] = None,
    team: Annotated[int, typer.Option(help="agents on each subtask; 0: as the matching decides", min=0, max=16)] = 0,
    prefer: Annotated[Preferences, typer.Option(help="what matters more")] = "balanced",
    priority: Annotated[int, typer.Option(help="turns at agents that others wait for too", min=0, max=9)] = 5,
    submitter: Annotated[str, typer.Option(help="on whose account, for quotas and turns")] = "",
    strategy: Annotated[Strategies, typer.Option(help="how a team's answers become one")] = "auto",
    joining: Annotated[Joinings, typer.Option(help="how the subtasks' results become the task's")] = "auto",
    attended: Annotated[bool, typer.Option("--attended", help="you can be asked before it would fail")] = False,
    private: Annotated[bool, typer.Option("--private", help="keep nothing of what it was about as evidence")] = False,
    ident: Annotated[str, typer.Option("--id", help="its id; the same id again is the same task")] = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="wait for the result")] = True,
    patience: Annotated[
        str, typer.Option(help="how long to wait for a broker; as long as it takes at a terminal")
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", help="show the plan as it moves")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="watch in lines, not as a tree")] = False,
    out: output.Out = None,
    as_json: output.Json = False,
) -> None:
    """Submit a task, wait for its result, and print it. On a terminal it may ask you something on the way."""
    from foa.cli.watching import asking

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
        priority=priority,
        submitter=submitter,
        private=private,
        strategy="" if strategy == "auto" else strategy,
        joining="" if joining == "auto" else joining,
        attended=attended,
    )
    patient = seconds(patience, "--patience") if patience else None
    if not wait:
        run_async(_hand_in(settings, task, patient))
        output.as_json({"id": task.id, "status": "accepted"}) if as_json or options.json else print(task.id)
        return
    here = asking.somebody(plain=plain, as_json=as_json or options.json)
    outcome = run_async(_see_through(settings, task, patient, watch=watch, plain=plain, here=here))
    output.outcome(outcome.result, out, json_wanted=as_json or options.json)


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


def read_plan(path: Path) -> "Plan":
    """Return the plan in a TOML or JSON file; ConfigError names the file, the key, the value and the mend."""
    import json

    from foa.core.dag import planfile

    try:
        body = path.read_text(encoding="utf-8")
        document = json.loads(body) if path.suffix == ".json" else tomllib.loads(body)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--plan {path}: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"--plan {path}: must hold a table with a list called subtask")
    try:
        return planfile.read(document)
    except ConfigError as error:
        raise ConfigError(f"--plan {path}: {error}") from error


async def _hand_in(settings: "Settings", task: "Task", patience: float | None) -> None:
    from foa.nodes.client import Client

    async with Client(settings, patient=True) as client:
        await waiting.accepted(client, client.send(task), patience)


async def _see_through(
    settings: "Settings", task: "Task", patience: float | None, *, watch: bool, plain: bool, here: bool
) -> "Outcome":
    from foa.cli.watching import asking, screen
    from foa.cli.watching.picture import Picture
    from foa.nodes.client import Client

    async with Client(settings, patient=True) as client:
        submitted = client.send(task, watch=watch or here)
        await waiting.accepted(client, submitted, patience)
        if not watch and not here:
            return await submitted.result()
        picture = Picture(task.id, task.text)
        if not watch:
            return await asking.watch(client, submitted, screen.Quiet(picture, output.to_stderr), here=here)
        async with screen.viewing(picture, plain=plain, write=output.to_stderr) as view:
            return await asking.watch(client, submitted, view, here=here)
