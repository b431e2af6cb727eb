"""What is pasted beside a request: lists of tools, actions, tables. Read by `foa.core.dag.clauses.planner`.

Such a list is for whoever does the work. Its items look like things to do and are none.
"""

import re
from typing import Final

_THINGS: Final = (
    r"(?:tool|api|function|action|command|table|field|column|schema|endpoint|plugin|method|operation|parameter"
    r"|librar(?:y|ie)|model|agent|resource)s?"
)
_OFFERED: Final = re.compile(
    rf"(?:\b(?:the|these|here (?:is|are)|below (?:is|are)|you (?:have|are given)|available|possible|allowed)\b"
    rf"[^.:!?\n]{{0,80}}?\b{_THINGS}\b[^.:!?\n]{{0,80}}|\b(?:available|provided|allowed) {_THINGS})\s{{0,4}}:(?!//)",
    re.IGNORECASE,
)
_MAY: Final = re.compile(
    r"\b(?:you (?:can|may|could|have|are (?:given|allowed))|can be (?:used|called)|available|at your disposal|possible"
    r"|allowed|provided|to (?:use|choose from)|as follows)\b",
    re.IGNORECASE,
)
_ENDS: Final = re.compile(r"\n[ \t]{0,40}\n|\n(?=[ \t]{0,40}[-*•‣◦·\u2013][ \t])")


def without_material(text: str) -> str:
    """Return `text` without what it offers for use: from the words that offer it to a blank line or a bullet list."""
    kept: list[str] = []
    at = 0
    for offer in _OFFERED.finditer(text):
        if offer.start() < at or not _MAY.search(offer[0]):
            continue
        kept.append(text[at : offer.start()])
        end = _ENDS.search(text, offer.end())
        at = end.start() if end else len(text)
    kept.append(text[at:])
    return "".join(kept)
