"""The command ``foa bench routing``; `foa.bench.main` registers it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from foa.adapters.embed import MODEL, embedder
from foa.bench.routing import measure, plot
from foa.bench.routing.online import ATTEMPTS, Terms, Told

EXAMPLES = """\b
Examples:
  foa bench routing --agents agents.jsonl.gz --queries queries.jsonl.gz --baselines
  foa bench routing --agents agents.jsonl.gz --queries queries.jsonl.gz --online --seeds 3 --plot curve.png
  foa bench routing --agents agents.jsonl.gz --queries queries.jsonl.gz --online --attempts 1 --told gold
"""

CACHE = Path(".foa") / "bench-embeddings.sqlite"


def routing_command(
    *,
    agents: Annotated[Path, typer.Option(help="agents as JSON lines: id, name, description")],
    queries: Annotated[Path, typer.Option(help="queries as JSON lines: id, query, gold")],
    online: Annotated[bool, typer.Option("--online", help="also let profiles learn from what was tried")] = False,
    attempts: Annotated[
        int,
        typer.Option(help="agents tried per query of --online until one is right (1: only the first)", min=1, max=9),
    ] = ATTEMPTS,
    told: Annotated[
        Told, typer.Option(help="choice: who was tried is rewarded; gold: then the right agents are told as well")
    ] = Told.CHOICE,
    seeds: Annotated[int, typer.Option(help="shuffled runs of --online", min=1, max=100)] = 1,
    limit: Annotated[int, typer.Option(help="a sample of so many queries; 0: all", min=0)] = 0,
    baselines: Annotated[bool, typer.Option("--baselines", help="also plain cosines and plain BM25")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the figures as JSON")] = False,
    picture: Annotated[Path | None, typer.Option("--plot", help="write a picture (PNG)")] = None,
    model: Annotated[str, typer.Option(help="embedding model; hash needs none")] = MODEL,
    cache: Annotated[Path, typer.Option(help="file of computed embeddings")] = CACHE,
) -> None:
    """Measure how well requests find the right agents, with what an index node runs, in one configuration."""
    plan = measure.Plan(agents, queries, Terms(attempts, told, seeds) if online else None, limit, baselines)
    found = measure.measure(plan, embedder(model, cache=cache), lambda line: typer.echo(line, err=True))
    if picture is not None:
        plot.draw(found, picture)
    typer.echo(json.dumps(found, indent=2) if as_json else measure.table(found))
