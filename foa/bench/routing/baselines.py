"""What ours is measured beside: plain cosines of whole texts, and plain BM25 over whole words."""

import re
from collections import Counter
from collections.abc import Sequence
from math import log
from typing import Final

import numpy as np

from foa.adapters.embed import Embedder
from foa.bench.routing.figures import DEPTH, Numbers
from foa.bench.routing.town import Asked, Say, Town, embedded

K1: Final = 1.2
B: Final = 0.75
_WORD: Final = re.compile(r"[^\W_]+")

Ranked = list[tuple[str, ...]]


def minilm(town: Town, queries: Asked, embedder: Embedder, say: Say) -> Ranked:
    """Return the agents by the cosine of the query to ``name. description``, whatever model the embedder has."""
    texts = [f"{row.name}. {row.description}" for row in town.agents]
    vectors = embedded(embedder, texts, "texts of the baseline", say)
    return [_first((vectors @ probe.vector).astype(np.float64), town.keys) for probe in queries.probes]


def bm25(town: Town, queries: Asked) -> Ranked:
    """Return the agents by BM25 (Lucene's idf) over the lower-case words of name and description, not stemmed."""
    documents = [Counter(_words(f"{row.name} {row.description}")) for row in town.agents]
    lengths = [sum(words.values()) for words in documents]
    average = sum(lengths) / len(lengths)
    postings: dict[str, list[tuple[int, float]]] = {}
    for at, words in enumerate(documents):
        for word, times in words.items():
            weight = times * (K1 + 1) / (times + K1 * (1 - B + B * lengths[at] / average))
            postings.setdefault(word, []).append((at, weight))
    ranked: Ranked = []
    for probe in queries.probes:
        scores = np.zeros(len(documents))
        for word in sorted(set(_words(probe.text))):
            found = postings.get(word, [])
            idf = log(1 + (len(documents) - len(found) + 0.5) / (len(found) + 0.5))
            for at, weight in found:
                scores[at] += idf * weight
        ranked.append(_first(scores, town.keys))
    return ranked


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _first(scores: Numbers, keys: Sequence[str]) -> tuple[str, ...]:
    """Return the keys of the `DEPTH` highest scores, ties by key."""
    k = min(DEPTH, len(keys))
    least = np.partition(scores, len(scores) - k)[len(scores) - k]
    chosen = np.flatnonzero(scores >= least).tolist()
    return tuple(keys[at] for at in sorted(chosen, key=lambda at: (-scores[at], keys[at]))[:k])
