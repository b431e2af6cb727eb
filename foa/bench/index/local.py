"""The figures of one index node: recall, times, gates, updates, restart; hnswlib's own beside them in the same run."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from foa.adapters.index.graph import EF_CONSTRUCTION, M
from foa.adapters.index.hnsw import CROSSOVER, LEAST_EF
from foa.bench.index.node import EPSILON, BenchNode, K, Times, disk_mb, memory_mb, recall, score, timed
from foa.bench.index.population import GATES, Population, Say, populate, queries, turned
from foa.core.routing.gate import gate
from foa.core.vcv.relevance import Numbers
from foa.core.vcv.vector import Floats, unpack_all
from foa.errors import FoaError
from foa.wire.records import Query

EFS: Final = (16, 24, 32, 48, 64, 96, 128, 160, 192, 224, 256, 320, 384, 512, 768, 1024)
EXACT_QUERIES: Final = 50
ITSELF: Final = 0.999
MOVED: Final = 0.9
"""An update turns an agent's vector to this cosine."""

Figures = dict[str, Any]
Scores = Sequence[Numbers] | Sequence[Floats]
"""The exact scores of all agents per query."""


class Plan(NamedTuple):
    """What to measure."""

    agents: int = 10_000
    file: str = ""
    cache: str = ".foa/embeddings.sqlite"
    rounds: int = 3
    queries: int = 500
    crossover: int = CROSSOVER


def measure(plan: Plan, say: Say) -> Figures:
    """Build one node, measure it, restart it."""
    population = populate(plan.agents, Path(plan.file) if plan.file else None, Path(plan.cache), say)
    asked = queries(population, plan.queries)
    figures: Figures = {"agents": plan.agents, "real": population.real}
    with tempfile.TemporaryDirectory(prefix="foa-bench-index-") as name:
        folder = Path(name)
        before = memory_mb()
        node = BenchNode(population.vectors.shape[1], plan.crossover, folder, say)
        began = time.perf_counter()
        node.fill(population, say)
        figures |= {"build_s": time.perf_counter() - began, "memory_mb": memory_mb() - before}
        figures["searched"] = "hnsw" if node.index.is_graph_used else "exact"
        say(f"built in {figures['build_s']:.1f} s")
        truth = [node.truth(query).astype(np.float32) for query in asked]
        figures |= _open(node, asked, truth, plan, say)
        figures["gates"] = _gated(node, asked, truth, say)
        figures |= _updated(node, population)
        began = time.perf_counter()
        node.write()
        figures |= {"save_s": time.perf_counter() - began, "disk_mb": disk_mb(folder)}
        figures["restart_s"] = statistics.median(_restart(folder, plan) for _ in range(plan.rounds))
    return figures


def _open(node: BenchNode, asked: Sequence[Query], truth: Scores, plan: Plan, say: Say) -> Figures:
    """Measure queries without gates, with words and by vectors alone, beside hnswlib alone and the same exactly."""
    vectors = unpack_all(query.vector for query in asked)
    wordless = [msgspec.structs.replace(query, text="") for query in asked]
    cosines = vectors @ node.index.rows.c[: len(node.index)].T
    share, bare = shares(node, asked, truth), shares(node, wordless, [0.7 * np.maximum(0.0, row) for row in cosines])
    graph = _library(node)
    ef, alone = _raw_ef(graph, vectors, cosines, bare)
    rounds = []
    for number in range(plan.rounds):
        ours, plain = timed(node.find, asked), timed(node.find, wordless)
        theirs = _raw(graph, vectors, ef)
        rounds.append((ours.at(0.5), ours.at(0.1), ours.at(0.99), plain.at(0.5), theirs.at(0.5), theirs.at(0.1)))
        times = f"query {ours.at(0.5):.0f} us, vectors alone {plain.at(0.5):.0f} us, hnswlib {theirs.at(0.5):.0f} us"
        say(f"round {number + 1}: {times} (ef {ef}), recall {share:.4f}")
    exact = node.exact()
    slow = timed(partial(node.find, retriever=exact), asked[:EXACT_QUERIES])
    p50, p10, p99, plain_us, raw, raw10 = (statistics.median(column) for column in zip(*rounds, strict=True))
    return {
        "recall_vs_exact": share,
        "query_us": {"p10": p10, "p50": p50, "p99": p99},
        "vectors_only_us": plain_us,
        "vectors_only_recall": bare,
        "raw_hnswlib_us": raw,
        "raw_hnswlib_p10_us": raw10,
        "raw_recall": alone,
        "raw_ef": ef,
        "ratio": p50 / raw,
        "ratio_p10": p10 / raw10,
        "exact_query_us": slow.at(0.5),
    }


def shares(node: BenchNode, asked: Sequence[Query], truth: Scores) -> float:
    """Return the recall of `asked`, all agents being permitted."""
    everybody = np.ones(len(node.index), dtype=np.bool_)
    return recall([[score(hit) for hit in node.find(query)] for query in asked], truth, everybody)


