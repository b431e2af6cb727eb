"""``foa bench trust``."""

import asyncio
import json
from typing import Annotated

import typer

from foa.bench.roundtrip import table

EXAMPLES = """\b
Examples:
  foa bench trust
  foa bench trust --tasks 300 --rounds 7 --json
"""


def trust_command(
    tasks: Annotated[int, typer.Option(help="tasks in one turn at one in flight", min=10)] = 100,
    rounds: Annotated[int, typer.Option(help="turns of each; medians are reported", min=1)] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="print the figures as JSON")] = False,
) -> None:
    """Time seals and refusals a frame, and the same tasks in a sealed and in a bare federation that take turns."""
    from foa.bench.trust import measure

    figures = measure.alone(rounds)
    figures |= asyncio.run(measure.together(tasks, rounds, lambda line: typer.echo(line, err=True)))
    typer.echo(json.dumps(figures, indent=2) if as_json else table(figures))
