"""A plan as SVG: a box for each subtask with its agents and phase, arrows for what comes after what.

All text is a stranger's: it is escaped, freed of control characters, and never stands where a name or a reference is
read. Nothing is loaded from elsewhere and nothing in it runs.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Final

from foa.cli.watching.lines import flat, plural
from foa.cli.watching.tree import MARKS, phase_of
from foa.core.dag.layout import Placed, Size, placed

if TYPE_CHECKING:
    from foa.cli.watching.picture import Picture
    from foa.cli.watching.planned import Row

WIDTH: Final = 236.0
LINE: Final = 15.0
PAD: Final = 10.0
CHARS: Final = 34
"""Columns of text that a box holds."""
TEXT_LINES: Final = 3
AGENTS: Final = 2
MARGIN: Final = 24.0
HEAD: Final = 78.0
PAGE: Final = (1600.0, 1000.0)
ROOMY: Final = 1.25
"""From left to right is preferred unless the page would be so many times fuller."""
_STYLE: Final = {
    "waiting": ("#f6f7f9", "#98a2b3"),
    "ready": ("#eaf6fb", "#2e90b8"),
    "running": ("#fff7db", "#c98a04"),
    "done": ("#e9f7ee", "#2f8f4e"),
    "failed": ("#fdecec", "#c53030"),
    "cancelled": ("#f3eded", "#a05252"),
    "asked": ("#f7ecfb", "#a03bc4"),
}
_INK: Final = "#1d2433"
_FAINT: Final = "#5a6475"
_TIP: Final = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    f'<path d="M0 0.5 L8 4 L0 7.5 Z" fill="{_FAINT}"/></marker></defs>'
)
_FONT: Final = "font-family=\"'DejaVu Sans', Verdana, 'Segoe UI', sans-serif\""


def svg(picture: "Picture") -> str:
    """Return the plan of a task as an SVG document; a task without a plan is a document that says so."""
    rows = {ident: row for ident, row in picture.rows.items() if not ident.startswith("~")}
    edges = [(before, row.id) for row in rows.values() for before in row.after]
    tall = 2 * PAD + LINE * (1 + max((_height(row) for row in rows.values()), default=1))
    place, level = _best(list(rows), edges, tall)
    wide, high = (place.along, place.across) if level else (place.across, place.along)
    wide, high = max(wide, 560.0) + 2 * MARGIN, high + HEAD + 2 * MARGIN
    body = [*_arrows(place, level=level), *_boxes(picture, rows, place, tall, level=level)]
    if not rows:
        body = [_text(0, 0, "it has no plan yet", 14, _FAINT)]
    size = f'width="{wide:.0f}" height="{high:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {wide:.0f} {high:.0f}" role="img" {_FONT}>',
            f"<title>{safe(f'Plan of task {picture.task}')}</title>",
            _TIP,
            f'<rect {size} fill="#ffffff"/>',
            *_head(picture, rows, wide),
            f'<g transform="translate({MARGIN:.0f} {MARGIN + HEAD:.0f})">',
            *body,
            "</g>",
            "</svg>",
            "",
        ]
    )


def safe(text: str) -> str:
    """Return a stranger's words as one line that may stand in an SVG document as text."""
    return escape(flat(text), quote=True)


def wrapped(text: str, columns: int, most: int) -> list[str]:
    """Return `text` in at most `most` lines of `columns`; of more than that the last ends in an ellipsis."""
    lines: list[str] = [""]
    for word in flat(text).split():
        for piece in _pieces(word, columns):
            joined = f"{lines[-1]} {piece}" if lines[-1] else piece
            if _columns(joined) <= columns:
                lines[-1] = joined
            else:
                lines.append(piece)
        if len(lines) > most:
            break
    if len(lines) > most:
        last = lines[most - 1]
        while last and _columns(last) > columns - 1:
            last = last[:-1]
        lines = [*lines[: most - 1], f"{last.rstrip()}…"]
    return [line for line in lines if line]


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def _pieces(word: str, columns: int) -> Iterator[str]:
    """Yield a word in pieces that fit into a line."""
    piece, wide = "", 0
    for each in word:
        more = _columns(each)
        if wide + more > columns:
            yield piece
            piece, wide = "", 0
        piece, wide = piece + each, wide + more
    yield piece


def _best(ids: Sequence[str], edges: Sequence[tuple[str, str]], tall: float) -> tuple[Placed, bool]:
    """Return the layout, and whether it goes from left to right: whichever way fills the page less."""
    level = placed(ids, edges, Size(WIDTH, tall, 70.0, 18.0))
    upright = placed(ids, edges, Size(tall, WIDTH, 52.0, 26.0))
    fullness = max(level.along / PAGE[0], level.across / PAGE[1])
    other = max(upright.across / PAGE[0], upright.along / PAGE[1])
    return (level, True) if fullness <= max(1.0, other * ROOMY) else (upright, False)


