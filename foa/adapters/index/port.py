"""What a vector index must be able to do; `foa.adapters.index.exact` is the truth, `…hnsw` the fast one.

A key has one vector ``c``, one ``e``, and any number of ``others`` by which it is found as well (views of its
profile, evidence). One owner, one thread: nothing here locks.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from foa.core.routing.exchange import IndexCall, Near, Remove, Search, Upsert
from foa.core.vcv.vector import Floats, unpack, unpack_all

Cosines = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.intp]

NONE: Sequence[Floats] = ()


class Similarities(NamedTuple):
    """Exact cosines of one query to n keys, in the order of the keys, clipped and rounded to 6 digits.

    ``c`` and ``e`` are (n,). ``others`` is (m,), those of key i are ``others[starts[i]:starts[i + 1]]`` in the
    order in which they were given; ``starts`` is (n + 1,).
    """

    c: Cosines
    e: Cosines
    others: Cosines
    starts: Numbers


class VectorIndex(Protocol):
    """What the service "index" is made of. Queries are normalised float32 (dim,)."""

    def __len__(self) -> int:
        """Return how many keys there are."""
        ...

    def __contains__(self, key: object) -> bool:
        """Tell whether `key` is there."""
        ...

    def upsert(self, key: str, c: Floats, e: Floats, others: Sequence[Floats] | Floats = NONE) -> None:
        """Keep the vectors (dim,) of `key`, `others` (m, dim) among them, in place of all earlier ones."""
        ...

    def remove(self, key: str) -> None:
        """Forget `key`; an unknown one is no error."""
        ...

    def propose(self, query: Floats, n: int) -> tuple[str, ...]:
        """Return up to `n` keys of which ``c`` or any of ``others`` is near `query`, the nearest first, ties by key.

        Approximate in a large index: a few of the nearest may be missing, and fewer than `n` may come.
        """
        ...

    def similarities(self, query: Floats, keys: Sequence[str]) -> Similarities:
        """Return the exact cosines of `query` to all vectors of `keys`; KeyError if one is not there."""
        ...

    def search(self, queries: Floats, k: int, among: Sequence[str] | None = None) -> tuple[tuple[Near, ...], ...]:
        """Return the `k` nearest by ``c`` for each of `queries` (n, dim), if given only among those keys (exactly)."""
        ...


def serve(index: VectorIndex, call: IndexCall) -> tuple[tuple[Near, ...], ...] | None:
    """Perform one call of the service "index"; synchronous, called on the thread that owns `index`."""
    match call:
        case Upsert(key, c, e, others):
            index.upsert(key, unpack(c), unpack(e), unpack_all(others) if others else NONE)
        case Remove(keys):
            for key in keys:
                index.remove(key)
        case Search(vectors, k, among):
            return index.search(unpack_all(vectors), k, among)
    return None
