"""Vector indices: one convention for all, and HNSW held against the exact oracle."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.adapters.index.exact import ExactIndex
from foa.adapters.index.hnsw import HnswIndex
from foa.adapters.index.port import VectorIndex, serve
from foa.core.routing.exchange import Place, Remove, Search, Upsert
from foa.core.vcv.vector import Floats, normalised, pack

DIM = 32


def clustered(count: int, dim: int, seed: int = 0, clusters: int = 40) -> Floats:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(clusters, dim))
    return normalised(centres[rng.integers(clusters, size=count)] + 0.5 * rng.normal(size=(count, dim)))


@pytest.fixture(params=["exact", "small", "graph"])
def index(request: pytest.FixtureRequest) -> VectorIndex:
    if request.param == "exact":
        return ExactIndex(DIM)
    return HnswIndex(DIM, crossover=10_000 if request.param == "small" else 20)


def fill(index: VectorIndex, vectors: Floats) -> None:
    for number, vector in enumerate(vectors):
        index.upsert(f"k{number}", vector, -vector)


def test_the_nearest_come_first_with_both_cosines(index: VectorIndex) -> None:
    vectors = clustered(200, DIM)
    fill(index, vectors)
    ((first, *rest),) = index.search(vectors[7:8], 5)
    assert first.key == "k7"
    assert first.cosine == pytest.approx(1.0, abs=1e-5)
    assert first.spec == pytest.approx(-1.0, abs=1e-3)
    assert [near.cosine for near in rest] == sorted((near.cosine for near in rest), reverse=True)
    assert [len(found) for found in index.search(vectors[:3], 9)] == [9, 9, 9]


def test_updates_removals_and_subsets(index: VectorIndex) -> None:
    vectors = clustered(200, DIM)
    fill(index, vectors)
    index.upsert("k7", vectors[9], vectors[9])
    assert {near.key for near in index.search(vectors[9:10], 2)[0]} == {"k7", "k9"}
    index.remove("k9")
    index.remove("never there")
    assert index.search(vectors[9:10], 1)[0][0].key == "k7"
    found = index.search(vectors[:1], 5, index.rows.rows(["k3", "k9", "k4", "nobody"]))[0]
    assert {near.key for near in found} == {"k3", "k4"}
    assert len(index) == 199
    for number in range(200):
        index.remove(f"k{number}")
    assert len(index) == 0
    assert index.search(vectors[:1], 3) == ((),)


def test_equal_vectors_tie_by_key(index: VectorIndex) -> None:
    vectors = clustered(60, DIM)
    for number in range(59, -1, -1):
        index.upsert(f"k{number:02}", vectors[3], vectors[3])
    found = index.search(vectors[3:4], 4)[0]
    assert [near.key for near in found][:1] == ["k00"] or isinstance(index, HnswIndex)
    assert len({near.cosine for near in found}) == 1


def test_the_service_speaks_the_machines_language(index: VectorIndex) -> None:
    vectors = clustered(3, DIM)
    for number, vector in enumerate(vectors):
        assert serve(index, Upsert(f"k{number}", pack(vector), pack(vector), slot=5 + number)) is None
    call = Search((pack(vectors[2]), pack(vectors[0])), 1)
    found = serve(index, call)
    assert found is not None
    assert [row[0].key for row in found] == ["k2", "k0"]
    among = np.array([6, 7, 900], dtype="<i4").tobytes()
    some = serve(index, call._replace(k=3, among=among)) or ()
    assert [{near.key for near in row} for row in some] == [{"k1", "k2"}] * 2
    serve(index, Place(("k2", "k0")))
    assert [row[0].key for row in serve(index, call._replace(among=bytes(4))) or ()] == ["k2", "k2"]
    serve(index, Remove(("k2", "k0")))
    assert len(index) == 1


OPS = st.lists(st.tuples(st.booleans(), st.integers(0, 15), st.integers(0, 63)), max_size=60)


@settings(max_examples=40, deadline=None)
@given(OPS, st.integers(0, 20))
def test_any_history_leaves_what_a_dictionary_would(ops: list[tuple[bool, int, int]], crossover: int) -> None:
    vectors = clustered(64, DIM)
    index, truth = HnswIndex(DIM, crossover), dict[str, int]()
    for is_removal, key, at in ops:
        if is_removal:
            index.remove(f"k{key}")
            truth.pop(f"k{key}", None)
        else:
            index.upsert(f"k{key}", vectors[at], vectors[at])
            truth[f"k{key}"] = at
    found = index.search(vectors[:1], 20)[0]
    want = {key: float(vectors[at] @ vectors[0]) for key, at in truth.items()}
    assert {near.key for near in found} == set(want)
    assert all(abs(near.cosine - want[near.key]) < 1e-5 for near in found)


@pytest.mark.slow
def test_recall_after_rescoring_also_after_churn() -> None:
    vectors, fresh, queries = np.split(clustered(4_600, 96), [3_000, 4_500])
    exact, graph = ExactIndex(96), HnswIndex(96, crossover=1_000)
    for number, vector in enumerate(vectors):
        exact.upsert(f"k{number}", vector, vector)
        graph.upsert(f"k{number}", vector, vector)
    for number, vector in enumerate(fresh):
        for index in (exact, graph):
            index.remove(f"k{2 * number + 1}") if number % 3 == 0 else index.upsert(f"k{number}", vector, vector)
    graph.tend()
    assert graph.is_graph_used
    want, got = exact.search(queries, 10), graph.search(queries, 10)
    recall = np.mean([len({n.key for n in w} & {n.key for n in g}) / 10 for w, g in zip(want, got, strict=True)])
    assert recall >= 0.99


def test_without_hnswlib_it_stays_exact_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hnswlib", None)
    vectors = clustered(50, DIM)
    index = HnswIndex(DIM, crossover=30)
    with pytest.warns(RuntimeWarning, match="hnswlib is not installed"):
        fill(index, vectors)
    assert not index.is_graph_used
    assert index.search(vectors[4:5], 1)[0][0].key == "k4"
