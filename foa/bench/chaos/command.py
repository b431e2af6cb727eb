"""The commands ``foa bench chaos`` and, hidden, ``foa bench submitter``; `foa.bench.main` registers them."""

import asyncio
import json
import shutil
import signal
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from foa.bench.chaos.plan import Run
from foa.bench.chaos.storm import measure
from foa.bench.chaos.verdict import table
from foa.bench.chaos.work.submitter import Orders, submit
from foa.errors import ConfigError
from foa.nodes.federation import end_with_parent

EXAMPLES = """\b
Examples:
  foa bench chaos
  foa bench chaos --minutes 10 --broker mosquitto --json
  foa bench chaos --minutes 3 --seed 7 --kill-every 3 --keep chaos-logs
"""
BROKERS = ("embedded", "mosquitto")


def chaos_command(
    ctx: typer.Context,
    *,
    minutes: Annotated[float, typer.Option(help="how long the storm lasts", min=0.1, max=1440)] = 1.0,
    broker: Annotated[
        str, typer.Option("--with", help="embedded or mosquitto; --broker is the same here")
    ] = "embedded",
    seed: Annotated[int, typer.Option(help="of the tasks, the faults and the pauses", min=0)] = 1,
    tasks_per_second: Annotated[float, typer.Option(help="tasks submitted a second", min=0.1, max=200)] = 10.0,
    kill_every: Annotated[float, typer.Option(help="seconds between two faults", min=0.5, max=3600)] = 3.0,
    keep: Annotated[Path | None, typer.Option(help="keep logs and state here")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the figures as JSON")] = False,
) -> None:
    """Kill a federation's processes while it works: exit 1 if an accepted task is lost or ends in two results."""
    flags = dict(getattr(ctx.obj, "flags", {}))
    broker = flags.pop("broker.url", broker)
    if broker not in BROKERS:
        raise ConfigError(f"--broker {broker}: chaos starts a broker of its own; say embedded or mosquitto")
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise ConfigError(f"--keep {keep}: is there already and not empty; name a new folder")
    run = Run(minutes, broker, seed, tasks_per_second, kill_every, settings=flags)
    figures = _ended(_run(run, keep))
    typer.echo(json.dumps(figures, indent=2) if as_json else table(figures))
    if figures["lost"] or figures["duplicated"]:
        raise typer.Exit(1)


async def _run(run: Run, keep: Path | None) -> dict[str, Any]:
    """Do a run in a folder that is gone afterwards, but for a copy in `keep`."""
    with tempfile.TemporaryDirectory(prefix="foa-chaos-") as name:
        try:
            return await measure(run, Path(name), lambda line: typer.echo(line, err=True))
        finally:
            if keep is not None:
                shutil.copytree(name, keep, ignore=shutil.ignore_patterns("ledger"), dirs_exist_ok=True)
                typer.echo(f"logs and state are in {keep}", err=True)


def submitter_command(
    name: str, seed: int, per_s: float, deadline_s: float, memory: Path, over: Path, *, parent: bool = False
) -> None:
    """Submit tasks for a run of chaos."""
    if parent:
        end_with_parent()
    _ended(submit(Orders(name, seed, per_s, deadline_s, memory, over)))


def _ended(main: Coroutine[Any, Any, Any]) -> Any:
    """Run `main`; SIGTERM ends it like Ctrl-C does: cancelled, cleaned up, KeyboardInterrupt."""

    async def told() -> Any:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await main

    try:
        return asyncio.run(told())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
