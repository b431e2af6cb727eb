"""``foa demo``: from nothing to a checked report. A broker, nodes and agents as processes, two tasks, and the end.

All state lives in a temporary folder but for computed embeddings, which make the second run quick. Whatever
ends it, no process stays, and the report is either whole or not there.
"""

import asyncio
import shutil
import tempfile
import time
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

import typer

from foa.cli import output
from foa.cli.ending import FAILED, run_async
from foa.cli.loading import Options, cache_folder, options_of
from foa.cli.nodes import agent_members, broker_member, free_port, node_members, profiles, say
from foa.errors import ConfigError, TaskError

if TYPE_CHECKING:
    from foa.cli.watching.screen import View
    from foa.nodes.client import Client, Outcome
    from foa.nodes.federation import Federation
    from foa.settings import Settings
    from foa.wire.messages import Events, Result
    from foa.wire.records import Value

ASK: Final = "Profile this data, find what is unusual in it, chart what matters, and write a report"
REVIEW: Final = "Check every number in this report against the data"
CAST: Final = (
    "chart_maker", "csv_profiler", "outliers_forest", "outliers_lof", "outliers_robust", "planner", "planner_cases",
    "planner_typed", "report_writer", "reviewer",
)  # fmt: skip
"""The ready agents that have to do with a table: each is a process, and the others would only take their time."""

GRACE_S: Final = 1.0
READY_S: Final = 120.0
EXAMPLES: Final = """\b
Examples:
  foa demo                                  on a table of wines
  foa demo --input sales.csv --out sales.html
  foa demo --kill coordinator               and see that nothing is lost
"""

# The measured wines that come with scikit-learn; its own first line counts rows instead of naming columns.
_WINE: Final = (
    "alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids",
    "nonflavanoid_phenols", "proanthocyanins", "color_intensity", "hue", "od280_od315", "proline", "cultivar",
)  # fmt: skip

Kill = Literal["coordinator", "agent", "index"]


class Wish(NamedTuple):
    """What the demo was asked for."""

    table: bytes
    kill: Kill | None
    out: Path
    keep: bool
    write: Callable[[str], None]


def demo(
    ctx: typer.Context,
    table: Annotated[Path | None, typer.Option("--input", metavar="FILE", help="a CSV file of your own")] = None,
    kill: Annotated[Kill | None, typer.Option(help="kill -9 one process in the middle of it")] = None,
    out: Annotated[Path, typer.Option(help="where the report goes")] = Path("foa-report.html"),
    keep: Annotated[bool, typer.Option("--keep", help="keep the folder of state and logs")] = False,
    as_json: output.Json = False,
) -> None:
    """Start a federation here, have it report on a table, have that report checked, and end."""
    began = time.monotonic()
    options = options_of(ctx)
    silent = as_json or options.json
    if out.is_dir():
        raise ConfigError(f"--out {out}: is a folder; name a file, such as {out / 'report.html'}")
    wish = Wish(_table(table), kill, out.absolute(), keep, _to_stderr if silent else say)
    told = run_async(_demo(options, wish))
    told["seconds"] = round(time.monotonic() - began, 1)
    if silent:
        output.as_json(told)
    else:
        say("\nhow it was agreed")
        for line in told["agreed"]:
            say(f"  {line}")
        say(f"review: {told['review']}")
        say(f"report: {told['report']}")
        say(f"plan:   {told['plan']}   ({told['seconds']} s in all)")
        say("of tasks in a federation that stays ('foa up'), 'foa explain TASK' tells all of this and why")
    if not told["ok"]:
        raise typer.Exit(FAILED)


def _to_stderr(line: str) -> None:
    typer.echo(line, err=True)


def _table(path: Path | None) -> bytes:
    if path is None:
        return sample()
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"--input {path}: cannot be read: {error.strerror}") from error


