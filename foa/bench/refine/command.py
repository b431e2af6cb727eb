"""The command ``foa bench refine``; `foa.bench.main` registers it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from foa.bench.refine import measure, plot

EXAMPLES = """\b
Examples:
  foa bench refine --debates debates.jsonl.gz
  foa bench refine --debates debates.jsonl.gz --seeds 5 --plot frontier.png
  foa bench refine --debates debates.jsonl.gz --limit 300 --json
"""


def refine_command(
    *,
    debates: Annotated[Path, typer.Option(help="debates as JSON lines: id, agents, rounds of answer and ok")],
    seeds: Annotated[int, typer.Option(help="shuffled runs", min=1, max=100)] = 5,
    limit: Annotated[int, typer.Option(help="a sample of so many debates; 0: all", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="print the figures as JSON")] = False,
    picture: Annotated[Path | None, typer.Option("--plot", "--png", help="write a picture (PNG or SVG)")] = None,
) -> None:
    """Replay recorded debates: the accuracy and the calls of every way to come to one answer."""
    found = measure.measure(measure.Plan(debates, seeds, limit), lambda line: typer.echo(line, err=True))
    if picture is not None:
        plot.draw(found, picture)
    typer.echo(json.dumps(found, indent=2) if as_json else measure.table(found))
