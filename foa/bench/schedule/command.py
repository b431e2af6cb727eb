"""The command ``foa bench schedule``; `foa.bench.main` registers it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from foa.bench.schedule import measure
from foa.errors import ConfigError

EXAMPLES = """\b
Examples:
  foa bench schedule --workflows workflows.jsonl.gz
  foa bench schedule --workflows workflows.jsonl.gz --agents 4,16,64 --most 500 --json
  foa bench schedule --agents 8
"""
MOST_AGENTS = 1_000


def schedule_command(
    *,
    workflows: Annotated[
        Path | None, typer.Option(help="workflows as JSON lines: id, edges, runtime_s; without it a made-up set")
    ] = None,
    agents: Annotated[str, typer.Option(help="numbers of equal agents, separated by commas")] = "4,16,64",
    most: Annotated[int, typer.Option(help="leave workflows of more steps out; 0: none", min=0)] = 0,
    rounds: Annotated[int, typer.Option(help="rounds of the scaling figures; 0: none", min=0)] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="print the figures as JSON")] = False,
) -> None:
    """Replay workflows in virtual time beside classical list scheduling, and time the coordinator by plan size."""
    found = measure.measure(workflows, counts(agents), most, rounds, lambda line: typer.echo(line, err=True))
    typer.echo(json.dumps(found, indent=2) if as_json else measure.table(found))


def counts(text: str) -> tuple[int, ...]:
    """Read numbers of agents; ConfigError if one is none."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() and 1 <= int(part) <= MOST_AGENTS for part in parts):
        raise ConfigError(f"--agents {text!r}: give numbers from 1 to {MOST_AGENTS}, such as 4,16,64")
    return tuple(dict.fromkeys(int(part) for part in parts))
