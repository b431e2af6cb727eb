"""The report's sections. Numbers taken from the data carry ``data-fact``, numbers others said ``data-said``.

A fact names the statistic and where it is taken, so that anyone with the table can compute it again::

    <span data-fact='{"column": "x", "stat": "mean"}'>5.84</span>
"""

import json
import math
from collections.abc import Iterable
from html import escape
from typing import Any, Final

import foa
from agents.records import Chart, Column, Odd, Outliers, TableProfile
from agents.tables import read

from .pictures import clean

MAX_COLUMNS: Final = 60
MAX_ROWS: Final = 25
MAX_PAIRS: Final = 10
MAX_CHARTS: Final = 6
EXACT: Final = 1e12
LONG: Final = 1_000.0
STATS: Final = ("mean", "std", "min", "median", "max")

_STYLE: Final = """
:root{color-scheme:light}*{box-sizing:border-box}
body{margin:0;background:#f3f4f6;color:#1f2937;font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:60rem;margin:0 auto;padding:2rem 1rem 4rem}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .3rem}h2{font-size:1.15rem;margin:0 0 .8rem}
.lead{color:#4b5563;margin:0 0 1.4rem}
section{background:#fff;border:1px solid #e5e7eb;border-radius:.75rem;padding:1.2rem 1.4rem;margin:1rem 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.8rem;margin:1rem 0}
.tile{background:#fff;border:1px solid #e5e7eb;border-radius:.75rem;padding:.8rem 1rem}
.tile b{display:block;font-size:1.6rem;line-height:1.2;font-variant-numeric:tabular-nums}
.tile i{font-style:normal;color:#6b7280}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:.35rem .6rem;text-align:right;border-bottom:1px solid #f3f4f6;white-space:nowrap}
th{color:#6b7280;font-weight:600;border-bottom-color:#d1d5db}th:first-child,td:first-child{text-align:left}
code{font:.92em ui-monospace,Menlo,Consolas,monospace;background:#f3f4f6;border-radius:.3rem;padding:.05rem .3rem}
.agreed{border-left:4px solid #2563eb;padding:.1rem 0 .1rem .9rem;margin:0 0 1rem}
figure{margin:0 0 1.4rem}figcaption{color:#4b5563;font-size:.9rem;margin-top:.3rem}svg{max-width:100%;height:auto}
footer{color:#6b7280;font-size:.85rem;margin-top:1.5rem}
"""

_FOOTER: Final = (
    "<footer>Every number that stands for the data names the statistic it is, in its <code>data-fact</code>"
    " attribute, so that it can be computed again from the table. Rows are counted from"
    ' <span data-said="convention">0</span>, the first row of data.</footer>'
)


def report(body: bytes, profile: TableProfile, outliers: Outliers | None, charts: list[Chart]) -> str:
    """Return the page; Decline if the profile is not one of this table."""
    frame = read(body).frame
    if not profile.columns or not {each.name for each in profile.columns} <= set(map(str, frame.columns)):
        raise foa.Decline("inputs", "the profile describes another table than the one given")
    parts = [
        _head(profile, outliers),
        _columns_section(profile.columns),
        _outliers_section(outliers, len(frame)) if outliers else "",
        _charts_section(charts),
        _pairs_section(profile),
        _FOOTER,
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Data report</title><style>{_STYLE}</style></head><body>\n<main>{''.join(parts)}</main></body></html>\n"
    )


# --- numbers -------------------------------------------------------------------------------------------------


def _fact(value: float | None, stat: str, **where: Any) -> str:
    """Mark a number of the data with what it is."""
    if value is None or not math.isfinite(value):
        return "&ndash;"
    mark = escape(json.dumps({"stat": stat, **where}, sort_keys=True, ensure_ascii=False), quote=True)
    return f'<span data-fact="{mark}">{_shown(value)}</span>'


def _said(value: float, source: str) -> str:
    """Mark a number that another agent said and the table alone does not tell."""
    return f'<span data-said="{escape(source, quote=True)}">{_shown(value)}</span>'


def _shown(value: float) -> str:
    """Write whole numbers in full, others with four digits that count, their zeros too: 13.00 is not 13."""
    if float(value).is_integer() and abs(value) < EXACT:
        return str(int(value))
    return f"{value:.1f}" if LONG <= abs(value) < EXACT else f"{value:#.4g}"


