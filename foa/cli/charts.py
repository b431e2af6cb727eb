"""Small pictures made of characters: curves, bars, and points in a plane. They only ever stand beside numbers."""

from collections.abc import Sequence
from typing import Final, NamedTuple

_STEPS: Final = "▁▂▃▄▅▆▇█"
_GAP: Final = " "
WIDE: Final = 100
"""Columns that what is printed should fit in."""


class Point(NamedTuple):
    """One point of a `scatter`: `mark` is a single character."""

    x: float
    y: float
    mark: str


def short(text: str, width: int) -> str:
    """Return `text` in at most `width` characters; what is left out is at its beginning, where names are alike."""
    return text if len(text) <= width else f"…{text[len(text) - width + 1 :]}"


def sparkline(values: Sequence[float | None], low: float = 0.0, high: float = 1.0) -> str:
    """Return a curve of one character per value, a gap where there is none; beyond `low` and `high` it is cut off."""
    span = high - low
    return "".join(
        _GAP if value is None else _STEPS[round(min(1.0, max(0.0, (value - low) / span)) * (len(_STEPS) - 1))]
        for value in values
    )


def bar(value: float, most: float, half: int = 12) -> str:
    """Return a bar of up to `half` characters, to the left of an axis for a negative `value`; `most` is full length."""
    length = round(min(1.0, abs(value) / most) * half) if most > 0.0 else 0
    blocks = "█" * length
    return f"{blocks:>{half}}│{'':{half}}".rstrip() if value < 0 else f"{'':{half}}│{blocks}"


def scatter(points: Sequence[Point], x_name: str, y_name: str, width: int = 64, height: int = 9) -> list[str]:
    """Return the lines of a plane with its axes; of points in one place the first is drawn."""
    xs, ys = [point.x for point in points], [point.y for point in points]
    grid = [[" "] * width for _ in range(height)]
    for point in reversed(points):
        column = _place(point.x, min(xs), max(xs), width)
        line = height - 1 - _place(point.y, min(ys), max(ys), height)
        grid[line][column] = point.mark
    top, bottom = f"{max(ys):.3g}", f"{min(ys):.3g}"
    margin = max(len(top), len(bottom), len(y_name))
    sides = [y_name, top, *[""] * (height - 2), bottom]
    lines = [f"  {side:>{margin}} │{''.join(cells).rstrip()}" for side, cells in zip(sides[1:], grid, strict=True)]
    left, right = f"{min(xs):.4g}", f"{max(xs):.4g} {x_name}"
    foot = f"{left}{right:>{width - len(left)}}"
    return [f"  {sides[0]:>{margin}}", *lines, f"  {'':{margin}} └{'─' * width}", f"  {'':{margin}}  {foot}"]


def _place(value: float, low: float, high: float, cells: int) -> int:
    return round((value - low) / (high - low) * (cells - 1)) if high > low else 0