def _height(row: "Row") -> int:
    """Return how many lines a box needs below its first."""
    return len(wrapped(row.text, CHARS, TEXT_LINES)) + min(len(row.seats), AGENTS)


def _head(picture: "Picture", rows: "dict[str, Row]", wide: float) -> Iterator[str]:
    columns = max(40, int((wide - 2 * MARGIN) / 8.6))
    title = wrapped(picture.text or picture.task, columns, 1)
    yield _text(MARGIN, MARGIN + 14, "".join(title) or picture.task, 15, _INK, bold=True)
    done = sum(row.phase == "done" for row in rows.values())
    facts = f"{picture.task}  ·  {picture.phase}  ·  {done} of {plural(len(rows), 'subtask')} done"
    facts += f"  ·  {picture.ms / 1000:.1f} s  ·  {picture.spent:g} USD"
    yield _text(MARGIN, MARGIN + 34, facts, 12, _FAINT)
    across = MARGIN
    present = [phase for phase in _STYLE if any(phase_of(row, picture) == phase for row in rows.values())]
    for phase in present:
        fill, edge = _STYLE[phase]
        where = f'x="{across:.0f}" y="{MARGIN + 46:.0f}"'
        yield f'<rect {where} width="12" height="12" rx="3" fill="{fill}" stroke="{edge}"/>'
        yield _text(across + 18, MARGIN + 56, f"{MARKS[phase]} {phase}", 11, _FAINT)
        across += 96


def _boxes(picture: "Picture", rows: "dict[str, Row]", place: Placed, tall: float, *, level: bool) -> Iterator[str]:
    for ident, row in rows.items():
        along, across = place.middles[ident]
        x, y = (along, across) if level else (across, along)
        yield from _box(row, phase_of(row, picture), x - WIDTH / 2, y - tall / 2, tall)


def _box(row: "Row", phase: str, x: float, y: float, tall: float) -> Iterator[str]:
    fill, edge = _STYLE[phase]
    yield f'<g transform="translate({x:.1f} {y:.1f})">'
    yield f"<title>{safe(_tooltip(row, phase))}</title>"
    line = f'stroke="{edge}" stroke-width="1.4"'
    line += ' stroke-dasharray="5 3"' if phase in {"waiting", "cancelled"} else ""
    yield f'<rect width="{WIDTH:.0f}" height="{tall:.0f}" rx="7" fill="{fill}" {line}/>'
    yield f'<rect width="5" height="{tall - 8:.0f}" x="3" y="4" rx="2" fill="{edge}"/>'
    at = PAD + 11
    yield _text(16, at, "".join(wrapped(row.id, CHARS - 4, 1)) or "?", 12, _INK, bold=True)
    yield _text(WIDTH - 12, at, MARKS[phase], 13, edge, end=True)
    for line in wrapped(row.text, CHARS, TEXT_LINES):
        at += LINE
        yield _text(16, at, line, 11, _INK)
    agents = list(row.seats)
    for number, agent in enumerate(agents[:AGENTS], 1):
        at += LINE
        more = f" +{len(agents) - AGENTS}" if number == AGENTS and len(agents) > AGENTS else ""
        yield _text(16, at, f"{_end(agent, CHARS - len(more))}{more}", 10.5, _FAINT)
    yield "</g>"


def _end(text: str, columns: int) -> str:
    """Return the end of a name: agents are alike at the beginning."""
    plain = flat(text)
    return plain if len(plain) <= columns else f"…{plain[-columns + 1 :]}"


def _tooltip(row: "Row", phase: str) -> str:
    agents = f"; {', '.join(row.seats)}" if row.seats else ""
    return f"{row.id}: {row.text[:500]} ({phase}{agents})"


def _arrows(place: Placed, *, level: bool) -> Iterator[str]:
    yield f'<g fill="none" stroke="{_FAINT}" stroke-width="1.2" stroke-opacity="0.75">'
    for points in place.arrows.values():
        (along, across), *rest = points
        path = [f"M{_point(along, across, level=level)}"]
        for number, (to, aside) in enumerate(rest):
            if number % 2 == 1:
                path.append(f"L{_point(to, aside, level=level)}")
            else:
                half = (along + to) / 2
                bend = (_point(half, across, level=level), _point(half, aside, level=level))
                path.append(f"C{bend[0]} {bend[1]} {_point(to, aside, level=level)}")
            along, across = to, aside
        yield f'<path d="{" ".join(path)}" marker-end="url(#tip)"/>'
    yield "</g>"


def _point(along: float, across: float, *, level: bool) -> str:
    x, y = (along, across) if level else (across, along)
    return f"{x:.1f},{y:.1f}"


def _text(x: float, y: float, text: str, size: float, ink: str, *, bold: bool = False, end: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    anchor = ' text-anchor="end"' if end else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size:g}" fill="{ink}"{weight}{anchor}>{safe(text)}</text>'
