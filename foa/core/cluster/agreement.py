"""When two answers say the same: a comparable form of a member's outputs, and the similarity of two forms.

Used between the rounds of a cluster and to choose its representative. An answer is judged on what it
claims, not on how it is written: JSON by its items with numbers compared within a tolerance and lists
without regard to order, text by its words without regard to case and spacing, a short number or formula
without regard to its notation. A JSON object that has the
key ``answer`` declares that part to be the claim; the rest (method, scores, remarks) may differ freely.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from math import isclose, isfinite
from typing import Any, Final

import msgspec

from foa.core.cluster.notation import reading
from foa.wire.records import Given, Value

CLAIM: Final = "answer"
TOLERANCE: Final = 1e-3
"""Numbers that differ by less than this, relatively, are the same claim; whole numbers only if they are equal."""

MEMORY: Final = 4096
"""Forms of short outputs that are remembered; the least recently asked for goes first."""

_WORD: Final = re.compile(r"(?<![\w)])-?\d+(?:[.,]\d+)*|\w+")
"""A word, or a number with its sign and decimals."""
_SHORT: Final = 256
_WORDY: Final = 12
_DEEPEST: Final = 64

SHAPES: Final = (
    "whole",
    "-whole",
    "fraction",
    "-fraction",
    "word",
    "words",
    "formula",
    "long formula",
    "parts",
    "prose",
    "nothing",
)
"""What a claim can look like: a number by its sign and kind, one word or several, a formula, several parts, prose."""

Path = str


class Form(msgspec.Struct, frozen=True):
    """What a set of outputs claims: ``words`` and ``numbers`` by the path they stand under.

    ``digest`` is equal where the claims are the same, fractions to four digits; ``short`` tells an answer of a few
    words from prose.
    """

    digest: str
    short: bool
    words: Mapping[tuple[Path, str], int]
    numbers: Mapping[Path, tuple[float, ...]]


def form(outputs: Sequence[Given]) -> Form:
    """Return the comparable form of one member's `outputs`; never raises on what they contain."""
    size = sum(len(given.value.body or b"") for given in outputs)
    return _remembered(tuple(outputs)) if size <= _SHORT else _form(outputs, size)


@lru_cache(maxsize=MEMORY)
def _remembered(outputs: tuple[Given, ...]) -> Form:
    """Return the form of short outputs: settling, learning and credit all ask for the same ones."""
    return _form(outputs, 0)


def _form(outputs: Sequence[Given], size: int) -> Form:
    words: Counter[tuple[Path, str]] = Counter()
    numbers: dict[Path, list[float]] = {}
    for given in outputs:
        for path, leaf in _leaves(given.name, _claim(given.value), 0):
            if isinstance(leaf, float):
                numbers.setdefault(path, []).append(leaf)
            else:
                words[path, leaf] += 1
    ordered = {path: tuple(sorted(found)) for path, found in sorted(numbers.items())}
    return Form(_digest(words, ordered), size <= _SHORT, dict(sorted(words.items())), ordered)


def similarity(one: Form, other: Form, *, tolerance: float = TOLERANCE) -> float:
    """Return the Jaccard similarity in [0, 1] of two forms; 1 if both claim nothing."""
    if one.digest == other.digest:
        return 1.0
    shared = sum(min(count, other.words.get(item, 0)) for item, count in one.words.items())
    shared += sum(_matches(found, other.numbers.get(path, ()), tolerance) for path, found in one.numbers.items())
    total = _size(one) + _size(other) - shared
    return shared / total if total else 1.0


def shape(claim: Form) -> str:
    """Return what a claim looks like, whatever it says: one of `SHAPES`."""
    if not claim.short:
        return "prose"
    numbers = [number for found in claim.numbers.values() for number in found]
    words = [word for (_, word), count in claim.words.items() for _ in range(min(2, count))]
    if len(numbers) + len(words) != 1:
        return "nothing" if not numbers and not words else "parts" if numbers else "words"
    if numbers:
        return ("-" if numbers[0] < 0.0 else "") + ("whole" if numbers[0].is_integer() else "fraction")
    if words[0].isalpha():
        return "word"
    return "formula" if len(words[0]) <= _WORDY else "long formula"


def _claim(value: Value) -> Any:
    """Return the part of `value` on which agreement is judged: parsed JSON, text, or a blob's address."""
    if value.body is None:
        return f"ref {value.ref.digest}" if value.ref is not None else None
    if "json" in value.media:
        try:
            parsed = msgspec.json.decode(value.body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return value.body.decode(errors="replace")
        return parsed[CLAIM] if isinstance(parsed, dict) and CLAIM in parsed else parsed
    return value.body.decode(errors="replace")


def _leaves(path: Path, value: Any, depth: int) -> Iterator[tuple[Path, str | float]]:
    """Yield every item of `value` with the keys that lead to it; a list adds none, so its order is no claim."""
    if depth > _DEEPEST:
        yield path, "too deep"
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{path}/{key}", inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(f"{path}[]", inner, depth + 1)
    elif isinstance(value, str):
        written = reading(value)
        for word in _WORD.findall(value.casefold()) if written is None else (written,):
            yield path, word
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, _number(value)
    else:
        yield path, repr(value)


def _number(value: float) -> float | str:
    try:
        number = float(value)
    except OverflowError:
        return str(value)[:_DEEPEST]
    return number if isfinite(number) else repr(number)


def _digest(words: Mapping[tuple[Path, str], int], numbers: Mapping[Path, Iterable[float]]) -> str:
    canonical = [sorted(words.items()), [(path, [_figure(one) for one in found]) for path, found in numbers.items()]]
    return blake2b(msgspec.json.encode(canonical), digest_size=16).hexdigest()


def _figure(number: float) -> str:
    return f"{number:.0f}" if number.is_integer() else f"{number:.4g}"


def _matches(one: Sequence[float], other: Sequence[float], tolerance: float) -> int:
    """Count the pairs of two sorted lists that are equal within `tolerance`, each number used once."""
    count = left = right = 0
    while left < len(one) and right < len(other):
        if _same(one[left], other[right], tolerance):
            count, left, right = count + 1, left + 1, right + 1
        elif one[left] < other[right]:
            left += 1
        else:
            right += 1
    return count


def _same(one: float, other: float, tolerance: float) -> bool:
    """Tell whether two numbers are one claim: whole numbers count or name something, so they must be equal."""
    if one.is_integer() and other.is_integer():
        return one == other
    return isclose(one, other, rel_tol=tolerance, abs_tol=tolerance * tolerance)


def _size(form: Form) -> int:
    return sum(form.words.values()) + sum(map(len, form.numbers.values()))
