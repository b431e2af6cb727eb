"""JSON in the one form that RFC 8785 (JCS) gives it, so that a signature does not depend on who wrote the JSON."""

from math import isfinite
from typing import Any, Final

import msgspec

from foa.errors import WireError

MAX_DEPTH: Final = 64
MAX_EXACT: Final = 2**53
"""Whole numbers beyond are not exact in JavaScript's numbers, which is what the form is defined by."""

_FIXED_ABOVE: Final = 21
_FIXED_BELOW: Final = -6


def canonical(value: Any) -> bytes:
    """Return parsed JSON as JCS writes it; WireError("json") for what it cannot: nan, lone surrogates, 64 levels."""
    try:
        return _text(value, 0).encode()
    except UnicodeEncodeError as error:
        raise WireError("json", "a string holds half a surrogate pair") from error


def _text(value: Any, depth: int) -> str:
    if depth > MAX_DEPTH:
        raise WireError("json", f"nested deeper than {MAX_DEPTH} levels")
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return _string(value)
        case int() | float():
            return number(value)
        case list() | tuple():
            return f"[{','.join(_text(each, depth + 1) for each in value)}]"
        case dict():
            keys = sorted(value, key=_units)
            return f"{{{','.join(f'{_string(key)}:{_text(value[key], depth + 1)}' for key in keys)}}}"
        case _:
            raise WireError("json", f"{type(value).__name__} is no JSON")


def _units(key: str) -> bytes:
    """Return what keys are sorted by: UTF-16 code units."""
    return key.encode("utf-16-be")


_ESCAPES: Final = {0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0C: "\\f", 0x0D: "\\r", 0x22: '\\"', 0x5C: "\\\\"}
_TABLE: Final = {code: _ESCAPES.get(code, f"\\u{code:04x}") for code in (*range(0x20), 0x22, 0x5C)}


def _string(text: str) -> str:
    return f'"{text.translate(_TABLE)}"'


def number(value: float) -> str:
    """Return a number as ECMAScript writes it; WireError("json") if it is none a double holds."""
    if isinstance(value, int) and abs(value) > MAX_EXACT:
        try:
            value = float(value)
        except OverflowError as error:
            raise WireError("json", "a number is beyond every double") from error
    value = float(value)
    if not isfinite(value):
        raise WireError("json", f"{value} is no JSON")
    if value == 0.0:
        return "0"
    sign = "-" if value < 0 else ""
    digits, point = _shortest(abs(value))
    count = len(digits)
    if count <= point <= _FIXED_ABOVE:
        return f"{sign}{digits}{'0' * (point - count)}"
    if 0 < point <= _FIXED_ABOVE:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if _FIXED_BELOW < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{'+' if point > 0 else '-'}{abs(point - 1)}"


def _shortest(value: float) -> tuple[str, int]:
    """Return the fewest digits that mean `value`, and where the point stands before or behind the first of them."""
    mantissa, _, exponent = repr(value).partition("e")
    whole, _, part = mantissa.partition(".")
    digits = whole + ("" if part == "0" else part)
    point = len(whole) + int(exponent or 0)
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    return stripped.rstrip("0"), point


def parsed(body: bytes) -> Any:
    """Return the JSON in `body`; WireError("json") if it is none."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise WireError("json", str(error)[:200]) from error
