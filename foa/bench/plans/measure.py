"""One measurement: a file of plans in, figures out, under the keys that scripts read.

Every row is met once, in a seeded order. What a planner learns from is what came before: a row's own plan is looked at
only to score what was proposed for it, and afterwards.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from statistics import fmean, median
from time import perf_counter
from typing import Any, Final, NamedTuple

from foa.adapters.embed import Embedder
from foa.bench.plans import fuzz, noise, planners, speed
from foa.bench.plans.data import Graph, PlanRow, Say, graph_of, is_chain, plan_of, read
from foa.bench.plans.metric import Scores, Vectors, scores
from foa.core.dag.merge import Ended, ballot, forms, merge, reputation

UNION: Final = "union"
CONSENSUS: Final = "consensus"
CHUNK: Final = 1_024
VOICES: Final = 4
ROUND: Final = 4


class Terms(NamedTuple):
    """What is measured: which rows, what planners are told, and how much the given plans are spoilt."""

    plans: Path
    given: tuple[str, ...] = ("request", "steps")
    rates: tuple[float, ...] = ()
    limit: int = 0
    seed: int = 0
    fuzz: int = 0


class Scored(NamedTuple):
    """What became of one row, in ms of merging; ``chain``: its plan is one. Scores by planner, and without each."""

    source: str
    chain: bool
    refused: tuple[str, ...]
    by: Mapping[str, Scores]
    without: Mapping[str, Scores]
    ms: float


def measure(terms: Terms, embedder: Embedder | None, say: Say) -> dict[str, Any]:
    """Return the figures; ConfigError names what is wrong with the file. Without an embedder words are compared."""
    given = read(terms.plans)
    if given.skipped:
        say(f"{len(given.skipped)} rows are skipped, the first {given.skipped[0]}")
    rows = list(given.rows)
    Random(terms.seed).shuffle(rows)
    rows = rows[: terms.limit or len(rows)]
    asked = {told: [planners.request(row, told) for row in rows] for told in terms.given}
    known = embedded([text for found in asked.values() for text in found], embedder, say)
    proposals = {told: proposed(rows, told, asked[told], known) for told in terms.given}
    spoilt = {rate: _spoilt(rows, rate, terms.seed) for rate in terms.rates}
    graphs = [row.gold for row in rows]
    graphs += [graph for found in (*proposals.values(), *spoilt.values()) for each in found for graph in each.values()]
    vectors = {**embedded([text for graph in graphs for text in graph.nodes], embedder, say), **known}
    say("merging")
    runs = {told: stream(rows, asked[told], found, vectors) for told, found in proposals.items()}
    first, *others = runs
    found = figures(runs[first])
    found |= {told: figures(runs[told]) for told in others}
    found["noise"] = {f"{rate:g}": _noisy(rows, each, vectors) for rate, each in spoilt.items()}
    if terms.fuzz:
        found["fuzz"] = fuzz.fuzzed(terms.fuzz, terms.seed, say)
    found["merge_ms"] = round(speed.merge_ms(terms.seed), 3)
    found |= {"given": first, "items": len(rows), "skipped": len(given.skipped), "seed": terms.seed}
    found["model"] = "words" if embedder is None else embedder.model
    return found


def proposed(rows: Sequence[PlanRow], given: str, asked: Sequence[str], known: Vectors) -> list[dict[str, Graph]]:
    """Return what each planner proposes for each row; who refuses proposes nothing."""
    found = [planners.proposed(row, given) for row in rows]
    if known:
        for each, graph in zip(found, planners.remembered(rows, asked, known), strict=True):
            each[planners.CASES] = graph
    names = dict.fromkeys(name for each in found for name in each)
    return [{name: each.get(name, planners.REFUSED) for name in names} for each in found]


def embedded(texts: Sequence[str], embedder: Embedder | None, say: Say) -> Vectors:
    """Return a vector per text; short texts first, so that a batch holds texts of one length."""
    if embedder is None:
        return {}
    distinct = sorted(set(texts), key=lambda text: (len(text), text))
    found: dict[str, Any] = {}
    for start in range(0, len(distinct), CHUNK):
        some = distinct[start : start + CHUNK]
        found.update(zip(some, embedder.embed(some), strict=True))
        say(f"embedded {len(found)} of {len(distinct)} texts")
    return found


def stream(
    rows: Sequence[PlanRow], asked: Sequence[str], proposals: Sequence[Mapping[str, Graph]], vectors: Vectors
) -> list[Scored]:
    """Return what became of each row, in order; how a row's proposals ended is known only to the rows after it."""
    ended: list[Ended] = []
    found: list[Scored] = []
    for row, text, each in zip(rows, asked, proposals, strict=True):
        here = forms({name: plan_of(graph, name) for name, graph in each.items() if graph.nodes})
        weights = reputation(ended, each, vectors.get(text), here)
        found.append(scored(row, each, weights, vectors))
        worth = {
            name: (one.node_f1 + one.edge_f1) / 2
            for name, one in found[-1].by.items()
            if name in each and each[name].nodes
        }
        ended.append(Ended(worth, vectors.get(text), here))
    return found


