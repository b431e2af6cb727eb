"""What a task is about, as few features; and what an outcome is worth."""

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.core.learn import codebook, kinds
from foa.core.learn.moments import Floats
from foa.core.learn.reward import WORST, utility
from foa.core.vcv.vector import pack

DIM = 64


@pytest.fixture
def basis() -> Floats:
    vectors = np.random.default_rng(0).normal(size=(len(kinds.TEXTS), DIM)).astype(np.float32)
    return kinds.basis(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_a_task_has_a_constant_and_its_shares_in_the_kinds(basis: Floats) -> None:
    x = kinds.project(basis, pack(basis[3]))
    assert x.shape == (kinds.D,)
    assert x[0] == pytest.approx(1 / np.sqrt(2))
    assert x[1:].sum() == pytest.approx(1 / np.sqrt(2))
    assert x[1:].argmax() == 3
    assert np.linalg.norm(x) <= 1.0


def test_without_a_vector_a_task_is_of_all_kinds_alike(basis: Floats) -> None:
    x = kinds.project(basis, b"")
    np.testing.assert_allclose(x[1:], x[1])


def test_names_are_texts_and_texts_differ() -> None:
    assert len(set(kinds.TEXTS)) == len(kinds.NAMES) == kinds.D - 1


def test_vectors_of_another_size_are_refused(basis: Floats) -> None:
    with pytest.raises(ValueError, match="dimensions"):
        kinds.project(basis, pack(np.ones(DIM + 1)))
    with pytest.raises(ValueError, match="one vector per text"):
        kinds.basis(np.ones((3, DIM), np.float32))


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=9), st.floats(-5, 5))
def test_shares_sum_to_one_and_know_no_offset(cosines: list[float], offset: float) -> None:
    shares = codebook.shares(np.array(cosines))
    assert shares.sum() == pytest.approx(1.0)
    assert (shares >= 0.0).all()
    np.testing.assert_allclose(codebook.shares(np.array(cosines) + offset), shares, atol=1e-9)


def test_kinds_are_found_in_the_tasks() -> None:
    rng = np.random.default_rng(1)
    centres = np.eye(DIM)[:3]
    vectors = np.repeat(centres, 30, axis=0)[rng.permutation(90)] + rng.normal(size=(90, DIM)) * 0.02
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = codebook.fit(vectors, 3, vectors[[int((vectors @ centre).argmax()) for centre in centres]])
    assert (found @ centres.T).diagonal().min() > 0.95
    np.testing.assert_allclose(np.linalg.norm(codebook.fit(vectors, 8), axis=1), 1.0)
    np.testing.assert_array_equal(codebook.fit(vectors, 8), codebook.fit(vectors, 8))


def test_the_same_task_many_times_is_still_some_kinds() -> None:
    assert np.isfinite(codebook.fit(np.tile(np.eye(DIM)[0], (20, 1)), 5)).all()
    with pytest.raises(ValueError, match="cannot be told"):
        codebook.fit(np.eye(3), 4)


@given(st.floats(0, 1), st.floats(0, 100), st.floats(0, 100))
def test_utility_falls_with_what_was_used(score: float, cost: float, latency: float) -> None:
    worth = utility(score, cost, latency, cost_weight=0.3, latency_weight=0.1)
    assert WORST <= worth <= utility(score) == score
    assert worth >= utility(score, cost + 1, latency, cost_weight=0.3, latency_weight=0.1)


@pytest.mark.parametrize(("score", "cost"), [(nan, 0.0), (1.1, 0.0), (-0.1, 0.0), (0.5, -1.0), (0.5, inf), (0.5, nan)])
def test_what_is_no_outcome_is_refused(score: float, cost: float) -> None:
    with pytest.raises(ValueError, match=r"score|ratios"):
        utility(score, cost, cost_weight=1.0)
