"""Compares two versions of a text, line by line and word by word. No language model."""

import difflib
from typing import Final

import foa

MAX_LINES: Final = 5_000
ALIKE: Final = 0.5


def run(old: str, new: str) -> str:
    """Return what was added, removed and changed from `old` to `new`."""
    before, after = _lines(old), _lines(new)
    added: list[str] = []
    removed: list[str] = []
    changed: list[tuple[str, str]] = []
    for kind, i, j, k, m in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            pairs, gone, come = _paired(before[i:j], after[k:m])
            changed += pairs
            removed += gone
            added += come
    parts = [
        _part("Changed", [f"{one} → {other}" for one, other in changed]),
        _part("Added", added),
        _part("Removed", removed),
    ]
    same = len(before) - len(changed) - len(removed)
    return "\n\n".join(["\n".join([f"{same} of {len(before)} lines are as they were."]), *filter(None, parts)])


def _lines(text: str) -> list[str]:
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    if len(lines) > MAX_LINES:
        raise foa.Decline("inputs", f"{len(lines)} lines, at most {MAX_LINES} are compared")
    return lines


def _paired(gone: list[str], come: list[str]) -> tuple[list[tuple[str, str]], list[str], list[str]]:
    """Return which line became which, each with its nearest in order; and the lines that are gone and new."""
    pairs = []
    rest, start = [], 0
    for line in gone:
        scores = [difflib.SequenceMatcher(None, line, other).ratio() for other in come[start:]]
        best = max(range(len(scores)), key=lambda at: (scores[at], -at), default=-1)
        if best >= 0 and scores[best] >= ALIKE:
            pairs.append((line, come[start + best]))
            start += best + 1
        else:
            rest.append(line)
    used = {new for _, new in pairs}
    return pairs, rest, [line for line in come if line not in used]


def _part(title: str, lines: list[str]) -> str:
    return f"{title}:\n" + "\n".join(f"- {line}" for line in lines) if lines else ""
