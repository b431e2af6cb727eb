"""``foa task retry`` and what ``foa dlq replay`` does with each letter: the task again, under the id that follows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from foa.cli import output
from foa.cli.dlq import waiting
from foa.cli.ending import FAILED, NotFound, run_async
from foa.cli.loading import QUIET, options_of
from foa.errors import FoaError, TaskError

if TYPE_CHECKING:
    from foa.nodes.client import Client, Outcome
    from foa.settings import Settings
    from foa.wire.messages import Result
    from foa.wire.records import Task

RETRY_EXAMPLES: Final = """\b
Examples:
  foa task retry figures-2026
  foa task retry figures-2026 --no-wait
"""
UNSENT: Final = frozenset({"impossible", "rejected"})
READ_S: Final = 0.4
MAX_RETRIES: Final = 64
"""Retries of retries that are followed, from the id that was named to the latest."""


def retry(
    ctx: typer.Context,
    task: Annotated[str, typer.Argument(metavar="TASK", help="the id of a failed, expired or cancelled task")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="wait for the result")] = True,
    out: output.Out = None,
    as_json: output.Json = False,
) -> None:
    """Submit a task again that came to nothing, under a new id; what had finished is not done again."""
    options = options_of(ctx)
    settings = options.load(QUIET).settings
    again, outcome = run_async(_retry(settings, output.checked_name(task), wait=wait))
    wants_json = as_json or options.json
    if outcome is None:
        output.as_json({"id": again, "origin": task, "status": "accepted"}) if wants_json else print(again)
        return
    if not wants_json:
        output.to_stderr(f"task {again}, again what {task} was")
    output.outcome(outcome.result, out, json_wanted=wants_json)


async def _retry(settings: "Settings", task: str, *, wait: bool) -> "tuple[str, Outcome | None]":
    from foa.core.dag.replay import replay
    from foa.nodes.client import Client

    async with Client(settings) as client:
        left = await whole(client, _left(await _latest(client, task)))
        submitted = client.send(replay(left))
        await waiting.accepted(client, submitted, None)
        client.drop(left.id)
        return submitted.id, await submitted.result() if wait else None


async def _latest(client: "Client", task: str) -> "Result":
    """Return the result of `task`, or of its last retry that came to nothing too; NotFound if none is kept."""
    from foa.core.dag.replay import next_id
    from foa.wire.messages import Result

    found: Result | None = None
    for _ in range(MAX_RETRIES):
        message = await _kept(client, task)
        if isinstance(message, Result) and (found is None or message.status != "done"):
            found, task = message, next_id(task)
            continue
        if message is not None and found is None:
            raise FoaError(f"task {task} still runs; 'foa task cancel {task}' ends it")
        break
    if found is None:
        raise NotFound(f"no result of a task {task} is kept; 'foa task list' and 'foa dlq list' show what is")
    return found


async def _kept(client: "Client", task: str) -> "Any":
    from foa.wire.ids import partition_of

    base = f"task/{partition_of(task, client.topics.partitions)}/{task}"
    read = await client.collect([f"{base}/state/0", f"{base}/result"], READ_S)
    found = [each for each in read if each.topic.task == task and each.topic.kind in {"state", "result"}]
    first = sorted(found, key=lambda each: each.topic.kind != "result")
    return first[0].message if first else None


def _left(result: "Result") -> "Task":
    if result.status == "done":
        raise FoaError(f"task {result.task} is done: see 'foa task result {result.task}'; submit it anew for another")
    if result.again is None:
        raise FoaError(f"task {result.task} was too large to be kept: submit it anew")
    return result.again


async def whole(client: "Client", left: "Task") -> "Task":
    """Return `left` as it can be done: without what had finished if bodies of that are gone.

    FoaError if bodies of its own inputs are.
    """
    import msgspec

    from foa.core.dag.blobs import references

    own = {ref.digest for ref in references(left.inputs)}
    made = {ref.digest for one in left.finished for ref in references(one.outputs)}
    if not own and not made:
        return left
    found = await client.collect([f"blob/{digest}" for digest in sorted(own | made)], READ_S)
    there = {each.topic.name for each in found if each.topic.kind == "blob"}
    if own - there:
        raise FoaError(f"task {left.id}: {len(own - there)} of its inputs are kept no more; submit it anew with them")
    return left if made <= there else msgspec.structs.replace(left, finished=())


async def replayed(client: "Client", task: str, left: "Task | None", *, wait: bool) -> dict[str, Any]:
    """Return what became of a letter: the replay's id and how it stands."""
    from foa.core.dag.replay import replay

    try:
        if left is None:
            return _row(task, "", "impossible", "it was too large to be kept; submit it anew")
        submitted = client.send(replay(await whole(client, left)))
    except FoaError as error:
        return _row(task, "", "impossible", str(error))
    try:
        await waiting.accepted(client, submitted, None)
    except TaskError as error:
        return _row(task, submitted.id, "rejected", str(error))
    if not wait:
        return _row(task, submitted.id, "accepted")
    outcome = await submitted.result()
    return _row(task, submitted.id, outcome.status, outcome.reason)


def _row(task: str, again: str, status: str, reason: str = "") -> dict[str, Any]:
    return {"id": task, "replay": again, "status": status, "reason": reason[:200]}


def judge(rows: Sequence[dict[str, Any]]) -> None:
    """Raise Exit(1) if one of `rows` came to nothing."""
    if any(row["status"] not in {"accepted", "done"} for row in rows):
        raise typer.Exit(FAILED)
