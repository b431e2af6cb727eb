"""The command ``foa bench index``; `foa.bench.main` registers it."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from foa.adapters.index.hnsw import CROSSOVER
from foa.bench.index import fanout, local
from foa.bench.index.alone import measured
from foa.settings import Settings

EXAMPLES = """\b
Examples:
  foa bench index --agents 10000
  foa bench index --agents 100000 --file agents.jsonl.gz --json
  foa bench index --agents 10000 --nodes 4
"""


def index_command(
    *,
    agents: Annotated[int, typer.Option(help="how many agents the node holds", min=100, max=250_000)] = 10_000,
    file: Annotated[Path | None, typer.Option(help="agents as JSON lines; made-up ones fill up between them")] = None,
    rounds: Annotated[int, typer.Option(help="rounds; the medians over them are reported", min=1)] = 3,
    queries: Annotated[int, typer.Option(help="queries of one round", min=10, max=10_000)] = 500,
    nodes: Annotated[int, typer.Option(help="index nodes over a broker instead of one node alone", min=0, max=16)] = 0,
    crossover: Annotated[int, typer.Option(help="vectors above which HNSW replaces exact search", min=0)] = CROSSOVER,
    cache: Annotated[Path | None, typer.Option(help="file of computed embeddings; default: that of the nodes")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the figures as JSON")] = False,
) -> None:
    """Measure the index at size: recall against exact search, times beside hnswlib alone, gates, updates, restart.

    With --nodes: a query over that many index nodes through the embedded broker beside bare round trips.
    """
    settings = Settings()
    known = cache if cache is not None else Path(settings.node.state_dir) / settings.index.cache
    plan = local.Plan(agents, str(file or ""), str(known), rounds, queries, crossover)

    def say(line: str) -> None:
        typer.echo(line, err=True)

    figures = asyncio.run(fanout.measure(plan, nodes, say)) if nodes else measured(plan)
    typer.echo(json.dumps(local.rounded(figures), indent=2) if as_json else local.table(figures))
