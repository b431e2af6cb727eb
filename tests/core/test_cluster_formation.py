"""Formation: which subtasks work together, against scipy's average linkage where the sizes leave it free."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.core.cluster.formation import MOST_ITEMS, Item, Rules, clusters, similarities
from foa.core.vcv.vector import pack


def unit(*numbers: float) -> np.ndarray:
    return np.asarray(numbers, dtype=np.float32)


def near_and_far(count: int = 4) -> list[Item]:
    near = [Item(f"a{at}", unit(1, 0.05 * at, 0)) for at in range(count)]
    far = [Item(f"b{at}", unit(0, 0.05 * at, 1)) for at in range(count)]
    return near + far


def test_what_is_close_in_meaning_works_together() -> None:
    assert clusters(near_and_far()) == (("a0", "a1", "a2", "a3"), ("b0", "b1", "b2", "b3"))


def test_too_few_dissolve_and_too_many_are_not_joined() -> None:
    assert clusters(near_and_far(2)) == ()
    found = clusters(near_and_far(8))
    assert found
    assert all(3 <= len(group) <= 5 for group in found)
    assert clusters(near_and_far(2), Rules(smallest=2)) == (("a0", "a1"), ("b0", "b1"))
    assert clusters(near_and_far(3), Rules(largest=1)) == ()


def test_a_missing_term_leaves_its_weight_to_the_others() -> None:
    one = Item("a", unit(1, 0), r=unit(1, 0), drafts=unit(1, 0), e=unit(1, 0))
    other = Item("b", unit(1, 0), r=unit(0, 1))
    only = Item("c", unit(0, 1), drafts=unit(1, 0))
    found = similarities([one, other, only])
    assert found[0, 1] == pytest.approx(0.4 / 0.5)
    assert found[0, 2] == pytest.approx(0.3 / 0.7)
    assert found[1, 2] == pytest.approx(0.0)


def test_vectors_that_are_none_count_as_missing() -> None:
    strange = [None, b"", b"\x00", unit(0, 0), unit(np.nan, 1), unit(1, 0, 0), np.ones((2, 2), dtype=np.float32)]
    for vector in strange:
        assert similarities([Item("a", unit(1, 0)), Item("b", vector)])[0, 1] == -1.0
    assert similarities([Item("a", pack(unit(1, 0))), Item("b", unit(2, 0))])[0, 1] == pytest.approx(1.0, abs=1e-3)
    assert clusters([]) == ()


@pytest.mark.slow
def test_a_flood_of_items_is_cut() -> None:
    flood = [Item(f"{at:04}", unit(1, 0)) for at in range(MOST_ITEMS + 50)]
    found = clusters(flood)
    assert sum(map(len, found)) <= MOST_ITEMS
    assert all(len(group) <= 5 for group in found)


vectors = st.lists(st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3), min_size=1, max_size=9)


def items_of(rows: list[list[float]]) -> list[Item]:
    return [Item(f"k{at}", unit(*row), e=unit(*row[::-1]) if at % 2 else None) for at, row in enumerate(rows)]


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(vectors, st.randoms(use_true_random=False), st.floats(0, 1))
def test_order_does_not_matter_and_sizes_are_kept(rows: list[list[float]], rng: object, cut: float) -> None:
    items = items_of(rows)
    rules = Rules(cut=cut)
    found = clusters(items, rules)
    shuffled = list(items)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert clusters(shuffled + shuffled[:2], rules) == found
    keys = [key for group in found for key in group]
    assert len(keys) == len(set(keys))
    assert all(rules.smallest <= len(group) <= rules.largest for group in found)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.integers(0, 10_000), st.floats(0.05, 0.9))
def test_without_a_bound_on_size_it_is_average_linkage(count: int, seed: int, cut: float) -> None:
    hierarchy = pytest.importorskip("scipy.cluster.hierarchy")
    rng = np.random.default_rng(seed)
    items = [Item(f"{at:02}", rng.normal(size=4).astype(np.float32)) for at in range(count)]
    distance = 1.0 - similarities(items)
    linked = hierarchy.linkage(distance[np.triu_indices(count, 1)], "average")
    labels = hierarchy.fcluster(linked, cut, "distance")
    expected: dict[int, list[str]] = {}
    for item, label in zip(items, labels, strict=True):
        expected.setdefault(int(label), []).append(item.key)
    found = clusters(items, Rules(cut=cut, smallest=1, largest=count))
    assert found == tuple(sorted(map(tuple, expected.values())))
