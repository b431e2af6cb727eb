"""Which running subtasks work together: clusters by the four-term similarity of the paper (arXiv 2509.20175, 3.4).

    S = w . [cos(c), cos(r), cos(drafts), cos(e)]

over capability, resources, drafts and Spec; where one of two items lacks a term, the others' weights are renormalised.
Agglomerative, average linkage on the distance 1 - S, cut at 0.2: two groups join while the mean similarity across them
is at least 0.8. A group that would grow beyond the largest size is not joined; one too small dissolves.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from foa.core.vcv.vector import normalised, unpack

Vector = npt.NDArray[np.float32] | bytes | None

MOST_ITEMS: Final = 256
"""Items that are looked at, by key: the coordinator's running subtasks of one task."""


class Item(NamedTuple):
    """One subtask and who works on it: vectors ``c``, ``r``, ``drafts`` and ``e`` as arrays, or as float16 bytes.

    None, an empty or a zero vector, or one with a number that is not finite: the term is missing.
    """

    key: str
    c: Vector
    r: Vector = None
    drafts: Vector = None
    e: Vector = None


class Rules(msgspec.Struct, frozen=True):
    """Weights of the four terms, the ``cut`` as a distance (1 - S), and the sizes a cluster may have."""

    weights: tuple[float, float, float, float] = (0.4, 0.1, 0.3, 0.2)
    cut: float = 0.2
    smallest: int = 3
    largest: int = 5


DEFAULT: Final = Rules()


def clusters(items: Sequence[Item], rules: Rules = DEFAULT) -> tuple[tuple[str, ...], ...]:
    """Return the clusters of `items` as sorted tuples of keys, sorted; who is in none is left out.

    The order of items does not matter; a key that is there twice counts once. At most `MOST_ITEMS` are looked at.
    """
    known = {item.key: item for item in sorted(items, key=lambda item: item.key, reverse=True)}
    keys = sorted(known)[:MOST_ITEMS]
    near = similarities([known[key] for key in keys], rules)
    groups = _joined(1.0 - near, rules)
    return tuple(tuple(keys[at] for at in group) for group in groups if len(group) >= rules.smallest)


def similarities(items: Sequence[Item], rules: Rules = DEFAULT) -> npt.NDArray[np.float64]:
    """Return S for each pair, (n, n) in [-1, 1]; -1 where no term is there in both."""
    total = np.zeros((len(items), len(items)))
    mass = np.zeros_like(total)
    for weight, term in zip(rules.weights, ("c", "r", "drafts", "e"), strict=True):
        cosines, known = _cosines([_read(getattr(item, term)) for item in items])
        total += weight * np.where(known, cosines, 0.0)
        mass += weight * known
    return np.where(mass > 0.0, total / np.where(mass > 0.0, mass, 1.0), -1.0)


def _cosines(
    vectors: Sequence[npt.NDArray[np.float32] | None],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return the cosine of each pair and where there is one: both known, and of one length."""
    sizes = np.array([0 if one is None else len(one) for one in vectors], dtype=np.int64)
    known = (sizes[:, None] == sizes[None, :]) & (sizes[:, None] > 0)
    cosines = np.zeros((len(vectors), len(vectors)))
    for size in sorted(set(sizes.tolist()) - {0}):
        places = np.flatnonzero(sizes == size)
        block = np.stack([one for one in vectors if one is not None and len(one) == size]).astype(np.float64)
        cosines[np.ix_(places, places)] = np.clip(block @ block.T, -1.0, 1.0)
    return cosines, known


def _read(vector: Vector) -> npt.NDArray[np.float32] | None:
    if vector is None or len(vector) == 0 or (isinstance(vector, bytes) and len(vector) % 2):
        return None
    with np.errstate(all="ignore"):
        array = unpack(vector) if isinstance(vector, bytes) else normalised(vector)
    return array if array.ndim == 1 and np.isfinite(array).all() and array.any() else None


def _joined(distance: npt.NDArray[np.float64], rules: Rules) -> list[list[int]]:
    """Join groups, nearest first by mean distance, while it is at most the cut and the size allows.

    Mean distances are kept up by Lance and Williams' formula for average linkage; equals go by the lower keys.
    """
    groups = {at: [at] for at in range(len(distance))}
    sizes = np.ones(len(distance))
    mean = distance.copy()
    mean[np.tril_indices(len(distance))] = np.inf
    while groups:
        fits = sizes[:, None] + sizes[None, :] <= rules.largest
        near = np.where(fits, np.round(mean, 9), np.inf)
        one, other = np.unravel_index(int(np.argmin(near)), near.shape)
        if not near[one, other] <= rules.cut:
            break
        _merge(mean, sizes, int(one), int(other))
        groups[int(one)] += groups.pop(int(other))
    return sorted(sorted(group) for group in groups.values())


def _merge(mean: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64], one: int, other: int) -> None:
    """Put group `other` into `one` < `other`, in place; the upper triangle holds the means, inf for who is gone."""
    whole = np.minimum(mean, mean.T)
    joint = (sizes[one] * whole[one] + sizes[other] * whole[other]) / (sizes[one] + sizes[other])
    joint[[one, other]] = np.inf
    mean[one, one:] = joint[one:]
    mean[:one, one] = joint[:one]
    mean[other, :] = mean[:, other] = np.inf
    sizes[one] += sizes[other]
