"""One measurement: files in, figures out, under the keys that scripts read."""

from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from foa.adapters.embed import Embedder
from foa.bench import datasets
from foa.bench.routing import baselines
from foa.bench.routing.figures import DEPTH, figures
from foa.bench.routing.online import Terms, learned
from foa.bench.routing.town import Asked, Say, Town, asked, founded


class Plan(NamedTuple):
    """What is measured: files, how profiles learn (None: not at all), how many queries (0: all)."""

    agents: Path
    queries: Path
    online: Terms | None = None
    limit: int = 0
    baselines: bool = False


def measure(plan: Plan, embedder: Embedder, say: Say) -> dict[str, Any]:
    """Return the figures of `plan`; ConfigError names what is wrong with a file."""
    agents = datasets.agents(plan.agents)
    rows = datasets.queries(plan.queries, agents)
    if 0 < plan.limit < len(rows):
        rows = tuple(Random(0).sample(rows, plan.limit))
    town = founded(agents, embedder, say)
    queries = asked(rows, town, embedder, say)
    found: dict[str, Any] = figures(ranked(town, queries), queries.gold)
    found |= {"agents": len(agents), "queries": len(rows), "model": embedder.model}
    if plan.baselines:
        found["baselines"] = {
            "minilm": figures(baselines.minilm(town, queries, embedder, say), queries.gold),
            "bm25": figures(baselines.bm25(town, queries), queries.gold),
        }
    if plan.online is not None:
        found["online"] = learned(town, queries, plan.online, say)
    return found


def ranked(town: Town, queries: Asked) -> list[tuple[str, ...]]:
    """Return the first `DEPTH` agents for each query."""
    return [tuple(match.key for match in town.retriever.search((probe,), DEPTH)[0]) for probe in queries.probes]


def table(found: dict[str, Any]) -> str:
    """Return the figures for people."""
    names = list(found["ci95"])
    lines = [f"{found['queries']} queries to {found['agents']} agents, {found['model']}", ""]
    lines.append(" " * 10 + "".join(f"{name:>24}" for name in names))
    for label, row in (("foa", found), *found.get("baselines", {}).items()):
        cells = (f"{row[name]:.3f} [{row['ci95'][name][0]:.3f}, {row['ci95'][name][1]:.3f}]" for name in names)
        lines.append(f"{label:10}" + "".join(f"{cell:>24}" for cell in cells))
    run = found.get("online")
    if run is not None:
        low, high = run["ci95"]["hit@1_last_third"]
        last = f"last third {run['hit@1_last_third']:.3f} [{low:.3f}, {high:.3f}]"
        how = f"up to {run['attempts']} tried, told of the {run['told']}"
        lines += ["", f"learning ({how}): hit@1 {run['hit@1']:.3f}, {last}"]
        lines.append("curve " + " ".join(f"{value:.2f}" for value in run["curve"]))
    return "\n".join(lines)
