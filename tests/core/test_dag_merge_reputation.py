"""What a planner's voice is worth: by how its plans ended, near this request, lately, and in bounds."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.core.dag.merge import Ended, Form, Proposal, ballot, forms, merge, reputation, worthy
from foa.core.dag.merge.reputation import FLOOR, HALF_LIFE, LEAD, MOST, VOICES
from foa.wire.records import Plan, Subtask

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


def plan(*texts: str, chained: bool) -> Plan:
    names = [f"s{at}" for at in range(len(texts))]
    return Plan(
        tuple(Subtask(name, text) for name, text in zip(names, texts, strict=True)),
        tuple(pairwise(names)) if chained else (),
    )


LINE, HEAP = plan("load it", "plot it", "send it", chained=True), plan("load it", "plot it", "send it", chained=False)


def test_the_form_of_proposals() -> None:
    found = forms({"line": LINE, "heap": HEAP, "lone": plan("load everything", chained=False)})
    assert found["line"].order == 1.0 > found["heap"].order == 0.0 > found["lone"].order
    assert found["line"].size == found["heap"].size > found["lone"].size
    assert found["line"].shared == found["heap"].shared > found["lone"].shared
    assert forms({}) == {}
    assert forms({"alone": HEAP})["alone"].shared == 0.0


def test_what_was_good_for_proposals_of_such_a_form_counts() -> None:
    """Where *b* said "all at once" it was right, where it said "in turn" it was not: the words tell neither."""
    line, heap = Form(1.0, 1.0), Form(1.0, 0.0)
    ended = [
        Ended({"a": 0.2, "b": 0.9}, HERE, {"a": line, "b": heap}),
        Ended({"a": 0.9, "b": 0.2}, HERE, {"a": line, "b": line}),
    ] * 20
    assert worthy(reputation(ended, "ab", HERE, {"a": line, "b": heap})) == ("b",)
    assert worthy(reputation(ended, "ab", HERE, {"a": line, "b": line})) == ("a",)
    assert reputation(ended, "ab", HERE) == reputation([one._replace(forms={}) for one in ended], "ab", HERE)


def test_the_best_lead_and_the_worthy_are_merged() -> None:
    found = ballot({"line": LINE, "heap": HEAP, "far": HEAP}, {"line": 1.0, "heap": (FLOOR + LEAD) / 2, "far": 0.1})
    assert [(one.planner, one.leads) for one in found] == [("line", True), ("heap", False)]
    assert ballot({}, {}) == []


def test_who_does_not_lead_orders_only_what_no_leader_has() -> None:
    other = plan("load it", "plot it", "send it", "file it", chained=False)
    turned = Plan(other.subtasks, (("s1", "s0"), ("s2", "s3")))
    agreed, _ = merge(
        [Proposal("a", LINE), Proposal("b", turned, 1.0, leads=False), Proposal("c", turned, 1.0, leads=False)]
    )
    assert agreed is not None
    text = {one.id: one.text for one in agreed.subtasks}
    assert [(text[one], text[two]) for one, two in sorted(agreed.edges)] == [
        ("load it", "plot it"), ("plot it", "send it"), ("send it", "file it"),
    ]  # fmt: skip
    twice = [Proposal("a", LINE, leads=False), Proposal("a", LINE), Proposal("b", turned)]
    assert merge(twice) == merge(twice[::-1])
