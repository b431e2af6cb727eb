"""Codec: decode∘encode = id for every message; plain msgpack on both sides; anything else is a WireError."""

from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.errors import WireError
from foa.wire import codec, messages, records
from foa.wire.codec import MAX_PAYLOAD, MESSAGES, decode, encode
from foa.wire.examples import AGENT, EXAMPLES, TASK
from foa.wire.ids import NO_EPOCH, Epoch
from foa.wire.messages import Message
from tests.wire.strategies import LAWS, messages_of
from tests.wire.strategies import messages as any_message

_by_tag = pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
_by_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)

HOSTILE = [
    None, True, -1, 2**63, 2**64 - 1, float("nan"), float("inf"), -0.5, "", "#", "+", "a/+/c", "a\nb", "x" * 100_000,
    b"", b"\xff" * 9000, [], [[]] * 5000, {}, {"kind": "own.1"}, {1: 2}, msgpack.ExtType(5, b"x"), msgpack.Timestamp(1),
]  # fmt: skip


@_by_tag
def test_what_is_encoded_decodes_to_the_same(kind: type[Message]) -> None:
    @LAWS
    @given(messages_of(kind))
    def law(message: Message) -> None:
        assert decode(encode(message)) == message

    law()


@_by_example
def test_plain_msgpack_reads_and_writes_it(example: Message) -> None:
    plain = msgpack.unpackb(encode(example), strict_map_key=False)
    assert plain["kind"] in codec.TAGS
    assert decode(msgpack.packb(plain)) == example
    assert decode(msgpack.packb(plain, use_single_float=True)).__class__ is example.__class__


def test_a_message_written_by_hand_with_plain_msgpack() -> None:
    body = msgpack.packb({"kind": "accepted.1", "task": TASK, "epoch": [3, "c1"]})
    assert decode(body) == messages.Accepted(TASK, Epoch(3, "c1"))


def test_unknown_fields_are_passed_over() -> None:
    body = msgpack.packb({"kind": "cancel.1", "task": TASK, "colour": "red", "of": {"a": [1, 2]}})
    assert decode(body) == messages.Cancel(TASK)


def _refused(payload: bytes) -> str | None:
    """Decode a stranger's bytes: the reason of the refusal, or None if they are a message."""
    try:
        message = decode(payload)
    except WireError as error:
        return error.reason
    assert decode(encode(message)) == message
    return None


@LAWS
@given(st.binary(max_size=300))
def test_random_bytes_are_refused(payload: bytes) -> None:
    assert _refused(payload) == "shape"


@LAWS
@given(any_message, st.data())
def test_damaged_messages_are_messages_or_refused(message: Message, data: st.DataObject) -> None:
    body = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(len(body) - 1, 0)))
        until = at + data.draw(st.integers(0, 4))
        body[at:until] = data.draw(st.binary(max_size=4))
    assert _refused(bytes(body)) in {None, "shape", "version", "kind"}


def _places(node: Any, put: Callable[[Any], None]) -> list[Callable[[Any], None]]:
    """Return a setter for every place of a plain record."""
    found = [put]
    if isinstance(node, dict):
        for key, inner in node.items():
            found += _places(inner, lambda value, key=key: node.__setitem__(key, value))  # type: ignore[misc]
    elif isinstance(node, list):
        for at, inner in enumerate(node):
            found += _places(inner, lambda value, at=at: node.__setitem__(at, value))  # type: ignore[misc]
    return found


@_by_example
def test_any_hostile_value_in_any_place_is_a_message_or_refused(example: Message) -> None:
    def record() -> tuple[list[Any], list[Callable[[Any], None]]]:
        box = [msgpack.unpackb(encode(example), strict_map_key=False)]
        return box, _places(box[0], lambda value: box.__setitem__(0, value))

    for at in range(len(record()[1])):
        for value in HOSTILE:
            box, places = record()
            places[at](value)
            _refused(msgpack.packb(box[0]))


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "shape"),
        (b"\xc0", "shape"),
        (b"not msgpack", "shape"),
        (b"\xdd\xff\xff\xff\xff", "shape"),
        (b"\xc6\xff\xff\xff\xff", "shape"),
        (b"\x91" * 100_000, "shape"),
        (b"\x81\xa1a" * 50_000, "shape"),
        (msgpack.packb({"kind": "own.1"}), "shape"),
        (msgpack.packb({"kind": 5}), "shape"),
        (msgpack.packb({"task": TASK}), "shape"),
        (msgpack.packb({"kind": "own.2", "partition": 1}), "version"),
        (msgpack.packb({"kind": "own.", "partition": 1}), "version"),
        (msgpack.packb({"kind": "owns.1"}), "kind"),
        (msgpack.packb({"kind": "x" * 70_000}), "kind"),
        (b"\x81\xa4kind\xa1\xff", "shape"),
        (bytes(MAX_PAYLOAD + 1), "size"),
    ],
)
def test_each_refusal_has_its_reason(payload: bytes, reason: str) -> None:
    with pytest.raises(WireError) as caught:
        decode(payload)
    assert caught.value.reason == reason
    assert len(caught.value.detail) <= 500


def _award(**changed: Any) -> dict[str, Any]:
    award = next(example for example in EXAMPLES if isinstance(example, messages.Award))
    plain: dict[str, Any] = msgpack.unpackb(encode(award))
    return plain | changed


@pytest.mark.parametrize(
    "body",
    [
        _award(award=""),
        _award(award="x" * 65),
        _award(attempt=0),
        _award(left_ms=0),
        _award(agent="acme/lab"),
        _award(agent="acme/+/#"),
        _award(task="a/b"),
        _award(task="a\n"),
        _award(budget=-0.01),
        _award(budget=float("nan")),
        _award(budget=float("inf")),
        _award(policies=["p"] * (records.MAX_SKILLS + 1)),
        _award(hops=[AGENT] * 17),
        _award(epoch=[-1, "c1"]),
        _award(team={"id": "a/#", "members": [AGENT]}),
        _award(inputs=[{"name": "x", "value": {"type": "t"}}]),
        _award(inputs=[{"name": "x", "value": {"type": "t", "body": b"", "ref": {"digest": "0" * 64, "size": 0}}}]),
        _award(inputs=[{"name": "x", "value": {"type": "t", "ref": {"digest": "0" * 63, "size": 0}}}]),
        {"kind": "ask.1", "queries": []},
        {"kind": "vectors.1", "model": "m", "vectors": [b""] * 65},
        {"kind": "control.1", "verb": "format-disk"},
    ],
)
def test_caps_are_held_by_the_types(body: dict[str, Any]) -> None:
    assert _refused(msgpack.packb(body)) == "shape"


def test_a_value_has_one_body() -> None:
    for wrong in ({}, {"body": b"", "ref": records.Ref("0" * 64, 0)}):
        with pytest.raises(ValueError, match="a body or a ref"):
            records.Value("t", **wrong)  # type: ignore[arg-type]


def test_the_epoch_that_nobody_holds_can_travel() -> None:
    assert decode(encode(messages.Accepted(TASK, NO_EPOCH))) == messages.Accepted(TASK, NO_EPOCH)


def test_every_kind_has_an_example_a_tag_and_a_topic() -> None:
    assert [type(example) for example in EXAMPLES] == list(MESSAGES)
    assert set(codec.TAGS.values()) == set(MESSAGES)
    assert {kind for kinds in codec.CARRIES.values() for kind in kinds} == set(MESSAGES)
