"""The command ``foa bench plans``; `foa.bench.main` registers it."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from foa.adapters.embed import HASH, MODEL, Embedder, embedder
from foa.bench.plans import measure, table
from foa.errors import ConfigError

EXAMPLES = """\b
Examples:
  foa bench plans --plans plans.jsonl.gz --limit 200
  foa bench plans --plans plans.jsonl.gz --noise 0.1 --noise 0.25 --noise 0.5 --json
  foa bench plans --plans plans.jsonl.gz --given steps --model words
  foa bench plans --plans plans.jsonl.gz --limit 10 --fuzz 100000
"""

CACHE = Path(".foa") / "bench-embeddings.sqlite"
WORDS = "words"


class Given(StrEnum):
    """What planners are told."""

    BOTH = "both"
    REQUEST = "request"
    STEPS = "steps"


def plans_command(
    *,
    plans: Annotated[Path, typer.Option(help="plans as JSON lines: id, task, source, nodes, edges")],
    noise: Annotated[
        list[float] | None, typer.Option(help="also spoil the given plans at this rate; may be repeated")
    ] = None,
    limit: Annotated[int, typer.Option(help="a sample of so many plans; 0: all", min=0)] = 0,
    given: Annotated[
        Given, typer.Option(help="planners see the request alone, or with its steps listed below, or each in turn")
    ] = Given.BOTH,
    seed: Annotated[int, typer.Option(help="the order in which the plans come, and the noise")] = 0,
    fuzz: Annotated[int, typer.Option(help="also merge so many random, partly hostile proposals", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="print the figures as JSON")] = False,
    model: Annotated[str, typer.Option(help="embedding model; words needs none")] = MODEL,
    cache: Annotated[Path, typer.Option(help="file of computed embeddings")] = CACHE,
) -> None:
    """Measure how near planners without a language model, and what they agree on, come to given plans."""
    rates = tuple(noise or ())
    for rate in rates:
        if not 0.0 <= rate < 1.0:
            raise ConfigError(f"--noise {rate:g}: must be in [0, 1)")
    told = ("request", "steps") if given is Given.BOTH else (given.value,)
    terms = measure.Terms(plans, told, rates, limit, seed, fuzz)
    found = measure.measure(terms, _embedder(model, cache), lambda line: typer.echo(line, err=True))
    typer.echo(json.dumps(found, indent=2) if as_json else table.table(found))


def _embedder(model: str, cache: Path) -> Embedder | None:
    """Return what makes vectors; None if words are compared, because that is asked or because there is no model."""
    if model in {WORDS, HASH}:
        return None
    made = embedder(model, cache=cache)
    try:
        made.embed(("what is to be done",))
    except ConfigError as error:
        typer.echo(f"texts are compared by their words: {error}", err=True)
        return None
    return made