def consensus(proposals: Mapping[str, Graph], weights: Mapping[str, float], vectors: Vectors) -> Graph:
    """Return what the worthy ones of the proposals agree on; empty if none is a plan."""
    plans = {name: plan_of(graph, name) for name, graph in proposals.items() if graph.nodes}
    return graph_of(merge(ballot(plans, weights), vectors)[0])


def scored(row: PlanRow, proposals: Mapping[str, Graph], weights: Mapping[str, float], vectors: Vectors) -> Scored:
    """Return how near each proposal, the union and the consensus come to the row's plan."""
    by = {name: scores(graph, row.gold, vectors) for name, graph in proposals.items()}
    by[UNION] = scores(graph_of(plan_of(planners.union(proposals), UNION)), row.gold, vectors)
    start = perf_counter()
    agreed = consensus(proposals, weights, vectors)
    ms = (perf_counter() - start) * 1000
    by[CONSENSUS] = scores(agreed, row.gold, vectors)
    without = {}
    for name in proposals:
        others = {one: graph for one, graph in proposals.items() if one != name}
        without[name] = scores(consensus(others, weights, vectors), row.gold, vectors)
    refused = tuple(name for name, graph in proposals.items() if not graph.nodes)
    return Scored(row.source, is_chain(row.gold), refused, by, without, ms)


def figures(run: Sequence[Scored]) -> dict[str, Any]:
    """Return the means by planner, in all and by source, and what the consensus is without each planner."""
    found: dict[str, Any] = means([each.by for each in run])
    sources: dict[str, list[Scored]] = defaultdict(list)
    for each in run:
        sources[each.source].append(each)
    found["by_source"] = {
        name: means([each.by for each in some]) | {"items": len(some)} for name, some in sorted(sources.items())
    }
    found["ablation"] = means([each.without for each in run])
    found["chain_share"] = round(fmean(each.chain for each in run), ROUND)
    found["refused"] = {name: round(fmean(name in each.refused for each in run), ROUND) for name in run[0].without}
    found["row_ms"] = round(median(each.ms for each in run), 3)
    return found


def means(found: Sequence[Mapping[str, Scores]]) -> dict[str, Any]:
    """Return the mean scores of each planner, over the rows it has something for."""
    names = dict.fromkeys(name for each in found for name in each)
    return {
        name: {
            key: round(fmean(getattr(each[name], key) for each in found if name in each), ROUND)
            for key in Scores._fields
        }
        for name in names
    }


def _spoilt(rows: Sequence[PlanRow], rate: float, seed: int) -> list[dict[str, Graph]]:
    foreign = [text for row in rows for text in row.nodes]
    rng = Random(f"{seed} {rate}")
    return [{f"noisy-{at}": noise.spoilt(row.gold, rate, foreign, rng) for at in range(VOICES)} for row in rows]


def _noisy(rows: Sequence[PlanRow], spoilt: Sequence[Mapping[str, Graph]], vectors: Vectors) -> dict[str, Any]:
    """Return the mean single proposal, the naive union and the consensus of `VOICES` spoilt plans."""
    run = [scored(row, each, dict.fromkeys(each, 1.0), vectors).by for row, each in zip(rows, spoilt, strict=True)]
    found = means(run)
    singles = [found[f"noisy-{at}"] for at in range(VOICES)]
    single = {key: round(fmean(one[key] for one in singles), ROUND) for key in Scores._fields}
    return {"single": single, UNION: found[UNION], CONSENSUS: found[CONSENSUS]}
