"""Ranks to figures: recall, hits and reciprocal ranks, each with its 95 % confidence interval."""

from collections.abc import Sequence
from math import sqrt
from typing import Any, Final

import numpy as np
import numpy.typing as npt

CUTS: Final = (1, 5, 10)
DEPTH: Final = 10
"""Ranks that count; a first right agent below them has the reciprocal rank 0."""

Z95: Final = 1.959964

Numbers = npt.NDArray[np.float64]


def figures(ranked: Sequence[Sequence[str]], gold: Sequence[frozenset[str]]) -> dict[str, Any]:
    """Return ``recall@k`` (share of a query's gold among its first k), ``hit@1`` and ``mrr``, averaged over queries.

    ``ci95`` has the interval of each: the mean and 1.96 standard errors over queries.
    """
    columns: dict[str, list[float]] = {f"recall@{k}": [] for k in CUTS}
    columns |= {"hit@1": [], "mrr": []}
    for found, right in zip(ranked, gold, strict=True):
        hits = [key in right for key in found[:DEPTH]]
        for k in CUTS:
            columns[f"recall@{k}"].append(sum(hits[:k]) / len(right))
        columns["hit@1"].append(float(bool(hits) and hits[0]))
        columns["mrr"].append(1.0 / (1 + hits.index(True)) if True in hits else 0.0)
    means = {name: mean(np.array(values)) for name, values in columns.items()}
    return {**means, "ci95": {name: interval(np.array(values)) for name, values in columns.items()}}


def mean(values: Numbers) -> float:
    """Return the mean, rounded for reading."""
    return round(float(values.mean()), 4)


def interval(values: Numbers) -> list[float]:
    """Return the 95 % interval of the mean of independent `values`; of one value that value."""
    middle = float(values.mean())
    error = Z95 * float(values.std(ddof=1)) / sqrt(len(values)) if len(values) > 1 else 0.0
    return [round(middle - error, 4), round(middle + error, 4)]
