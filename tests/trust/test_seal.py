"""The seal: whatever it covers cannot be changed, and no two frames share what is signed."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.errors import WireError
from foa.wire.envelope import Frame
from foa.wire.trust import seal
from foa.wire.trust.seal import Stamp
from tests.trust.holders import ALICE, VERIFY
from tests.wire.strategies import LAWS

headers = st.tuples(
    st.sampled_from(["foa-epoch", "foa-hops", "a2a-status", "foa-budget"]), st.text(min_size=1, max_size=8)
)
frames = st.builds(
    Frame,
    topic=st.text(min_size=1, max_size=12),
    payload=st.binary(max_size=32),
    response_topic=st.none() | st.text(min_size=1, max_size=8),
    correlation=st.none() | st.binary(min_size=1, max_size=8),
    properties=st.lists(headers, max_size=3).map(tuple),
)


def _sealed(frame: Frame) -> Frame:
    stamped = seal.stamped(frame, ALICE.key, Stamp(1, 2))
    return seal.signed(stamped, ALICE.sign(seal.covered(stamped)))


def _holds(frame: Frame) -> bool:
    try:
        found = seal.seal_of(frame)
    except WireError:
        return False
    return found is not None and VERIFY(found.key, found.signature, seal.covered(frame))


@LAWS
@given(frames)
def test_a_sealed_frame_verifies(frame: Frame) -> None:
    sealed = _sealed(frame)
    assert _holds(sealed)
    assert sealed.payload == frame.payload
    assert sealed.properties[: len(frame.properties)] == frame.properties


def _flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]


@LAWS
@given(frames.filter(lambda frame: frame.payload), st.data())
def test_any_changed_bit_of_the_payload_breaks_it(frame: Frame, data: st.DataObject) -> None:
    sealed = _sealed(frame)
    at = data.draw(st.integers(0, len(sealed.payload) - 1))
    changed = _flipped(sealed.payload, at, data.draw(st.integers(0, 7)))
    assert not _holds(msgspec.structs.replace(sealed, payload=changed))


def _other(text: str, data: st.DataObject) -> str:
    """Return `text` with one character changed, dropped or added."""
    at = data.draw(st.integers(0, len(text)))
    piece = data.draw(st.text(max_size=1))
    changed = text[:at] + piece + text[at + data.draw(st.integers(0, 1)) :]
    return changed if changed != text else text + "x"


@LAWS
@given(frames, st.data())
def test_any_change_of_topic_reply_or_header_breaks_it(frame: Frame, data: st.DataObject) -> None:
    sealed = _sealed(frame)
    replace = msgspec.structs.replace
    changes: dict[str, Callable[[], Frame]] = {
        "topic": lambda: replace(sealed, topic=_other(sealed.topic, data)),
        "response": lambda: replace(sealed, response_topic=_other(sealed.response_topic or "", data)),
        "correlation": lambda: replace(sealed, correlation=(sealed.correlation or b"") + b"x"),
        "value": lambda: replace(sealed, properties=_with_value(sealed, data)),
        "more": lambda: replace(sealed, properties=(("foa-x", "1"), *sealed.properties)),
        "fewer": lambda: replace(sealed, properties=sealed.properties[1:]),
    }
    changed = changes[data.draw(st.sampled_from(sorted(changes)))]()
    assert not _holds(changed)


def _with_value(sealed: Frame, data: st.DataObject) -> tuple[tuple[str, str], ...]:
    at = data.draw(st.integers(0, len(sealed.properties) - 1))
    name, value = sealed.properties[at]
    return (*sealed.properties[:at], (name, _other(value, data)), *sealed.properties[at + 1 :])


@LAWS
@given(frames, frames)
def test_no_two_frames_share_what_is_signed(one: Frame, other: Frame) -> None:
    same = (
        one.topic == other.topic
        and one.payload == other.payload
        and (one.response_topic or "") == (other.response_topic or "")
        and (one.correlation or b"") == (other.correlation or b"")
        and one.properties == other.properties
    )
    assert (seal.covered(one) == seal.covered(other)) is same


def test_bytes_moved_from_one_part_to_the_next_are_another_frame() -> None:
    assert seal.covered(Frame("ab", b"c")) != seal.covered(Frame("a", b"bc"))
    assert seal.covered(Frame("a", b"", response_topic="b")) != seal.covered(Frame("a", b"b"))


@pytest.mark.parametrize("change", [{"retain": True}, {"qos": 0}, {"expiry_s": 7}])
def test_what_brokers_change_is_not_covered(change: dict[str, int]) -> None:
    assert _holds(msgspec.structs.replace(_sealed(Frame("a", b"b")), **change))


def test_a_trace_may_be_rewritten_on_the_way() -> None:
    sealed = _sealed(Frame("a", b"b", properties=(("traceparent", "00-1"),)))
    assert _holds(msgspec.structs.replace(sealed, properties=(("traceparent", "00-2"), *sealed.properties[1:])))


@pytest.mark.parametrize(
    "break_it",
    [
        lambda p: p[:-1],  # no signature
        lambda p: p[1:],  # no key
        lambda p: (*p, p[-1]),  # two signatures
        lambda p: (*p[:-1], (p[-1][0], p[-1][1] + "=")),
        lambda p: (*p[:-1], (p[-1][0], p[-1][1][:-1] + "!")),
        lambda p: (p[0], ("foa-at", "01.2"), p[2]),
        lambda p: (p[0], ("foa-at", "1.-2"), p[2]),
        lambda p: (p[0], ("foa-at", "1"), p[2]),
        lambda p: (("foa-key", p[0][1][:-1]), *p[1:]),
    ],
)
def test_a_broken_seal_is_told_from_none(
    break_it: Callable[[tuple[tuple[str, str], ...]], tuple[tuple[str, str], ...]],
) -> None:
    sealed = _sealed(Frame("a", b"b"))
    with pytest.raises(WireError, match="seal"):
        seal.seal_of(msgspec.structs.replace(sealed, properties=break_it(sealed.properties)))
    assert seal.seal_of(Frame("a", b"b")) is None


def test_a_signature_is_written_in_one_way_only() -> None:
    """The last character of 86 has four bits to spare: another one there would be the same signature once more."""
    sealed = _sealed(Frame("a", b"b"))
    text = sealed.properties[-1][1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = text[:-1] + alphabet[alphabet.index(text[-1]) ^ 1]
    with pytest.raises(WireError, match="seal"):
        seal.seal_of(msgspec.structs.replace(sealed, properties=(*sealed.properties[:-1], ("foa-sig", twin))))
