"""Outliers by local outlier factor: a row stands out if its neighbourhood is sparser than its neighbours' own."""

from typing import Any

from agents.outliers import agree, draft
from agents.records import Outliers

NEIGHBOURS = 20
MAX_REFERENCE = 5_000
MAX_EXACT = 10_000


def run(table: bytes) -> Outliers:
    """Flag the rows that stand out."""
    return draft(table, "local outlier factor", _score)


def revise(own: Outliers, peers: list[Outliers]) -> Outliers:
    """Keep what a majority of the members flagged."""
    return agree(own, peers)


def _score(scaled: Any) -> Any:
    """Return the factor of each row; large tables are held against an evenly spaced sample of themselves."""
    from sklearn.neighbors import LocalOutlierFactor  # noqa: PLC0415 - at the first task

    rows = len(scaled)
    if rows <= MAX_EXACT:
        factor = LocalOutlierFactor(n_neighbors=min(NEIGHBOURS, rows - 1), n_jobs=1)
        factor.fit(scaled)
        return -factor.negative_outlier_factor_
    reference = scaled[:: -(-rows // MAX_REFERENCE)]
    return -LocalOutlierFactor(n_neighbors=NEIGHBOURS, novelty=True, n_jobs=1).fit(reference).score_samples(scaled)
