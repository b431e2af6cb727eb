"""Which agents have which words: postings by term, counts by agent, and BM25 from both. One owner, one thread.

Rare words propose agents, through their postings; an agent's own terms score it, so that a word which half of all
agents have costs nothing but when it decides. Everything may change at any time, and document frequencies are exact.
A key keeps its row while it is there; rows of removed keys are used again.
"""

from collections.abc import Mapping, Sequence
from math import log1p
from typing import Final

import numpy as np
import numpy.typing as npt

from foa.core.vcv.relevance import idf, saturated, scale
from foa.core.vcv.vector import Floats

Rows = npt.NDArray[np.int32]
Coded = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.float64]

MOST_POSTED: Final = 4_096
"""Postings that one query reads in all to propose agents; its rarest words come first, one word is always read."""

MOST_TERMS: Final = 64
"""Different words of one query that count: the rarest."""

OVERTIE: Final = 4
"""Of keys that tie at the end, this many times as many as are asked for go on, whichever they are."""

_LEAST: Final = 64
_FIRST: Final = 4
_NOBODY: Final = 0
"""The row of keys that are not there."""

_BITS: Final = 8
_MOST: Final = 255
_SHIFT: Final = np.uint64(_BITS)
_TIMES: Final = np.uint64(_MOST)
_EMPTY: Final[Coded] = np.zeros(0, dtype=np.uint64)
"""Terms of a key are coded as term · 256 + times, rising."""


class Posting:
    """The rows that have one term, in no order."""

    __slots__ = ("count", "rows")

    def __init__(self) -> None:
        self.rows: Rows = np.zeros(_FIRST, dtype=np.int32)
        self.count = 0

    def add(self, row: int) -> None:
        """Note one row more."""
        if self.count == len(self.rows):
            self.rows = np.resize(self.rows, 2 * self.count)
        self.rows[self.count] = row
        self.count += 1

    def drop(self, row: int) -> None:
        """Take a row out that is there."""
        at = int(np.flatnonzero(self.rows[: self.count] == row)[0])
        self.count -= 1
        self.rows[at] = self.rows[self.count]


class LexicalIndex:
    """Terms of keys."""

    def __init__(self) -> None:
        self.row_of: dict[str, int] = {}
        self._keys: list[str] = [""]
        self._free: list[int] = []
        self._coded: list[Coded] = [_EMPTY]
        self._lengths: Floats = np.zeros(_LEAST, dtype=np.float32)
        self._scores: Floats = np.zeros(_LEAST, dtype=np.float32)
        self._postings: dict[int, Posting] = {}
        self._total = 0.0

    def __len__(self) -> int:
        return len(self.row_of)

    def frequency(self, term: int) -> int:
        """Return how many keys have `term`."""
        posting = self._postings.get(term)
        return posting.count if posting is not None else 0

    def upsert(self, key: str, counts: Mapping[int, int]) -> None:
        """Keep the terms of `key` and how often each is there, in place of earlier ones."""
        coded = np.array([term << _BITS | min(counts[term], _MOST) for term in sorted(counts)], dtype=np.uint64)
        row = self.row_of.get(key)
        if row is None:
            row = self._place(key)
        elif np.array_equal(self._coded[row], coded):
            return
        self._unpost(row)
        self._coded[row] = coded
        self._lengths[row] = float((coded & _TIMES).sum())
        self._total += float(self._lengths[row])
        for term in (coded >> _SHIFT).tolist():
            self._postings.setdefault(term, Posting()).add(row)

    def remove(self, key: str) -> None:
        """Forget `key`; an unknown one is no error."""
        row = self.row_of.pop(key, None)
        if row is None:
            return
        self._unpost(row)
        self._keys[row] = ""
        self._free.append(row)

    def asked(self, counts: Mapping[int, int]) -> tuple[int, ...]:
        """Return the terms of a query that any key has, the rarest first, ties by hash."""
        known = sorted((self.frequency(term), term) for term in counts if term in self._postings)
        return tuple(term for _, term in known[:MOST_TERMS])

    def propose(self, asked: Sequence[int], n: int) -> tuple[str, ...]:
        """Return up to `n` keys that share rare words with a query, those with the greatest idf in sum first."""
        read: list[Rows] = []
        left = MOST_POSTED
        for term in asked:
            posting = self._postings[term]
            if read and posting.count > left:
                break
            left -= posting.count
            rows = posting.rows[: posting.count]
            self._scores[rows] += log1p((len(self) - posting.count + 0.5) / (posting.count + 0.5))
            read.append(rows)
        if not read:
            return ()
        found = np.concatenate([self._taken(rows) for rows in read])
        touched = np.concatenate(read)
        if len(found) > n:
            kept = np.flatnonzero(found >= np.partition(found, len(found) - n)[len(found) - n])[: OVERTIE * n]
            found, touched = found[kept], touched[kept]
        ranked = zip((-found).tolist(), (self._keys[row] for row in touched.tolist()), strict=True)
        return tuple(key for score, key in sorted(ranked)[:n] if score)

    def scores(self, asked: Sequence[int], keys: Sequence[str]) -> Numbers:
        """Return BM25 of `keys` by the terms `asked`, in units of `relevance.scale`; (n,), 0 for unknown keys."""
        if not asked or not keys or not self._total:
            return np.zeros(len(keys))
        rows = [self.row_of.get(key, _NOBODY) for key in keys]
        theirs = [self._coded[row] for row in rows]
        coded = np.concatenate(theirs)
        terms = np.sort(np.array(asked, dtype=np.uint64))
        at = np.minimum(np.searchsorted(terms, coded >> _SHIFT), len(terms) - 1)
        same = np.flatnonzero(terms[at] == coded >> _SHIFT)
        owner = np.repeat(np.arange(len(keys)), [len(each) for each in theirs])[same]
        times = (coded[same] & _TIMES).astype(np.float64)
        rare = idf(np.array([self.frequency(term) for term in terms.tolist()], dtype=np.float64), len(self))
        lengths = self._lengths[rows][owner].astype(np.float64)
        gain = saturated(times, lengths, self._total / len(self)) * rare[at[same]]
        return np.bincount(owner, gain, minlength=len(keys)) / scale(len(self))

    def _taken(self, rows: Rows) -> Floats:
        """Return the scores of rows and clear them: a row that comes again has none."""
        scores = self._scores[rows]
        self._scores[rows] = 0.0
        return scores

    def _place(self, key: str) -> int:
        """Return a row for a new key."""
        if self._free:
            row = self._free.pop()
            self._keys[row] = key
        else:
            row = len(self._keys)
            self._keys.append(key)
            self._coded.append(_EMPTY)
            if row == len(self._lengths):
                self._lengths = np.concatenate((self._lengths, np.zeros(row, dtype=np.float32)))
                self._scores = np.zeros(2 * row, dtype=np.float32)
        self.row_of[key] = row
        return row

    def _unpost(self, row: int) -> None:
        """Take a row's terms out of the postings."""
        for term in (self._coded[row] >> _SHIFT).tolist():
            posting = self._postings[term]
            posting.drop(row)
            if not posting.count:
                del self._postings[term]
        self._total -= float(self._lengths[row])
        self._lengths[row] = 0.0
        self._coded[row] = _EMPTY
