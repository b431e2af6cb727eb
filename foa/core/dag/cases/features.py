"""What can be seen of listed steps before anything is known of their order: numbers in [0, 1] for `order`.

All are general: how steps speak of each other, what kind of verb each begins with, where it stands, how the request
puts its parts. Cosines between steps were tried and added nothing to shared words (decision 0017).
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from math import log
from typing import Final

import numpy as np
from numpy.typing import NDArray

from foa.core.dag.clauses import lexicon
from foa.core.dag.clauses.lists import Step, content, step

Floats = NDArray[np.float64]

MAX_STEPS: Final = 24
"""Of longer lists only the first are looked at pair by pair."""

WHOLE: Final = 22
"""Numbers that describe a list as a whole; see `whole`."""

PAIR: Final = 26
"""Numbers that describe two of its steps; see `pair`."""

_THEN: Final = re.compile(r"\b(?:then|after (?:that|which)|finally|lastly|once|based on|afterwards)\b", re.IGNORECASE)
_ALSO: Final = re.compile(r"\b(?:also|additionally|in addition|furthermore|moreover|as well as)\b", re.IGNORECASE)
_MOST_GOAL: Final = 4_000
_MANY: Final = 3


def read(steps: Sequence[str]) -> list[Step]:
    """Return the steps taken apart."""
    return [step(text) for text in steps]


def whole(goal: str, steps: Sequence[Step], near: Sequence[float]) -> Floats:
    """Return what is known of a list of two or more steps: (WHOLE,). ``near`` are the six numbers of `order.alike`."""
    count, gaps = len(steps), len(steps) - 1
    asked = content(goal[:_MOST_GOAL])
    before: set[str] = set(steps[0].words)
    shared = known = 0
    for one in steps[1:]:
        shared += not one.words.isdisjoint(before)
        known += not one.definite.isdisjoint(before)
        before |= one.words
    beside = list(pairwise(steps))
    firsts = [one.first for one in steps]
    return np.array(
        [
            1.0,
            max(map(firsts.count, firsts)) / count,
            sum(one.first == other.first for one, other in beside) / gaps,
            sum(jaccard(one.words, other.words) for one, other in beside) / gaps,
            shared / gaps,
            known / gaps,
            sum(one.points for one in steps[1:]) / gaps,
            sum(one.waits for one in steps[1:]) / gaps,
            sum(one.mark in {"then", "last"} for one in steps[1:]) / gaps,
            log(1 + sum(one.length for one in steps) / count) / 4,
            log(count) / 3,
            sum(one.stage >= 0 for one in steps) / count,
            sum(one.stage < other.stage for one, other in beside) / gaps,
            sum(one.stage > other.stage for one, other in beside) / gaps,
            sum(len(one.words & asked) / max(1, len(one.words)) for one in steps) / count,
            min(_MANY, len(_THEN.findall(goal[:_MOST_GOAL]))) / _MANY,
            min(_MANY, len(_ALSO.findall(goal[:_MOST_GOAL]))) / _MANY,
            *near[:5],
        ]
    )


def pair(steps: Sequence[Step], at: int, to: int) -> list[float]:
    """Return what is known of step `at` coming before step `to`: PAIR numbers."""
    one, other = steps[at], steps[to]
    ahead = to - at
    alike = jaccard(one.words, other.words)
    named = not other.definite.isdisjoint(one.words)
    rises, falls = 0 <= one.stage < other.stage, one.stage > other.stage >= 0
    return [
        1.0,
        float(ahead == 1),
        float(ahead < 0),
        float(ahead == -1),
        float(ahead == 2),  # noqa: PLR2004 - one between
        log(abs(ahead)) / 3,
        float(one.first == other.first),
        alike,
        alike if ahead == 1 else 0.0,
        float(alike > 0),
        float(named),
        float(named and ahead < 0),
        float(lexicon.NOMINAL.get(one.first, "") in other.words),
        float(rises),
        float(falls),
        float(rises and ahead < 0),
        float(falls and ahead < 0),
        float(at == 0),
        float(to == len(steps) - 1),
        float(to == 0),
        float(at == len(steps) - 1),
        float(other.points and ahead == 1),
        float(other.waits),
        float(other.mark in {"then", "last"}),
        alike if one.first == other.first else 0.0,
        1 / len(steps),
    ]


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the part of words two steps share."""
    together = len(one | other)
    return len(one & other) / together if together else 0.0
