"""A clause taken apart: its words, its verb, and the noun phrase the verb works on. Used by `references`."""

import re
from typing import Final, NamedTuple

from foa.core.dag.clauses import lexicon
from foa.core.dag.clauses.lexicon import Stage, singular
from foa.core.dag.clauses.openings import Mark
from foa.core.dag.clauses.segments import HIDDEN, hide

OWNS: Final = "'s"
WORD: Final = re.compile(rf"{HIDDEN}+|\w+(?:-\w+)*(?:'(?!s\b)\w+)?|{OWNS}\b|[^\w\s]")
"""As in `openings`, but "it's" and "Anna's" are two words each."""

PRONOUNS: Final = frozenset({"it", "them", "they", "its", "their"})
_PARTICLES: Final = lexicon.words("up out down off over through back for at into me us on")
ENDS: Final = (
    lexicon.PREPOSITIONS
    | lexicon.CONJUNCTIONS
    | lexicon.AUXILIARIES
    | lexicon.QUESTIONS
    | PRONOUNS
    | lexicon.words("him you me us everything anything then again together first once to around away")
)
"""Words that no noun phrase goes beyond."""


class Clause(NamedTuple):
    """One thing asked. ``group`` is its sentence or list, ``step`` tells an item that waits for the one before.

    A ``listed`` one is left as it was written. ``context`` was said before it, ``aside`` after it;
    neither is looked at for what it waits for.
    """

    text: str
    verb: str
    mark: Mark
    group: int
    step: bool = False
    context: str = ""
    aside: str = ""
    listed: bool = False


class Phrase(NamedTuple):
    """The object of a verb: its words, and where it stands in the clause's text."""

    words: tuple[str, ...]
    start: int
    end: int
    heads: tuple[str, ...]


class View(NamedTuple):
    """A clause taken apart: words in lower case with their places, where its verb is, and the verb's object."""

    clause: Clause
    words: tuple[str, ...]
    places: tuple[tuple[int, int], ...]
    verb: int
    stage: Stage
    object: Phrase | None


def view_of(clause: Clause) -> View:
    """Take `clause` apart."""
    found = list(WORD.finditer(hide(clause.text)))
    words = tuple(one[0].lower() for one in found)
    places = tuple(one.span() for one in found)
    verb = words.index(clause.verb) if clause.verb in words else -1
    asks = clause.verb in lexicon.ASKING and not lexicon.QUESTIONS.isdisjoint(words[verb + 1 : verb + 2])
    stage = Stage.ACQUIRE if asks or clause.verb == "answer" else lexicon.stage(clause.verb)
    return View(clause, words, places, verb, stage, _object(words, places, verb))


def _object(words: tuple[str, ...], places: tuple[tuple[int, int], ...], verb: int) -> Phrase | None:
    """Return the noun phrase after the verb, with one "of ..." behind it."""
    start = verb + 1
    while start < len(words) and words[start] in _PARTICLES and start <= verb + 2:
        start += 1
    end = _noun_phrase(words, start)
    if verb < 0 or end == start:
        return None
    heads = [words[end - 1]]
    if end < len(words) and words[end] == "of" and _noun_phrase(words, end + 1) > end + 1:
        end = _noun_phrase(words, end + 1)
        heads.append(words[end - 1])
    return Phrase(words[start:end], places[start][0], places[end - 1][1], tuple(map(singular, heads)))


def _noun_phrase(words: tuple[str, ...], start: int) -> int:
    """Return where the noun phrase that begins at `start` ends; `start` if there is none."""
    at = start
    while at < len(words) and at - start < 7:  # noqa: PLR2004 - longer ones are no handy antecedent
        word = words[at]
        first = at == start and word in lexicon.DETERMINERS
        if not first and (word in ENDS or not (word[0].isalnum() or word[0] == HIDDEN or word == OWNS)):
            break
        at += 1
    while at > start and (words[at - 1].endswith("ly") or words[at - 1] in lexicon.DETERMINERS):
        at -= 1
    return at
