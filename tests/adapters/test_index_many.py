"""Keys with several vectors: whatever the history, an index proposes and compares as brute force over them would."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.adapters.index.exact import ExactIndex
from foa.adapters.index.graph import distinct
from foa.adapters.index.hnsw import HnswIndex
from foa.adapters.index.port import VectorIndex
from foa.adapters.index.rows import Rows
from foa.core.vcv.vector import Floats, normalised, pack, unpack, unpack_all

DIM = 16
POOL: Floats = normalised(np.random.default_rng(3).normal(size=(64, DIM)))

Change = tuple[str, int, tuple[int, ...]]
KEYS = st.sampled_from([f"k{number}" for number in range(12)])
OTHERS = st.lists(st.integers(0, 63), max_size=5).map(tuple)
CHANGES = st.lists(st.tuples(KEYS, st.integers(-1, 63), OTHERS), max_size=50)


def play(index: VectorIndex, history: list[Change]) -> dict[str, tuple[int, tuple[int, ...]]]:
    truth: dict[str, tuple[int, tuple[int, ...]]] = {}
    for key, c, others in history:
        if c < 0:
            index.remove(key)
            truth.pop(key, None)
        else:
            index.upsert(key, POOL[c], -POOL[c], POOL[list(others)])
            truth[key] = c, others
    return truth


@settings(max_examples=60, deadline=None)
@given(CHANGES, st.sampled_from(["exact", "small", "graph"]), st.integers(0, 63))
def test_any_history_proposes_and_compares_as_brute_force(history: list[Change], kind: str, asked: int) -> None:
    index = ExactIndex(DIM) if kind == "exact" else HnswIndex(DIM, crossover=0 if kind == "graph" else 1_000)
    truth = play(index, history)
    assert len(index) == len(truth)
    query = POOL[asked]
    best = {key: max(float(POOL[at] @ query) for at in (c, *others)) for key, (c, others) in truth.items()}
    proposed = index.propose(query, 100)
    assert set(proposed) == set(truth)
    assert [round(best[key], 4) for key in proposed] == sorted((round(b, 4) for b in best.values()), reverse=True)
    assert {index.rows.keys[row] for row in index.near(query, 100)[0].tolist()} == set(truth)
    rows = index.rows.rows(truth)
    assert index.rows.products(query, rows).tolist() == pytest.approx(
        [float(POOL[c] @ query) for c, _ in truth.values()], abs=1e-5
    )
    assert index.rows.specs(query, rows.tolist()).tolist() == pytest.approx(
        [float(-POOL[c] @ query) for c, _ in truth.values()], abs=2e-3
    )


SLOTS = st.lists(st.tuples(st.booleans(), KEYS, st.integers(-1, 200)), max_size=40)


@given(SLOTS)
def test_slots_name_the_keys_that_have_them_whatever_moved(history: list[tuple[bool, str, int]]) -> None:
    rows, truth = Rows(DIM), dict[str, int]()
    for stays, key, slot in history:
        if not stays:
            rows.remove(key)
            truth.pop(key, None)
        elif slot not in truth.values():
            rows.put(key, POOL[0], POOL[0])
            rows.place(key, slot)
            truth[key] = slot
    wanted = list(range(220))
    found = rows.at(np.array(wanted, dtype="<i4").tobytes()).tolist()
    assert [rows.keys[row] for row in found] == sorted(
        (k for k, slot in truth.items() if slot >= 0), key=truth.__getitem__
    )


def test_a_key_that_is_not_there_is_no_error() -> None:
    index = ExactIndex(DIM)
    index.remove("x")
    assert "x" not in index
    assert index.propose(POOL[0], 3) == ()
    index.rows.place("x", 3)
    assert len(index.rows.at(bytes(4))) == 0


def test_vectors_that_say_the_same_get_one_place() -> None:
    assert len(distinct(POOL[0], POOL[[0, 1, 1, 2, 0]])) == 3
    assert len(distinct(POOL[0], POOL[[]])) == 1


def test_vectors_are_the_same_however_they_are_read() -> None:
    bodies = [pack(vector) for vector in POOL]
    assert np.array_equal(unpack_all(bodies), np.stack([unpack(body) for body in bodies]))


def test_a_change_that_moves_no_vector_leaves_the_graph_alone() -> None:
    index = HnswIndex(DIM, crossover=10)
    for number in range(30):
        index.upsert(f"k{number}", POOL[number], POOL[number], POOL[[number, 40]])
    index.tend()
    before = index.graph_changes
    index.upsert("k3", POOL[3], POOL[9], POOL[[3, 40]])
    assert index.is_tended
    assert index.graph_changes == before
    assert index.rows.specs(POOL[9], [index.rows.row_of["k3"]])[0] == pytest.approx(1.0, abs=2e-3)


def test_a_graph_of_tombstones_is_built_anew_in_small_steps_while_the_old_one_serves() -> None:
    index = HnswIndex(DIM, crossover=100)
    vectors = normalised(np.random.default_rng(1).normal(size=(2_000, DIM)))
    for number, vector in enumerate(vectors):
        index.upsert(f"k{number}", vector, vector)
    index.tend()
    for number in range(1_700):
        index.remove(f"k{number}")
    steps = 0
    while not index.is_tended or steps == 0:
        index.tend(10)
        steps += 1
        assert index.is_graph_used
        assert index.search(vectors[1_800:1_801], 1)[0][0].key == "k1800"
    assert steps >= 20
    for number in range(1_700, 1_990):
        index.remove(f"k{number}")
    index.tend(1)
    assert not index.is_graph_used
    assert len(index.search(vectors[:1], 20)[0]) == 10
