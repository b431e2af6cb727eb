"""The nearest of many vectors in microseconds: hnswlib proposes, exact cosines decide.

Up to `crossover` vectors the search is exact. Above, keys move into the graph a few with every change and with
every call of `tend`, so that no call takes long; keys that are not in it yet are searched exactly beside it. A graph
that has become half tombstones is built anew in the same small steps beside the old one, which serves
meanwhile. Without hnswlib all stays exact, with a warning.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from foa.adapters.index import graphfile
from foa.adapters.index.exact import near_all, search_all
from foa.adapters.index.graph import Graph, empty, fetch_for
from foa.adapters.index.port import NONE
from foa.adapters.index.rows import Numbers, Rows
from foa.core.routing.exchange import Near
from foa.core.vcv.vector import Floats

CROSSOVER: Final = 5_000
LEAST_EF: Final = 256
DEPTH: Final = 15
"""The search looks at so many times as many vectors as are wanted: those further down are missed more easily."""

LEAST_FETCH: Final = 32
OVERFETCH: Final = 4
TIES: Final = 8
"""So many more than `k` are fetched, for those that tie with the last."""

MOVED_AT_ONCE: Final = 2
"""Keys that one change moves into the graph: 0.3 ms a vector."""

OUTSIDE_SHARE: Final = 8
"""With more than one in so many keys outside the graph, one exact search is cheaper than two searches."""


class HnswIndex:
    """A vector index that is exact while small and HNSW with exact rescoring when large."""

    def __init__(self, dim: int, crossover: int = CROSSOVER) -> None:
        self.rows = Rows(dim)
        self.crossover = crossover
        self._graph: Graph | None = None
        self._next: Graph | None = None
        self._saved: tuple[Graph | None, int] = (None, 0)
        self._missing = False

    def __len__(self) -> int:
        return len(self.rows.keys)

    def __contains__(self, key: object) -> bool:
        return key in self.rows.row_of

    def upsert(self, key: str, c: Floats, e: Floats, others: Sequence[Floats] | Floats = NONE) -> None:
        """Keep the vectors of `key`; the graphs learn of it if those by which it is found have changed."""
        same = self.rows.has(key, c, others)
        self.rows.put(key, c, e, others)
        if not same:
            for graph in self._graphs():
                graph.outside[key] = None
        self.tend(MOVED_AT_ONCE)

    def restore(self, key: str, c: Floats, e: Floats, others: Sequence[Floats] | Floats = NONE) -> None:
        """Keep the vectors of a key as they were before a restart; `load_graph` follows."""
        self.rows.put(key, c, e, others)

    def load_graph(self, folder: Path) -> None:
        """Take the graph that was saved in `folder`, where there is use for one; raises as `graphfile.load`."""
        library = _library(self._vectors) if self._is_large else None
        if library is not None:
            self._graph = graphfile.load(library, self.rows, folder)
            self._saved = self._graph, 0

    def dump_graph(self, folder: Path) -> graphfile.Note:
        """Write the graph's file and return its note, to be published; only while `graph_changes` is not 0."""
        assert self._graph is not None
        note = graphfile.dump(self._graph, self.rows.dim, folder)
        self._saved = self._graph, self._graph.changes
        return note

    @property
    def graph_changes(self) -> int:
        """How many keys were put into the graph or taken out since it was saved or loaded."""
        if self._graph is None:
            return 0
        saved, changes = self._saved
        return self._graph.changes - (changes if saved is self._graph else 0)

    def remove(self, key: str) -> None:
        """Forget `key`."""
        row = self.rows.row_of.get(key)
        if row is None:
            return
        self.rows.remove(key)
        for graph in self._graphs():
            graph.remove(key)
            if row < len(self.rows.keys):
                graph.moved(self.rows.keys[row], row)

    def propose(self, query: Floats, n: int) -> tuple[str, ...]:
        """Return about the `n` keys with a vector nearest to `query`."""
        found = self._near(query, n)
        if found is None:
            return self.rows.first(self.rows.best_of_all(query), n)
        rows, cosines = found
        return self.rows.first(cosines, n, rows)

    def near(self, query: Floats, n: int) -> tuple[Numbers, Floats | None]:
        """Return the rows of about the `n` keys with a vector nearest to `query`, and their cosines where known."""
        graph = self._graph
        found = graph.near(query, fetch_for(n, graph), LEAST_EF) if graph is not None and self.is_graph_used else None
        if graph is None or found is None:
            return near_all(self.rows, query, n)
        if graph.outside:
            return np.concatenate((found[0], self.rows.rows(graph.outside))), None
        return found[0], None if self.rows.further else found[1]

    def search(self, queries: Floats, k: int, among: Numbers | None = None) -> tuple[tuple[Near, ...], ...]:
        """Return the `k` nearest for each of `queries` (n, dim), with exact cosines."""
        if among is not None:
            return tuple(self.rows.nearest(query, k, among) for query in queries)
        if not self.is_graph_used or k >= len(self):
            return search_all(self.rows, queries, k)
        return tuple(self._search(query, k) for query in queries)

    @property
    def is_graph_used(self) -> bool:
        """Tell whether searches go through the graph."""
        graph = self._graph
        return graph is not None and len(graph.outside) * OUTSIDE_SHARE <= len(self) and self._is_large

    @property
    def library_index(self) -> Any:
        """Return hnswlib's own index, to be measured against; None where there is no graph."""
        return None if self._graph is None else self._graph.index

    @property
    def is_tended(self) -> bool:
        """Tell whether `tend` has nothing to do."""
        return not self._is_large or self._missing or (
            self._next is None and self._graph is not None and not self._graph.outside
        )  # fmt: skip

    def tend(self, most: int | None = None) -> None:
        """Move up to `most` keys (None: all) into each graph; begin one, or a better one, where it is time to."""
        if self._missing or not self._is_large:
            if self._graph is not None and 2 * self._vectors < self.crossover:
                self._graph = self._next = None
            return
        if self._graph is None:
            self._graph = self._begin()
        elif self._next is None and len(self._graph.free) > max(len(self._graph), self.crossover // 2):
            self._next = self._begin()
        for graph in self._graphs():
            for key in [key for key, _ in zip(graph.outside, range(most or len(graph.outside)), strict=False)]:
                graph.insert(key, self.rows)
        if self._next is not None and not self._next.outside:
            self._graph, self._next = self._next, None

    @property
    def _vectors(self) -> int:
        return len(self.rows.keys) + self.rows.further

    @property
    def _is_large(self) -> bool:
        return self._vectors > self.crossover

    def _graphs(self) -> tuple[Graph, ...]:
        return tuple(graph for graph in (self._graph, self._next) if graph is not None)

    def _begin(self) -> Graph | None:
        """Return a graph that is still to be filled."""
        library = _library(self._vectors)
        if library is None:
            self._missing = True
            return None
        graph = empty(library, self.rows.dim, 2 * self._vectors)
        graph.outside.update(dict.fromkeys(self.rows.keys))
        return graph

    def _near(self, query: Floats, n: int, ef: int = LEAST_EF) -> tuple[Numbers, Floats] | None:
        """Return about the `n` nearest rows and their best cosines, from the graph and from outside it.

        No more than `ef` vectors are fetched for them: of keys with many vectors, as in a memory, few are near.
        """
        graph = self._graph
        if graph is None or not self.is_graph_used:
            return None
        found = graph.near(query, min(fetch_for(n, graph), max(n, ef)), ef)
        if found is None:
            return None
        rows, first = np.unique(found[0], return_index=True)
        cosines = found[1][first]
        if graph.outside:
            fresh = self.rows.rows(graph.outside)
            kept = ~np.isin(rows, fresh)
            rows = np.concatenate((rows[kept], fresh))
            cosines = np.concatenate((cosines[kept], self.rows.best_of(query, fresh)))
        return rows, cosines

    def _search(self, query: Floats, k: int) -> tuple[Near, ...]:
        graph = self._graph
        if graph is not None and not graph.outside and not self.rows.further:  # the graph's products are those of ``c``
            found = graph.near(query, min(k + TIES, len(graph)), max(LEAST_EF, DEPTH * k))
            return self.rows.best(query, found[1], k, found[0]) if found else self.rows.nearest(query, k)
        found = self._near(query, max(LEAST_FETCH, OVERFETCH * k), max(LEAST_EF, DEPTH * k))
        rows = None if found is None or len(found[0]) < k else found[0]
        return self.rows.nearest(query, k, rows)


def _library(vectors: int) -> Any:
    try:
        import hnswlib  # noqa: PLC0415 - optional, and compiled where it is installed
    except ImportError:
        warnings.warn(
            f"hnswlib is not installed: {vectors} vectors are searched exactly; pip install hnswlib",
            RuntimeWarning,
            stacklevel=5,
        )
        return None
    return hnswlib