def _name(text: str) -> str:
    return f"<code>{escape(text[:80])}</code>"


# --- sections ------------------------------------------------------------------------------------------------


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _head(profile: TableProfile, outliers: Outliers | None) -> str:
    tiles = [
        (_fact(profile.rows, "rows"), "rows"),
        (_fact(len(profile.columns), "columns"), "columns"),
        (_fact(profile.missing, "missing"), "missing cells"),
        (_fact(profile.duplicates, "duplicates"), "repeated rows"),
    ]
    if outliers:
        tiles.append((_said(len(outliers.answer), "outliers"), "unusual rows"))
    notes = "".join(f' <span data-said="profile">{escape(note[:200])}</span>' for note in profile.notes[:5])
    shown = "".join(f'<div class="tile"><b>{number}</b><i>{what}</i></div>' for number, what in tiles)
    lead = f'<p class="lead">What is in the table, what is missing, what moves together, what stands out.{notes}</p>'
    return f'<h1>Data report</h1>{lead}<div class="tiles">{shown}</div>'


def _columns_section(columns: list[Column]) -> str:
    table = _table(("column", "kind", "missing", "distinct", *STATS), map(_column_row, columns[:MAX_COLUMNS]))
    left_out = len(columns) - MAX_COLUMNS
    more = f"<p>{_said(left_out, 'profile')} further columns are not shown.</p>" if left_out > 0 else ""
    return f"<section><h2>Columns</h2>{table}{more}</section>"


def _column_row(column: Column) -> tuple[str, ...]:
    return (
        _name(column.name),
        escape(column.dtype[:20]),
        _fact(column.missing, "missing", column=column.name),
        _fact(column.unique, "unique", column=column.name),
        *(_fact(getattr(column, stat), stat, column=column.name) for stat in STATS),
    )


def _outliers_section(outliers: Outliers, rows: int) -> str:
    """Say what the cluster agreed on, by how many, and show the rows with their telling cells."""
    shown = [_outlier_row(odd, outliers.members) for odd in outliers.rows[:MAX_ROWS] if 0 <= odd.row < rows]
    table = _table(("row", "flagged by", "score", "most unusual values"), shown) if shown else ""
    return f'<section><h2>What stands out</h2><p class="agreed">{_agreement(outliers)}</p>{table}</section>'


def _agreement(outliers: Outliers) -> str:
    methods = escape(outliers.method[:300].replace(" + ", ", "))
    considered, found = _said(outliers.considered, "outliers"), _said(len(outliers.answer), "outliers")
    if outliers.members == 1:
        return f"One method alone ({methods}) flags {found} of {considered} rows."
    unanimous = sum(1 for odd in outliers.rows if odd.votes == outliers.members)
    return (
        f"{_said(outliers.members, 'outliers')} methods ({methods}) looked at {considered} rows, each alone, and then"
        f" agreed: <strong>{found} rows</strong> are unusual in the eyes of a majority,"
        f" {_said(unanimous, 'outliers')} of them in the eyes of all."
    )


def _outlier_row(odd: Odd, members: int) -> tuple[str, ...]:
    cells = (f"{_name(key)} {_fact(cell, 'value', column=key, row=odd.row)}" for key, cell in odd.values.items())
    flagged = f"{_said(odd.votes, 'outliers')} of {_said(members, 'outliers')}"
    return (_said(odd.row, "outliers"), flagged, _said(odd.score, "outliers"), ", ".join(cells))


def _charts_section(charts: list[Chart]) -> str:
    figures = [_figure(chart) for chart in charts[:MAX_CHARTS]]
    return f"<section><h2>Charts</h2>{''.join(figures)}</section>" if any(figures) else ""


def _figure(chart: Chart) -> str:
    picture = clean(chart.svg)
    if not picture:
        return ""
    words = f"<strong>{escape(chart.title[:120])}.</strong> {escape(chart.caption[:400])}"
    return f'<figure>{picture}<figcaption data-said="charts">{words}</figcaption></figure>'


def _pairs_section(profile: TableProfile) -> str:
    if not profile.correlations:
        return ""
    rows = [
        (f"{_name(pair.a)} and {_name(pair.b)}", _fact(pair.r, "correlation", a=pair.a, b=pair.b))
        for pair in profile.correlations[:MAX_PAIRS]
    ]
    return f"<section><h2>What moves together</h2>{_table(('columns', 'correlation'), rows)}</section>"
