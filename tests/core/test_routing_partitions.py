"""Who holds what and who is asked: rendezvous, membership, covers."""

from hypothesis import given
from hypothesis import strategies as st

from foa.core.routing.cover import choose_model, cover
from foa.core.routing.members import Members
from foa.core.routing.rendezvous import holders, order, share
from foa.wire.messages import Presence

NODES = st.sets(st.text("abcdef0123", min_size=1, max_size=6), min_size=1, max_size=12)


@given(NODES, st.integers(1, 3))
def test_only_the_partitions_of_who_leaves_move(nodes: set[str], replicas: int) -> None:
    gone = min(nodes)
    left = nodes - {gone}
    for partition in range(64):
        before = holders(partition, nodes, replicas)
        after = holders(partition, left, replicas)
        assert set(before) - {gone} <= set(after)
        if gone not in before:
            assert before == after


@given(NODES)
def test_the_order_does_not_depend_on_who_asks(nodes: set[str]) -> None:
    for partition in (0, 7, 63):
        assert order(partition, sorted(nodes)) == order(partition, sorted(nodes, reverse=True))
        assert set(order(partition, nodes)) == nodes


def test_shares_are_about_even_and_cover_all() -> None:
    nodes = [f"n{n}" for n in range(4)]
    shares = [share(node, nodes, 1024) for node in nodes]
    assert sorted(p for one in shares for p in one) == list(range(1024))
    assert all(200 < len(one) < 320 for one in shares)


def node(name: str, partitions: range, load: int = 0, model: str = "m") -> Presence:
    return Presence(name, "index", 1, partitions=tuple(partitions), load=load, model=model)


def test_few_nodes_cover_and_the_idle_are_preferred() -> None:
    nodes = {"a": node("a", range(64), load=9), "b": node("b", range(64)), "c": node("c", range(32))}
    assert cover(nodes, range(64)).legs == (("b", tuple(range(64))),)
    assert cover(nodes, range(64), loads={"b": 10}).legs[0][0] == "a"
    assert cover({"c": nodes["c"]}, range(64)).missing == tuple(range(32, 64))


def test_ties_are_spread_over_nodes_but_not_random() -> None:
    nodes = {name: node(name, range(64)) for name in "abcd"}
    taken = {cover(nodes, range(64), salt=salt).legs[0][0] for salt in range(50)}
    assert taken == set("abcd")
    assert cover(nodes, range(64), salt=3) == cover(dict(reversed(nodes.items())), range(64), salt=3)


def test_models_are_not_mixed_and_the_dead_are_not_asked() -> None:
    nodes = {"a": node("a", range(10), model="x"), "b": node("b", range(10, 40), model="y")}
    assert choose_model(nodes) == "y"
    assert [name for name, _ in cover(nodes, range(64)).legs] == ["b"]
    assert cover({"a": Presence("a", "index", 1, alive=False, partitions=(1,))}, range(2)).legs == ()
    assert choose_model({}) == ""


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.sets(st.integers(0, 15)), max_size=8))
def test_a_cover_misses_only_what_nobody_serves(served: dict[str, set[int]]) -> None:
    nodes = {
        name: Presence(name, "index", 1, partitions=tuple(sorted(parts)), model="m") for name, parts in served.items()
    }
    found = cover(nodes, range(16))
    covered = [p for _, parts in found.legs for p in parts]
    assert len(covered) == len(set(covered))
    everything = {p for parts in served.values() for p in parts}
    assert set(covered) == everything
    assert set(found.missing) == set(range(16)) - everything


def test_members_live_die_and_fall_silent() -> None:
    members = Members(30.0).heard(Presence("a", "index", 5), 0.0).heard(Presence("b", "index", 1), 10.0)
    assert members.names() == ("a", "b")
    assert members.heard(Presence("a", "index", 4, alive=False), 1.0) is members
    dead = members.heard(Presence("a", "index", 5, alive=False), 1.0)
    assert dead.names() == ("b",)
    assert dead.heard(Presence("a", "index", 4), 2.0).names() == ("b",)
    assert dead.heard(Presence("a", "index", 5), 2.0).names() == ("a", "b")
    assert members.expired(35.0).names() == ("b",)
    assert members.touched(35.0).expired(36.0).names() == ("a", "b")
    assert members.cleared("a").names() == ("b",)
    assert members.cleared("zzz") is members
