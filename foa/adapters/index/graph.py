"""One HNSW graph of hnswlib: which labels a key has in it, which places are free, and who is not in it yet.

Used by `foa.adapters.index.hnsw` alone. A key has a label for ``c`` and one for each further vector that says
something else. Places of removed vectors are marked and used again in place, since tombstones make a graph slow.
"""

from math import ceil
from typing import Any, Final

import numpy as np

from foa.adapters.index.rows import Numbers, Rows
from foa.core.vcv.vector import Floats

M: Final = 32
EF_CONSTRUCTION: Final = 200
SAME: Final = 0.9995
"""A further vector as near as this to an earlier one of its key gets no place of its own."""

_LEAST: Final = 1_024


def empty(library: Any, dim: int, capacity: int) -> "Graph":
    """Return a graph with room for `capacity` vectors; `library` is the module hnswlib."""
    index = library.Index(space="ip", dim=dim)
    index.init_index(max(_LEAST, capacity), M, EF_CONSTRUCTION, random_seed=1)
    return Graph(index)


class Graph:
    """Labels of keys in one graph; ``outside`` are keys whose present vectors are not in it yet, in order.

    ``sums`` are the checksums of the vectors that were put in, ``changes`` counts insertions and removals.
    """

    def __init__(self, index: Any, used: int = 0) -> None:
        """Take hnswlib's `index`, of whose places the first `used` are taken."""
        self.index = index
        self.labels_of: dict[str, list[int]] = {}
        self.free: list[int] = []
        self.outside: dict[str, None] = {}
        self.row_of_label: Numbers = np.zeros(index.get_max_elements(), dtype=np.intp)
        self.used = used
        self.sums: dict[str, int] = {}
        self.changes = 0

    def __len__(self) -> int:
        """Return how many vectors are in the graph, those marked as removed aside."""
        return self.used - len(self.free)

    def insert(self, key: str, rows: Rows) -> None:
        """Put the vectors of `key` into the graph: over its old ones, in freed places, or in new ones."""
        self.outside.pop(key, None)
        row = rows.row_of[key]
        vectors = distinct(rows.c[row], rows.others[rows.others_of[row]])
        labels = self.labels_of.setdefault(key, [])
        while len(labels) > len(vectors):
            self._give_up(labels.pop())
        while len(labels) < len(vectors):
            labels.append(self._place())
        self.row_of_label[labels] = row
        self.sums[key] = rows.checksum(row)
        self.changes += 1
        self.index.add_items(vectors, labels, num_threads=1)

    def adopt(self, key: str, labels: list[int], row: int, checksum: int) -> None:
        """Note that the vectors of `key` are in the graph already, under `labels`."""
        self.labels_of[key] = labels
        self.sums[key] = checksum
        self.row_of_label[labels] = row

    def remove(self, key: str) -> None:
        """Take a key out; its places are marked and used for the next newcomers."""
        self.outside.pop(key, None)
        labels = self.labels_of.pop(key, ())
        self.changes += bool(labels)
        self.sums.pop(key, None)
        for label in labels:
            self._give_up(label)

    def moved(self, key: str, row: int) -> None:
        """Note that `key` is in another row now."""
        labels = self.labels_of.get(key)
        if labels:
            self.row_of_label[labels] = row

    def near(self, query: Floats, fetch: int, ef: int) -> tuple[Numbers, Floats] | None:
        """Return the rows and cosines of the `fetch` nearest vectors, the nearest first; a row may come repeatedly.

        None where the graph cannot reach so many.
        """
        self.index.set_ef(max(ef, fetch))
        try:
            labels, distances = self.index.knn_query(query, k=fetch, num_threads=1)
        except RuntimeError:
            return None
        return self.row_of_label[labels[0].astype(np.intp)], np.subtract(1.0, distances[0], dtype=np.float32)

    def _give_up(self, label: int) -> None:
        self.index.mark_deleted(label)
        self.free.append(label)

    def _place(self) -> int:
        if self.free:
            label = self.free.pop()
            self.index.unmark_deleted(label)
            return label
        label = self.used
        self.used += 1
        if label >= len(self.row_of_label):
            self.index.resize_index(2 * label)
            self.row_of_label.resize(2 * label, refcheck=False)
        return label


def distinct(c: Floats, others: Floats) -> Floats:
    """Return ``c`` and those of `others` (m, dim) that are not the same as one before them."""
    if not len(others):
        return c[None]
    vectors = np.concatenate((c[None], others))
    alike = vectors @ vectors.T > SAME
    kept: list[int] = [0]
    for at in range(1, len(vectors)):
        if not alike[at, kept].any():
            kept.append(at)
    return np.asarray(vectors[kept], dtype=np.float32)


def fetch_for(keys: int, graph: Graph) -> int:
    """Return how many vectors to fetch so that about `keys` different keys are among them."""
    per_key = len(graph) / max(1, len(graph.labels_of))
    return max(1, min(ceil(keys * per_key), len(graph)))
