"""Embeddings as they travel: L2-normalised little-endian float16, 2 bytes per dimension.

Whoever compares two of them has made sure that one model made both: a vector never travels without its
model's name, and index nodes embed the text again rather than compare across models.
"""

from collections.abc import Iterable
from hashlib import blake2b
from math import sqrt
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

BYTES_PER_DIM: Final = 2
TOLERANCE: Final = 0.01
"""How far from 1 the norm of a stranger's vector may be; float16 rounding alone stays below 0.002."""

_HALF: Final = np.dtype("<f2")


def digest(model: str, text: str) -> bytes:
    """Return the 16 bytes under which a text's vector is kept, however long the text is."""
    return blake2b(f"{model}\x00{text}".encode(errors="replace"), digest_size=16).digest()


def normalised(vectors: npt.ArrayLike) -> Floats:
    """Return `vectors` (..., dim) as float32 with L2 norm 1 along the last axis; a zero vector stays zero."""
    array = np.asarray(vectors, dtype=np.float32)
    norms = np.sqrt(np.add.reduce(array * array, axis=-1, keepdims=True))
    norms[norms == 0.0] = 1.0
    return np.asarray(array / norms, dtype=np.float32)


def pack(vector: npt.ArrayLike) -> bytes:
    """Return one vector (dim,) normalised, as it travels."""
    return normalised(vector).astype(_HALF).tobytes()


def unpack(body: bytes) -> Floats:
    """Return the float32 vector (dim,) in `body`, normalised again. The length must be even."""
    return normalised(np.frombuffer(body, dtype=_HALF))


def unpack_all(bodies: Iterable[bytes]) -> Floats:
    """Return equally long vectors, one at least, as one matrix (n, dim); ValueError if their lengths differ."""
    whole = tuple(bodies)
    if any(len(body) != len(whole[0]) for body in whole):
        raise ValueError(f"vectors of {sorted({len(body) for body in whole})} bytes are not of one model")
    return normalised(np.frombuffer(b"".join(whole), dtype=_HALF).reshape(len(whole), -1))


def is_unit(body: bytes, dim: int) -> bool:
    """Tell whether `body` is a vector of `dim` finite numbers with norm 1: what a stranger's must be."""
    if len(body) != dim * BYTES_PER_DIM:
        return False
    vector = np.frombuffer(body, dtype=_HALF).astype(np.float32)
    return abs(sqrt(vector @ vector) - 1.0) <= TOLERANCE


def cosine(a: bytes, b: bytes) -> float:
    """Return the cosine, in [-1, 1], of two vectors of one model; ValueError if their lengths differ."""
    if len(a) != len(b):
        raise ValueError(f"vectors of {len(a)} and {len(b)} bytes are not of one model")
    return float(np.clip(unpack(a) @ unpack(b), -1.0, 1.0))
