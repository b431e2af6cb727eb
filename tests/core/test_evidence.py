"""Evidence merges in any order to the same memory, stays within its bounds, and says what finished tasks say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.core.learn.evidence import FAILURES, SUCCESSES, current, kept, merge
from foa.core.learn.evidence_estimate import HALF_LIFE_S, NOISE, kernel, weights
from foa.core.learn.evidence_vector import is_sound, restored, shortened
from foa.core.vcv.vector import normalised, pack
from foa.wire.codec import encode
from foa.wire.lessons import Exemplar
from foa.wire.messages import Evidence

SMALL = st.builds(
    Exemplar,
    award=st.sampled_from([f"a{n}" for n in range(6)]),
    vector=st.sampled_from([bytes(2), b"\1\0", b"\2\0", bytes(4)]),
    reward=st.sampled_from([0.0, 0.4, 0.5, 1.0]),
    at=st.sampled_from([0.0, 1.0, 2.0]),
    words=st.sampled_from([0.0, 0.5]),
)
MEMORIES = st.lists(SMALL, max_size=8).map(kept)
CROWDED = st.lists(st.tuples(st.integers(0, 300), st.booleans(), st.integers(0, 3)), max_size=400).map(
    lambda rows: kept(Exemplar(f"a{award}", b"\1\0", float(good), float(at)) for award, good, at in rows)
)


@given(MEMORIES | CROWDED, MEMORIES | CROWDED, MEMORIES | CROWDED)
@settings(max_examples=200, deadline=None)
def test_merging_is_a_join(a: tuple[Exemplar, ...], b: tuple[Exemplar, ...], c: tuple[Exemplar, ...]) -> None:
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge(a, a) == a
    assert merge(merge(a, b), b) == merge(a, b)
    assert merge(a, ()) == a


def test_successes_and_failures_have_their_own_room() -> None:
    good = [Exemplar(f"g{at}", b"\1\0", 1.0, float(at)) for at in range(150)]
    bad = [Exemplar(f"b{at}", b"\1\0", 0.0, float(at)) for at in range(150)]
    memory = kept(good + bad)
    assert {each.award for each in memory if each.reward} == {f"g{at}" for at in range(150 - SUCCESSES, 150)}
    assert {each.award for each in memory if not each.reward} == {f"b{at}" for at in range(150 - FAILURES, 150)}


def test_the_last_word_on_an_award_counts() -> None:
    first, second = Exemplar("a", b"\1\0", 1.0, 1.0), Exemplar("a", b"\1\0", 0.0, 2.0)
    assert current(merge((first,), (second,))) == (second,)
    assert current(kept([second, first, Exemplar("b", b"\1\0", 1.0, 1.5)]))[0] == second


@pytest.mark.parametrize("dim", [384, 768, 1024, 4096])
def test_a_full_memory_fits_its_record(dim: int) -> None:
    vector = shortened(pack(np.random.default_rng(0).normal(size=dim)))
    full = kept(Exemplar(f"{at:064}", vector, at % 2 / 1.0, 1e9 + at, 0.1) for at in range(400))
    assert full
    assert len(encode(Evidence(agent="o/u/a", model="m", exemplars=full))) < 64 * 1024


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 7, 100, 384, 768]), st.sampled_from([1.0, 20.0]))
@settings(max_examples=60, deadline=None)
def test_a_short_vector_keeps_its_cosines(seed: int, dim: int, outlier: float) -> None:
    """Also of a model that puts most into one dimension; rounding to 15 levels turns a vector by 15 degrees at most."""
    vectors = np.random.default_rng(seed).normal(size=(20, dim))
    vectors[:, 0] *= outlier
    whole = normalised(vectors)
    bodies = [shortened(pack(vector)) for vector in whole]
    assert all(is_sound(body, dim) for body in bodies)
    found = restored(bodies, dim)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(20), abs=1e-5)
    assert np.sum(found * whole, axis=1).min() > 0.96
    if dim >= 384:
        assert np.abs(found @ whole.T - whole @ whole.T).std() < 0.015


def test_only_a_direction_of_that_many_dimensions_is_sound() -> None:
    assert is_sound(shortened(pack(np.eye(16)[3])), 16)
    assert not is_sound(b"\x88" * 8, 16), "all numbers are 0"
    assert not is_sound(bytes(7), 16)
    assert not is_sound(b"", 16)
    assert is_sound(b"\x88\x87", 3)
    assert not is_sound(b"\x88\x08", 3), "what fills up an odd number is not read"


def _estimate(vectors: np.ndarray, rewards: list[float], query: np.ndarray, ages: list[float] | None = None) -> float:
    known = normalised(vectors)
    priors = np.full(len(known), 0.4)
    found = weights(known, np.array(rewards), priors, np.array(ages or [0.0] * len(known)))
    return float(kernel(known @ normalised(query)) @ found)


def test_a_success_raises_what_is_near_and_a_failure_lowers_it() -> None:
    x, near, far = np.array([1.0, 0, 0]), np.array([1.0, 0.3, 0]), np.array([0.0, 1, 0])
    up, down = _estimate(x[None], [1.0], near), _estimate(x[None], [0.0], near)
    assert up > 0.3
    assert down < -0.2
    assert abs(_estimate(x[None], [1.0], far)) < 0.01
    assert _estimate(x[None], [1.0], x) == pytest.approx(0.6 / (1 + NOISE))


def test_one_task_ten_times_is_surer_but_not_ten_times_as_much() -> None:
    x = np.array([[1.0, 0, 0]])
    assert 0.45 < _estimate(x, [1.0], x[0]) < _estimate(np.repeat(x, 10, 0), [1.0] * 10, x[0]) < 0.6


def test_old_evidence_fades_into_the_prior() -> None:
    x = np.array([[1.0, 0, 0]])
    young, old, ancient = (_estimate(x, [1.0], x[0], [age * HALF_LIFE_S]) for age in (0, 4, 1e6))
    assert young > old > ancient >= 0.0
    assert ancient < 1e-6
