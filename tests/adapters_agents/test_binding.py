"""Which offered value goes into which input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.adapters.binding import bind, fits
from foa.errors import Decline
from foa.wire.records import Given, Port, Value

TYPES = ["text/csv", "text/plain", "outliers", "application/json", "charts"]


def offer(name: str, type_: str, source: str = "", media: str = "") -> Given:
    return Given(name, Value(type_, media or (type_ if "/" in type_ else "application/json"), b"{}"), source)


def named(ports: list[Port], offered: list[Given], *many: str) -> dict[str, list[str]]:
    found = bind(ports, offered, frozenset(many))
    return {name: [f"{each.source}.{each.name}" for each in chosen] for name, chosen in found.items()}


TABLE = Port("table", "text/csv")


def test_the_name_goes_before_the_nearest() -> None:
    offered = [offer("table", "text/csv"), offer("other", "text/csv", "s1")]
    assert named([TABLE], offered) == {"table": [".table"]}


def test_the_nearest_source_goes_first() -> None:
    offered = [offer("a", "text/csv", "s1"), offer("b", "text/csv", "s2"), offer("c", "text/csv")]
    assert named([TABLE], offered) == {"table": ["s2.b"]}
    assert named([TABLE], [offer("table", "text/csv"), offer("table", "text/csv", "s1")]) == {"table": ["s1.table"]}


def test_two_inputs_of_a_type_keep_their_order() -> None:
    ports = [Port("old", "text/plain"), Port("new", "text/plain")]
    assert named(ports, [offer("x", "text/plain"), offer("y", "text/plain")]) == {"old": [".x"], "new": [".y"]}


def test_required_ones_are_served_first() -> None:
    ports = [Port("reference", "text/csv", optional=True), TABLE]
    assert named(ports, [offer("x", "text/csv")]) == {"table": [".x"]}


def test_all_of_a_type() -> None:
    offered = [offer("o", "outliers", "s1"), offer("o", "outliers", "s2"), offer("t", "text/csv")]
    assert named([Port("all", "outliers", optional=True)], offered, "all") == {"all": ["s1.o", "s2.o"]}
    assert named([Port("o", "outliers", optional=True)], offered, "o") == {"o": ["s1.o", "s2.o"]}


def test_a_stray_value_is_nobodys_option() -> None:
    port = Port("factor", "application/json", optional=True)
    assert named([port], [offer("result", "application/json", "s1")]) == {}
    assert named([port], [offer("factor", "application/json", "s1")]) == {"factor": ["s1.factor"]}
    assert named([Port("o", "outliers", optional=True)], [offer("x", "outliers")]) == {"o": [".x"]}


def test_the_media_is_the_last_resort() -> None:
    assert named([Port("data", "application/json")], [offer("x", "outliers", "s1")]) == {"data": ["s1.x"]}
    assert named([Port("any", "text/*")], [offer("x", "text/markdown")]) == {"any": [".x"]}


@pytest.mark.parametrize(
    ("wanted", "offered", "fit"),
    [
        ("text/csv", "text/csv; charset=utf-8", True),
        ("TEXT/csv", "text/CSV", True),
        ("text/*", "text/html", True),
        ("text/*", "textual/html", False),
        ("*/*", "outliers", True),
        ("outliers", "Outliers", False),
        ("text/csv", "text/plain", False),
    ],
)
def test_types_that_fit(wanted: str, offered: str, fit: bool) -> None:
    assert fits(wanted, offered) is fit


def test_what_is_missing_is_said() -> None:
    with pytest.raises(Decline) as raised:
        bind([TABLE, Port("profile", "table-profile")], [offer("note", "text/plain")])
    assert raised.value.args == (
        "inputs",
        "needs table (text/csv), profile (table-profile); offered: note (text/plain)",
    )
    with pytest.raises(Decline, match="offered: nothing"):
        bind([TABLE], [])


@given(
    st.lists(
        st.tuples(st.sampled_from("abcde"), st.sampled_from(TYPES), st.booleans()), max_size=5, unique_by=lambda p: p[0]
    ),
    st.lists(
        st.tuples(st.sampled_from("abcde"), st.sampled_from(TYPES), st.sampled_from(["", "s1", "s2"])), max_size=8
    ),
)
def test_laws(ports: list[tuple[str, str, bool]], offers: list[tuple[str, str, str]]) -> None:
    """What is bound was offered and fits; nothing is used twice; required inputs are bound or it says so."""
    declared = [Port(name, type_, optional=optional) for name, type_, optional in ports]
    offered = [offer(*each) for each in offers]
    try:
        found = bind(declared, offered)
    except Decline:
        return
    used = [id(each) for chosen in found.values() for each in chosen]
    assert len(used) == len(set(used)) or len({id(each) for each in offered}) < len(offered)
    for port in declared:
        assert port.optional or port.name in found
        for each in found.get(port.name, ()):
            assert each in offered
            assert fits(port.type, each.value.type) or fits(port.type, each.value.media)
    assert found == bind(declared, offered)
