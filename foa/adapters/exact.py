"""Vectors by key, and the exact nearest of them: a matrix and a product. The truth that HNSW is held against.

One owner, one thread: nothing here locks.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from foa.core.routing.exchange import IndexCall, Near, Remove, Search, Upsert
from foa.core.vcv.vector import Floats, unpack, unpack_all

DIGITS: Final = 6
"""Cosines are rounded to these, so that equal vectors tie whichever product computed them; ties go by key."""

_LEAST_ROWS: Final = 64


class VectorIndex(Protocol):
    """What the service "index" needs: upsert, remove, and the `k` nearest by ``c`` with both cosines."""

    def __len__(self) -> int:
        """Return how many keys there are."""
        ...

    def upsert(self, key: str, c: Floats, e: Floats) -> None:
        """Keep the vectors (dim,) of `key`, in place of earlier ones."""
        ...

    def remove(self, key: str) -> None:
        """Forget `key`; an unknown one is no error."""
        ...

    def search(self, queries: Floats, k: int, among: Sequence[str] | None = None) -> tuple[tuple[Near, ...], ...]:
        """Return the `k` nearest for each of `queries` (n, dim), if given only among those keys (then exactly)."""
        ...


class Rows:
    """Two matrices ``c`` and ``e`` (capacity, dim) and which key is in which row; removal swaps in the last row."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.keys: list[str] = []
        self.row_of: dict[str, int] = {}
        self.c: Floats = np.zeros((_LEAST_ROWS, dim), dtype=np.float32)
        self.e: npt.NDArray[np.float16] = np.zeros((_LEAST_ROWS, dim), dtype=np.float16)

    def put(self, key: str, c: Floats, e: Floats) -> int:
        """Write a key's row, a new one at the end; return it."""
        row = self.row_of.get(key)
        if row is None:
            row = self.row_of[key] = len(self.keys)
            self.keys.append(key)
            if row == len(self.c):
                self._resize(2 * row)
        self.c[row] = c
        self.e[row] = e
        return row

    def remove(self, key: str) -> None:
        """Drop a key's row."""
        row = self.row_of.pop(key, None)
        if row is None:
            return
        last = self.keys.pop()
        if last != key:
            end = len(self.keys)
            self.c[row], self.e[row] = self.c[end], self.e[end]
            self.keys[row] = last
            self.row_of[last] = row
        if len(self.c) // 4 > _LEAST_ROWS and len(self.keys) < len(self.c) // 4:
            self._resize(len(self.c) // 2)

    def nearest(self, query: Floats, k: int, rows: npt.NDArray[np.intp] | None = None) -> tuple[Near, ...]:
        """Return the exact `k` nearest to `query` (dim,), of all rows or of `rows`, ties by key."""
        candidates = self.c[: len(self.keys)] if rows is None else self.c[rows]
        return self.best(query, np.asarray(candidates @ query, dtype=np.float32), k, rows)

    def best(
        self, query: Floats, cosines: Floats, k: int, rows: npt.NDArray[np.intp] | None = None
    ) -> tuple[Near, ...]:
        """Return the `k` best of rows whose exact `cosines` are known, with their cosines to ``e``."""
        rounded = np.round(np.clip(cosines, -1.0, 1.0).astype(np.float64), DIGITS)
        if k < len(rounded):
            least = np.partition(rounded, len(rounded) - k)[len(rounded) - k]
            chosen = np.flatnonzero(rounded >= least)
        else:
            chosen = np.arange(len(rounded))
        at = chosen if rows is None else rows[chosen]
        found = sorted(zip(rounded[chosen].tolist(), at.tolist(), strict=True), key=lambda x: (-x[0], self.keys[x[1]]))
        found = found[:k]
        if not found:
            return ()
        e = self.e[[row for _, row in found]].astype(np.float32) @ query
        specs = np.round(np.clip(e.astype(np.float64), -1.0, 1.0), DIGITS).tolist()
        return tuple(Near(self.keys[row], cosine, spec) for (cosine, row), spec in zip(found, specs, strict=True))

    def _resize(self, capacity: int) -> None:
        kept = len(self.keys)
        c, e = np.zeros((capacity, self.dim), np.float32), np.zeros((capacity, self.dim), np.float16)
        c[: min(kept, len(self.c))], e[: min(kept, len(self.e))] = self.c[:kept], self.e[:kept]
        self.c, self.e = c, e


class ExactIndex:
    """Brute force: 26 µs at 1k, 0.2 ms at 10k, 5 ms at 100k vectors of 384 dimensions."""

    def __init__(self, dim: int) -> None:
        self.rows = Rows(dim)

    def __len__(self) -> int:
        return len(self.rows.keys)

    def upsert(self, key: str, c: Floats, e: Floats) -> None:
        """Keep the vectors of `key`."""
        self.rows.put(key, c, e)

    def remove(self, key: str) -> None:
        """Forget `key`."""
        self.rows.remove(key)

    def search(self, queries: Floats, k: int, among: Sequence[str] | None = None) -> tuple[tuple[Near, ...], ...]:
        """Return the exact `k` nearest for each of `queries` (n, dim)."""
        return search_all(self.rows, queries, k) if among is None else search_among(self.rows, queries, k, among)


def search_all(rows: Rows, queries: Floats, k: int) -> tuple[tuple[Near, ...], ...]:
    """Return the exact `k` nearest for each of `queries` (n, dim); several cost one pass over the matrix."""
    if len(queries) == 1:
        return (rows.nearest(queries[0], k),)
    cosines = queries @ rows.c[: len(rows.keys)].T
    return tuple(rows.best(query, row, k) for query, row in zip(queries, cosines, strict=True))


def search_among(rows: Rows, queries: Floats, k: int, among: Sequence[str]) -> tuple[tuple[Near, ...], ...]:
    """Return the exact `k` nearest for each of `queries` among some keys; unknown ones are left out."""
    at = np.array([rows.row_of[key] for key in among if key in rows.row_of], dtype=np.intp)
    return tuple(rows.nearest(query, k, at) for query in queries)


def serve(index: VectorIndex, call: IndexCall) -> tuple[tuple[Near, ...], ...] | None:
    """Perform one call of the service "index"; synchronous, called on the thread that owns `index`."""
    match call:
        case Upsert(key, c, e):
            index.upsert(key, unpack(c), unpack(e))
        case Remove(keys):
            for key in keys:
                index.remove(key)
        case Search(vectors, k, among):
            return index.search(unpack_all(vectors), k, among)
    return None
