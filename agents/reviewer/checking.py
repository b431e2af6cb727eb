"""The reviewer's own arithmetic: it shares the reading of tables with the writer, and nothing else."""

import json
import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any, Final, NamedTuple

from agents.tables import numbers, read

MAX_FACTS: Final = 20_000
MAX_LISTED: Final = 50
_MINUS: Final = "\N{MINUS SIGN}"
_NUMBER: Final = re.compile(rf"(?<![\w.])[-+{_MINUS}]?\d[\d,\u00a0\u202f]*(?:\.\d+)?(?:[eE][-+]?\d+)?%?")
_SILENT: Final = frozenset({"style", "script", "svg", "code", "title", "head", "template"})
_VOID: Final = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)

_COLUMN: Final[dict[str, Callable[[Any], float]]] = {
    "count": lambda column: column.notna().sum(),
    "missing": lambda column: column.isna().sum(),
    "unique": lambda column: column.nunique(),
}
_NUMERIC: Final[dict[str, Callable[[Any], float]]] = {
    "mean": lambda column: column.mean(),
    "std": lambda column: column.std(),
    "min": lambda column: column.min(),
    "max": lambda column: column.max(),
    "sum": lambda column: column.sum(),
    "median": lambda column: column.median(),
    "q25": lambda column: column.quantile(0.25),
    "q75": lambda column: column.quantile(0.75),
    "skew": lambda column: column.skew(),
}
_WHOLE: Final[dict[str, Callable[[Any], float]]] = {
    "rows": len,
    "columns": lambda frame: len(frame.columns),
    "missing": lambda frame: frame.isna().sum().sum(),
    "duplicates": lambda frame: frame.duplicated().sum(),
}


class Fact(NamedTuple):
    """A marked number: what the mark says it is, and what stands there."""

    mark: str
    text: str


class _Page(HTMLParser):
    """Collects marked numbers, and the numbers in running text that carry no mark. Broken HTML is no obstacle."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.facts: list[Fact] = []
        self.said = 0
        self.unmarked: list[str] = []
        self._open: list[tuple[str, str]] = []
        self._mark: str | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Enter an element; a mark inside a mark belongs to the outer one."""
        if tag in _VOID:
            return
        found = dict(attrs)
        kind = "fact" if "data-fact" in found else "said" if "data-said" in found else ""
        if kind == "fact" and self._mark is None:
            self._mark, self._text = found["data-fact"] or "", ""
        elif kind == "fact":
            kind = ""
        self._open.append((tag, kind))

    def handle_endtag(self, tag: str) -> None:
        """Leave the nearest open element of that name, and all inside it that were never closed."""
        if tag not in [name for name, _ in self._open]:
            return
        while self._open:
            name, kind = self._open.pop()
            if kind == "fact":
                self._close_fact()
            if name == tag:
                return

    def handle_data(self, data: str) -> None:
        """Take text where it belongs."""
        if self._mark is not None:
            self._text += data
        elif any(kind == "said" for _, kind in self._open):
            self.said += len(_NUMBER.findall(data))
        elif not any(name in _SILENT for name, _ in self._open):
            self.unmarked.extend(found.strip() for found in _NUMBER.findall(data))

    def close(self) -> None:
        """Take what was left open at the end."""
        super().close()
        if self._mark is not None:
            self._close_fact()

    def _close_fact(self) -> None:
        if len(self.facts) < MAX_FACTS:
            self.facts.append(Fact(self._mark or "", self._text.strip()))
        self._mark = None


def review(report: str, table: bytes) -> dict[str, Any]:
    """Return {checked, wrong, ok, answer, quoted, unmarked}: ``ok`` if something was checked and all of it holds."""
    frame = read(table).frame
    page = _Page()
    page.feed(report)
    page.close()
    figures = numbers(frame)
    wrong = [problem for fact in page.facts if (problem := _problem(fact, frame, figures)) is not None]
    checked = len(page.facts)
    return {
        "checked": checked,
        "wrong": wrong[:MAX_LISTED],
        "ok": checked > 0 and not wrong,
        "answer": _verdict(checked, len(wrong)),
        "quoted": page.said,
        "unmarked": len(page.unmarked),
        "unmarked_examples": page.unmarked[:10],
    }


def _verdict(checked: int, wrong: int) -> str:
    if not checked:
        return "nothing to check: no number of the report is marked with what it is"
    if wrong:
        return f"{wrong} of {checked} numbers are wrong"
    return f"all {checked} numbers are right"


def _problem(fact: Fact, frame: Any, figures: Any) -> dict[str, Any] | None:
    """Return what is wrong with a number, or None if the data says the same, to the digits shown."""
    try:
        mark = json.loads(fact.mark)
        actual = float(_recomputed(mark, frame, figures))
    except (ValueError, TypeError, KeyError, LookupError, RecursionError) as error:
        reason = str(error.args[0])[:200] if error.args else type(error).__name__
        return {"fact": fact.mark[:300], "said": fact.text[:80], "reason": f"cannot be recomputed: {reason}"}
    said = _read(fact.text)
    if said is None:
        return {"fact": mark, "said": fact.text[:80], "reason": "is no number", "is": _finite(actual)}
    if math.isfinite(actual) and abs(said[0] - actual) <= said[1] + 1e-9 * abs(actual):
        return None
    return {"fact": mark, "said": fact.text[:80], "reason": "is another number", "is": _finite(actual)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _recomputed(mark: dict[str, Any], frame: Any, figures: Any) -> float:
    """Return the statistic that a mark names; LookupError says what there is not."""
    stat = mark["stat"]
    if stat == "correlation":
        return float(figures[mark["a"]].corr(figures[mark["b"]]))
    if "column" not in mark:
        return _of(_WHOLE, stat)(frame)
    name = mark["column"]
    if name not in frame.columns:
        raise LookupError(f"there is no column {name!r}")
    if stat == "value":
        row = int(mark["row"])
        if not 0 <= row < len(frame):
            raise LookupError(f"there is no row {row}")
        return float(frame[name].iloc[row])
    if stat in _COLUMN:
        return _COLUMN[stat](frame[name])
    if name not in figures.columns:
        raise LookupError(f"column {name!r} holds no numbers")
    return _of(_NUMERIC, stat)(figures[name])


def _of(table: dict[str, Callable[[Any], float]], stat: Any) -> Callable[[Any], float]:
    if stat not in table:
        raise LookupError(f"there is no statistic {str(stat)[:40]!r}")
    return table[stat]


def _read(text: str) -> tuple[float, float] | None:
    """Return a number and half a unit of its last digit: what rounding allows."""
    plain = re.sub(r"[,\s]", "", text).replace(_MINUS, "-")
    share = 0.01 if plain.endswith("%") else 1.0
    match = re.fullmatch(r"([-+]?\d+(?:\.(\d*))?)(?:[eE]([-+]?\d{1,3}))?", plain.removesuffix("%"))
    if match is None:
        return None
    power = 10.0 ** int(match[3] or 0) * share
    digits = len(match[2] or "")
    exact = match[2] is None and match[3] is None and share == 1.0
    return float(match[1]) * power, 0.0 if exact else 0.5000001 * 10.0**-digits * power
