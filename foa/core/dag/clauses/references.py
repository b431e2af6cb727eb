"""What each clause of a request waits for. The third step of clauses, after `foa.core.dag.clauses.cutting`.

A clause waits for another because it says so ("then", a numbered step), because it speaks of what the other
yields ("it", "the results", "the chart", "what matters"), because it closes the request ("write a report"), or
because, in one sentence or list, its verb works on what an earlier one brings ("load ..., plot ..."). Else it
waits for nobody. A pronoun for what the asker gave ("this data ... in it") is no reason to wait: it is
written out instead, so that the subtask can be understood alone.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from foa.core.dag.clauses import lexicon
from foa.core.dag.clauses.lexicon import Stage, singular
from foa.core.dag.clauses.phrases import ENDS, OWNS, PRONOUNS, WORD, Clause, View, view_of
from foa.core.dag.clauses.segments import HIDDEN

_MAX_CARRIED: Final = 400
_PLURAL: Final = frozenset({"them", "they", "their", "these", "those"})
_POSSESSIVE: Final = frozenset({"its", "their"})
_IS: Final = frozenset({"is", "was", OWNS})
_POINTERS: Final = frozenset({"this", "that", "these", "those"})
_INTRODUCES: Final = lexicon.words(
    "if whether that how what why when where because and so while until unless since which who"
)
_EMPTY_IT: Final = lexicon.words("important necessary possible clear time okay fine best better easy hard likely")
_DEFINITE: Final = lexicon.words("the this that these those each every all both any its their my our your")
_TOPIC: Final = lexicon.words("of on about regarding concerning covering describing explaining")
_WHOLE: Final = re.compile(
    r"\b(?:based on (?:that|this|it|these|those|them|the above|what)|all(?: of)? (?:it|this|that|them|these|those)\b"
    r"|it all|everything|(?:the|all) (?:of the )?(?:above|foregoing|previous \w+)|accordingly|together"
    r"|what (?:you|we|was|were|has been|have been) (?:find|found|learn|learned|did|discover|discovered|see|saw|done))\b"
)
_BEST: Final = re.compile(
    r"\b(?:the|a) (?:(?:two|three|top|five|first|second|last|next)\b ?)?"
    r"(?:most \w+|best|worst|cheapest|winner|winning|\w{3,}est|two|former|latter|others?)\b"
)
_ONES: Final = re.compile(
    r"\bthe (?:top|best|first|last|next) (?:\d{1,3}|two|three|four|five|ten)"
    r"(?=$| [^\w]| (?:in|into|to|and|by|for|from|with|on)\b)|"
    r"\b(?:which|the (?:\w+ ){0,2}\w+) ones?\b|\bthe (?:two|former|latter|winner)\b"
)
_FREE: Final = frozenset({"what", "whatever", "whichever"})


class _Thing(NamedTuple):
    """What a pronoun after a clause means: a phrase, and whose product it is (None: the asker gave it)."""

    phrase: str
    maker: int | None
    plural: bool


class _Past(NamedTuple):
    """What stands before a clause: the views, what each waits for, and the thing each leaves to speak of."""

    views: list[View]
    waits: list[frozenset[int]]
    things: list[_Thing]

    def leaves(self, within: Callable[[int], bool] = lambda _: True) -> frozenset[int]:
        """Return those of the earlier clauses nobody waits for yet."""
        waited = frozenset[int]().union(*self.waits)
        return frozenset(at for at in range(len(self.views)) if at not in waited and within(at))


def linked(clauses: Sequence[Clause], given: frozenset[str] = frozenset()) -> tuple[list[str], list[tuple[int, int]]]:
    """Return every clause's text, made to be read alone, and the edges (before, after) between their places.

    ``given`` are nouns, in the singular, for what the asker gave along.
    """
    past = _Past([], [], [])
    texts: list[str] = []
    for at, clause in enumerate(clauses):
        view = view_of(clause)
        text, meant = _spoken_of(view, past)
        if clause.listed:
            text = clause.text
        waits = _waits(view, past, meant)
        past.things.append(_left(at, view, past, meant, given))
        past.views.append(view)
        past.waits.append(waits - {at})
        texts.append(standing(clause._replace(text=text, context=clause.context or _borrowed(text, clauses, at))))
    return texts, [(before, after) for after, waits in enumerate(past.waits) for before in sorted(waits)]


def standing(clause: Clause) -> str:
    """Return a clause with what was said around it."""
    context = clause.context if len(clause.context) <= _MAX_CARRIED else ""
    text = f"{clause.text}. {clause.aside}" if clause.aside else clause.text
    return f"{context} {text}" if context else text


def _borrowed(text: str, clauses: Sequence[Clause], at: int) -> str:
    """Return the context of the first clause for one whose pronoun found nothing nearer."""
    return clauses[0].context if at and not clauses[at].listed and _unresolved(text) else ""


def _unresolved(text: str) -> bool:
    return any(word in PRONOUNS for word in WORD.findall(text.lower()))


# --- what it speaks of ------------------------------------------------------------------------------------


def _spoken_of(view: View, past: _Past) -> tuple[str, _Thing | None]:
    """Return the clause's text with its first pronoun written out where that is simple, and what it means."""
    at = _pronoun(view)
    if at < 0 or not past.things:
        return view.clause.text, None
    word = view.words[at]
    things = past.things[::-1]
    thing = next((one for one in things if one.plural), things[0]) if word in _PLURAL else things[0]
    after = view.words[at + 1] if at + 1 < len(view.words) else ""
    if not thing.phrase or word == "they" or after in lexicon.AUXILIARIES | {OWNS} or word in _POINTERS:
        return view.clause.text, thing
    start, end = view.places[at]
    phrase = _owners(thing.phrase) if word in _POSSESSIVE else thing.phrase
    return view.clause.text[:start] + phrase + view.clause.text[end:], thing


