"""``foa dlq …``: tasks that failed for good, and what was refused: list, look at, drop; `replaying` submits again."""

import asyncio
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from foa.cli import output
from foa.cli.dlq import replaying
from foa.cli.dlq.waiting import seconds
from foa.cli.ending import NotFound, run_async
from foa.cli.loading import QUIET, options_of
from foa.errors import ConfigError

if TYPE_CHECKING:
    from foa.nodes.client import Client
    from foa.settings import Settings
    from foa.wire.messages import Dead, Letter

LIST_EXAMPLES: Final = """\b
Examples:
  foa dlq list
  foa dlq list --code agent-failed --agent acme/lab/profiler --newer 1h
  foa dlq list --refused --for 10s
"""
SHOW_EXAMPLES: Final = """\b
Examples:
  foa dlq show figures-2026
  foa dlq show figures-2026 --json
"""
REPLAY_EXAMPLES: Final = """\b
Examples:
  foa dlq replay figures-2026
  foa dlq replay figures-2026 --wait
  foa dlq replay --all --code agent-failed --agent acme/lab/profiler
"""
DROP_EXAMPLES: Final = """\b
Examples:
  foa dlq drop figures-2026
  foa dlq drop --all --older 2d
"""
EMPTY: Final = "no task has failed for good lately: the queue is empty"
NONE_SO: Final = "no letter fits; 'foa dlq list' without filters shows them all"
CLEARED_S: Final = 0.2

app = typer.Typer(help="Look at tasks that failed for good; replay or drop them.", no_args_is_help=True,
                  rich_markup_mode=None)  # fmt: skip

Tasks = Annotated[list[str] | None, typer.Argument(metavar="[TASK]...", help="ids of failed tasks")]
Every = Annotated[bool, typer.Option("--all", help="every letter that fits the filters")]
Code = Annotated[str, typer.Option(help="only tasks that failed with this code, such as agent-failed")]
Agent = Annotated[str, typer.Option(help="only tasks that this agent failed, org/unit/agent")]
Newer = Annotated[str, typer.Option(metavar="TIME", help="only those of the last 90s, 5m, 1h, 2d")]
Older = Annotated[str, typer.Option(metavar="TIME", help="only those from before that")]


class Filed(NamedTuple):
    """A letter, and how old it is by the broker's count."""

    letter: "Letter"
    age_s: float


class Filters(NamedTuple):
    """Which letters are meant; "" and None are no limit."""

    code: str = ""
    agent: str = ""
    newer_s: float | None = None
    older_s: float | None = None

    def fits(self, one: Filed) -> bool:
        """Tell whether `one` is meant."""
        return (
            self.code in {"", one.letter.code}
            and (not self.agent or any(each.agent == self.agent for each in one.letter.attempts))
            and (self.newer_s is None or one.age_s <= self.newer_s)
            and (self.older_s is None or one.age_s >= self.older_s)
        )


def filters(code: str, agent: str, newer: str, older: str) -> Filters:
    """Return the filters of a command line; ConfigError for what is no time."""
    return Filters(
        code, agent, seconds(newer, "--newer") if newer else None, seconds(older, "--older") if older else None
    )


async def filed(client: "Client", task: str = "+") -> list[Filed]:
    """Return the letters that are kept, the latest first."""
    from foa.wire.ids import partition_of
    from foa.wire.messages import Letter

    partition = "+" if task == "+" else str(partition_of(task, client.topics.partitions))
    found: dict[str, Filed] = {}
    for each in await client.collect([f"dlq/{partition}/{task}"], 2 * CLEARED_S):
        if isinstance(each.message, Letter):
            left = each.expiry_s if each.expiry_s is not None else each.message.keep_s
            found[each.message.task] = Filed(each.message, max(0.0, float(each.message.keep_s - left)))
    return sorted(found.values(), key=lambda one: (one.age_s, one.letter.task))


