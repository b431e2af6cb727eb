"""A past plan said anew for another request: what the two requests name differently is exchanged in its texts.

First what is named: quotations, addresses and paths, dates, numbers, names in capitals, each kind in its order. Then
plain words: where the two requests run alike and differ in a few words between, those stand for each other.
"""

import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Final

import msgspec

from foa.core.dag.clauses import clauses, lexicon
from foa.wire.records import MAX_TEXT, Plan

_KINDS: Final = (
    re.compile(r"\"[^\"\n]{1,200}\"|“[^“”\n]{1,200}”|(?<!\w)'[^'\n]{1,200}'(?!\w)"),
    re.compile(r"https?://\S{1,300}|[\w.-]{1,60}@[\w.-]{1,60}\.\w{2,8}|(?:[\w.~-]{0,60}/){1,12}[\w.-]{1,80}"),
    re.compile(
        r"\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b|\b(?:January|February|March|April|May|June|July|August"
        r"|September|October|November|December) \d{1,2}(?:st|nd|rd|th)?(?:,? \d{4})?\b"
    ),
    re.compile(r"(?<![\w.])\d[\d,.:]*\d(?!\w)|(?<![\w.])\d(?!\w)"),
    re.compile(r"\b(?!I\b)[A-Z][\w&'-]*(?: (?:of |the |de |van )?[A-Z0-9][\w&'-]*){0,4}"),
)
_STARTS: Final = re.compile(r"(?:^|[.!?:\n]\s*)$")
_WORD: Final = re.compile(r"\w+(?:[-'.@/]\w+)*")
_MOST_READ: Final = 4_000
_MOST_WORDS: Final = 120
_MOST_SPAN: Final = 6
_ALIKE: Final = 0.4


def adapted(plan: Plan, past: str, request: str) -> Plan:
    """Return the plan of `past` with its texts said for `request`; the same ids, edges and everything else."""
    exchange = exchanged(past, request)
    if not exchange:
        return plan
    known = re.compile(
        r"(?<![\w])(?:"
        + "|".join(re.escape(one) for one in sorted(exchange, key=lambda one: (-len(one), one)))
        + r")(?!\w)"
    )
    return msgspec.structs.replace(
        plan,
        subtasks=tuple(
            msgspec.structs.replace(one, text=known.sub(lambda found: exchange[found[0]], one.text)[:MAX_TEXT])
            for one in plan.subtasks
        ),
    )


def exchanged(past: str, request: str) -> Mapping[str, str]:
    """Return what of one request stands for what of the other."""
    old, new = _said(past), _said(request)
    found: dict[str, str] = {}
    for number, kind in enumerate(_KINDS):
        theirs, ours = _named(kind, old, number), _named(kind, new, number)
        gone = [one for one in theirs if one not in ours]
        come = [one for one in ours if one not in theirs]
        if len(gone) == len(come):
            found.update((one, other) for one, other in zip(gone, come, strict=True) if one not in found)
    for one, other in _differing(old, new):
        found.setdefault(one, other)
    return found


def _said(text: str) -> str:
    """Return what is asked in a request, without what is pasted beside it."""
    return ". ".join(clauses(text[:_MOST_READ]))[:_MOST_READ]


def _named(kind: re.Pattern[str], text: str, number: int) -> list[str]:
    """Return what of one kind a text names, each once, in its order; a capital that begins a sentence is no name."""
    names = number == len(_KINDS) - 1
    return list(
        dict.fromkeys(
            found[0]
            for found in kind.finditer(text)
            if not (names and " " not in found[0] and _STARTS.search(text[max(0, found.start() - 4) : found.start()]))
        )
    )


def _differing(old: str, new: str) -> Iterator[tuple[str, str]]:
    """Yield the words between what two alike texts share, word for word where they are as many."""
    theirs, ours = _WORD.findall(old)[:_MOST_WORDS], _WORD.findall(new)[:_MOST_WORDS]
    match = SequenceMatcher(None, theirs, ours, autojunk=False)
    if match.ratio() < _ALIKE:
        return
    for tag, start, end, first, last in match.get_opcodes():
        gone, come = theirs[start:end], ours[first:last]
        if tag != "replace" or len(gone) > _MOST_SPAN or len(come) > _MOST_SPAN or not (_means(gone) and _means(come)):
            continue
        yield " ".join(gone), " ".join(come)
        if len(gone) == len(come):
            yield from (
                (one, other) for one, other in zip(gone, come, strict=True) if _means([one]) and _means([other])
            )


def _means(words: list[str]) -> bool:
    return any(len(word) > 1 and word.lower() not in lexicon.STOP for word in words)
