"""Envelope: from_properties∘to_properties = id; strangers' properties are left alone, broken ones refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.errors import WireError
from foa.wire.envelope import EMPTY, MAX_HOPS, MAX_PROPERTIES, Envelope, from_properties, to_properties
from foa.wire.ids import Epoch
from tests.wire.strategies import LAWS, agents, segments

_numbers = st.integers(0, 10**15 - 1)
envelopes = st.builds(
    Envelope,
    epoch=st.none() | st.builds(Epoch, _numbers, segments),
    attempt=_numbers,
    deadline_ms=st.none() | _numbers,
    budget=st.none() | st.floats(0, allow_nan=False, allow_infinity=False),
    hops=st.lists(agents | segments, max_size=MAX_HOPS).map(tuple),
    trace_parent=st.none() | st.text(),
    trace_state=st.none() | st.text(),
    status=st.sampled_from([None, "online", "offline"]),
)
_names = st.sampled_from([
    "foa-epoch", "foa-attempt", "foa-deadline", "foa-budget", "foa-hops", "traceparent", "a2a-status", "x", ""
])  # fmt: skip


@LAWS
@given(envelopes)
def test_headers_come_back_as_they_went(envelope: Envelope) -> None:
    properties = to_properties(envelope)
    assert from_properties(properties) == envelope
    assert len({name for name, _ in properties}) == len(properties) <= MAX_PROPERTIES
    assert envelope != EMPTY or properties == ()


@LAWS
@given(envelopes, st.lists(st.tuples(segments.map("x-".__add__), st.text()), max_size=8))
def test_properties_of_strangers_change_nothing(envelope: Envelope, foreign: list[tuple[str, str]]) -> None:
    assert from_properties((*foreign, *to_properties(envelope))) == envelope


@LAWS
@given(st.lists(st.tuples(_names, st.text(max_size=40)), max_size=40).map(tuple))
def test_any_properties_are_an_envelope_or_a_wire_error(properties: tuple[tuple[str, str], ...]) -> None:
    try:
        envelope = from_properties(properties)
    except WireError:
        return
    assert from_properties(to_properties(envelope)) == envelope


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("foa-epoch", ""), ("foa-epoch", "3"), ("foa-epoch", "x:c1"), ("foa-epoch", "-1:c1"), ("foa-epoch", "1:a/b"),
        ("foa-attempt", "-1"), ("foa-attempt", "+1"), ("foa-attempt", " 1"), ("foa-attempt", "1_0"),
        ("foa-attempt", "٣"), ("foa-attempt", ""), ("foa-deadline", "1.5"), ("foa-deadline", "9" * 16),
        ("foa-deadline", "9" * 5000),
        ("foa-budget", "nan"), ("foa-budget", "inf"), ("foa-budget", "-1"), ("foa-budget", "1,5"), ("foa-budget", ""),
        ("foa-hops", ","), ("foa-hops", "a,,b"), ("foa-hops", "a/b/#"), ("foa-hops", ",".join(["a"] * (MAX_HOPS + 1))),
    ],
)  # fmt: skip
def test_a_broken_header_of_ours_is_refused(name: str, text: str) -> None:
    with pytest.raises(WireError) as caught:
        from_properties(((name, text),))
    assert caught.value.reason == "header"
    assert len(caught.value.detail) < 400


def test_too_many_properties_are_refused() -> None:
    with pytest.raises(WireError):
        from_properties((("x", "y"),) * (MAX_PROPERTIES + 1))
