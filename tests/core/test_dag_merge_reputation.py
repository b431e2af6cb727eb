"""What a planner's voice is worth: by how its plans ended, near this request, lately, and in bounds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.core.dag.merge import Ended, reputation, worthy
from foa.core.dag.merge.reputation import FLOOR, HALF_LIFE, MOST, VOICES

HERE, THERE = np.array([1.0, 0.0]), np.array([0.0, 1.0])
scores = st.dictionaries(st.sampled_from("abcd"), st.floats(0.0, 1.0), max_size=4)


def test_who_is_not_known_is_worth_what_everybody_is() -> None:
    assert reputation([], "ab") == {"a": 1.0, "b": 1.0}
    assert reputation([], "") == {}
    known = reputation([Ended({"a": 0.9, "b": 0.1})] * 20, "abc")
    assert known["b"] < known["c"] < known["a"] == 1.0


def test_what_was_good_for_such_requests_counts() -> None:
    ended = [Ended({"a": 0.9, "b": 0.4}, HERE), Ended({"a": 0.3, "b": 0.8}, THERE)] * 20
    assert reputation(ended, "ab", HERE)["b"] < FLOOR
    assert reputation(ended, "ab", THERE)["a"] < FLOOR
    assert worthy(reputation(ended, "ab", HERE)) == ("a",)
    assert worthy(reputation(ended, "ab", THERE)) == ("b",)
    everywhere = reputation(ended, "ab")
    assert min(everywhere.values()) > FLOOR


def test_what_was_long_ago_is_forgotten() -> None:
    ended = [Ended({"a": 0.9, "b": 0.4})] * HALF_LIFE + [Ended({"a": 0.4, "b": 0.9})] * HALF_LIFE
    found = reputation(ended, "ab")
    assert found["b"] == 1.0 > found["a"]
    assert reputation([Ended({"a": 1.0, "b": 0.0})] * 50 + [Ended({"a": 0.0, "b": 1.0})] * MOST, "ab") == reputation(
        [Ended({"a": 0.0, "b": 1.0})] * MOST, "ab"
    )


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(scores, st.sampled_from([HERE, THERE, None])), max_size=12), st.permutations("abcd"))
def test_weights_are_in_bounds_and_the_best_are_heard(ended: list[tuple[dict[str, float], object]], names: str) -> None:
    found = reputation([Ended(one, vector) for one, vector in ended], names, HERE)  # type: ignore[arg-type]
    assert list(found) == list(names)
    assert all(0.0 < weight <= 1.0 for weight in found.values())
    assert max(found.values()) == 1.0
    heard = worthy(found)
    assert heard
    assert found[heard[0]] == 1.0
    assert heard == worthy({name: found[name] for name in sorted(names)})


def test_so_many_are_heard_at_most() -> None:
    assert worthy({f"p{at}": 1.0 for at in range(9)}) == tuple(f"p{at}" for at in range(VOICES))
    assert worthy({"a": 1.0, "b": FLOOR / 2}) == ("a",)
    assert worthy({}) == ()