def _owners(phrase: str) -> str:
    return f"{phrase}'" if phrase.endswith("s") else f"{phrase}'s"


def _pronoun(view: View) -> int:
    """Return the place of the first word that means something said before this clause; -1 if there is none."""
    for at, word in enumerate(view.words):
        before = view.words[at - 1] if at else ""
        after = view.words[at + 1 : at + 3]
        own = view.object is not None and view.object.end <= view.places[at][0]
        if (
            word in PRONOUNS
            and not (own and (before in _INTRODUCES or word in _POSSESSIVE))
            and not _says_nothing(word, after)
        ):
            return at
        if word in _POINTERS and (before in lexicon.PREPOSITIONS or at == view.verb + 1) and _alone(*after[:1]):
            return at
    return -1


def _says_nothing(word: str, after: Sequence[str]) -> bool:
    """Tell "it is important" from an "it" that means something."""
    return word == "it" and len(after) > 1 and after[0] in _IS and after[1] in _EMPTY_IT


def _alone(after: str = "") -> bool:
    return not after or after in ENDS or not after[0].isalnum()


def _left(at: int, view: View, past: _Past, meant: _Thing | None, given: frozenset[str]) -> _Thing:
    """Return what a pronoun in the next clause would mean: the object as it was, or what was made of it."""
    unchanged = view.stage in lexicon.UNCHANGING
    phrase = view.object
    if phrase is None:
        if meant is None:
            return _Thing("", at if past.views or view.verb >= 0 else None, plural=False)
        return meant if unchanged else meant._replace(maker=at)
    text = view.clause.text[phrase.start : phrase.end]
    if phrase.words[0] in PRONOUNS and meant is not None and meant.phrase:
        text = _owners(meant.phrase) + text[len(phrase.words[0]) :]
    plural = any(word.endswith("s") and singular(word) in phrase.heads for word in phrase.words)
    pointed = any(word in lexicon.POINTING for word in phrase.words[:2]) or phrase.words[-1][0] == HIDDEN
    known = pointed or phrase.words[0] == "the" or not given.isdisjoint(phrase.heads)
    made = _mentioned(view, past)
    maker = (max(made) if made else None) if unchanged and known else at
    listed = any(word in {",", "and", "or"} for word in view.words[_after(view, phrase.end) :][:1])
    return _Thing("" if listed else _definite(text), maker, plural or listed)


def _after(view: View, place: int) -> int:
    return next((at for at, (start, _) in enumerate(view.places) if start >= place), len(view.places))


def _definite(text: str) -> str:
    """Write "a file" as "the file", so that it can stand for the one meant."""
    first, _, rest = text.partition(" ")
    word = first.lower()
    if word in {"a", "an", "some", "any"} and rest:
        return f"the {rest}"
    if word in lexicon.NUMBERS or (first.isdecimal() and rest):
        return f"the {text}"
    plain = first.isalpha() and first.islower() and word not in lexicon.DETERMINERS
    return f"the {text}" if plain else text


# --- what it waits for ------------------------------------------------------------------------------------


def _waits(view: View, past: _Past, meant: _Thing | None) -> frozenset[int]:
    clause = view.clause
    if not past.views:
        return frozenset()
    found = set(_mentioned(view, past))
    if meant is not None and meant.maker is not None:
        found.add(meant.maker)
    same = past.leaves(lambda at: past.views[at].clause.group == clause.group)
    if clause.mark in {"then", "last"} or _speaks_of_all(view) or _closes(view, past):
        return past.leaves() | found
    if _gathers(view, meant):
        return (same or past.leaves()) | found
    if clause.step and past.views[-1].clause.group == clause.group:
        return same | found
    if clause.mark == "meanwhile":
        return frozenset(found) | past.waits[_beside(clause, past)]
    return _since_then(view, past) | (frozenset(found) or _by_stage(view, past))


def _beside(clause: Clause, past: _Past) -> int:
    """Return the clause "meanwhile" speaks of: the one before in the same sentence, else where the last one began."""
    group = past.views[-1].clause.group
    if group == clause.group:
        return len(past.views) - 1
    return next(at for at, view in enumerate(past.views) if view.clause.group == group)


