"""What a check of ``foa doctor`` found."""

from typing import Literal, NamedTuple

Verdict = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """One line: fine, worth knowing, or wrong, and what would mend it."""

    check: str
    verdict: Verdict
    text: str
    mend: str = ""


def graded(check: str, fine: object, good: str, bad: str, mend: str = "", *, worst: Verdict = "fail") -> Finding:
    """Return ``good`` if it is `fine`, else ``bad`` with its mend, as grave as `worst`."""
    return Finding(check, "ok", good) if fine else Finding(check, worst, bad, mend)
