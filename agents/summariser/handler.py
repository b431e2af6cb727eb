"""Summarises text with the text's own sentences: TextRank over TF-IDF, no language model, no download."""

import re
from collections import Counter
from typing import Any, Final

import numpy as np

import foa

MAX_SENTENCES: Final = 600
DAMPING: Final = 0.85
ALIKE: Final = 0.6
_END: Final = re.compile(r"(?<=[.!?…])[\"')\]»”]*\s+(?=[\"'(\[«“]?[A-ZÀ-ÞА-Я0-9])|\n\s*\n|(?<=[\u3002\uff01\uff1f])")
_FULL: Final = frozenset(".!?…\"')]»”\u3002\uff01\uff1f")
_BULLET: Final = re.compile(r"^[ \t]*(?:[-*•]|#{1,6}|\d{1,2}[.)])[ \t]+", re.MULTILINE)
_SHORT_FORM: Final = re.compile(r"(?:\b(?:e\.g|i\.e|etc|cf|vs|Dr|Mr|Mrs|Ms|Prof|St|No|Fig|approx|al)|\b[A-Z])\.$")
_WORD: Final = re.compile(r"[^\W\d_]{3,}")
_ASKED: Final = re.compile(r"\b(\d{1,2}|one|two|three|four|five|six)[ -](?:short )?sentences?\b", re.IGNORECASE)
_NUMBERS: Final = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}


def run(text: str, task: foa.Assignment) -> str:
    """Return the sentences that say most of `text`, in their own order; "in 3 sentences" in the task is obeyed."""
    sentences = split(text)[:MAX_SENTENCES]
    if not sentences or (text == task.text and (task.inputs or len(sentences) == 1)):
        raise foa.Decline("inputs", "there is no text to summarise but the request itself")
    wanted = _wanted(task.text if text != task.text else "", len(sentences))
    whole = [each for each in sentences if each[-1] in _FULL]
    sentences = whole if len(whole) >= wanted else sentences  # headings say little
    if len(sentences) <= wanted:
        return " ".join(sentences)
    similar = _similarities(sentences)
    return " ".join(sentences[i] for i in sorted(_chosen(_ranks(similar), similar, wanted)))


def split(text: str) -> list[str]:
    """Cut `text` into sentences; abbreviations and initials do not end one, headings and list items do."""
    sentences: list[str] = []
    for part in _END.split(_BULLET.sub("\n\n", text)):
        piece = " ".join((part or "").split())
        if not piece:
            continue
        if sentences and _SHORT_FORM.search(sentences[-1]):
            sentences[-1] += f" {piece}"
        else:
            sentences.append(piece)
    return sentences


def _wanted(request: str, sentences: int) -> int:
    asked = _ASKED.search(request)
    if asked:
        word = asked[1].lower()
        return max(1, _NUMBERS.get(word) or int(word))
    return max(1, min(5, round(sentences / 4)))


def _similarities(sentences: list[str]) -> Any:
    """Return the cosines between the TF-IDF vectors of all sentences."""
    bags = [Counter(word.lower() for word in _WORD.findall(sentence)) for sentence in sentences]
    places = {word: i for i, word in enumerate(sorted({word for bag in bags for word in bag}))}
    weights = np.zeros((len(bags), max(1, len(places))))
    for i, bag in enumerate(bags):
        for word, count in bag.items():
            weights[i, places[word]] = 1.0 + np.log(count)
    weights *= np.log((1 + len(bags)) / (1 + (weights > 0).sum(axis=0))) + 1.0
    norms = np.linalg.norm(weights, axis=1, keepdims=True)
    weights /= np.where(norms > 0, norms, 1.0)
    return weights @ weights.T


def _ranks(similar: Any) -> Any:
    """Return TextRank: PageRank over similarity, a little more for what stands first (Mihalcea and Tarau, 2004)."""
    links = similar - np.diag(np.diag(similar))
    totals = links.sum(axis=1, keepdims=True)
    links = np.where(totals > 0, links / np.where(totals > 0, totals, 1.0), 1.0 / len(links))
    prior = 1.0 / (np.arange(len(links)) + 5.0)
    prior /= prior.sum()
    rank = prior
    for _ in range(50):
        rank = (1 - DAMPING) * prior + DAMPING * (links.T @ rank)
    return rank


def _chosen(ranks: Any, similar: Any, wanted: int) -> list[int]:
    """Take the highest ranked, leaving out what repeats a sentence already taken."""
    chosen: list[int] = []
    for i in np.argsort(-ranks, kind="stable"):
        if len(chosen) == wanted:
            break
        if all(similar[i, j] < ALIKE for j in chosen):
            chosen.append(int(i))
    return chosen
