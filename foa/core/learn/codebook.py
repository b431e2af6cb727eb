"""Kinds of task found in the tasks themselves: centroids of their vectors, and how near a task is to each.

Tasks come in kinds, and an agent is good at kinds, so few kinds that fit the work at hand teach a learner faster than
many that were thought up beforehand (`foa.core.learn.kinds`), and much faster than the hundreds of dimensions of a
text. Nothing but the vectors is looked at: no reward, no label.
"""

from typing import Final

import numpy as np

from foa.core.learn.moments import Floats

TEMPERATURE: Final = 0.1
"""How much nearer, in cosine, one kind must be to count e times as much as another."""

_ROUNDS: Final = 10


def shares(cosines: Floats, temperature: float = TEMPERATURE) -> Floats:
    """Return the softmax of `cosines` (..., k) over the temperature: how much of a task is of each kind; sums to 1."""
    near = np.exp((cosines - cosines.max(axis=-1, keepdims=True)) / temperature)
    return np.asarray(near / near.sum(axis=-1, keepdims=True))


def fit(vectors: Floats, k: int, start: Floats | None = None) -> Floats:
    """Return `k` centroids (k, dim) of norm 1 of `vectors` (n, dim), n >= k >= 1, by spherical k-means.

    Dhillon and Modha, Machine Learning 42, 2001. Without `start` (k, dim) it begins with vectors evenly spaced over
    their order: no chance is drawn. A centroid that nothing is nearest to stays where it is.
    """
    if not 1 <= k <= len(vectors):
        raise ValueError(f"{k} kinds cannot be told from {len(vectors)} tasks")
    centroids = vectors[np.linspace(0, len(vectors) - 1, k).astype(int)] if start is None else start
    for _ in range(_ROUNDS):
        nearest = (vectors @ centroids.T).argmax(axis=1)
        sums = np.zeros_like(centroids)
        np.add.at(sums, nearest, vectors)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centroids = np.where(norms > 0.0, sums / np.where(norms > 0.0, norms, 1.0), centroids)
    return centroids
