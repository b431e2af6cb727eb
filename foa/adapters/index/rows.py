"""Where the vectors lie: matrices, which key is in which row, and exact cosines from them.

Three matrices: ``c`` and ``e`` with a row per key, ``others`` with a row per further vector and beside it the row of
the key that owns it. Removal moves the last row into the gap, so that rows stay dense and nothing is ever compacted.
Matrices grow in place (`realloc` moves pages, not bytes). A key may have a slot as well, the number by which the
catalogue names it for as long as it is there.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from foa.core.routing.exchange import Near
from foa.core.vcv.vector import Floats

Cosines = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.intp]

DIGITS: Final = 6
"""Cosines are rounded to these, so that equal vectors tie whichever product computed them; ties go by key."""

GATHERED: Final = 256
"""Rows gathered at once: they stay in the near cache, and their memory is not asked for anew (400 KB)."""

NOWHERE: Final = -1
"""The slot of a key that was given none, the row at a slot that nobody has."""

_LEAST_ROWS: Final = 64


class Rows:
    """All vectors of all keys."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.keys: list[str] = []
        self.row_of: dict[str, int] = {}
        self.c: Floats = np.zeros((_LEAST_ROWS, dim), dtype=np.float32)
        self.e: npt.NDArray[np.float16] = np.zeros((_LEAST_ROWS, dim), dtype=np.float16)
        self.others: Floats = np.zeros((_LEAST_ROWS, dim), dtype=np.float32)
        self.owner: Numbers = np.zeros(_LEAST_ROWS, dtype=np.intp)
        self.others_of: list[list[int]] = []
        self.further = 0
        self._slot_of: Numbers = np.full(_LEAST_ROWS, NOWHERE, dtype=np.intp)
        self._row_at: Numbers = np.full(_LEAST_ROWS, NOWHERE, dtype=np.intp)

    def put(self, key: str, c: Floats, e: Floats, others: Sequence[Floats] | Floats = ()) -> int:
        """Write a key's vectors, a new key at the end; return its row."""
        row = self.row_of.get(key)
        if row is None:
            row = self.row_of[key] = len(self.keys)
            self.keys.append(key)
            self.others_of.append([])
            self._fit(len(self.keys))
        self.c[row] = c
        self.e[row] = e
        mine = self.others_of[row]
        while len(mine) > len(others):
            self._drop_other(mine[-1])
        while len(mine) < len(others):
            self._add_other(row)
        if mine:
            self.others[mine] = others
        return row

    def has(self, key: str, c: Floats, others: Sequence[Floats] | Floats) -> bool:
        """Tell whether `key` is found by these very vectors already."""
        row = self.row_of.get(key)
        if row is None or len(self.others_of[row]) != len(others) or not np.array_equal(self.c[row], c):
            return False
        return not len(others) or np.array_equal(self.others[self.others_of[row]], others)

    def remove(self, key: str) -> None:
        """Drop a key's vectors; the key that was last takes its row."""
        row = self.row_of.pop(key, None)
        if row is None:
            return
        while self.others_of[row]:
            self._drop_other(self.others_of[row][-1])
        self._leave(row)
        last, theirs = self.keys.pop(), self.others_of.pop()
        if last != key:
            end = len(self.keys)
            self.c[row], self.e[row] = self.c[end], self.e[end]
            self.keys[row], self.others_of[row] = last, theirs
            self.row_of[last] = row
            self.owner[theirs] = row
            slot = self._slot_of[end]
            self._slot_of[end] = NOWHERE
            if slot >= 0:
                self._slot_of[row], self._row_at[slot] = slot, row
        self._fit(len(self.keys))

    def place(self, key: str, slot: int) -> None:
        """Note which slot a key has; nothing happens if it is not there."""
        row = self.row_of.get(key)
        if row is None or self._slot_of[row] == slot:
            return
        self._leave(row)
        if slot >= len(self._row_at):
            fresh = np.full(max(slot + 1, 2 * len(self._row_at)), NOWHERE, dtype=np.intp)
            fresh[: len(self._row_at)] = self._row_at
            self._row_at = fresh
        if slot >= 0:
            self._slot_of[row], self._row_at[slot] = slot, row

    def at(self, slots: bytes) -> Numbers:
        """Return the rows of the keys in `slots` (little-endian int32), of those that are there."""
        wanted = np.frombuffer(slots, dtype="<i4")
        rows = self._row_at.take(wanted[wanted < len(self._row_at)])
        return rows if not len(rows) or rows.min() >= 0 else rows[rows >= 0]

    def checksum(self, row: int) -> int:
        """Return the checksum of the vectors by which the key in `row` is found."""
        total = crc32(self.c[row].data)
        return crc32(self.others[self.others_of[row]].data, total) if self.others_of[row] else total

    def rows(self, keys: Iterable[str]) -> Numbers:
        """Return the rows of those of `keys` that are there."""
        found = map(self.row_of.get, keys)
        return np.array([row for row in found if row is not None], dtype=np.intp)

    def best_of_all(self, query: Floats) -> Floats:
        """Return for each key the cosine of its vector nearest to `query`, ``e`` aside: (n,)."""
        cosines = self.c[: len(self.keys)] @ query
        if self.further:
            np.maximum.at(cosines, self.owner[: self.further], self.others[: self.further] @ query)
        return np.asarray(cosines, dtype=np.float32)

    def best_of(self, query: Floats, rows: Numbers) -> Floats:
        """Return the same for some rows."""
        cosines = self.products(query, rows)
        if self.further:
            theirs = [self.others_of[row] for row in rows.tolist()]
            owners = np.repeat(np.arange(len(rows)), [len(each) for each in theirs])
            np.maximum.at(cosines, owners, self.others[list(chain.from_iterable(theirs))] @ query)
        return np.asarray(cosines, dtype=np.float32)

    def first(self, cosines: Floats, n: int, rows: Numbers | None = None) -> tuple[str, ...]:
        """Return the keys of the `n` highest of `cosines`, falling, ties by key."""
        at = self.highest(rounded(cosines), n, rows)
        return tuple(self.keys[row] for row in (at if rows is None else rows[at].tolist()))

    def nearest(self, query: Floats, k: int, rows: Numbers | None = None) -> tuple[Near, ...]:
        """Return the exact `k` nearest to `query` (dim,) by ``c``, of all rows or of `rows`, ties by key."""
        if rows is None:
            return self.best(query, np.asarray(self.c[: len(self.keys)] @ query, dtype=np.float32), k)
        return self.best(query, self.products(query, rows), k, rows)

    def products(self, query: Floats, rows: Numbers) -> Floats:
        """Return the cosines of ``c`` in `rows`, gathered some at a time: fresh memory costs more than products."""
        cosines = np.empty(len(rows), dtype=np.float32)
        room = np.empty((min(GATHERED, len(rows)), self.dim), dtype=np.float32)
        for first in range(0, len(rows), GATHERED):
            some = rows[first : first + GATHERED]
            gathered = np.take(self.c, some, axis=0, out=room[: len(some)], mode="clip")
            np.matmul(gathered, query, out=cosines[first : first + len(some)])
        return cosines

    def best(self, query: Floats, cosines: Floats, k: int, rows: Numbers | None = None) -> tuple[Near, ...]:
        """Return the `k` best of rows whose exact `cosines` are known, with their cosines to ``e``."""
        exact = rounded(cosines)
        at = self.highest(exact, k, rows)
        if not at:
            return ()
        found = at if rows is None else rows[at].tolist()
        told = zip(found, exact[at].tolist(), self.specs(query, found).tolist(), strict=True)
        return tuple(Near(self.keys[row], cosine, spec) for row, cosine, spec in told)

    def specs(self, query: Floats, rows: Sequence[int]) -> Cosines:
        """Return the cosines to ``e`` of some rows."""
        return rounded(self.e[rows].astype(np.float32) @ query)

    def highest(self, values: Cosines, k: int, rows: Numbers | None = None) -> list[int]:
        """Return where the `k` highest of `values` are, those of `rows` or of all, falling; ties by key."""
        if k < len(values):
            least = np.partition(values, len(values) - k)[len(values) - k]
            chosen = np.flatnonzero(values >= least)
        else:
            chosen = np.arange(len(values))
        keys = [self.keys[row] for row in (chosen if rows is None else rows[chosen]).tolist()]
        found = zip((-values[chosen]).tolist(), keys, chosen.tolist(), strict=True)
        return [at for _, _, at in sorted(found)[:k]]

    def _leave(self, row: int) -> None:
        """Take a row's slot away from it."""
        slot = self._slot_of[row]
        if slot >= 0 and self._row_at[slot] == row:
            self._row_at[slot] = NOWHERE
        self._slot_of[row] = NOWHERE

    def _add_other(self, row: int) -> None:
        at = self.further
        self.further += 1
        self._fit_others(self.further)
        self.owner[at] = row
        self.others_of[row].append(at)

    def _drop_other(self, at: int) -> None:
        """Give up one further vector; the last of all takes its place."""
        self.others_of[self.owner[at]].remove(at)
        self.further -= 1
        end = self.further
        if at != end:
            owner = self.owner[end]
            self.others[at], self.owner[at] = self.others[end], owner
            theirs = self.others_of[owner]
            theirs[theirs.index(end)] = at

    def _fit(self, count: int) -> None:
        capacity = fitting(len(self.c), count)
        if capacity != len(self.c):
            self.c.resize((capacity, self.dim), refcheck=False)
            self.e.resize((capacity, self.dim), refcheck=False)
            slots = np.full(capacity, NOWHERE, dtype=np.intp)
            slots[: min(capacity, len(self._slot_of))] = self._slot_of[:capacity]
            self._slot_of = slots

    def _fit_others(self, count: int) -> None:
        capacity = fitting(len(self.others), count)
        if capacity != len(self.others):
            self.others.resize((capacity, self.dim), refcheck=False)
            self.owner.resize(capacity, refcheck=False)


def most(values: npt.NDArray[np.floating], n: int) -> Numbers:
    """Return where the `n` highest of `values` are, in no order; of those that tie with the last some."""
    if n >= len(values):
        return np.arange(len(values))
    return np.argpartition(values, len(values) - n)[len(values) - n :]


def fitting(capacity: int, count: int) -> int:
    """Return the capacity for `count` rows: doubled when they exceed it, halved when a quarter would do."""
    if count > capacity:
        return max(2 * capacity, count)
    return capacity // 2 if capacity > 4 * _LEAST_ROWS and count < capacity // 4 else capacity


def rounded(cosines: npt.NDArray[np.float32]) -> Cosines:
    """Return cosines within [-1, 1], rounded to `DIGITS`."""
    return np.asarray(np.round(np.minimum(np.maximum(cosines, -1.0), 1.0).astype(np.float64), DIGITS), dtype=np.float64)
