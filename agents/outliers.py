"""Ballots on unusual rows: what the three outlier agents have in common, and how they come to agree.

Each member scores rows in its own way and flags few of them: that is its ballot, kept by method. A revised
draft is the union of all ballots seen and the rows that more than half of them flag. Union makes it
commutative, associative and idempotent: members that saw the same drafts hold the same answer after one
round, later rounds change nothing, and whoever is missing is simply not counted.
"""

from collections.abc import Callable
from statistics import fmean
from typing import Any, Final

import foa
from agents.records import Ballot, Odd, Outliers

MAX_ROWS: Final = 100_000
MAX_FLAGS: Final = 500
MAX_BALLOTS: Final = 32
MAX_SHARE: Final = 0.05
MIN_ROWS: Final = 5
FAR: Final = 2.75
SHOWN_COLUMNS: Final = 3


def draft(table: bytes, method: str, score: Callable[[Any], Any]) -> Outliers:
    """Return one member's own view; `score` takes robustly scaled columns and gives a number per row, high is odd."""
    import numpy as np  # noqa: PLC0415 - with pandas, at the first task

    from agents import tables  # noqa: PLC0415

    frame = tables.numbers(tables.read(table).frame.head(MAX_ROWS))
    frame = frame[[name for name in frame.columns if frame[name].nunique() > 1 and not tables.is_counter(frame[name])]]
    if frame.empty or not len(frame.columns):
        raise foa.Decline("inputs", "the table has no numeric column that varies, so no row can stand out")
    considered = len(frame)
    if considered < MIN_ROWS:
        return Outliers([], [], method, considered, 1, {method: {}}, f"{considered} rows are too few to say")
    scaled = _scaled(frame)
    deviations = _deviations(np.asarray(score(scaled), dtype=float))
    ballot = _flags(deviations)
    unusual = {row: _values(frame, scaled, row) for row in ballot}
    return _counted({method: ballot}, unusual, considered)


def agree(own: Outliers, peers: list[Outliers]) -> Outliers:
    """Return what all ballots together say: the rows that more than half of the methods flag."""
    ballots: dict[str, Ballot] = {}
    unusual: dict[int, dict[str, float]] = {}
    for each in (own, *peers):
        cast = each.ballots or {each.method: dict.fromkeys(each.answer, 0.0)}
        for method, ballot in sorted(cast.items())[: MAX_BALLOTS - len(ballots)]:
            merged = ballots.get(method, {}) | {r: s for r, s in ballot.items() if 0 <= r < own.considered}
            ballots[method] = dict(sorted(merged.items())[:MAX_FLAGS])
        unusual |= {odd.row: odd.values for odd in each.rows}
    return _counted(ballots, unusual, own.considered)


def _counted(ballots: dict[str, Ballot], unusual: dict[int, dict[str, float]], considered: int) -> Outliers:
    """Count ballots; everything comes out sorted, so that who counts the same ballots writes the same bytes."""
    ballots = dict(sorted(ballots.items()))
    votes: dict[int, list[float]] = {}
    for ballot in ballots.values():
        for row, score in ballot.items():
            votes.setdefault(row, []).append(score)
    answer = sorted(row for row, scores in votes.items() if len(scores) * 2 > len(ballots))
    rows = [Odd(row, round(fmean(votes[row]), 3), len(votes[row]), unusual.get(row, {})) for row in answer]
    rows.sort(key=lambda odd: (-odd.votes, -odd.score, odd.row))
    return Outliers(answer, rows, " + ".join(ballots), considered, len(ballots), ballots)


def _scaled(frame: Any) -> Any:
    """Return columns as robust z-scores: (x - median) / spread; missing cells count as the median."""
    import numpy as np  # noqa: PLC0415

    values = frame.to_numpy()
    centred = np.nan_to_num(values - np.nanmedian(values, axis=0))
    spread = 1.4826 * np.median(np.abs(centred), axis=0)
    quarter = np.subtract(*np.percentile(centred, [75, 25], axis=0)) / 1.349
    spread = np.where(spread > 0, spread, np.where(quarter > 0, quarter, centred.std(axis=0)))
    return centred / np.where(spread > 0, spread, 1.0)


def _deviations(scores: Any) -> Any:
    """Return how many robust deviations each score lies above the median score."""
    import numpy as np  # noqa: PLC0415

    centred = scores - np.median(scores)
    upper = centred[centred > 0]
    spread = 1.4826 * np.median(upper) if len(upper) else 0.0
    return centred / spread if spread > 0 else np.zeros_like(centred)


def _flags(deviations: Any) -> Ballot:
    """Flag what lies more than 2.75 deviations out, at most 5 % of the rows, the most unusual first."""
    import numpy as np  # noqa: PLC0415

    most = min(MAX_FLAGS, max(1, int(len(deviations) * MAX_SHARE)))
    order = np.argsort(-deviations, kind="stable")[:most]
    return {int(row): round(float(deviations[row]), 3) for row in sorted(order) if deviations[row] > FAR}


def _values(frame: Any, scaled: Any, row: int) -> dict[str, float]:
    """Return the cells of a row that lie farthest out, the farthest first."""
    import numpy as np  # noqa: PLC0415

    order = np.argsort(-np.abs(scaled[row]), kind="stable")[:SHOWN_COLUMNS]
    cells = {str(frame.columns[i]): float(frame.iloc[row, i]) for i in order}
    return {name: cell for name, cell in cells.items() if cell == cell}  # noqa: PLR0124 - NaN is not itself
