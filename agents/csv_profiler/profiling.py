"""What a table's columns hold, as plain numbers."""

from typing import Any, Final

import numpy as np
import pandas as pd
from pandas.api import types

from agents.records import Column, Pair, TableProfile
from agents.tables import numbers, read

MAX_CORRELATED: Final = 100
MAX_CORRELATIONS: Final = 50
STRONG: Final = 0.5
TOP: Final = 5
_SHOWN: Final = 80


def profile(body: bytes) -> TableProfile:
    """Return the profile of a CSV."""
    table = read(body)
    frame = table.frame
    return TableProfile(
        rows=len(frame),
        columns=[_column(str(name), frame[name]) for name in frame.columns],
        missing=int(frame.isna().sum().sum()),
        duplicates=int(frame.duplicated().sum()),
        correlations=_correlations(frame),
        delimiter=table.delimiter,
        header=table.header,
        notes=list(table.notes),
    )


def _column(name: str, column: Any) -> Column:
    present = column.dropna()
    kind, unique = _kind(present), int(present.nunique())
    moments = _spread(present.astype(float)) if kind in {"integer", "number"} else {}
    top: list[dict[str, Any]] = []
    if kind in {"text", "boolean"} or unique <= TOP * 2:
        counts = sorted(present.value_counts().items(), key=lambda pair: (-pair[1], str(pair[0])))
        top = [{"value": _plain(value), "count": int(count)} for value, count in counts[:TOP]]
    missing = len(column) - len(present)
    return Column(name, kind, count=len(present), missing=missing, unique=unique, top=top, **moments)


def _kind(present: Any) -> str:
    if types.is_bool_dtype(present):
        return "boolean"
    if types.is_numeric_dtype(present):
        whole = types.is_integer_dtype(present) or bool(np.all(np.mod(present[np.isfinite(present)], 1) == 0))
        return "integer" if whole else "number"
    head = present.head(200).astype(str)
    dated = head.str.match(r"\d{4}-\d\d-\d\d").all() and len(head) > 0
    return "date" if dated and pd.to_datetime(head, errors="coerce", format="ISO8601").notna().all() else "text"


def _spread(values: Any) -> dict[str, float]:
    values = values.replace([np.inf, -np.inf], np.nan).dropna()
    if values.empty:
        return {}
    quarters = values.quantile([0.25, 0.5, 0.75])
    found = {
        "min": values.min(),
        "max": values.max(),
        "mean": values.mean(),
        "std": values.std(),
        "q25": quarters[0.25],
        "median": quarters[0.5],
        "q75": quarters[0.75],
        "skew": values.skew() if len(values) > 2 else np.nan,  # noqa: PLR2004 - the third moment needs three
    }
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}


def _correlations(frame: Any) -> list[Pair]:
    """Return the pairs whose Pearson correlation is beyond a half either way, the strongest first."""
    columns = numbers(frame).iloc[:, :MAX_CORRELATED]
    columns = columns.loc[:, columns.std() > 0]
    matrix = columns.corr().to_numpy()
    first, second = np.triu_indices(len(matrix), 1)
    strong = [
        Pair(str(columns.columns[i]), str(columns.columns[j]), float(matrix[i, j]))
        for i, j in zip(first, second, strict=True)
        if abs(matrix[i, j]) > STRONG
    ]
    return sorted(strong, key=lambda pair: (-abs(pair.r), pair.a, pair.b))[:MAX_CORRELATIONS]


def _plain(value: Any) -> Any:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    return float(value) if isinstance(value, int | float | np.number) else str(value)[:_SHOWN]
