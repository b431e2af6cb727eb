"""Charts as SVG: chosen by what the data shows, drawn by matplotlib without a display."""

import io
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from agents.records import Chart, Odd, Outliers, Pair, TableProfile
from agents.tables import is_counter, numbers, read

INK: Final = "#1f2937"
QUIET: Final = "#9ca3af"
BLUE: Final = "#2563eb"
RED: Final = "#dc2626"
AMBER: Final = "#d97706"
MAX_POINTS: Final = 300
MAX_BINS: Final = 24
PANELS: Final = 4
MAX_MISSING: Final = 12
MAX_BARS: Final = 24
MAX_MEASURES: Final = 3

_STYLE: Final = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "sans-serif"],
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "xtick.color": INK,
    "ytick.color": INK,
    "path.simplify": True,
}


def charts(body: bytes, profile: TableProfile | None, outliers: Outliers | None) -> list[Chart]:
    """Return one to four charts of the table in `body`."""
    frame = read(body).frame
    values = numbers(frame)
    if bars := _bars(frame, values):
        return bars
    values = values[[name for name in values.columns if values[name].nunique() > 1 and not is_counter(values[name])]]
    pairs = profile.correlations if profile else []
    odd = outliers.rows if outliers else []
    drawn = [
        _distributions(values),
        _pair(values, pairs, outliers.answer if outliers else []),
        _outliers([each for each in odd if each.row in frame.index][:MAX_MISSING]),
        _missing(frame),
    ]
    return [chart for chart in drawn if chart is not None] or [_counts(frame)]


def _bars(frame: Any, values: Any) -> list[Chart]:
    """Chart a table of totals, one row for each of a few names, as what it is: a bar for each row."""
    names = [name for name in frame.columns if name not in values.columns]
    few = 1 < len(frame) <= MAX_BARS and 0 < len(values.columns) <= MAX_MEASURES
    if not few or len(names) != 1 or not frame[names[0]].is_unique:
        return []
    labels = [_label(name) for name in frame[names[0]]][::-1]
    drawn = []
    for measure in values.columns:
        with mpl.rc_context(_STYLE):
            figure = _figure(7.2, 0.8 + 0.24 * len(labels))
            axes = figure.add_subplot()
            axes.barh(labels, values[measure].fillna(0.0).to_numpy()[::-1], color=BLUE, height=0.65)
            axes.set_xlabel(_label(measure))
            axes.tick_params(length=0)
            title = f"{_label(measure)} by {_label(names[0])}"
            drawn.append(_chart(title, f"{title}, in the order of the table.", figure))
    return drawn


