"""Lists of steps: whether a list says what is to be done, and whether its items wait for each other.

Whoever lists steps rarely says what their order means: "search, filter, order" is a procedure, "stretch the arm,
stretch the leg" are alternatives. A list is read as a procedure, in the order it was written in, unless nothing ties
its items together: no item speaks of what an earlier one named or yields, and all do the same kind of thing. Used by
`foa.core.dag.clauses.planner`, and by `foa.core.dag.cases`, which learns from past plans what is only assumed here.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from foa.core.dag.clauses import lexicon
from foa.core.dag.clauses.lexicon import singular
from foa.core.dag.clauses.openings import Body, Mark, Token, begins, skip, tokenize
from foa.core.dag.clauses.phrases import PRONOUNS
from foa.core.dag.clauses.segments import hide

_WORD: Final = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_WAITS: Final = re.compile(
    r"\b(?:after|once|until|when|before|then|finally|next|based on|using|from (?:the|those|these)|previous(?:ly)?"
    r"|above|results?|(?:sub)?(?:step|goal|task) \d|identified|selected|retrieved|obtained|resulting|calculated"
    r"|remaining|found|chosen|collected|extracted|filtered)\b",
    re.IGNORECASE,
)
_BESIDE: Final = re.compile(
    r"\b(?:also|additionally|in addition|furthermore|moreover|besides|separately|independently|as well as)\b",
    re.IGNORECASE,
)
_DEFINITE: Final = lexicon.words("the this that these those each every all both its their")
_FINITE: Final = lexicon.words("is are was were has had will means")
_POINTERS: Final = PRONOUNS | lexicon.words("this that these those")
_ADVISING: Final = lexicon.words("be do don't never always")
_LEADING: Final = lexicon.PREPOSITIONS | lexicon.words("if when once while since because as after before until")
_READ: Final = 400
_ALIKE: Final = 3
_FEW: Final = 1 / 3
_COVERED: Final = 0.25
_NOT_STEPS: Final = (
    lexicon.DETERMINERS | lexicon.PREPOSITIONS | PRONOUNS | lexicon.AUXILIARIES | lexicon.words("i we he")
)


class Step(NamedTuple):
    """One item by its words: what it begins with, what its verb does (-1: unknown), what it speaks of.

    ``words`` are its content words in the singular, ``definite`` those it takes as known, ``waits`` says that it
    speaks of something done before, ``points`` that it has a pronoun.
    """

    first: str
    stage: int
    mark: Mark
    words: frozenset[str]
    definite: frozenset[str]
    waits: bool
    points: bool
    length: int


def step(text: str) -> Step:
    """Read one item."""
    text = text[: 4 * _READ]
    body = Body(text, hide(text))
    start, mark, _ = skip(body, 0, len(text))
    tokens = tokenize(body, start, min(len(text), start + _READ))
    verb = begins(tokens, 0, firm=True)
    said = _WORD.findall(text.lower())
    first = verb or (tokens[0].word if tokens else "")
    words = content(text) - {first}
    known = {
        singular(said[at + ahead])
        for at, word in enumerate(said)
        if word in _DEFINITE
        for ahead in (1, 2)
        if at + ahead < len(said)
    }
    return Step(
        first,
        int(lexicon.stage(verb)) if verb else -1,
        mark,
        words,
        words & known,
        _WAITS.search(text) is not None,
        not _POINTERS.isdisjoint(said),
        len(said),
    )


def content(text: str) -> frozenset[str]:
    """Return the words of a text that mean something by themselves, in the singular."""
    return frozenset(
        singular(word) for word in _WORD.findall(text.lower()) if len(word) > 1 and word not in lexicon.STOP
    )


def in_sequence(goal: str, steps: Sequence[Step]) -> bool:
    """Tell whether listed steps are a procedure; False if they stand beside each other.

    They do where nothing ties them (none speaks of another, they share no word, hardly any does another kind of
    thing), and where the request puts its parts side by side ("also") and little ties them. Two show too little of
    either and are a procedure.
    """
    gaps = len(steps) - 1
    if gaps < 2:  # noqa: PLR2004 - two steps
        return gaps > 0
    before: set[str] = set(steps[0].words)
    referring = shared = 0
    for one in steps[1:]:
        shared += not one.words.isdisjoint(before)
        referring += one.waits or one.points or one.mark in {"then", "last"} or not one.definite.isdisjoint(before)
        before |= one.words
    if referring < _FEW * gaps and 2 * shared <= gaps and _BESIDE.search(goal):
        return False
    changes = sum(one.stage != other.stage for one, other in pairwise(steps))
    return bool(referring or shared) or changes >= _FEW * gaps


def covers(steps: Sequence[Step], asked: Sequence[frozenset[str]]) -> bool:
    """Tell whether listed steps spell out what was asked: half the words of one clause, or a quarter of all."""
    named = frozenset[str]().union(*(one.words | {one.first} for one in steps))
    every = frozenset[str]().union(*asked)
    if len(every & named) >= _COVERED * len(every):
        return True
    return any(len(words & named) >= 2 * _COVERED * len(words) for words in asked)


def is_step(text: str) -> bool:
    """Tell whether an item may be something to do, whatever its first word: no noun phrase, no statement."""
    body = Body(text, hide(text[:_READ]))
    start, _, firm = skip(body, 0, len(body.hidden))
    tokens = tokenize(body, start, len(body.hidden))
    if firm or begins(tokens, 0, firm=True) or _advises(tokens):
        return True
    if len(tokens) < _ALIKE or tokens[0].word in _NOT_STEPS or not tokens[0].word.replace("-", "").isalpha():
        return False
    return not any(map(_is_finite, tokens[1:6]))


def _advises(tokens: Sequence[Token]) -> bool:
    """Tell whether an item says "be ...", "do not ...", or what to do after "in order to ...," and the like."""
    first = tokens[0].word if tokens else ""
    if first in _ADVISING and len(tokens) > 1:
        return True
    comma = next((at for at, token in enumerate(tokens) if token.word == ","), len(tokens))
    return first in _LEADING and bool(begins(tokens, comma + 1, firm=True))


def _is_finite(token: Token) -> bool:
    return token.word in _FINITE