def sample() -> bytes:
    """Return a real table with a proper header, found beside scikit-learn without importing it."""
    from importlib.util import find_spec

    spec = find_spec("sklearn")
    path = Path(spec.origin).parent / "datasets" / "data" / "wine_data.csv" if spec and spec.origin else None
    if path is None or not path.is_file():
        raise ConfigError(
            "the demo's agents need scikit-learn and pandas: pip install 'federation-of-agents[agents]'; or "
            "'make setup' does all of it"
        )
    rows = path.read_text(encoding="utf-8").splitlines()[1:]
    return "\n".join([",".join(_WINE), *rows, ""]).encode()


async def _demo(options: Options, wish: Wish) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="foa-demo-"))
    try:
        async with _running(options, folder, wish) as (federation, settings):
            return await _tasks(federation, settings, wish)
    finally:
        if wish.keep:
            wish.write(f"state and logs are kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _running(options: Options, folder: Path, wish: Wish) -> "AsyncIterator[tuple[Federation, Settings]]":
    """Run broker, nodes and ready agents until left."""
    from foa.nodes.federation import Federation

    port = free_port(0)
    changes = {"broker.url": f"mqtt://127.0.0.1:{port}", "node.state_dir": str(folder), "http.port": 0}
    changes["index.cache"] = str(cache_folder() / "embeddings.sqlite")
    flags = {**options.flags, **{key: str(value) for key, value in changes.items()}}
    settings = options._replace(flags=flags).load({"log.level": "warning"}).settings
    agents = _cast()
    federation = Federation(options.environment(changes), folder / "logs", wish.write)
    try:
        await federation.start([broker_member(port)])
        await federation.start([*node_members(2, 1), *agent_members(agents)])
        wish.write(f"a broker, 2 coordinators, 1 index node and {len(agents)} agents run, each a process")
        yield federation, settings
    finally:
        await federation.stop(GRACE_S)


async def _tasks(federation: "Federation", settings: "Settings", wish: Wish) -> dict[str, Any]:
    from foa.cli.planning.drawing import svg
    from foa.cli.planning.files import picture_of
    from foa.nodes.client import Client

    async with Client(settings) as client:
        async with asyncio.timeout(READY_S):
            await _ready(client, len(_cast()), wish.write)
        table = _value("text/csv", wish.table)
        main = await _see(client, ASK, {"table": table}, wish, Accident(federation, wish.kill))
        report = _report(main)
        output.write_atomically(wish.out, report)
        drawn = wish.out.with_name(f"{wish.out.stem}.plan.svg")
        output.write_atomically(drawn, svg(picture_of(main.result)).encode())
        review = await _see(client, REVIEW, {"report": _value("text/html", report), "table": table}, wish, None)
    verdict = review.checked().output
    verdict = verdict if isinstance(verdict, dict) else {"answer": str(verdict), "ok": False}
    return {
        "report": str(wish.out),
        "plan": str(drawn),
        "agreed": [*_planned(main.result), *_converged(main.result)],
        "review": verdict.get("answer", ""),
        "ok": bool(verdict.get("ok")),
        "checked": verdict.get("checked"),
        "wrong": verdict.get("wrong"),
        "tasks": [output.result_data(each.result) | {"outputs": None} for each in (main, review)],
    }


def _planned(result: "Result") -> Iterator[str]:
    """Yield who proposed plans and what was kept of each, as it was recorded."""
    for told in result.deliberations:
        heard = [f"{one.planner} {one.kept} of {len(one.plan.subtasks)}" for one in told.voices if one.plan is not None]
        refused = len(told.voices) - len(heard)
        about = f"the plan of {told.subtask}" if told.subtask else "the plan"
        declined = f"; {refused} had nothing to propose" if refused else ""
        yield f"{about}: {_many(len(heard), 'planner')} proposed, steps kept: {', '.join(heard)}{declined}"


def _converged(result: "Result") -> Iterator[str]:
    """Yield of each subtask that several worked on how they came to one answer, as it was recorded."""
    for part in result.parts:
        if len(part.agents) < 2:  # noqa: PLR2004 - one has nobody to agree with
            continue
        doubts = [edit.reason for edit in result.edits if edit.kind == "grow" and edit.subtask == part.subtask]
        names = ", ".join(agent.rpartition("/")[2] for agent in part.agents)
        differ = f", and they differ: {'; then '.join(doubts)}" if doubts else ""
        yield f"{part.subtask}: {names} each answered{differ}"
        saw = (
            f"after {_many(part.rounds, 'round')} of seeing each other's answers" if part.rounds else "by their drafts"
        )
        how = f", chosen by {part.strategy}" if part.strategy else ""
        agreed = "they agree on one" if part.agreed else "they do not agree, and the best one stands"
        yield f"{part.subtask}: {saw} {agreed}{how}"


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _value(kind: str, body: bytes) -> "Value":
    from foa.wire.records import Value

    return Value(kind, kind, body)


def _report(outcome: "Outcome") -> bytes:
    for given in outcome.checked().result.outputs:
        if given.value.type == "text/html" and given.value.body:
            return given.value.body
    names = ", ".join(f"{given.name} ({given.value.type})" for given in outcome.result.outputs)
    raise TaskError(f"task {outcome.result.task} yielded no report, but {names or 'nothing'}; see 'foa demo --keep'")


async def _ready(client: "Client", agents: int, write: Callable[[str], None]) -> None:
    """Wait until every partition has its owner and every agent its vector; told by the broker, never asked."""
    from foa.wire.messages import Own, Presence, Vcv

    owned: set[int] = set()
    index: set[str] = set()
    vectors: set[str] = set()
    async with aclosing(client.hear(["own/+", "presence/+/+", "vcv/+/+/+/+"])) as heard:
        async for each in heard:
            match each.message:
                case Own(partition):
                    owned.add(partition)
                case Presence(node, "index"):
                    index.add(node)
                case Vcv(agent):
                    if not vectors:
                        write("the index node makes vectors of what agents say they can do (seconds at the first run)")
                    vectors.add(agent)
            if index and len(owned) == client.topics.partitions and len(vectors) >= agents:
                write(f"all {len(owned)} partitions have an owner, all {len(vectors)} agents can be found")
                return


class Accident:
    """A ``kill -9`` in the middle: once somebody was awarded work, and before it is done."""

    def __init__(self, federation: "Federation", kind: Kill | None) -> None:
        """Kill nobody if `kind` is None."""
        self._federation = federation
        self._kind = kind

    def happened(self, events: "Events", view: "View") -> None:
        """Strike at the first award that is not over yet."""
        rows = view.picture.rows
        running = [
            note.agent
            for note in events.notes
            if note.kind == "awarded" and note.subtask in rows and rows[note.subtask].phase == "running"
        ]
        if self._kind is None or not running:
            return
        victim = {"coordinator": view.picture.owner, "index": "index-1", "agent": _member(running[-1])}[self._kind]
        self._kind = None
        if victim in self._federation.pids:
            self._federation.kill(victim)
            why = "owns this task" if victim == view.picture.owner else "is needed now"
            view.say(f"             kill -9 {victim}, which {why}")


def _cast() -> list[Path]:
    return [folder for folder in profiles("") if folder.name in CAST]


def _member(agent: str) -> str:
    """Return the name of the process that runs a ready agent."""
    for folder in _cast():
        if tomllib.loads((folder / "profile.toml").read_text(encoding="utf-8"))["agent"] == agent:
            return folder.name
    return ""


async def _see(
    client: "Client", text: str, inputs: "dict[str, Value]", wish: Wish, accident: Accident | None
) -> "Outcome":
    """Submit a task and show it as it moves."""
    from foa.cli.watching import screen
    from foa.cli.watching.picture import Picture

    wish.write(f"\n> {text}")
    submitted = client.submit(text, watch=True, inputs=inputs, submitter="foa demo")
    async with screen.viewing(Picture(submitted.id, text), plain=False, write=wish.write) as view:
        return await screen.watch(submitted, view, accident.happened if accident else None)
