"""The vector of a finished task in a quarter of the room: 4 bits per dimension, so that a memory holds far more tasks.

    vector -> Hadamard transform in blocks -> round(7 · x / max |x|) -> two to a byte

The transform (orthonormal, its own inverse) spreads what a model puts into few large dimensions over many, so that one
scale serves all of them; the scale itself need not travel, since vectors are normalised when they are read. Cosines are
off by .01 as a rule, which the kernel of `foa.core.learn.evidence_estimate` does not notice: measured in
docs/decisions/0013. Coordinators write it, index nodes read it.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from foa.core.vcv.vector import Floats, normalised, unpack

LEVELS: Final = 7
_ZERO: Final = 8
"""A number n in [-7, 7] is stored as n + 8; an odd dimension is filled up with one more 0."""


def length(dim: int) -> int:
    """Return how many bytes a vector of `dim` dimensions takes."""
    return (dim + 1) // 2


def shortened(body: bytes) -> bytes:
    """Return the float16 vector in `body`, as it travels elsewhere, in 4 bits per dimension."""
    mixed = _mixed(unpack(body))
    most = float(np.abs(mixed).max(initial=0.0))
    numbers = np.rint(mixed * (LEVELS / most if most > 0.0 else 0.0)).astype(np.int8) + _ZERO
    even = np.append(numbers, np.full(len(numbers) % 2, _ZERO, np.int8)).astype(np.uint8)
    return (even[0::2] | even[1::2] << 4).astype(np.uint8).tobytes()


def is_sound(body: bytes, dim: int) -> bool:
    """Tell whether `body` is a vector of `dim` dimensions that has a direction: what a stranger's must be."""
    return len(body) == length(dim) and bool(_numbers((body,), dim).any())


def restored(bodies: Iterable[bytes], dim: int) -> Floats:
    """Return sound vectors of `dim` dimensions as float32, normalised (n, dim)."""
    return normalised(_mixed(_numbers(tuple(bodies), dim)))


def _numbers(bodies: tuple[bytes, ...], dim: int) -> Floats:
    pairs = np.frombuffer(b"".join(bodies), np.uint8).reshape(len(bodies), length(dim))
    numbers = np.stack((pairs & 15, pairs >> 4), axis=-1).reshape(len(bodies), -1)[:, :dim]
    return numbers.astype(np.float32) - _ZERO


def _mixed(vectors: npt.NDArray[np.float32]) -> Floats:
    """Return `vectors` (..., dim) after the orthonormal transform in blocks of the greatest power of two in ``dim``."""
    dim = vectors.shape[-1]
    width = dim & -dim
    found = vectors
    half = 1
    while half < width:
        pairs = found.reshape(-1, dim // (2 * half), 2, half)
        found = np.stack((pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]), axis=2)
        half *= 2
    return np.asarray(found.reshape(vectors.shape) / np.float32(np.sqrt(max(1, width))), dtype=np.float32)
