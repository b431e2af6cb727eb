"""``foa task outbox``: what clients on this machine have submitted and no coordinator has accepted yet."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from foa.cli import output
from foa.cli.ending import FAILED, NotFound, run_async
from foa.cli.loading import QUIET, options_of
from foa.errors import BusError, TaskError, WireError

if TYPE_CHECKING:
    from foa.adapters.outbox import Waiting
    from foa.settings import Settings

EXAMPLES: Final = """\b
Examples:
  foa task outbox
  foa task outbox --send
  foa task outbox --drop t-3f9a0c1b2d4e5f60
"""


def outbox(
    ctx: typer.Context,
    *,
    send: Annotated[bool, typer.Option("--send", help="send what a client that ended left there")] = False,
    drop: Annotated[str, typer.Option(metavar="TASK", help="take this one out; it is not sent")] = "",
    as_json: output.Json = False,
) -> None:
    """Show what waits to be accepted; the next submission sends it along, or --send does now."""
    options = options_of(ctx)
    settings = options.load(QUIET).settings
    wants_json = as_json or options.json
    if drop:
        _drop(settings, output.checked_name(drop))
        output.as_json({"id": drop, "status": "dropped"}) if wants_json else print(f"task {drop} is not sent")
        return
    if send:
        ended = run_async(_send(settings))
        if wants_json:
            output.as_json(ended)
        else:
            output.table(ended, ("id", "status", "reason"), "nothing waits in the outbox")
        if any(row["status"] != "accepted" for row in ended):
            raise typer.Exit(FAILED)
        return
    rows = [_row(one) for one in _waiting(settings)]
    if wants_json:
        output.as_json(rows)
    else:
        output.table(rows, ("id", "age_s", "client", "bytes", "text"), "nothing waits in the outbox")


def _folder(settings: "Settings") -> Path:
    from foa.nodes.client import outbox_of

    return outbox_of(settings)


def _waiting(settings: "Settings") -> "list[Waiting]":
    """Return the tasks that wait, without their bodies."""
    from foa.adapters.outbox import waiting

    return [one for one in waiting(_folder(settings)) if "#" not in one.id]


def _row(one: "Waiting") -> dict[str, Any]:
    from foa.wire.codec import decode
    from foa.wire.messages import Submit

    try:
        message = decode(one.body)
    except WireError as error:
        text = f"unreadable: {error.detail[:60]}"
    else:
        text = message.task.text[:80] if isinstance(message, Submit) else ""
    client = f"{one.file} (running)" if one.held else one.file
    return {"id": one.id, "age_s": round(one.age_s, 1), "client": client, "bytes": len(one.body), "text": text}


def _drop(settings: "Settings", task: str) -> None:
    from foa.adapters.outbox import dropped, waiting

    folder = _folder(settings)
    found = [one for one in waiting(folder) if one.id.partition("#")[0] == task]
    if not found:
        raise NotFound(f"no task {task} waits in the outbox; 'foa task outbox' lists those that do")
    for one in found:
        if not dropped(folder, one.file, one.kind, (one.id,)):
            raise BusError(
                f"task {task} belongs to {one.file}, which runs; end that first, or 'foa task cancel {task}'"
            )


async def _send(settings: "Settings") -> list[dict[str, str]]:
    from foa.nodes.client import Client

    if not _waiting(settings):
        return []
    ended = []
    async with Client(settings) as client:
        for one in client.resume():
            try:
                await one.accepted()
            except TaskError as error:
                ended.append({"id": one.id, "status": "rejected", "reason": str(error)})
            else:
                ended.append({"id": one.id, "status": "accepted", "reason": ""})
    return ended
