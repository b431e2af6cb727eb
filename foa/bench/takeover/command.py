"""The command ``foa bench takeover``; `foa.bench.main` registers it."""

import asyncio
import json
from typing import Annotated

import typer

from foa.bench.takeover.measure import Plan, measure, table
from foa.errors import ConfigError

EXAMPLES = """\b
Examples:
  foa bench takeover
  foa bench takeover --with mosquitto --repeats 5 --json
"""
BROKERS = ("embedded", "mosquitto")


def takeover_command(
    ctx: typer.Context,
    broker: Annotated[
        str, typer.Option("--with", help="embedded or mosquitto; --broker is the same here")
    ] = "embedded",
    tasks: Annotated[int, typer.Option(help="tasks in flight", min=6, max=2000)] = 40,
    repeats: Annotated[int, typer.Option(help="how often each thing is done", min=1, max=100)] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="print the figures as JSON")] = False,
) -> None:
    """Kill, freeze, drain and add coordinators, index nodes and agents at work: how long tasks stand still."""
    broker = dict(getattr(ctx.obj, "flags", {})).get("broker.url", broker)
    if broker not in BROKERS:
        raise ConfigError(f"--broker {broker}: this bench starts a broker of its own; say embedded or mosquitto")
    figures = asyncio.run(measure(Plan(broker, tasks, repeats), lambda line: typer.echo(line, err=True)))
    typer.echo(json.dumps(figures, indent=2) if as_json or getattr(ctx.obj, "json", False) else table(figures))
