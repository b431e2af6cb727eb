"""How a clause begins: past order words and politeness, with a verb. Used by `cutting` at every possible cut.

There is no tagger here, only evidence: a word we know for a verb, and what follows it. Where a word is a noun
as often ("chart", "test"), something must stand behind it that only a verb can have.
"""

import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from foa.core.dag.clauses import lexicon
from foa.core.dag.clauses.segments import HIDDEN

Mark = Literal["", "then", "last", "meanwhile"]

_TOKEN: Final = re.compile(rf"{HIDDEN}+|\w+(?:['-]\w+)*|[^\w\s]")
_LEADER: Final = re.compile(
    r"(?:(?P<then>and then|then|next|after (?:that|this|which)|afterwards?|subsequently|later|second(?:ly)?"
    r"|third(?:ly)?"
    r"|(?:when|once) (?:(?:that|this|it|you)(?: is|'s| are|'re) )?(?:done|finished|complete|completed)"
    r"|following (?:that|this)|from there|thereafter)"
    r"|(?P<last>finally|lastly|in the end|at the end|to finish|last but not least|at last|in conclusion)"
    r"|(?P<meanwhile>meanwhile|in the meantime|in parallel|simultaneously|concurrently|at the same time|separately"
    r"|independently|on the side)"
    r"|first of all|first(?:ly)?|to start(?: with)?|to begin(?: with)?|also|additionally|in addition|furthermore"
    r"|moreover|besides|as well|both|now|just|so|again|and|but|plus|as a (?:first|next|last|final) step)"
    r"(?=[\s,:]|$)[,:]?\s{0,4}",
    re.IGNORECASE,
)
_WRAPPER: Final = re.compile(
    r"(?:please|kindly|(?:can|could|would|will) you(?: please| kindly)?|i(?:'d| would) (?:like|love) (?:you )?to"
    r"|(?:i|we) (?:want|need|have) (?:you )?to|you (?:should|must|can|need to|have to|are to)|help me(?: to)?"
    r"|let'?s|let us|make sure to|be sure to|go ahead and|try to|don'?t forget to|remember to"
    r"|proceed to(?! (?:the|a|an|my|your|this|that|its)\b)"
    r"|(?:your|the|our|my) (?:task|job|goal) is to)(?=[\s,]),?\s{0,4}",
    re.IGNORECASE,
)
_START: Final = re.compile(r"(?:start|begin)(?: off)? (?:by|with)\s{1,4}(?=[a-z]+ing\b)", re.IGNORECASE)
_KNOWN_OBJECT: Final = lexicon.words("the this these those my our your their its all each every them")
_PARTICLES: Final = lexicon.words("up out down off")
_UNLIKELY: Final = ("ly", "ing", "ed", "ion", "ness", "ment", "ity")
_ADJECTIVAL: Final = ("ly", "al", "ive", "ous", "ful", "ic", "ed")
_FINITE: Final = lexicon.words("is are was were has have had will can should may means")


class Body(NamedTuple):
    """A request, and the same equally long with what must stay whole hidden."""

    plain: str
    hidden: str


class Token(NamedTuple):
    """A word (in lower case) or sign, and where it stands in the text."""

    word: str
    start: int
    end: int
    capital: bool


def skip(body: Body, start: int, end: int) -> tuple[int, Mark, bool]:
    """Pass over order words and politeness: where the clause begins, its mark, and whether it is asked for."""
    mark: Mark = ""
    firm = False
    while start < end:
        if body.hidden[start] in " \t\r\n,;:*_-\u2014\u2013.":
            start += 1
            continue
        leader = _LEADER.match(body.hidden, start, end)
        found = leader or _WRAPPER.match(body.hidden, start, end) or _START.match(body.hidden, start, end)
        if found is None or found.end() >= end:
            break
        if leader is None:
            firm = True
        elif leader.lastgroup is not None:
            mark, firm = order_word(leader.lastgroup), True
        start = found.end()
    return start, mark, firm


def tokenize(body: Body, start: int, end: int) -> list[Token]:
    """Return the words and signs between two places."""
    return [
        Token(found[0].lower(), found.start(), found.end(), found[0][0].isupper())
        for found in _TOKEN.finditer(body.hidden, start, end)
    ]


def begins(tokens: Sequence[Token], at: int, *, firm: bool) -> str:
    """Return the verb if a clause begins at token `at`, "" if none does.

    ``firm``: something before says that a clause must begin here (a full stop, "then", "please"); else a
    word that may be a noun needs an object that only a verb can have.
    """
    if at >= len(tokens) or (tokens[at].capital and not firm):
        return ""
    word = tokens[at].word
    after = tokens[at + 1].word if at + 1 < len(tokens) else ""
    verb = lexicon.base(word)
    if not verb:
        return _shaped(tokens, at, firm=firm)
    if after == "of" or after in _FINITE:
        return ""
    if word not in lexicon.NOUNS_TOO or after in lexicon.OPENERS or after[:1] == HIDDEN or after.isdecimal():
        return verb
    if after.endswith(_ADJECTIVAL) and at + 2 < len(tokens) and tokens[at + 2].word.isalpha():
        return verb
    return verb if firm and after and not _is_subject(tokens, at) else ""


def _shaped(tokens: Sequence[Token], at: int, *, firm: bool) -> str:
    """Return the verb that a word we do not know looks like, from its own end and from what follows it."""
    word = tokens[at].word
    after = [token.word for token in tokens[at + 1 : at + 3]]
    if firm and after and lexicon.from_gerund(word) and not _is_subject(tokens, at):
        return lexicon.from_gerund(word)
    particle = len(after) > 1 and after[0] in _PARTICLES and after[1] in lexicon.DETERMINERS
    return word if after and (particle or after[0] in _KNOWN_OBJECT) and _maybe_verb(word) else ""


def _is_subject(tokens: Sequence[Token], at: int) -> bool:
    """Tell whether a finite verb follows soon: "order data is in a file" asks for nothing."""
    return any(token.word in _FINITE for token in tokens[at + 1 : at + 7])


def _maybe_verb(word: str) -> bool:
    if not word.isalpha() or len(word) < 3 or word in lexicon.STOP or word.endswith(_UNLIKELY):  # noqa: PLR2004 - "go"
        return False
    return not word.endswith("s") or word.endswith("ss")


def order_word(group: str) -> Mark:
    """Return the mark that a matched group of order words stands for."""
    return "then" if group == "then" else "last" if group == "last" else "meanwhile"
