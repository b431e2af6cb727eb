"""Pareto dominance: which of several offers no other one beats, and which offers beat the rest.

An offer is a row of losses (price, latency, lack of fit), each the less the better. ``a`` dominates ``b`` iff
``a_i <= b_i`` for every i and ``a_i < b_i`` for one. The front is all that nobody dominates. Equal offers do not
dominate each other, so duplicates are on the front together or not at all.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def dominators(losses: Sequence[Sequence[float]]) -> tuple[tuple[int, ...], ...]:
    """Return, per row, the rows of the front that dominate it, rising; those of the front have none.

    Dominance is transitive, so whoever is dominated at all is dominated by somebody on the front. `losses` is (n, k);
    infinities are allowed, NaN raises ValueError. Takes n² comparisons of k numbers at once: meant for n <= 1000.
    """
    if not losses:
        return ()
    rows = np.array(losses, np.float64)
    if np.isnan(rows).any():
        raise ValueError("a loss that is not a number cannot be compared")
    no_worse: NDArray[np.bool_] = np.all(rows[:, None, :] <= rows[None, :, :], axis=-1)
    beats = np.logical_and(no_worse, ~no_worse.T)
    beaten = np.any(beats, axis=0)
    by_front = np.logical_and(beats, ~beaten[:, None])
    return tuple(tuple(np.flatnonzero(column).tolist()) for column in by_front.T)


def front(losses: Sequence[Sequence[float]]) -> tuple[int, ...]:
    """Return the rows that no other row dominates, rising; see `dominators`."""
    return tuple(at for at, beaten_by in enumerate(dominators(losses)) if not beaten_by)
