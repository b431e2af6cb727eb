"""The bench of the index: a population as stated, recall as defined, and the keys that others read."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from foa.bench.index import local
from foa.bench.index.node import BenchNode, recall, score
from foa.bench.index.population import GATES, NEAR, partition, populate, queries
from foa.core.machines.shard.intake import flaw
from foa.core.machines.shard.state import Setup
from foa.core.vcv.vector import unpack_all
from foa.wire.records import Query
from foa.wire.topics import Topics


def quiet(line: str) -> None:
    del line


def test_made_up_agents_are_sound_and_the_same_every_time(tmp_path: Path) -> None:
    population = populate(300, None, tmp_path / "cache", quiet)
    again = populate(300, None, tmp_path / "cache", quiet)
    assert np.array_equal(population.vectors, again.vectors)
    topics = Topics("foa/v1", 64)
    setup = Setup(topics=topics, node="i1", epoch=1, model="hash", dim=population.vectors.shape[1])
    for at in range(0, 300, 50):
        vcv = population.vcv(at)
        assert flaw(setup, topics.parse(topics.vcv(partition(at), vcv.agent)), vcv) is None
    asked = queries(population, 50)
    vectors = unpack_all(query.vector for query in asked)
    nearest = (vectors @ population.vectors.T).max(axis=1)
    assert np.median(nearest) == pytest.approx(NEAR, abs=0.02)


def test_recall_counts_what_ties_with_the_tenth() -> None:
    truth = np.array([[0.9] * 3 + [0.5] * 20 + [0.1] * 10], dtype=np.float32)
    everybody = np.ones(33, dtype=np.bool_)
    assert recall([[0.9] * 3 + [0.5] * 7], truth, everybody) == 1.0
    assert recall([[0.9] * 3 + [0.5] * 6 + [0.1]], truth, everybody) == pytest.approx(0.9)
    assert recall([[0.1] * 4], truth, np.arange(33) >= 29) == 1.0
    assert recall([[]], truth, ~everybody) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("crossover", [10_000, 100])
def test_the_figures_have_the_keys_that_others_read(tmp_path: Path, crossover: int) -> None:
    plan = local.Plan(300, cache=str(tmp_path / "cache"), rounds=1, queries=20, crossover=crossover)
    said: list[str] = []
    figures = local.measure(plan, said.append)
    assert figures["searched"] == ("exact" if crossover > 300 else "hnsw")
    assert set(figures["query_us"]) == {"p10", "p50", "p99"}
    for key in (
        "recall_vs_exact",
        "raw_hnswlib_us",
        "vectors_only_us",
        "update_us",
        "restart_s",
        "build_s",
        "memory_mb",
        "disk_mb",
    ):
        assert isinstance(figures[key], float), key
    assert set(figures["gates"]) == {f"{kind} {share}" for kind in ("label", "budget") for share in GATES}
    assert figures["recall_vs_exact"] > 0.9
    assert said
    assert "restart_s" in local.table(figures)


def test_a_node_finds_whom_it_took_in(tmp_path: Path) -> None:
    population = populate(100, None, tmp_path / "cache", quiet)
    node = BenchNode(population.vectors.shape[1], 10_000, tmp_path / "index", quiet)
    node.fill(population, quiet)
    node.write()
    again = BenchNode(population.vectors.shape[1], 10_000, tmp_path / "index", quiet)
    for at in (0, 50, 99):
        query = Query(population.texts[at], local.travelling(population.vectors[at]))
        assert again.find(query)[0].agent == f"bench/crowd/agent-{at}"


@pytest.mark.slow
@pytest.mark.parametrize("crossover", [10_000, 1_000])
def test_gates_and_words_cost_next_to_no_recall(tmp_path: Path, crossover: int) -> None:
    population = populate(3_000, None, tmp_path / "cache", quiet)
    node = BenchNode(population.vectors.shape[1], crossover, tmp_path / "index", quiet)
    node.fill(population, quiet)
    asked = queries(population, 40)
    truth = [node.truth(query) for query in asked]
    assert node.index.is_graph_used == (crossover < 3_000)
    assert local.shares(node, asked, truth) >= 0.97
    for at, label in enumerate(GATES):
        policies = (label.replace("%", "-percent"),)
        gated = [msgspec.structs.replace(query, policies=policies) for query in asked]
        found = [[score(hit) for hit in node.find(query)] for query in gated]
        permitted = np.array([population.labels[int(key.rpartition("-")[2]), at] for key in node.index.rows.keys])
        assert recall(found, truth, permitted) >= 0.97, label
