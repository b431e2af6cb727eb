"""Moments: sums that add in any order, travel, and refuse what no observations could have made."""

from math import exp, inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.core.learn.moments import Floats, Moments, decayed, size_of

M, D = 3, 2
numbers = st.floats(-8, 8, allow_nan=False, width=32)
rows = st.lists(numbers, min_size=M + D, max_size=M + D).map(np.array)
weights = st.floats(0, 4, allow_nan=False, width=32)
several = st.lists(st.tuples(rows, numbers, weights), max_size=6)
Rows = list[tuple[Floats, float, float]]


def made(observations: Rows) -> Moments:
    moments = Moments(M, D)
    for v, r, w in observations:
        moments.observe(v, r, w)
    return moments


def close(one: Moments, other: Moments, tolerance: float = 1e-9) -> None:
    np.testing.assert_allclose(one.sums, other.sums, atol=tolerance * (1 + np.abs(other.sums).max()))


@given(several)
def test_they_are_the_sums_they_claim_to_be(observations: Rows) -> None:
    moments = made(observations)
    gram = np.zeros((M + D + 1, M + D + 1))
    for v, r, w in observations:
        gram += w * np.outer([*v, r], [*v, r])
    np.testing.assert_allclose(moments.gram(), gram, atol=1e-9)
    assert moments.count == len(observations)
    assert moments.weight == pytest.approx(sum(w for _, _, w in observations))
    if observations:
        many = [np.array(column) for column in zip(*observations, strict=True)]
        close(Moments.of(many[0], many[1], many[2], M), moments)


@given(several, several, several)
def test_merging_knows_no_order_and_subtracting_undoes_it(a: Rows, b: Rows, c: Rows) -> None:
    one, two, three = made(a), made(b), made(c)
    assert (one.merge(two).sums == two.merge(one).sums).all()
    close(one.merge(two).merge(three), one.merge(two.merge(three)))
    close(one.merge(two), made(a + b))
    close(one.merge(two).subtract(two), one)


@given(several, st.floats(0, 3), st.floats(0, 3))
def test_scaling_is_a_change_of_the_landmark(observations: Rows, there: float, back: float) -> None:
    moments = made(observations)
    assert moments.scaled(there).count == moments.count
    close(moments.scaled(there).scaled(back), moments.scaled(there * back))
    close(made([(v, r, w * 2) for v, r, w in observations]), moments.scaled(2.0))


@given(several)
def test_they_survive_the_wire(observations: Rows) -> None:
    moments = made(observations)
    body = moments.to_bytes()
    assert len(body) == 4 * size_of(M, D)
    close(Moments.from_bytes(body, M, D), moments, 1e-6)


@given(st.binary(max_size=4 * size_of(M, D) + 4))
def test_any_bytes_are_moments_or_a_value_error(body: bytes) -> None:
    try:
        Moments.from_bytes(body, M, D)
    except ValueError:
        return
    assert len(body) == 4 * size_of(M, D)


def test_impossible_sums_are_refused() -> None:
    sums = made([(np.ones(M + D), 1.0, 1.0)]).sums
    for at, value in ((0, -1.0), (1, 5.0), (-1, -1.0), (-2, -1.0), (3, np.inf), (3, np.nan)):
        bad = sums.copy()
        bad[at] = value
        with pytest.raises(ValueError, match=r"moments|observations"):
            Moments.from_bytes(bad.astype("<f4").tobytes(), M, D)


@pytest.mark.parametrize(
    ("v", "r", "w"),
    [
        (np.ones(M), 0.0, 1.0),
        (np.full(M + D, np.nan), 0.0, 1.0),
        (np.ones(M + D), inf, 1.0),
        (np.ones(M + D), 0.0, -1.0),
        (np.ones(M + D), 0.0, inf),
    ],
)
def test_no_observation_that_makes_no_sense(v: Floats, r: float, w: float) -> None:
    moments = Moments(M, D)
    with pytest.raises(ValueError, match=r"shape|finite"):
        moments.observe(v, r, w)
    assert not moments.sums.any()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="do not add"):
        Moments(M, D).merge(Moments(D, M))
    with pytest.raises(ValueError, match="at most"):
        Moments(200, 200)
    with pytest.raises(ValueError, match="scale"):
        Moments(M, D).scaled(-1.0)
    with pytest.raises(ValueError, match="beyond float32"):
        made([(np.full(M + D, 1e30), 1.0, 1.0)]).to_bytes()
    with pytest.raises(ValueError, match="finite"):
        Moments.of(np.full((2, M + D), np.nan), np.zeros(2), np.ones(2), M)


def test_adding_leaves_the_value_alone() -> None:
    before = Moments(M, D)
    after = before.add(np.ones(M + D), 1.0)
    assert (before.count, after.count) == (0, 1)


def test_forward_decay() -> None:
    assert decayed(5.0, 5.0, 2.0) == 1.0
    assert decayed(7.0, 5.0, 2.0) == pytest.approx(exp(1.0))
    assert decayed(1e9, 5.0, inf) == 1.0
    late, early = decayed(9.0, 3.0, 4.0), decayed(8.0, 3.0, 4.0)
    assert late / early == pytest.approx(decayed(9.0, 0.0, 4.0) / decayed(8.0, 0.0, 4.0))
