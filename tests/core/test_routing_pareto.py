"""Pareto dominance: the laws of a front, over offers with many ties."""

from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.core.routing.pareto import dominators, front

LAWS = settings(max_examples=80, deadline=None, database=None)
FEW = st.sampled_from([0.0, 0.5, 1.0, 2.0, inf])
OFFERS = st.integers(1, 4).flatmap(lambda k: st.lists(st.tuples(*[FEW] * k), max_size=25))


def dominates(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and a != b


@LAWS
@given(OFFERS)
def test_it_is_the_definition(offers: list[tuple[float, ...]]) -> None:
    members = [at for at, one in enumerate(offers) if not any(dominates(other, one) for other in offers)]
    assert list(front(offers)) == members
    for one, beaten_by in zip(offers, dominators(offers), strict=True):
        assert list(beaten_by) == [at for at in members if dominates(offers[at], one)]


@LAWS
@given(OFFERS)
def test_members_do_not_dominate_each_other_and_every_other_is_dominated_by_one(
    offers: list[tuple[float, ...]],
) -> None:
    members = front(offers)
    assert bool(members) is bool(offers)
    assert not any(dominates(offers[a], offers[b]) for a in members for b in members)
    for at, beaten_by in enumerate(dominators(offers)):
        assert bool(beaten_by) is (at not in members)
        assert set(beaten_by) <= set(members)


@LAWS
@given(OFFERS, st.randoms(use_true_random=False))
def test_order_does_not_matter_and_duplicates_stay(offers: list[tuple[float, ...]], rng: object) -> None:
    shuffled = list(offers)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert sorted(offers[at] for at in front(offers)) == sorted(shuffled[at] for at in front(shuffled))
    twice = front(offers + offers)
    assert twice == (*front(offers), *(at + len(offers) for at in front(offers)))


def test_cheap_good_and_quick_are_all_on_the_front() -> None:
    offers = [(-0.9, 0.10, 900.0), (-0.5, 0.01, 900.0), (-0.5, 0.10, 90.0), (-0.4, 0.10, 95.0), (-0.9, 0.10, 950.0)]
    assert dominators(offers) == ((), (), (), (2,), (0,))


def test_nothing_has_no_front_and_what_is_no_number_is_refused() -> None:
    assert dominators([]) == ()
    assert front([]) == ()
    with pytest.raises(ValueError, match="not a number"):
        front([(1.0, nan)])


def test_a_thousand_are_compared_at_once() -> None:
    offers = [(float(at % 37), float((at * 7) % 101), float(-at % 53)) for at in range(1000)]
    members = set(front(offers))
    assert 0 < len(members) < 1000
