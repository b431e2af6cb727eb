"""Outliers by isolation forest: a row stands out if few random cuts suffice to set it apart."""

from typing import Any

from agents.outliers import agree, draft
from agents.records import Outliers

TREES = 200
SEED = 20_175


def run(table: bytes) -> Outliers:
    """Flag the rows that stand out."""
    return draft(table, "isolation forest", _score)


def revise(own: Outliers, peers: list[Outliers]) -> Outliers:
    """Keep what a majority of the members flagged."""
    return agree(own, peers)


def _score(scaled: Any) -> Any:
    """Return minus the forest's score, so that high is unusual; the seed is fixed: the same table, the same answer."""
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415 - at the first task

    forest = IsolationForest(n_estimators=TREES, random_state=SEED, n_jobs=1)
    return -forest.fit(scaled).score_samples(scaled)
