"""The lexical index against BM25 written out, under any order of changes."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.adapters.index import lexical as module
from foa.adapters.index.lexical import LexicalIndex
from foa.core.vcv.terms import packed, unpacked

KEYS = [f"k{n}" for n in range(8)]
COUNTS = st.dictionaries(st.integers(0, 11), st.integers(1, 4), max_size=6)
CHANGES = st.lists(st.tuples(st.sampled_from(KEYS), COUNTS | st.none()), max_size=40)


def _bm25(agents: dict[str, dict[int, int]], asked: list[int], key: str) -> float:
    """Return the score as the books have it, one number at a time."""
    total, mean = len(agents), sum(sum(counts.values()) for counts in agents.values()) / len(agents)
    score = 0.0
    for term in asked:
        times = agents[key].get(term, 0)
        having = sum(term in counts for counts in agents.values())
        length = sum(agents[key].values())
        weight = times * 2.2 / (times + 1.2 * (0.25 + 0.75 * length / mean))
        score += log(1 + (total - having + 0.5) / (having + 0.5)) * weight
    return score / (3 * log(1 + (total + 0.5) / 0.5))


@dataclass
class Words:
    """A lexical index with keys, whose rows are dense as those of vectors are."""

    index: LexicalIndex = field(default_factory=LexicalIndex)
    keys: list[str] = field(default_factory=list)

    def upsert(self, key: str, counts: dict[int, int]) -> None:
        if key not in self.keys:
            self.keys.append(key)
        body = packed(counts)
        self.index.put(self.keys.index(key), unpacked(body), body)

    def remove(self, key: str) -> None:
        if key in self.keys:
            row = self.keys.index(key)
            self.index.remove(row)
            last = self.keys.pop()
            if last != key:
                self.keys[row] = last

    def reached(self, terms: Iterable[int], n: int, near: Sequence[int] = ()) -> dict[str, float]:
        rows, scores, _ = self.index.reach(self.index.asked(terms), np.array(near, dtype=np.intp), n)
        assert rows.tolist() == sorted(set(rows.tolist()))
        return dict(zip((self.keys[row] for row in rows.tolist()), scores.tolist(), strict=True))

    def scores(self, terms: Iterable[int], rows: Sequence[int]) -> list[float]:
        found: list[float] = self.index.scores(self.index.asked(terms), np.array(rows, dtype=np.intp)).tolist()
        return found


@given(CHANGES, COUNTS, st.sampled_from([0, 1, 4_096]))
@settings(deadline=None)
def test_scores_are_bm25_after_any_changes(
    changes: list[tuple[str, dict[int, int] | None]], query: dict[int, int], read: int
) -> None:
    words, agents = Words(), dict[str, dict[int, int]]()
    for key, counts in changes:
        if counts is None:
            words.remove(key)
            agents.pop(key, None)
        else:
            words.upsert(key, counts)
            agents[key] = counts
            if len(agents) % 2:
                words.scores(query, range(len(agents)))  # as a query between two changes
    assert len(words.index) == len(agents)
    having = Counter(term for counts in agents.values() for term in counts)
    assert all(words.index.frequency(term) == having[term] for term in range(12))
    asked = sorted((t for t in query if having[t]), key=lambda t: (having[t], t))
    assert [posting.count for posting in words.index.asked(query)] == [having[term] for term in asked]
    wanted = [_bm25(agents, asked, key) if asked else 0.0 for key in words.keys]
    everybody = range(len(agents))
    again = Words(LexicalIndex(), words.keys)
    again.index.restore([packed(agents[key]) for key in words.keys])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SPREAD", read)
        patch.setattr(module, "MOST_POSTED", read)
        for each in (words, again, words):
            assert np.allclose(each.scores(query, everybody), wanted, atol=1e-5)
            reached = each.reached(query, 8, everybody)
            assert np.allclose([reached[key] for key in words.keys], wanted, atol=1e-5)
    assert set(words.reached(query, 8)) == {key for key, counts in agents.items() if counts.keys() & query.keys()}


def test_rare_words_propose_and_common_ones_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_POSTED", 50)
    words = Words()
    for at in range(200):
        words.upsert(f"k{at:03}", {1: 1, 100 + at // 10: 1})
    assert set(words.reached((1, 105), 30)) == {f"k{at:03}" for at in range(50, 60)}
    assert words.reached((1,), 30) == {}
    assert words.reached((7,), 30) == {}


def test_the_best_are_proposed_beside_those_that_are_near() -> None:
    words = Words()
    for key, counts in (("b", {1: 1}), ("a", {1: 1}), ("c", {1: 1, 2: 1}), ("d", {3: 1})):
        words.upsert(key, counts)
    assert set(words.reached((1, 2), 1)) == {"c"}
    assert set(words.reached((1, 2), 1, (3, 3))) == {"c", "d"}
    words.remove("c")
    words.remove("c")
    assert set(words.reached((1, 2), 2)) == {"a", "b"}
