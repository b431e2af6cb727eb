"""Finds the keywords of a text and counts it. No language model."""

import re
from collections import Counter
from typing import Final

import foa
from agents import texts

KEYWORDS: Final = 8
WORDS_A_MINUTE: Final = 230
_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
_END: Final = re.compile(r"[.!?…]+(?=\s|$)|\n\s*\n")
_COMMON: Final = frozenset(
    """
    a about above after again against all also an and any are as at be because been before being below between
    both but by can could did do does doing down during each few for from further had has have having he her here
    hers him his how i if in into is it its just last me more most my new no nor not now of off on once one only
    or other our out over own per same she should so some such than that the their them then there these they this
    those three through to too two under until up us very was we were what when where which while who whom why
    will with would you your one's don't said says four five six seven eight nine ten first second next yet may
    must shall since
    """.split()  # noqa: SIM905 - one word beside the other reads better
)


def run(task: foa.Assignment, text: str = "") -> str:
    """Return the keywords of the text that is meant, and its counts."""
    found = "\n\n".join(texts.meant(task, made=False).values()) if task.inputs else text or task.text
    words = _WORD.findall(found)
    if not words:
        raise foa.Decline("inputs", "the text has no words")
    sentences = [each for each in _END.split(found) if _WORD.search(each)]
    minutes = len(words) / WORDS_A_MINUTE
    return (
        f"Keywords: {', '.join(keywords(words))}\n"
        f"Words: {len(words)} ({len({word.lower() for word in words})} different)\n"
        f"Sentences: {len(sentences)}, {len(words) / max(1, len(sentences)):.1f} words each\n"
        f"Reading time: {'under a minute' if minutes < 1 else f'{minutes:.0f} min'}"
    )


def keywords(words: list[str]) -> list[str]:
    """Return the most telling words: often used, long rather than short, the earlier first where that is equal."""
    counts: Counter[str] = Counter()
    for word in words:
        if len(word) > 2 and word.lower() not in _COMMON:  # noqa: PLR2004 - abbreviations of two letters say little
            counts[word.lower()] += 1
    places = {word: at for at, word in enumerate(counts)}
    ranked = sorted(counts, key=lambda word: (-counts[word] * min(len(word), 8) ** 0.5, places[word]))
    return ranked[:KEYWORDS]
