"""Which subtasks of different proposals mean the same. The first step of `foa.core.dag.merge`.

Everything is decided in the items' own order (planner, then id) and on rounded similarities, so neither the
order in which proposals came nor the last bits of a sum matter.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foa.wire.records import Subtask

Vectors = Mapping[str, NDArray[np.floating]]
"""The unit vector of a subtask's text; all of one model."""

Matrix = NDArray[np.float64]
Group = tuple[int, ...]
"""The places of items that mean the same, no two of one voice, ascending."""

_WORD: Final = re.compile(r"\w+")
_MAX_WORDS: Final = 64
_DIGITS: Final = 4


class Item(NamedTuple):
    """A subtask and which voice (the place of its planner) it is of."""

    voice: int
    subtask: Subtask


def similarities(texts: Sequence[str], vectors: Vectors) -> tuple[Matrix, NDArray[np.bool_]]:
    """Return how near every two texts are, in [-1, 1], and which pairs were compared by vectors.

    A pair of which one has no vector is compared by its words (Jaccard); equal texts are at 1.
    """
    places: dict[str, int] = {}
    at = np.array([places.setdefault(text, len(places)) for text in texts], dtype=np.intp)
    held = [vectors.get(text) for text in places]
    known = np.array([vector is not None for vector in held], dtype=bool)
    near = np.zeros((len(places), len(places))) if bool(known.all()) else _shared_words(tuple(places))
    if bool(known.any()):
        stacked = np.stack([np.asarray(vector, dtype=np.float32) for vector in held if vector is not None])
        near[np.ix_(known, known)] = stacked @ stacked.T
    np.fill_diagonal(near, 1.0)
    return np.round(near, _DIGITS)[np.ix_(at, at)], np.logical_and.outer(known[at], known[at])


def _shared_words(texts: Sequence[str]) -> Matrix:
    """Return the Jaccard similarity of the texts' first `_MAX_WORDS` words."""
    bags = [frozenset(_WORD.findall(text.casefold())[:_MAX_WORDS]) for text in texts]
    places: dict[str, list[int]] = {}
    for at, bag in enumerate(bags):
        for word in bag:
            places.setdefault(word, []).append(at)
    shared = np.zeros((len(texts), len(texts)))
    for found in places.values():
        shared[np.ix_(found, found)] += 1.0
    sizes = np.array([len(bag) for bag in bags], dtype=np.float64)
    together = np.add.outer(sizes, sizes) - shared
    return np.divide(shared, together, out=np.zeros_like(shared), where=together > 0)


def aligned(items: Sequence[Item], near: Matrix, close: NDArray[np.bool_]) -> list[Group]:
    """Return the items in groups: nearest pairs first, a pair joins two groups of different voices.

    Two groups are joined only if most of their pairs are `close`; ties go to equal ids, then to the items'
    order.
    """
    voices = np.array([item.voice for item in items])
    names = {name: at for at, name in enumerate(sorted({item.subtask.id for item in items}))}
    ids = np.array([names[item.subtask.id] for item in items])
    ones, others = np.nonzero(np.triu(close & (voices[:, None] != voices[None, :]), 1))
    first = np.lexsort((others, ones, ids[ones] != ids[others], -near[ones, others]))
    group: dict[int, Group] = {at: (at,) for at in range(len(items))}
    heard = [1 << item.voice for item in items]
    for one, other in zip(ones[first].tolist(), others[first].tolist(), strict=True):
        if heard[one] & heard[other]:
            continue
        left, right = group[one], group[other]
        if 2 * sum(bool(close[pair]) for pair in product(left, right)) <= len(left) * len(right):
            continue
        joined = tuple(sorted(left + right))
        both = heard[one] | heard[other]
        for at in joined:
            group[at], heard[at] = joined, both
    return sorted(set(group.values()))


def central(group: Group, near: Matrix) -> int:
    """Return the item of a group that is nearest to all of it, the first among equals."""
    return min(group, key=lambda at: (-round(float(near[at, list(group)].sum()), _DIGITS), at))