async def named(client: "Client", tasks: Sequence[str], which: Filters, *, every: bool) -> list[Filed]:
    """Return the letters of `tasks`, or with ``every`` all that fit; NotFound names what may have been meant."""
    found = await filed(client)
    if every:
        return [one for one in found if which.fits(one)]
    by_id = {one.letter.task: one for one in found}
    for task in tasks:
        if task not in by_id:
            near = get_close_matches(task, by_id, 1)
            mend = f"did you mean {near[0]}?" if near else "'foa dlq list' shows those that have"
            raise NotFound(f"no letter of a task {task} is kept; {mend}")
    return [by_id[task] for task in dict.fromkeys(tasks)]


def checked(tasks: Sequence[str] | None, which: Filters, *, every: bool) -> list[str]:
    """Return the ids that were given; ConfigError where it is not clear which letters are meant."""
    ids = [output.checked_name(task) for task in tasks or ()]
    if bool(ids) == every:
        raise ConfigError("say which: ids of tasks, or --all, with filters if you like; not both and not neither")
    if ids and which != Filters():
        raise ConfigError("--code, --agent, --newer and --older go with --all; leave them out beside ids")
    return ids


def _row(one: Filed) -> dict[str, Any]:
    letter = one.letter
    agents = ", ".join(dict.fromkeys(each.agent for each in letter.attempts))
    return {
        "id": letter.task,
        "code": letter.code,
        "subtask": letter.subtask,
        "tries": len(letter.attempts),
        "agents": agents,
        "age_s": round(one.age_s),
        "reason": letter.reason[:100],
    }


@app.command("list", epilog=LIST_EXAMPLES)
def list_(
    ctx: typer.Context,
    *,
    code: Code = "",
    agent: Agent = "",
    newer: Newer = "",
    older: Older = "",
    refused: Annotated[
        bool, typer.Option("--refused", help="watch what cannot even be read instead; that is not kept")
    ] = False,
    duration: Annotated[str, typer.Option("--for", metavar="TIME", help="how long to watch")] = "10s",
    as_json: output.Json = False,
) -> None:
    """List tasks that failed for good, the latest first."""
    options = options_of(ctx)
    settings = options.load(QUIET).settings
    wants_json = as_json or options.json
    which = filters(code, agent, newer, older)
    if refused:
        run_async(_refused(settings, seconds(duration, "--for"), wants_json=wants_json))
        return
    every = run_async(_filed(settings))
    rows = [_row(one) for one in every if which.fits(one)]
    if wants_json:
        output.as_json(rows)
    else:
        columns = ("id", "code", "subtask", "tries", "age_s", "agents", "reason")
        output.table(rows, columns, NONE_SO if every else EMPTY)


async def _filed(settings: "Settings") -> list[Filed]:
    from foa.nodes.client import Client

    async with Client(settings) as client:
        return await filed(client)


async def _refused(settings: "Settings", duration: float, *, wants_json: bool) -> None:
    """Print what is refused as it comes, one line each."""
    from contextlib import suppress

    from foa.nodes.client import Client

    count = 0
    async with Client(settings) as client:
        if not wants_json:
            output.to_stderr(f"watching what is refused for {duration:g} s; Ctrl-C ends it")
        with suppress(TimeoutError):
            async with asyncio.timeout(duration):
                async for each in client.hear(["dead/+"]):
                    count += 1
                    _show_refused(each.message, wants_json=wants_json)
    if not wants_json and not count:
        print("nothing was refused meanwhile")


def _show_refused(message: Any, *, wants_json: bool) -> None:
    import json

    dead: Dead = message
    row = {"reason": dead.reason, "topic": dead.topic, "node": dead.node, "detail": dead.detail}
    if wants_json:
        print(json.dumps(row), flush=True)
    else:
        print("  ".join(output.printable(str(value)) for value in row.values()), flush=True)


