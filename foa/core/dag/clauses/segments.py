"""A text by its own layout: what must not be taken apart, its sentences, its lists. The first step of clauses.

Every pattern here is linear in the length of the text, whatever the text is.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final, Literal, NamedTuple

HIDDEN: Final = "\ue000"
"""Stands, one for one, for every character of a quotation, code, address, file name or bracket."""

_QUOTED: Final = re.compile(
    r"```[^`]*```|`[^`\n]*`|\"[^\"\n]{0,4000}\"|“[^“”]{0,4000}”|„[^„“”]{0,4000}[“”]|«[^«»]{0,4000}»"
    r"|(?<!\w)'[^'\n]{1,200}'(?!\w)|\([^()\n]{0,400}\)|\[[^\[\]]{0,400}\]|\{[^{}]{0,4000}\}"
)
_CHUNK: Final = re.compile(r"\S+")
_INSIDE: Final = re.compile(r"\w[.\\@_]\w|/[^/]*/|^www\.|\d[,:]\d")
_ITEM: Final = re.compile(
    r"[ \t]{0,40}(?:(?P<bullet>[-*•‣◦·\u2013]|\[[ x]?\])"
    r"|(?P<step>(?:step|task|phase) \d{1,3}[.:)]?|\(?\d{1,3}[.):]|\(?[a-h]\)))[ \t]{1,40}(?=\S)",
    re.IGNORECASE,
)
_INLINE: Final = re.compile(r"(?:(?<=\s)|^)\(?(\d{1,2})[.)]\s")
_END: Final = re.compile(r"(?<![.!?])[.!?]+[\"”')\]]{0,2}(?=\s|$)")
_SHORT: Final = re.compile(
    r"(?:^|[\s(])(?:e\.g|i\.e|etc|vs|dr|mr|mrs|ms|st|nr|approx|fig|cf|al|inc|ltd|ca|resp|incl|z\.b|(?-i:[A-Z]))\.$",
    re.IGNORECASE,
)


MAX_SEGMENTS: Final = 1_000
"""Of a longer text no more is read: it is a document, not a request."""


class Segment(NamedTuple):
    """A run of the text, ``start`` to ``end``. Items of one list share ``group``; steps are numbered items."""

    start: int
    end: int
    kind: Literal["sentence", "item", "step"]
    group: int


def hide(text: str) -> str:
    """Return `text`, equally long, with everything that must not be taken apart replaced by `HIDDEN`."""
    hidden = _QUOTED.sub(lambda found: HIDDEN * len(found[0]), text.replace("\u2019", "'"))
    return _CHUNK.sub(_hide_chunk, hidden)


def _hide_chunk(found: re.Match[str]) -> str:
    chunk = found[0]
    if not _INSIDE.search(chunk):
        return chunk
    body = chunk.rstrip(".,;:!?")
    return HIDDEN * len(body) + chunk[len(body) :]


def segments(hidden: str) -> list[Segment]:
    """Return the sentences and list items of a text that went through `hide`, in order, little over `MAX_SEGMENTS`."""
    found: list[Segment] = []
    group = 0
    for start, end, kind in _blocks(hidden):
        if len(found) > MAX_SEGMENTS:
            break
        if kind != "sentence":
            group += not (found and found[-1].kind == kind)
            found.append(Segment(start, end, kind, group))
            continue
        for first, last in islice(_sentences(hidden, start, end), MAX_SEGMENTS):
            group += 1
            found.append(Segment(first, last, "sentence", group))
    return found


def _blocks(hidden: str) -> Iterator[tuple[int, int, Literal["sentence", "item", "step"]]]:
    """Yield list items (with the lines that continue them) and the paragraphs between them."""
    kind: Literal["sentence", "item", "step"] = "sentence"
    start = end = at = 0
    for line in hidden.splitlines(keepends=True):
        item = _ITEM.match(line)
        if item or not line.strip():
            yield from _block(hidden, start, end, kind)
            start = end = at + (item.end() if item else len(line))
            kind = "sentence" if not item else "item" if item["bullet"] else "step"
        at += len(line)
        if line.strip():
            end = at
    yield from _block(hidden, start, end, kind)


def _block(
    hidden: str, start: int, end: int, kind: Literal["sentence", "item", "step"]
) -> Iterator[tuple[int, int, Literal["sentence", "item", "step"]]]:
    if not hidden[start:end].strip():
        return
    marks = _numbered(hidden, start, end) if kind == "sentence" else []
    if not marks:
        yield start, end, kind
        return
    if hidden[start : marks[0][0]].strip():
        yield start, marks[0][0], "sentence"
    for (_, first), (last, _) in zip(marks, [*marks[1:], (end, end)], strict=True):
        yield first, last, "step"


def _numbered(hidden: str, start: int, end: int) -> list[tuple[int, int]]:
    """Return the places of "1) ... 2) ... 3) ..." inside a paragraph, if it counts up from 1 at least to 2."""
    marks: list[tuple[int, int]] = []
    for mark in _INLINE.finditer(hidden, start, end):
        if int(mark[1]) == len(marks) + 1:
            marks.append(mark.span())
    return marks if len(marks) > 1 else []


def _sentences(hidden: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = start
    for stop in _END.finditer(hidden, start, end):
        if _SHORT.search(hidden, max(at, stop.start() - 8), stop.start() + 1) and stop.end() < end:
            continue
        yield at, stop.end()
        at = stop.end()
    if hidden[at:end].strip():
        yield at, end
