r"""One way to write what can be written in many: short numbers, formulas and LaTeX, made comparable.

Called by `foa.core.cluster.agreement` for every string that is claimed. Nothing is computed beyond a fraction of two
numbers: forms that differ by algebra stay different. Only notation goes: spacing, ``\left``, ``\dfrac``, thousands
commas, a leading ``x =``, and marks that stand for what the question asked for anyway (currency, per cent, degrees).
"""

import re
from math import isfinite
from typing import Final

LONGEST: Final = 256
"""Longer strings are prose."""

_ROUNDS: Final = 8
"""Fractions within fractions that are unwrapped."""

_MARKS: Final = re.compile(r"[\\^={}/*+<>()\[\]$%°√]")
_COMMAND: Final = re.compile(r"\\[a-zA-Z]+")
_PROSE: Final = re.compile(r"[^\W\d_]{4,}|(?:[^\W\d_]{2,}\s+){2}[^\W\d_]{2,}")
_WRAPPED: Final = re.compile(r"\\(?:text|mathrm|mathbf|textbf|mbox|operatorname|boxed)\s*\{([^{}]*)\}")
_NOTHING: Final = re.compile(
    r"\\(?:left|right|displaystyle|quad|big|Big)(?![a-zA-Z])|\\[!,;: $]|\^\{?\\circ\}?|[$%°\s]|\\%"
)
_FRACTION: Final = re.compile(r"\\[dtc]?frac")
_BARE: Final = re.compile(r"\\(frac|sqrt)(\w)(\w)?")
_OVER: Final = re.compile(r"\\frac\{([^{}]*)\}\{([^{}]*)\}")
_ROOT: Final = re.compile(r"\\?sqrt\{([^{}]*)\}|√(\w+)")
_ALONE: Final = re.compile(r"\(([+-]?[\w.]+)\)")
_NAMED: Final = re.compile(r"^[a-zA-Z](?:\(\w\))?=(?!=)")
_THOUSANDS: Final = re.compile(r"^[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?$")
_NUMBER: Final = re.compile(r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$")
_QUOTIENT: Final = re.compile(r"^([+-]?\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)$")
_UNIT: Final = re.compile(r"(?<=\d)\s*(?:dollars?|usd|per\s?cent|degrees?)\.?$", re.IGNORECASE)
_SIGNS: Final = str.maketrans({"\u2212": "-", "\u2013": "-", "\u00d7": "*", "\u00b7": "*", "\u00f7": "/"})


def reading(text: str) -> float | str | None:
    """Return the number `text` is, or its formula in one way of writing; None if it is neither: words."""
    if len(text) > LONGEST:
        return None
    plain = _UNIT.sub("", text.strip().translate(_SIGNS)).rstrip(".")
    number = _number(plain)
    if number is not None or not _is_formula(plain):
        return number
    written = _written(plain)
    number = _number(written)
    return written.casefold() or None if number is None else number


def _is_formula(text: str) -> bool:
    return bool(_MARKS.search(text)) and not _PROSE.search(_COMMAND.sub(" ", _WRAPPED.sub(" ", text)))


def _written(text: str) -> str:
    """Return a formula without what notation alone adds."""
    for _ in range(_ROUNDS):
        text, changed = _WRAPPED.subn(r"\1", text)
        if not changed:
            break
    text = _NOTHING.sub("", text)
    text = _FRACTION.sub(r"\\frac", text)
    text = _BARE.sub(_braced, text)
    text = text.replace("\\cdot", "*").replace("\\times", "*").replace("\\pi", "π").replace("\\le", "<=")
    for _ in range(_ROUNDS):
        text, roots = _ROOT.subn(lambda found: f"sqrt({found[1] or found[2] or ''})", text)
        text, fractions = _OVER.subn(r"(\1)/(\2)", text)
        text, alone = _ALONE.subn(r"\1", text)
        if not roots + fractions + alone:
            break
    return _NAMED.sub("", text.replace("{", "(").replace("}", ")"))


def _braced(found: re.Match[str]) -> str:
    r"""Write ``\frac12`` and ``\sqrt3`` with the braces that LaTeX lets one leave out."""
    name, first, second = found.groups()
    if name == "sqrt":
        return f"\\sqrt{{{first}}}{second or ''}"
    return f"\\frac{{{first}}}{{{second}}}" if second else found[0]


def _number(text: str) -> float | None:
    if _THOUSANDS.match(text):
        text = text.replace(",", "")
    quotient = _QUOTIENT.match(text)
    if quotient:
        below = float(quotient[2])
        value = float(quotient[1]) / below if below else float("inf")
    elif _NUMBER.match(text):
        value = float(text)
    else:
        return None
    return value if isfinite(value) else None