def _since_then(view: View, past: _Past) -> frozenset[int]:
    """Return what the last "then" of the same sentence waits for: "then a, b and c" puts all three after it."""
    for at in range(len(past.views) - 1, -1, -1):
        earlier = past.views[at].clause
        if earlier.group != view.clause.group:
            break
        if earlier.mark in {"then", "last"}:
            return past.waits[at]
    return frozenset()


def _mentioned(view: View, past: _Past) -> frozenset[int]:
    """Return the latest earlier clause that yields what this one names with "the", "this", "each" and the like."""
    named = {
        singular(word)
        for at, word in enumerate(view.words)
        if any(before in _DEFINITE or before == OWNS for before in view.words[max(0, at - 3) : at])
    }
    for at in range(len(past.views) - 1, -1, -1):
        if not named.isdisjoint(_yields(past.views[at])):
            return frozenset({at})
    return frozenset()


def _yields(view: View) -> frozenset[str]:
    """Return the nouns for what a clause leaves behind."""
    noun = lexicon.NOMINAL.get(view.clause.verb)
    named = {noun} if noun else set()
    if view.object is not None and view.stage not in lexicon.UNCHANGING:
        named.update(head for head in view.object.heads if head[0] != HIDDEN)
    return frozenset(named)


def _speaks_of_all(view: View) -> bool:
    """Tell whether the clause names everything found so far: the results, the above, what matters."""
    text = " ".join(view.words)
    if _WHOLE.search(text) or _ONES.search(text):
        return True
    if view.clause.verb in lexicon.CHOOSING and _BEST.search(text):
        return True
    after = view.words[view.verb + 1 : view.verb + 2]
    if view.verb >= 0 and after and after[0] in _FREE and view.clause.verb not in lexicon.ASKING:
        return True
    return any(_is_result(view.words, at) for at in range(1, len(view.words)))


def _is_result(words: tuple[str, ...], at: int) -> bool:
    """Tell whether "the ... results" stands at `at`, without an "of ..." that makes them somebody else's."""
    if singular(words[at]) not in lexicon.RESULTS or words[at] in {"data", "analysis", "information"}:
        return False
    own = at + 1 < len(words) and words[at + 1] in {"of", "from"}
    return not own and any(word in _DEFINITE for word in words[max(0, at - 3) : at])


def _closes(view: View, past: _Past) -> bool:
    """Tell whether the clause makes a report or summary, and of nothing new."""
    phrase = view.object
    if phrase is None:
        alone = view.clause.verb in {"summarize", "summarise", "conclude", "report", "recap"}
        return alone and not any(word in _FREE for word in view.words)
    if lexicon.singular(phrase.heads[0]) not in lexicon.DOCUMENTS or view.stage in lexicon.UNCHANGING:
        return False
    if phrase.words[0] in lexicon.POINTING:
        return False
    return not _own_topic(view, past)


def _own_topic(view: View, past: _Past) -> bool:
    """Tell whether "a report on ..." goes on with something that was not spoken of before."""
    first = next((at for at, word in enumerate(view.words) if at > view.verb and word in _TOPIC), -1)
    if first < 0:
        return False
    topic = {singular(word) for word in view.words[first + 1 :] if word[0].isalnum() and word not in lexicon.STOP}
    known = {singular(word) for earlier in past.views for word in earlier.words}
    return bool(topic) and topic.isdisjoint(known | lexicon.RESULTS | PRONOUNS)


def _gathers(view: View, meant: _Thing | None) -> bool:
    """Tell whether "compare them" and the like takes all that its sentence or list found."""
    return view.clause.verb in lexicon.GATHERING and meant is not None and view.object is None


def _by_stage(view: View, past: _Past) -> frozenset[int]:
    """Return the earlier clauses of the same sentence or list whose work comes before this kind of work.

    Changes come after changes too.
    """
    clause = view.clause
    if view.object is not None and any(word in lexicon.POINTING for word in view.object.words[:2]):
        return frozenset()
    if view.stage is not Stage.DELIVER and _novel(view, past):
        return frozenset()
    latest = view.stage + (view.stage is lexicon.CHANGING)
    earlier = [at for at, one in enumerate(past.views) if one.clause.group == clause.group and one.stage < latest]
    waited = frozenset[int]().union(*(past.waits[at] for at in earlier))
    return frozenset(earlier) - waited


def _novel(view: View, past: _Past) -> bool:
    """Tell whether the clause brings a name or a quotation nobody spoke of: then it is about something else."""
    known = {word for earlier in past.views for word in earlier.words}
    for word, (start, _) in list(zip(view.words, view.places, strict=True))[1:]:
        name = view.clause.text[start].isupper() and not view.clause.text[start : start + len(word)].isupper()
        if name and word not in known and word not in lexicon.STOP:
            return True
    return False