def _distributions(values: Any) -> Chart | None:
    """Chart the most skewed columns, as that is where a mean misleads."""
    if values.empty or not len(values.columns):
        return None
    skew = values.skew().abs().fillna(0.0)
    names = list(skew.sort_values(ascending=False, kind="stable").index[:PANELS])
    with mpl.rc_context(_STYLE):
        figure = _figure(7.2, 1.9 * ((len(names) + 1) // 2))
        for i, name in enumerate(names):
            axes = figure.add_subplot((len(names) + 1) // 2, min(2, len(names)), i + 1)
            column = values[name].dropna()
            axes.hist(column, bins=min(MAX_BINS, max(6, int(len(column) ** 0.5))), color=BLUE, alpha=0.85, linewidth=0)
            axes.axvline(column.median(), color=INK, linewidth=1.2, linestyle="--")
            axes.set_title(_label(name))
            axes.tick_params(length=2)
        caption = f"The {len(names)} most skewed columns; the dashed line is the median."
        return _chart("Distributions", caption, figure)


def _pair(values: Any, pairs: list[Pair], marked: list[int]) -> Chart | None:
    """Chart the two columns that move together most, with the outlying rows marked."""
    pair = _strongest(values, pairs)
    if pair is None:
        return None
    a, b, r = pair
    both = values[[a, b]].dropna()
    step = -(-len(both) // MAX_POINTS)
    plain = both[~both.index.isin(marked)].iloc[::step]
    odd = both[both.index.isin(marked)].head(MAX_POINTS)
    with mpl.rc_context(_STYLE):
        figure = _figure(7.2, 3.6)
        axes = figure.add_subplot()
        axes.plot(plain[a], plain[b], "o", color=BLUE, alpha=0.55, markersize=3.5, markeredgewidth=0)
        if len(odd):
            axes.plot(odd[a], odd[b], "o", color=RED, markersize=5, markeredgewidth=0, label="outliers")
            axes.legend(frameon=False, loc="best")
        axes.set_xlabel(_label(a))
        axes.set_ylabel(_label(b))
        axes.set_title(f"r = {r:.2f}")
        shown = f", {len(plain) + len(odd)} of {len(both)} rows shown" if step > 1 else ""
        caption = f"{_label(a)} and {_label(b)} move together most (correlation {r:.2f}{shown})."
        return _chart("Strongest correlation", caption, figure)


def _strongest(values: Any, pairs: list[Pair]) -> tuple[str, str, float] | None:
    """Take the pair from the profile if it names one of this table, else find it."""
    for pair in pairs:
        if {pair.a, pair.b} <= set(values.columns) and pair.a != pair.b:
            return pair.a, pair.b, float(values[pair.a].corr(values[pair.b]))
    few = values.iloc[:, :100]
    matrix = np.triu(np.nan_to_num(few.corr().to_numpy()), 1)
    if matrix.size < PANELS:
        return None
    i, j = np.unravel_index(int(np.argmax(np.abs(matrix))), matrix.shape)
    return str(few.columns[i]), str(few.columns[j]), float(matrix[i, j])


def _outliers(found: list[Odd]) -> Chart | None:
    """Chart how far out the agreed rows are, and by which columns."""
    if not found:
        return None
    with mpl.rc_context(_STYLE):
        figure = _figure(7.2, 0.6 + 0.24 * len(found))
        axes = figure.add_subplot()
        axes.barh(range(len(found)), [odd.score for odd in found][::-1], color=RED, alpha=0.8, height=0.65)
        labels = [f"row {odd.row}: {_label(', '.join(list(odd.values)[:2]))}" for odd in found][::-1]
        axes.set_yticks(range(len(found)), labels)
        axes.set_xlabel("robust deviations from the ordinary row")
        axes.tick_params(length=0)
        return _chart("Rows that stand out", "The most unusual rows and the columns that make them so.", figure)


def _missing(frame: Any) -> Chart | None:
    """Chart where cells are missing, if any are."""
    share = frame.isna().mean().sort_values(ascending=False, kind="stable")
    share = share[share > 0].head(MAX_MISSING)[::-1] * 100
    if share.empty:
        return None
    with mpl.rc_context(_STYLE):
        figure = _figure(7.2, 0.8 + 0.24 * len(share))
        axes = figure.add_subplot()
        axes.barh([_label(name) for name in share.index], share.to_numpy(), color=AMBER, height=0.65)
        axes.set_xlabel("missing cells, %")
        axes.set_xlim(0, max(10.0, float(share.max()) * 1.1))
        axes.tick_params(length=0)
        return _chart("Missing values", "Columns with missing cells, as a share of all rows.", figure)


def _counts(frame: Any) -> Chart:
    """Chart the most frequent values of the most telling text column: there is nothing numeric."""
    distinct = frame.nunique()
    name = (distinct[distinct > 1].index if (distinct > 1).any() else frame.columns)[0]
    counts = frame[name].astype(str).value_counts().head(MAX_MISSING)[::-1]
    with mpl.rc_context(_STYLE):
        figure = _figure(7.2, 0.8 + 0.24 * len(counts))
        axes = figure.add_subplot()
        axes.barh([_label(value) for value in counts.index], counts.to_numpy(), color=BLUE, height=0.65)
        axes.set_xlabel("rows")
        axes.tick_params(length=0)
        return _chart(f"Values of {_label(name)}", "The most frequent values.", figure)


def _figure(width: float, height: float) -> Any:
    return Figure(figsize=(width, height), layout="constrained")


def _chart(title: str, caption: str, figure: Any) -> Chart:
    """Write a figure as SVG whose ids are its own, so that several stand on one page; no date, no doctype."""
    out = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": title, "svg.fonttype": "none"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    return Chart(title, caption, text[text.index("<svg") :])


def _label(name: Any) -> str:
    """Keep a column's name short and free of matplotlib's own markup."""
    text = str(name).replace("$", r"\$")
    return text if len(text) <= 32 else f"{text[:31]}…"  # noqa: PLR2004 - what fits beside an axis
