"""The nearest of many vectors in microseconds: hnswlib proposes, exact cosines decide.

Up to `crossover` vectors the search is exact. Above, rows move into the graph a few with every change, so that no
call takes long; rows that are not in it yet are searched exactly beside it. Slots of removed keys are
used again in place, since tombstones make a graph slow. Without hnswlib all stays exact, with a warning.
"""

import warnings
from collections.abc import Sequence
from typing import Any, Final, cast

import numpy as np

from foa.adapters.exact import Rows, search_all, search_among
from foa.core.routing.exchange import Near
from foa.core.vcv.vector import Floats

CROSSOVER: Final = 10_000
M: Final = 16
EF_CONSTRUCTION: Final = 200
LEAST_EF: Final = 192
OVERFETCH: Final = 4
MOVED_AT_ONCE: Final = 16
"""Rows that one change moves into the graph: 0.2 ms each."""

MANY_OUTSIDE: Final = 4_096
"""With more rows outside the graph than this, one exact search is cheaper than two searches."""


class HnswIndex:
    """A vector index that is exact while small and HNSW with exact rescoring when large."""

    def __init__(self, dim: int, crossover: int = CROSSOVER) -> None:
        self.rows = Rows(dim)
        self.crossover = crossover
        self._graph: Any = None
        self._missing = False
        self._outside: dict[str, None] = {}
        self._label_of: dict[str, int] = {}
        self._key_of: dict[int, str] = {}
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self.rows.keys)

    def upsert(self, key: str, c: Floats, e: Floats) -> None:
        """Keep the vectors of `key`."""
        self.rows.put(key, c, e)
        self._outside[key] = None
        self.catch_up(MOVED_AT_ONCE)

    def remove(self, key: str) -> None:
        """Forget `key`; its place in the graph is marked and used for the next newcomer."""
        self.rows.remove(key)
        self._outside.pop(key, None)
        label = self._label_of.pop(key, None)
        if label is not None:
            del self._key_of[label]
            self._graph.mark_deleted(label)
            self._free.append(label)

    def search(self, queries: Floats, k: int, among: Sequence[str] | None = None) -> tuple[tuple[Near, ...], ...]:
        """Return the `k` nearest for each of `queries` (n, dim), with exact cosines."""
        if among is not None:
            return search_among(self.rows, queries, k, among)
        fetch = min(max(LEAST_EF // 2, OVERFETCH * k), len(self._key_of))
        labels = self._propose(queries, fetch) if self.is_graph_used and fetch >= k else None
        if labels is None:
            return search_all(self.rows, queries, k)
        outside = [self.rows.row_of[key] for key in self._outside]
        return tuple(self._rescored(query, k, row, outside) for query, row in zip(queries, labels, strict=True))

    @property
    def is_graph_used(self) -> bool:
        """Tell whether searches go through the graph."""
        return self._graph is not None and len(self._outside) <= MANY_OUTSIDE and len(self) > self.crossover

    def catch_up(self, most: int | None = None) -> None:
        """Move up to `most` rows (None: all) into the graph, once there are more than the crossover."""
        if self._missing or (self._graph is None and len(self) <= self.crossover):
            return
        if self._graph is None:
            self._graph = self._begin()
            if self._graph is None:
                return
        moved = [key for key, _ in zip(self._outside, range(most or len(self._outside)), strict=False)]
        for key in moved:
            self._insert(key)
            del self._outside[key]

    def _propose(self, queries: Floats, fetch: int) -> Sequence[Sequence[int]] | None:
        """Return the labels near each of `queries`; None where the graph cannot reach `fetch` of them."""
        self._graph.set_ef(max(LEAST_EF, 2 * fetch))
        try:
            labels, _ = self._graph.knn_query(queries, k=fetch, num_threads=1)
        except RuntimeError:
            return None
        return cast("Sequence[Sequence[int]]", labels)

    def _begin(self) -> Any:
        try:
            import hnswlib  # noqa: PLC0415 - optional, and compiled where it is installed
        except ImportError:
            self._missing = True
            warnings.warn(
                f"hnswlib is not installed: {len(self)} vectors are searched exactly; pip install hnswlib",
                RuntimeWarning,
                stacklevel=4,
            )
            return None
        graph = hnswlib.Index(space="ip", dim=self.rows.dim)
        graph.init_index(max_elements=2 * len(self), M=M, ef_construction=EF_CONSTRUCTION, random_seed=1)
        return graph

    def _insert(self, key: str) -> None:
        """Put a row into the graph: over its old vector, in a freed place, or in a new one."""
        label = self._label_of.get(key)
        if label is None and self._free:
            label = self._free.pop()
            self._graph.unmark_deleted(label)
        elif label is None:
            label = len(self._label_of)
            if label >= self._graph.get_max_elements():
                self._graph.resize_index(2 * label)
        self._label_of[key] = label
        self._key_of[label] = key
        self._graph.add_items(self.rows.c[self.rows.row_of[key]][None], [label], num_threads=1)

    def _rescored(self, query: Floats, k: int, labels: Sequence[int], outside: list[int]) -> tuple[Near, ...]:
        inside = {self.rows.row_of[self._key_of[int(label)]] for label in labels}
        rows = np.array(sorted(inside.union(outside)), dtype=np.intp)
        return self.rows.nearest(query, k, rows)
