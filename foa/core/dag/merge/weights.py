"""What each voice is worth beside the others: bounded, so that nobody decides alone while others are there."""

from collections.abc import Sequence
from math import isnan
from statistics import median_low
from typing import Final

RANGE: Final = 8.0
"""A voice is worth at most this many times the middle one, and at least its inverse."""

_SANE: Final = (1e-3, 1e3)
_LESS_THAN_ALL_OTHERS: Final = 0.95
_DIGITS: Final = 9


def bounded(weights: Sequence[float]) -> tuple[float, ...]:
    """Return `weights` relative to the middle one, within `RANGE`; what is no number is worth least."""
    sane = [_SANE[0] if isnan(one) else min(max(one, _SANE[0]), _SANE[1]) for one in weights]
    middle = median_low(sane) if sane else 1.0
    return tuple(round(min(max(one / middle, 1 / RANGE), RANGE), _DIGITS) for one in sane)


def shares(weights: Sequence[float]) -> tuple[float, ...]:
    """Return `bounded` weights with the heaviest brought below what all the others have together.

    Of three and more, no one voice is half then; two voices are worth the same.
    """
    if len(weights) <= 1:
        return tuple(weights)
    heaviest = max(range(len(weights)), key=lambda at: (weights[at], -at))
    others = sum(weights) - weights[heaviest]
    most = others if len(weights) <= 2 else _LESS_THAN_ALL_OTHERS * others  # noqa: PLR2004 - one against one
    return tuple(round(min(weight, most), _DIGITS) if at == heaviest else weight for at, weight in enumerate(weights))
