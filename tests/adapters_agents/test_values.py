"""Hints mean the same in both directions, and what is not what its hint says is refused."""

from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from foa.adapters.values import BYTES, JSON, TEXT, Misfit, Type, decode, encode, media_of, understand
from foa.wire.ids import digest_of
from foa.wire.records import Ref, Value


@dataclass
class Point:
    x: int
    y: float = 0.0


class Row(msgspec.Struct):
    cells: list[str]


class Model(BaseModel):
    name: str


class Keys(TypedDict):
    a: int


JSONABLE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.text())
def test_text_round_trips(text: str) -> None:
    value = encode(text, TEXT, str)
    assert (value.type, value.media) == (TEXT, TEXT)
    assert decode(value, str) == text.removeprefix("\ufeff")


@given(st.binary())
def test_bytes_round_trip(body: bytes) -> None:
    assert decode(encode(body, "text/csv", bytes), bytes) == body


@given(JSONABLE)
def test_json_round_trips(document: Any) -> None:
    assert decode(encode(document, "outliers")) == document


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (Point, Point(1, 2.5)),
        (Row, Row(["a"])),
        (Model, Model(name="x")),
        (list[Model], [Model(name="x"), Model(name="y")]),
        (Keys, {"a": 1}),
        (dict[int, float], {1: 2.0}),
        (tuple[int, str], (1, "a")),
        (bool, True),
        (int, 7),
    ],
)
def test_records_round_trip(hint: Any, value: Any) -> None:
    assert decode(encode(value, JSON, hint), hint) == value


@pytest.mark.parametrize(
    ("hint", "type_", "optional", "many"),
    [
        (str, TEXT, False, False),
        (bytes, BYTES, False, False),
        (int, JSON, False, False),
        (Any, JSON, False, False),
        (list[str], JSON, False, False),
        (str | None, TEXT, True, False),
        (Annotated[bytes, Type("text/csv")], "text/csv", False, False),
        (Annotated[bytes | None, Type("text/csv")], "text/csv", True, False),
        (Annotated[bytes, Type("text/csv")] | None, "text/csv", True, False),
        (list[Annotated[dict[str, Any], Type("outliers")]], "outliers", True, True),
        (list[bytes], BYTES, True, True),
        (Annotated[list[dict[str, Any]], Type("charts")], "charts", False, False),
        (list[Annotated[str, Type("text/html")]] | None, "text/html", True, True),
    ],
)
def test_hints_are_understood(hint: Any, type_: str, optional: bool, many: bool) -> None:
    found = understand(hint)
    assert (found.type, found.optional, found.many) == (type_, optional, many)


@pytest.mark.parametrize(
    ("result", "type_", "hint"),
    [
        ("text", TEXT, bytes),
        (b"bytes", TEXT, str),
        (1, TEXT, str),
        ({"a": 1}, "text/html", Any),
        ("text", JSON, int),
        ({"x": "no"}, "outliers", Point),
        ({"a": "no"}, JSON, Keys),
        (object(), JSON, Any),
        ({1, 2, object}, JSON, Any),
        (b"{not json", "outliers", bytes),
        (None, JSON, int),
    ],
)
def test_what_a_result_is_not(result: Any, type_: str, hint: Any) -> None:
    with pytest.raises(Misfit):
        encode(result, type_, hint)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (Value(JSON, JSON, b"{"), Any),
        (Value(JSON, JSON, b"[" * 100_000), Any),
        (Value(JSON, JSON, b'"text"'), int),
        (Value(JSON, JSON, b'{"name": 3}'), Model),
        (Value(TEXT, TEXT, b"\xff\xfe\xfa"), str),
        (Value(TEXT, TEXT, None, Ref(digest_of(b""), 0)), str),
    ],
)
def test_what_an_input_is_not(value: Value, hint: Any) -> None:
    with pytest.raises(Misfit):
        decode(value, hint)


def test_numpy_is_written_as_plain_numbers() -> None:
    assert decode(encode({"a": np.arange(3), "b": np.float64(0.5), "c": np.int64(2)}, JSON)) == {
        "a": [0, 1, 2],
        "b": 0.5,
        "c": 2,
    }


def test_how_types_are_written() -> None:
    assert [media_of(name) for name in ("text/CSV; charset=x", "outliers", "text/*")] == ["text/csv", JSON, JSON]
