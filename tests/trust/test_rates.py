"""Token buckets: never more than burst and rate allow, bounded, and nobody pays for another."""

from hypothesis import given
from hypothesis import strategies as st

from foa.wire.trust.rates import UNIT, Buckets
from tests.wire.strategies import LAWS


@LAWS
@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(0, 3 * UNIT)), max_size=60),
    st.floats(0.5, 50),
    st.integers(1, 20),
)
def test_never_more_than_burst_and_rate_allow(sent: list[tuple[float, int]], rate: float, burst: int) -> None:
    buckets, now, spent = Buckets(rate, burst), 0.0, 0.0
    for pause, size in sent:
        now += pause
        if buckets.take("a", size, now):
            spent += min(burst, 1 + size // UNIT)
    assert spent <= burst + rate * now + 1e-6


def test_a_full_bucket_lets_even_the_largest_frame_pass() -> None:
    buckets = Buckets(1.0, 2)
    assert buckets.take("a", 100 * UNIT, 0.0)
    assert not buckets.take("a", 0, 0.5)
    assert buckets.take("a", 0, 1.0)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    buckets = Buckets(1.0, 1)
    assert buckets.take("a", 0, 100.0)
    assert not buckets.take("a", 0, 0.0)
    assert not buckets.take("a", 0, 100.5)
    assert buckets.take("a", 0, 101.0)


def test_senders_are_apart_and_the_longest_silent_is_forgotten() -> None:
    buckets = Buckets(0.001, 1, most=2)
    assert buckets.take("a", 0, 0.0)
    assert buckets.take("b", 0, 0.0)
    assert not buckets.take("a", 0, 0.0)
    assert buckets.take("c", 0, 0.0)  # b was silent for longest
    assert len(buckets) == 2
    assert not buckets.take("a", 0, 0.0)
    assert buckets.take("b", 0, 0.0)
