"""Which agents have which words: postings by term, and BM25 from them. One owner, one thread.

Rows are those of the vectors (`foa.adapters.index.rows`). Rare words propose agents, through their postings; a word
that many have is looked up for those who are scored, in the sorted posting, so that it costs their number and not its
own. Everything may change at any time, and document frequencies are exact.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import log1p
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from foa.adapters.index.rows import Numbers as Rows
from foa.adapters.index.rows import most
from foa.core.vcv.relevance import RARE, saturated
from foa.core.vcv.terms import unpacked

Numbers = npt.NDArray[np.float64]

MOST_POSTED: Final = 16_384
"""Postings that one query reads in all to propose agents; its rarest words come first."""

MOST_TERMS: Final = 64
"""Different words of one query that count: the rarest."""

SPREAD: Final = 16
"""A posting longer than so many times those who are scored is searched for them, instead of read."""

_LEAST: Final = 8_192
_FIRST: Final = 4
_ENTRY: Final = np.dtype([("term", "<u4"), ("times", "u1")])
_NOBODY: Final[Rows] = np.zeros(0, dtype=np.intp)
_NOTHING: Final[Numbers] = np.zeros(0)


DENSE: Final = 16
"""A term that more than one in so many rows have is kept as how often each row has it: no larger than a list."""


class Posting:
    """The rows that have one term, rising, and how often each; ``weights`` are what it adds to each, as of a change.

    A frequent one has instead ``table``: how often by row.
    """

    __slots__ = ("as_of", "count", "rows", "table", "times", "weights")

    def __init__(self, rows: Rows, times: npt.NDArray[np.uint8], count: int) -> None:
        self.rows = rows
        self.times = times
        self.count = count
        self.table: npt.NDArray[np.uint8] | None = None
        self.weights = _NOTHING
        self.as_of = -1

    def fit(self, capacity: int) -> None:
        """Be a table from now on where that is time, with room for `capacity` rows."""
        if self.table is None and self.count * DENSE > capacity:
            self.table = np.zeros(capacity, dtype=np.uint8)
            self.table[self.rows[: self.count]] = self.times[: self.count]
            self.rows, self.times, self.weights = _NOBODY, self.times[:0], _NOTHING
        elif self.table is not None and len(self.table) < capacity:
            self.table = np.concatenate((self.table, np.zeros(capacity - len(self.table), dtype=np.uint8)))

    def add(self, row: int, times: int) -> None:
        """Note one row more."""
        count = self.count
        if self.table is not None:
            self.table[row] = times
            self.count += 1
            return
        if count == len(self.rows):
            self.rows, self.times = np.resize(self.rows, 2 * count), np.resize(self.times, 2 * count)
        at = self._place(row) if count and self.rows[count - 1] > row else count
        self.rows[at + 1 : count + 1] = self.rows[at:count]
        self.times[at + 1 : count + 1] = self.times[at:count]
        self.rows[at], self.times[at] = row, times
        self.count += 1

    def drop(self, row: int) -> None:
        """Take a row out that is there."""
        if self.table is not None:
            self.table[row] = 0
            self.count -= 1
            return
        at = self._place(row)
        self.rows[at : self.count - 1] = self.rows[at + 1 : self.count]
        self.times[at : self.count - 1] = self.times[at + 1 : self.count]
        self.count -= 1

    def among(self, rows: Rows) -> npt.NDArray[np.float64]:
        """Return how often each of `rows` has the term; (n,)."""
        if self.table is not None:
            return self.table[rows].astype(np.float64)
        mine = self.rows[: self.count]
        at = mine.searchsorted(rows)
        at[at == self.count] = 0
        return np.where(mine[at] == rows, self.times[at], 0.0)

    def _place(self, row: int) -> int:
        return int(self.rows[: self.count].searchsorted(row))


class Reached(NamedTuple):
    """Rows, rising, BM25 of each, and where each was in ``near`` (beyond its end: words alone led there); (n,) each."""

    rows: Rows
    scores: Numbers
    origin: Rows


class LexicalIndex:
    """Terms by row. Rows are dense: whoever owns them moves the last into a gap."""

    def __init__(self) -> None:
        self._terms: list[bytes] = []
        self._lengths: Numbers = np.zeros(_LEAST)
        self._scores: Numbers = np.zeros(_LEAST)
        self._postings: dict[int, Posting] = {}
        self._total = 0.0
        self._changes = 0

    def __len__(self) -> int:
        return len(self._terms)

    def frequency(self, term: int) -> int:
        """Return how many rows have `term`."""
        posting = self._postings.get(term)
        return posting.count if posting is not None else 0

    def restore(self, bodies: Sequence[bytes]) -> None:
        """Take in packed terms of the rows 0, 1, … into an empty index: all at once, in a hundredth of the time."""
        table = np.frombuffer(b"".join(bodies), dtype=_ENTRY)
        rows = np.repeat(np.arange(len(bodies)), [len(body) // _ENTRY.itemsize for body in bodies])
        order = np.argsort(table["term"], kind="stable")
        terms, rows, times = table["term"][order], rows[order], table["times"][order]
        starts = np.flatnonzero(np.append(True, terms[1:] != terms[:-1])) if len(terms) else _NOBODY
        ends = np.append(starts[1:], len(terms)).tolist()
        for term, start, end in zip(terms[starts].tolist(), starts.tolist(), ends, strict=bool(len(starts))):
            self._postings[term] = Posting(rows[start:end], times[start:end], end - start)
        self._terms = list(bodies)
        self._fit(len(bodies))
        for posting in self._postings.values():
            posting.fit(len(self._lengths))
        self._lengths[: len(bodies)] = np.bincount(rows, times, minlength=len(bodies))
        self._total = float(times.sum())
        self._changes += 1

    def put(self, row: int, counts: Mapping[int, int], body: bytes) -> None:
        """Keep the terms of a row, of the next one if it is new: how often each is there, and the same packed."""
        if row == len(self._terms):
            self._terms.append(b"")
            self._fit(row + 1)
        elif self._terms[row] == body:
            return
        self._unpost(row)
        self._post(row, counts, body)

    def remove(self, row: int) -> None:
        """Forget a row; the last one takes its place."""
        self._unpost(row)
        last = len(self._terms) - 1
        if row != last:
            body = self._terms[last]
            self._unpost(last)
            self._post(row, unpacked(body), body)
        self._terms.pop()

    def asked(self, terms: Iterable[int]) -> list[Posting]:
        """Return the postings of a query's terms, the rarest first, ties by hash."""
        known = [(self._postings[term].count, term) for term in terms if term in self._postings]
        return [self._postings[term] for _, term in sorted(known)[:MOST_TERMS]]

    def reach(self, asked: Sequence[Posting], near: Rows, n: int) -> Reached:
        """Return `near` and up to `n` rows that share rare words, each once, and BM25 of each as of `scores`."""
        if not asked:
            rows, first = np.unique(near, return_index=True)
            return Reached(rows, np.zeros(len(rows)), first)
        read = 0
        left = MOST_POSTED
        while read < len(asked) and asked[read].count <= left and asked[read].table is None:
            left -= asked[read].count
            read += 1
        rare = asked[:read]
        self._spread(rare)
        scores = self._scores[near]
        rows = near
        if rare:
            parts = [posting.rows[: posting.count] for posting in rare]
            found = np.concatenate([self._taken(part) for part in parts])
            touched = np.concatenate(parts)
            best = most(found, n)
            best = best[found[best] > 0.0]
            found, touched = found[best], touched[best]
            rows, scores = np.concatenate((near, touched)), np.concatenate((scores, found))
        rows, first = np.unique(rows, return_index=True)
        return Reached(rows, scores[first] + self._looked_up(asked[read:], rows), first)

    def scores(self, asked: Sequence[Posting], rows: Rows) -> Numbers:
        """Return BM25 of `rows` by the terms `asked`, in units of `relevance.scale`; (n,)."""
        short = [posting for posting in asked if posting.table is None and posting.count <= SPREAD * len(rows)]
        self._spread(short)
        scores = self._scores[rows]
        for posting in short:
            self._scores[posting.rows[: posting.count]] = 0.0
        rest = [posting for posting in asked if posting.table is not None or posting.count > SPREAD * len(rows)]
        return scores + self._looked_up(rest, rows)

    def _spread(self, postings: Sequence[Posting]) -> None:
        """Add the weights of postings to the scores of their rows; whoever calls clears them."""
        for posting in postings:
            rows = posting.rows[: posting.count]
            if posting.as_of != self._changes:
                gain = saturated(posting.times[: posting.count].astype(np.float64), self._lengths[rows], self._mean)
                posting.weights = gain * self._rarity(posting)
                posting.as_of = self._changes
            self._scores[rows] += posting.weights

    def _taken(self, rows: Rows) -> Numbers:
        """Return the scores of rows and clear them: a row that comes again has none."""
        scores = self._scores[rows]
        self._scores[rows] = 0.0
        return scores

    def _looked_up(self, postings: Sequence[Posting], rows: Rows) -> Numbers | float:
        """Return what long postings add to `rows`."""
        if not postings:
            return 0.0
        times = np.stack([posting.among(rows) for posting in postings])
        weights = np.array([self._rarity(posting) for posting in postings])
        return np.asarray(weights @ saturated(times, self._lengths[rows], self._mean), dtype=np.float64)

    @property
    def _mean(self) -> float:
        return self._total / len(self._terms)

    def _rarity(self, posting: Posting) -> float:
        """Return `relevance.idf` of a term in units of `relevance.scale`."""
        count, total = posting.count, len(self._terms)
        return log1p((total - count + 0.5) / (count + 0.5)) / (RARE * log1p((total + 0.5) / 0.5))

    def _post(self, row: int, counts: Mapping[int, int], body: bytes) -> None:
        self._terms[row] = body
        self._lengths[row] = sum(counts.values())
        self._total += self._lengths[row]
        self._changes += 1
        for term, times in counts.items():
            posting = self._postings.get(term)
            if posting is None:
                posting = Posting(np.zeros(_FIRST, dtype=np.intp), np.zeros(_FIRST, dtype=np.uint8), 0)
                self._postings[term] = posting
            posting.add(row, times)
            if posting.count * DENSE > len(self._lengths):
                posting.fit(len(self._lengths))

    def _unpost(self, row: int) -> None:
        """Take a row's terms out of the postings."""
        body = self._terms[row]
        for term in unpacked(body):
            posting = self._postings[term]
            posting.drop(row)
            if not posting.count:
                del self._postings[term]
        self._total -= self._lengths[row]
        self._lengths[row] = 0.0
        self._changes += 1
        self._terms[row] = b""

    def _fit(self, count: int) -> None:
        if count > len(self._lengths):
            room = max(2 * len(self._lengths), count)
            self._lengths = np.concatenate((self._lengths, np.zeros(room - len(self._lengths))))
            self._scores = np.zeros(room)
            for posting in self._postings.values():
                posting.fit(room)
