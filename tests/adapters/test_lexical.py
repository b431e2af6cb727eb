"""The lexical index against BM25 written out, under any order of changes."""

from collections import Counter
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.adapters.index.lexical import LexicalIndex

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


@given(CHANGES, COUNTS)
@settings(deadline=None)
def test_scores_are_bm25_after_any_changes(
    changes: list[tuple[str, dict[int, int] | None]], query: dict[int, int]
) -> None:
    index, agents = LexicalIndex(), dict[str, dict[int, int]]()
    for key, counts in changes:
        if counts is None:
            index.remove(key)
            agents.pop(key, None)
        else:
            index.upsert(key, counts)
            agents[key] = counts
    assert len(index) == len(agents)
    having = Counter(term for counts in agents.values() for term in counts)
    assert all(index.frequency(term) == having[term] for term in range(12))
    asked = index.asked(query)
    assert list(asked) == sorted((t for t in query if having[t]), key=lambda t: (having[t], t))
    keys = [*sorted(agents), "stranger"]
    wanted = [_bm25(agents, list(asked), key) if asked else 0.0 for key in keys[:-1]]
    assert np.allclose(index.scores(asked, keys), [*wanted, 0.0], atol=1e-5)
    assert set(index.propose(asked, 8)) == {key for key, counts in agents.items() if counts.keys() & query.keys()}


def test_rare_words_propose_and_common_ones_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foa.adapters.index.lexical.MOST_POSTED", 50)
    index = LexicalIndex()
    for at in range(200):
        index.upsert(f"k{at:03}", {1: 1, 100 + at // 10: 1})
    assert set(index.propose(index.asked({1: 1, 105: 1}), 30)) == {f"k{at:03}" for at in range(50, 60)}
    assert len(index.propose(index.asked({1: 1}), 30)) == 30
    assert index.propose(index.asked({7: 1}), 30) == ()


def test_the_best_come_first_and_ties_go_by_key() -> None:
    index = LexicalIndex()
    for key, counts in (("b", {1: 1}), ("a", {1: 1}), ("c", {1: 1, 2: 1}), ("d", {3: 1})):
        index.upsert(key, counts)
    assert index.propose(index.asked({1: 1, 2: 1}), 2) == ("c", "a")
    index.remove("c")
    index.remove("c")
    assert index.propose(index.asked({1: 1, 2: 1}), 2) == ("a", "b")
