"""The weighted sum of vectors as they travel, without numpy: all an agent computes, and it stays 12 MB smaller."""

from collections.abc import Iterable
from math import sqrt
from struct import pack, unpack


def combine(weighted: Iterable[tuple[float, bytes]]) -> bytes:
    """Return the normalised weighted sum of float16 vectors of one model; ValueError if their lengths differ."""
    pairs = list(weighted)
    size = len(pairs[0][1])
    if any(len(body) != size for _, body in pairs):
        raise ValueError(f"vectors of {sorted({len(body) for _, body in pairs})} bytes are not of one model")
    total = [0.0] * (size // 2)
    for weight, body in pairs:
        for at, value in enumerate(_normalised(unpack(f"<{size // 2}e", body))):
            total[at] += weight * value
    return pack(f"<{size // 2}e", *_normalised(tuple(total)))


def _normalised(vector: tuple[float, ...]) -> tuple[float, ...]:
    norm = sqrt(sum(value * value for value in vector)) or 1.0
    return tuple(value / norm for value in vector)