@app.command("show", epilog=SHOW_EXAMPLES)
def show(
    ctx: typer.Context,
    task: Annotated[str, typer.Argument(metavar="TASK", help="its id")],
    as_json: output.Json = False,
) -> None:
    """Show why a task was given up, who tried, and what a replay would do."""
    import msgspec

    options = options_of(ctx)
    one = run_async(_one(options.load(QUIET).settings, output.checked_name(task)))
    letter, left = one.letter, one.letter.again
    done = [each.subtask for each in left.finished] if left is not None else []
    if as_json or options.json:
        rows = msgspec.to_builtins(letter.attempts)
        output.as_json({**_row(one), "reason": letter.reason, "text": letter.text, "attempts": rows, "finished": done,
                        "replayable": left is not None})  # fmt: skip
        return
    print(f"task {letter.task}  {letter.code}  {one.age_s:.0f} s ago, kept {letter.keep_s - one.age_s:.0f} s more")
    print(f"  {output.printable(letter.reason)}")
    print(f"  {'subtask ' + letter.subtask if letter.subtask else 'task'}: {output.printable(letter.text)}")
    rows = [{"try": each.attempt, "agent": each.agent, "started": "yes" if each.started else "no",
             "reason": each.reason} for each in letter.attempts]  # fmt: skip
    output.table(rows, ("try", "agent", "started", "reason"), "nobody tried it", "  ")
    if left is None:
        print("  it was too large to be kept: submit it anew")
    else:
        kept = f"all but {', '.join(done)}, which {'is' if len(done) == 1 else 'are'} done" if done else "all of it"
        print(f"  a replay does {kept}: foa dlq replay {letter.task}")


async def _one(settings: "Settings", task: str) -> Filed:
    from foa.nodes.client import Client

    async with Client(settings) as client:
        return (await named(client, [task], Filters(), every=False))[0]


@app.command("replay", epilog=REPLAY_EXAMPLES)
def replay(
    ctx: typer.Context,
    tasks: Tasks = None,
    *,
    every: Every = False,
    code: Code = "",
    agent: Agent = "",
    newer: Newer = "",
    older: Older = "",
    wait: Annotated[bool, typer.Option("--wait", help="wait for the results")] = False,
    as_json: output.Json = False,
) -> None:
    """Submit failed tasks again, each under a new id; what had finished is not done again.

    Replaying one twice, or by two people at once, makes one new task: its id follows from the old one.
    """
    options = options_of(ctx)
    which = filters(code, agent, newer, older)
    ids = checked(tasks, which, every=every)
    rows = run_async(_replay(options.load(QUIET).settings, ids, which, every=every, wait=wait))
    if as_json or options.json:
        output.as_json(rows)
    else:
        output.table(rows, ("id", "replay", "status", "reason"), NONE_SO)
    replaying.judge(rows)


async def _replay(
    settings: "Settings", ids: list[str], which: Filters, *, every: bool, wait: bool
) -> list[dict[str, Any]]:
    from foa.nodes.client import Client

    async with Client(settings) as client:
        letters = await named(client, ids, which, every=every)
        rows = []
        for at, one in enumerate(letters, 1):
            if len(letters) > 1:
                output.to_stderr(f"{at} of {len(letters)}: {one.letter.task}")
            row = await replaying.replayed(client, one.letter.task, one.letter.again, wait=wait)
            if row["status"] not in replaying.UNSENT:
                client.drop(one.letter.task)
            rows.append(row)
        return rows


@app.command("drop", epilog=DROP_EXAMPLES)
def drop(
    ctx: typer.Context,
    tasks: Tasks = None,
    *,
    every: Every = False,
    code: Code = "",
    agent: Agent = "",
    newer: Newer = "",
    older: Older = "",
    as_json: output.Json = False,
) -> None:
    """Throw letters away; results of their tasks stay as long as they live."""
    options = options_of(ctx)
    which = filters(code, agent, newer, older)
    ids = checked(tasks, which, every=every)
    gone = run_async(_drop(options.load(QUIET).settings, ids, which, every=every))
    if as_json or options.json:
        output.as_json([{"id": task, "status": "dropped"} for task in gone])
    else:
        print("\n".join(f"dropped the letter of {task}" for task in gone) or NONE_SO)


async def _drop(settings: "Settings", ids: list[str], which: Filters, *, every: bool) -> list[str]:
    from foa.nodes.client import Client

    async with Client(settings) as client:
        found = [one.letter.task for one in await named(client, ids, which, every=every)]
        for task in found:
            client.drop(task)
        return found
