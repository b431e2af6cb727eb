"""Outliers by robust z-scores: a row stands out by the cells that lie far from their column's median."""

from typing import Any

from agents.outliers import agree, draft
from agents.records import Outliers


def run(table: bytes) -> Outliers:
    """Flag the rows that stand out."""
    return draft(table, "robust z-score", _score)


def revise(own: Outliers, peers: list[Outliers]) -> Outliers:
    """Keep what a majority of the members flagged."""
    return agree(own, peers)


def _score(scaled: Any) -> Any:
    """Return the root mean square of each row's three farthest cells: one wild cell counts, several count more."""
    import numpy as np  # noqa: PLC0415 - at the first task

    farthest = np.sort(np.abs(scaled), axis=1)[:, -3:]
    return np.sqrt((farthest**2).mean(axis=1))
