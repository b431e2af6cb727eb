"""The report's sections. Numbers taken from the data carry ``data-fact``, numbers others said ``data-said``.

A fact names the statistic and where it is taken, so that anyone with the table can compute it again::

    <span data-fact='{"column": "x", "stat": "mean"}'>5.84</span>
"""

import json
import math
from html import escape
from typing import Any, Final

import foa
from agents.tables import read

from .pictures import clean

MAX_COLUMNS: Final = 60
MAX_ROWS: Final = 25
MAX_PAIRS: Final = 10
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


def report(body: bytes, profile: dict[str, Any], outliers: dict[str, Any] | None, charts: list[dict[str, Any]]) -> str:
    """Return the page; Decline if the profile is not one of this table."""
    frame = read(body).frame
    columns = _columns(profile, frame)
    parts = [
        _head(profile, outliers, len(columns)),
        _columns_section(columns),
        _outliers_section(outliers, frame) if outliers else "",
        _charts_section(charts),
        _pairs_section(profile),
        _FOOTER,
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Data report</title><style>{_STYLE}</style></head><body>\n<main>{''.join(parts)}</main></body></html>\n"
    )


def _columns(profile: dict[str, Any], frame: Any) -> list[dict[str, Any]]:
    listed = profile.get("columns")
    columns = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    if not columns or not {str(each.get("name")) for each in columns} <= set(map(str, frame.columns)):
        raise foa.Decline("inputs", "the profile describes another table than the one given")
    return columns


# --- numbers -------------------------------------------------------------------------------------------------


def _fact(value: Any, stat: str, **where: Any) -> str:
    """Mark a number of the data with what it is."""
    if not _is_number(value):
        return "&ndash;"
    mark = escape(json.dumps({"stat": stat, **where}, sort_keys=True, ensure_ascii=False), quote=True)
    return f'<span data-fact="{mark}">{_shown(value)}</span>'


def _said(value: Any, source: str) -> str:
    """Mark a number that another agent said and the table alone does not tell."""
    return f'<span data-said="{escape(source, quote=True)}">{_shown(value)}</span>' if _is_number(value) else "&ndash;"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _shown(value: float) -> str:
    """Write whole numbers in full, others with four digits that count, their zeros too: 13.00 is not 13."""
    if float(value).is_integer() and abs(value) < EXACT:
        return str(int(value))
    return f"{value:.1f}" if LONG <= abs(value) < EXACT else f"{value:#.4g}"


def _name(text: Any) -> str:
    return f"<code>{escape(str(text)[:80])}</code>"


# --- sections ------------------------------------------------------------------------------------------------


def _head(profile: dict[str, Any], outliers: dict[str, Any] | None, columns: int) -> str:
    tiles = [
        (_fact(profile.get("rows"), "rows"), "rows"),
        (_fact(columns, "columns"), "columns"),
        (_fact(profile.get("missing"), "missing"), "missing cells"),
        (_fact(profile.get("duplicates"), "duplicates"), "repeated rows"),
    ]
    if outliers:
        tiles.append((_said(len(_answer(outliers)), "outliers"), "unusual rows"))
    notes = "".join(f" {escape(str(note)[:200])}" for note in profile.get("notes") or [] if not _has_digit(note))
    shown = "".join(f'<div class="tile"><b>{number}</b><i>{what}</i></div>' for number, what in tiles)
    lead = f'<p class="lead">What is in the table, what is missing, what moves together, what stands out.{notes}</p>'
    return f'<h1>Data report</h1>{lead}<div class="tiles">{shown}</div>'


def _has_digit(note: Any) -> bool:
    return any(letter.isdigit() for letter in str(note))


def _columns_section(columns: list[dict[str, Any]]) -> str:
    rows = "".join(_column_row(each) for each in columns[:MAX_COLUMNS])
    heads = "".join(f"<th>{name}</th>" for name in ("column", "kind", "missing", "distinct", *STATS))
    left_out = len(columns) - MAX_COLUMNS
    more = f"<p>{_said(left_out, 'profile')} further columns are not shown.</p>" if left_out > 0 else ""
    table = f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    return f"<section><h2>Columns</h2>{table}{more}</section>"


