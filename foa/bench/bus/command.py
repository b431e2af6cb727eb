"""The command ``foa bench bus``; `foa.bench.main` registers it."""

import asyncio
import json
from typing import Annotated

import typer

from foa.bench.bus import measure

EXAMPLES = """\b
Examples:
  foa bench bus
  foa bench bus --json --rounds 9
  foa bench bus --messages 80000
"""


def bus_command(
    rounds: Annotated[int, typer.Option(help="rounds; the medians over them are reported", min=1)] = 7,
    messages: Annotated[int, typer.Option(help="messages of one figure", min=100, max=90_000)] = 20_000,
    as_json: Annotated[bool, typer.Option("--json", help="print the figures as JSON")] = False,
) -> None:
    """Measure the embedded broker beside a tuned Mosquitto, and our client beside aiomqtt on that Mosquitto.

    256-byte payloads at QoS 1, loads in processes of their own, turn about within one run.
    """
    plan = measure.Plan(messages, rounds)
    figures = asyncio.run(measure.measure(plan, lambda line: typer.echo(line, err=True)))
    typer.echo(json.dumps(figures, indent=2) if as_json else measure.table(figures))