def _library(node: BenchNode) -> Any:
    """Return hnswlib's own graph over the same vectors with our parameters."""
    try:
        import hnswlib
    except ImportError:
        raise FoaError(
            "hnswlib is not installed, and it is what the index is held against: pip install hnswlib"
        ) from None
    rows = node.index.rows
    count = len(rows.keys)
    if node.index.is_graph_used:
        return node.index.library_index
    graph = hnswlib.Index(space="ip", dim=rows.dim)
    graph.init_index(count, M, EF_CONSTRUCTION, random_seed=1)
    graph.add_items(rows.c[:count], num_threads=1)
    return graph


def _raw_ef(graph: Any, asked: Floats, truth: Floats, wanted: float) -> tuple[int, float]:
    """Return the least ef with which hnswlib alone has our recall (exact ones: our own ef), and its recall."""
    least = -np.sort(-truth, axis=1)[:, K - 1 : K] if truth.shape[1] > K else truth.min(axis=1, keepdims=True)
    share = 0.0
    for ef in EFS:
        graph.set_ef(ef)
        _, distances = graph.knn_query(asked, k=min(K, truth.shape[1]), num_threads=1)
        share = float(np.mean(1.0 - distances >= least - EPSILON))
        if share >= wanted - 0.0005 or (wanted >= 1.0 and ef >= LEAST_EF):
            return ef, share
    return EFS[-1], share


def _raw(graph: Any, asked: Floats, ef: int) -> Times:
    graph.set_ef(ef)
    k = min(K, graph.get_current_count())
    return timed(lambda one: graph.knn_query(one, k=k, num_threads=1), asked[:, None])


def _gated(node: BenchNode, asked: Sequence[Query], truth: Scores, say: Say) -> Figures:
    """Measure queries that a label or a budget leaves some of the agents: recall against the gate's own verdicts."""
    figures: Figures = {}
    exact = node.exact()
    for label, share in GATES.items():
        for kind in ("label", "budget"):
            policies = (label.replace("%", "-percent"),) if kind == "label" else ()
            bound = share if kind == "budget" else None
            gated = [msgspec.structs.replace(query, policies=policies, budget=bound) for query in asked]
            entries = (node.catalogue.entries[key] for key in node.index.rows.keys)
            permitted = np.array([gate(gated[0], entry.hit) is None for entry in entries])
            hits = [[score(hit) for hit in node.find(query)] for query in gated]
            ours = timed(node.find, gated)
            slow = timed(partial(node.find, retriever=exact), gated[:EXACT_QUERIES])
            one = {"permitted": int(permitted.sum()), "recall": recall(hits, truth, permitted)}
            figures[f"{kind} {label}"] = {
                **one,
                "p50_us": ours.at(0.5),
                "p99_us": ours.at(0.99),
                "exact_us": slow.at(0.5),
            }
            say(f"{kind} {label}: {one['permitted']} permitted, recall {one['recall']:.4f}, {ours.at(0.5):.0f} us")
    return figures


def _updated(node: BenchNode, population: Population) -> Figures:
    """Measure what it takes until a changed agent is in the catalogue, in the index and in its graph."""
    rng = np.random.default_rng(1)
    changed = rng.permutation(len(population.vectors))[:200]
    fresh = turned(population.vectors[changed], MOVED, rng)

    def change(at: int, vector: Floats) -> None:
        node.put(population.vcv(at, 2, vector), at)
        while not node.index.is_tended:
            node.index.tend(1)

    times = timed(lambda pair: change(*pair), zip(changed.tolist(), fresh, strict=True))
    first = [node.find(Query("", travelling(vector)))[0].cosine for vector in fresh]
    return {
        "update_us": times.at(0.5),
        "update_p99_us": times.at(0.99),
        "updated_found": float(np.mean(np.array(first) > ITSELF)),
    }


def travelling(vector: Floats) -> bytes:
    """Return a vector as it travels."""
    return vector.astype("<f2").tobytes()


def _restart(folder: Path, plan: Plan) -> float:
    """Return the seconds from the start of a new process until it has answered from what was kept."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "foa.bench.index.restart", str(folder), str(plan.crossover), str(plan.agents)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FoaError(f"the restarted node did not answer: {done.stderr.strip()[-400:]}")
    return time.perf_counter() - began


def table(figures: Mapping[str, Any], indent: str = "") -> str:
    """Return the figures for people."""
    lines = []
    for key, value in figures.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{key}", table(value, indent + "  ")]
        else:
            shown = f"{value:>14,.4g}" if isinstance(value, float) else f"{value:>14}"
            lines.append(f"{indent}{key:>{22 - len(indent)}}  {shown}")
    return "\n".join(lines)


def rounded(figures: Mapping[str, Any]) -> Figures:
    """Return the figures with as many digits as mean something."""
    return {
        key: rounded(value) if isinstance(value, Mapping) else round(value, 4) if isinstance(value, float) else value
        for key, value in figures.items()
    }
