"""What a vector index must be able to do; `foa.adapters.index.exact` is the truth, `…hnsw` the fast one.

A key has one vector ``c``, one ``e``, and any number of ``others`` by which it is found as well (views of its
profile, evidence). One owner, one thread: nothing here locks.
"""

from collections.abc import Sequence
from typing import Protocol

from foa.adapters.index.rows import Numbers, Rows
from foa.core.routing.exchange import IndexCall, Near, Place, Remove, Search, Upsert
from foa.core.vcv.vector import Floats, unpack, unpack_all

NONE: Sequence[Floats] = ()


class VectorIndex(Protocol):
    """What the service "index" is made of. Queries are normalised float32 (dim,).

    ``rows`` is where the vectors lie: dense, the last one moves into a gap.
    """

    rows: Rows

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

    def near(self, query: Floats, n: int) -> tuple[Numbers, Floats | None]:
        """Return the rows of what `propose` would, in no order, some perhaps twice, and where known their cosines."""
        ...

    def search(self, queries: Floats, k: int, among: Numbers | None = None) -> tuple[tuple[Near, ...], ...]:
        """Return the `k` nearest by ``c`` for each of `queries` (n, dim), if given only among those rows (exactly)."""
        ...


def serve(index: VectorIndex, call: IndexCall) -> tuple[tuple[Near, ...], ...] | None:
    """Perform one call of the service "index"; synchronous, called on the thread that owns `index`."""
    match call:
        case Upsert(key, c, e, others, _, slot):
            index.upsert(key, unpack(c), unpack(e), unpack_all(others) if others else NONE)
            index.rows.place(key, slot)
        case Place(keys):
            for at, key in enumerate(keys):
                index.rows.place(key, at)
        case Remove(keys):
            for key in keys:
                index.remove(key)
        case Search(vectors, k, among):
            return index.search(unpack_all(vectors), k, None if among is None else index.rows.at(among))
    return None