def _column_row(column: dict[str, Any]) -> str:
    name = str(column["name"])
    cells = [
        _name(name),
        escape(str(column.get("dtype", ""))[:20]),
        _fact(column.get("missing"), "missing", column=name),
        _fact(column.get("unique"), "unique", column=name),
        *(_fact(column.get(stat), stat, column=name) for stat in STATS),
    ]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _answer(outliers: dict[str, Any]) -> list[int]:
    answer = outliers.get("answer")
    return [row for row in answer if isinstance(row, int)] if isinstance(answer, list) else []


def _outliers_section(outliers: dict[str, Any], frame: Any) -> str:
    """Say what the cluster agreed on, by how many, and show the rows with their telling cells."""
    listed = outliers.get("rows")
    rows = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    body = "".join(_outlier_row(each, outliers, frame) for each in rows[:MAX_ROWS])
    heads = "".join(f"<th>{name}</th>" for name in ("row", "flagged by", "score", "most unusual values"))
    table = (
        f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>' if body else ""
    )
    return f'<section><h2>What stands out</h2><p class="agreed">{_agreement(outliers, rows)}</p>{table}</section>'


def _agreement(outliers: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    members = outliers.get("members", 1)
    found, unanimous = len(_answer(outliers)), sum(1 for row in rows if row.get("votes") == members)
    methods = escape(str(outliers.get("method", "one method"))[:300].replace(" + ", ", "))
    considered = _said(outliers.get("considered"), "outliers")
    if members == 1:
        return f"One method alone ({methods}) flags {_said(found, 'outliers')} of {considered} rows."
    return (
        f"{_said(members, 'outliers')} methods ({methods}) looked at {considered} rows, each alone, and then agreed:"
        f" <strong>{_said(found, 'outliers')} rows</strong> are unusual in the eyes of a majority,"
        f" {_said(unanimous, 'outliers')} of them in the eyes of all."
    )


def _outlier_row(found: dict[str, Any], outliers: dict[str, Any], frame: Any) -> str:
    row, cells = found.get("row"), found.get("values")
    values = cells.items() if isinstance(cells, dict) else ()
    known = isinstance(row, int) and 0 <= row < len(frame)
    shown = ", ".join(f"{_name(k)} {_fact(v, 'value', column=str(k), row=row)}" for k, v in values) if known else ""
    flagged = f"{_said(found.get('votes'), 'outliers')} of {_said(outliers.get('members', 1), 'outliers')}"
    cells_html = (_said(row, "outliers"), flagged, _said(found.get("score"), "outliers"), shown)
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells_html)}</tr>"


def _charts_section(charts: list[dict[str, Any]]) -> str:
    figures = [_figure(chart) for chart in charts[:6] if isinstance(chart, dict)]
    return f"<section><h2>Charts</h2>{''.join(figures)}</section>" if any(figures) else ""


def _figure(chart: dict[str, Any]) -> str:
    picture = clean(str(chart.get("svg", "")))
    if not picture:
        return ""
    title, caption = escape(str(chart.get("title", ""))[:120]), escape(str(chart.get("caption", ""))[:400])
    return f"<figure>{picture}<figcaption data-said='charts'><strong>{title}.</strong> {caption}</figcaption></figure>"


def _pairs_section(profile: dict[str, Any]) -> str:
    listed = profile.get("correlations")
    pairs = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    if not pairs:
        return ""
    rows = "".join(
        f"<tr><td>{_name(each.get('a'))} and {_name(each.get('b'))}</td>"
        f"<td>{_fact(each.get('r'), 'correlation', a=str(each.get('a')), b=str(each.get('b')))}</td></tr>"
        for each in pairs[:MAX_PAIRS]
    )
    table = f"<table><thead><tr><th>columns</th><th>correlation</th></tr></thead><tbody>{rows}</tbody></table>"
    return f'<section><h2>What moves together</h2><div class="wide">{table}</div></section>'
