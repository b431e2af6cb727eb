"""Cuts one sentence into the things it asks for. The second step of clauses, after `foa.core.dag.clauses.segments`.

A cut is made at a comma, semicolon, dash, "and", "but" or "then", and only if what follows begins like a
clause and what stands before is one. Verbs that share an object stay together ("clean and normalize the
data"), unless they are a list of three or more, each of which is then given the object.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from foa.core.dag.clauses import lexicon
from foa.core.dag.clauses.openings import Body, Mark, Token, begins, order_word, skip, tokenize
from foa.core.dag.clauses.segments import Segment

Kind = Literal["ask", "aside", "statement", "chat"]

_GENERIC: Final = re.compile(
    r"(?:(?:please|kindly|i (?:want|need) you to|can you|could you) )?"
    r"(?:(?:do|perform|complete|execute|carry out|follow|handle)\b.{0,60}"
    r"|(?:the |your |my |our |these |here (?:is|are) (?:the |my |your )?)?(?:[\w-]+ ){0,2}"
    r"(?:to-?do(?: list)?|tasks?|steps?|instructions?|problem|question|goal|things to do)(?: .{0,30})?)$",
    re.IGNORECASE,
)
_WORDING: Final = lexicon.words(
    "sentence text phrase paragraph passage message title headline question quote code article word line statement"
    " tweet prompt snippet sql letter saying verse lyrics caption comment name string"
)
_ASIDE: Final = re.compile(
    r"(?:do not|don't|never|avoid|ensure|make sure|be (?!sure to)|keep (?:it|them|the|your|this|in)|only|no |limit"
    r"|note that|remember that|feel free|otherwise|else\b|if not\b|use (?:[\w-]+ ){0,3}(?:style|tone|format|units?)\b)",
    re.IGNORECASE,
)
_CHAT: Final = re.compile(
    r"(?:hi|hello|hey|dear|thanks|thank you|good (?:morning|day|evening)|cheers)\b[^,.!]{0,30}[,.!]?$", re.IGNORECASE
)
_WANT: Final = re.compile(r"\b(?:should|must|need|needs|want|would like|has to|have to|looking for)\b", re.IGNORECASE)
_TAIL: Final = re.compile(
    r"[,\s]{1,3}(?:(?P<meanwhile>in parallel|simultaneously|concurrently|at the same time)"
    r"|(?P<then>afterwards?|after that))$",
    re.IGNORECASE,
)
_MYSELF: Final = re.compile(r"\b(?:i|we)(?: (?:want|need|have|would like|plan)|'d like) to\s{1,4}$", re.IGNORECASE)
_BOTH: Final = re.compile(r"\bboth\b", re.IGNORECASE)
_ENABLES: Final = re.compile(
    r"\b(?:lets|allows|allowing|enables|enabling|helps|helping) \w+|\b(?:let|allow|enable|help) (?:\w+ ){1,2}to\b"
    r"|\bbetween\b(?! (?:them|these|those|both|us|you|the two|versions)\b)(?!.*\band\b)"
)
_INSIDE: Final = re.compile(
    r"\b(?:how|ability|able|ways?|trying|order|wants?|used) to\b|\b(?:who|which)\b"
    r"|\b(?:can|could|may|might|will|would|should)\b"
)

_MAX_HEADING: Final = 200
_MAX_SENTENCE: Final = 4_000
_MAX_DEPTH: Final = 4
_HEADS: Final = frozenset({"if", "unless", "when", "whenever", "once", "after", "before", "while", "because", "since"})
_INTRODUCES: Final = lexicon.words(
    "based using given in for with from on by at according as to depending under through"
)
_ELSE: Final = frozenset({"otherwise", "else"})
_ONCE: Final = lexicon.words("based from")
_ORDERING: Final = frozenset({"once", "after"})
_SPOKEN_OF: Final = lexicon.words("it them they its their there this that these those he she his her one ones")
_SUBJECTS: Final = lexicon.words("i you we he she it they there")
_CUTS: Final = frozenset({",", ";", "and", "but", "then", "plus", "&", "-", "\u2014", "\u2013"})
_FIRM: Final = frozenset({";", "then", "-", "\u2014", "\u2013"})


class Piece(NamedTuple):
    """What one cut yields. ``verb`` is the verb of an ``ask``; ``late``: it comes after the rest of its sentence.

    ``context`` is what was said for this clause and its neighbours; ``again``: it was named in passing ("after
    cleaning the data"), so it may have been asked for before.
    """

    text: str
    kind: Kind
    verb: str = ""
    mark: Mark = ""
    context: str = ""
    late: bool = False
    again: bool = False


class _Cut(NamedTuple):
    """Where the clause before ends, where the next begins (a token), and what is known of it."""

    end: int
    at: int
    verb: str
    mark: Mark


def cut(body: Body, segment: Segment, depth: int = 0) -> list[Piece]:
    """Return the pieces of a sentence in the order they are to be done; one if it is over `_MAX_SENTENCE`.

    ``depth`` counts the conditions and headings already read off its start.
    """
    if segment.end - segment.start > _MAX_SENTENCE or depth > _MAX_DEPTH:
        return [whole(body, segment)]
    start, mark, firm = skip(body, segment.start, segment.end)
    tokens = tokenize(body, start, segment.end)
    if not tokens:
        return []
    if any(token.word == ":" for token in tokens[1:-1]):
        return _after_colon(body, segment, tokens, mark, depth)
    if not _ELSE.isdisjoint(token.word for token in tokens):
        return [_either(body, segment, tokens, mark)]
    if tokens[0].word in _HEADS or tokens[0].word in _INTRODUCES:
        found = _subordinate(body, segment, tokens, mark, depth)
        if found:
            return found
    pieces = _sorted_pieces(_main(body, segment, tokens, mark, asked=firm))
    if len(pieces) > 1 and _BOTH.search(body.hidden, segment.start, start):
        pieces[1] = pieces[1]._replace(mark=pieces[1].mark or "meanwhile")
    return pieces


def whole(body: Body, segment: Segment) -> Piece:
    """Return a segment as one piece, its leading order words and politeness taken off."""
    start, mark, firm = skip(body, segment.start, segment.end)
    tokens = tokenize(body, start, min(segment.end, start + 400))
    return _piece(body, start, segment.end, begins(tokens, 0, firm=True), mark, asked=firm)


def generic(heading: str) -> bool:
    """Tell whether a heading only says that things to do follow: "please do the following"."""
    return len(heading) <= _MAX_HEADING and _GENERIC.match(heading) is not None


# --- what stands before a colon or a comma ----------------------------------------------------------------


def _after_colon(body: Body, segment: Segment, tokens: list[Token], mark: Mark, depth: int) -> list[Piece]:
    """Read what stands before a colon: something to do with its object, "do the following", or context."""
    colon = next(at for at, token in enumerate(tokens) if at and token.word == ":")
    before = body.hidden[tokens[0].start : tokens[colon].start].strip()
    rest = segment._replace(start=tokens[colon].end)
    if generic(before):
        return cut(body, rest, depth + 1)
    verb = begins(tokens, 0, firm=True)
    found = cut(body, rest, depth + 1)
    asked = sum(piece.kind == "ask" for piece in found)
    wording = any(lexicon.singular(token.word) in _WORDING for token in tokens[:colon])
    if wording or asked < 1 + bool(verb):
        return [_piece(body, tokens[0].start, segment.end, verb, mark, asked=bool(verb))]
    context = f"{_clean(body.plain[tokens[0].start : tokens[colon].start])}:"
    first = found[0]._replace(mark=found[0].mark or mark)
    return [piece._replace(context=context) for piece in (first, *found[1:])]


def _either(body: Body, segment: Segment, tokens: list[Token], mark: Mark) -> Piece:
    """Return "if ..., do this; otherwise do that" as the one thing it is."""
    if tokens[0].word not in _HEADS:
        return whole(body, segment)
    inner = (begins(tokens, at, firm=True) for at, before in enumerate(tokens, 1) if before.word in {",", "then"})
    return _piece(body, tokens[0].start, segment.end, next(filter(None, inner), ""), mark, asked=True)


def _subordinate(body: Body, segment: Segment, tokens: list[Token], mark: Mark, depth: int) -> list[Piece]:
    """Read "after cleaning the data, train a model" as two things, "if x, do y" as one with its condition."""
    comma = next((at for at, token in enumerate(tokens) if token.word in {",", "then"}), 0)
    if not comma or comma + 1 >= len(tokens):
        return []
    head, inner = tokens[0].word, tokens[1]
    rest = segment._replace(start=tokens[comma].start)
    verb = lexicon.from_gerund(inner.word)
    if verb and comma > 2 and head in {"after", "once", "before"}:  # noqa: PLR2004 - head, verb, object
        done = Piece(f"{verb} {_clean(body.plain[inner.end : tokens[comma].start])}", "ask", verb, mark, again=True)
        found = cut(body, rest, depth + 1)
        if head == "before":
            return [*found, done._replace(mark="then")]
        return [done, *(found[:1] and [found[0]._replace(mark=found[0].mark or "then")]), *found[1:]]
    condition = _clean(body.plain[tokens[0].start : tokens[comma].start])
    found = cut(body, rest, depth + 1)
    carried = head not in _ONCE and not any(token.word in _SPOKEN_OF for token in tokens[:comma])
    ordered: Mark = mark or ("then" if head in _ORDERING else "")
    return [
        piece._replace(text=f"{condition}, {piece.text}", mark=piece.mark or ("" if number else ordered))
        if number == 0 or (carried and piece.kind == "ask" and len(condition) <= _MAX_HEADING)
        else piece
        for number, piece in enumerate(found)
    ]


# --- the clauses of one sentence --------------------------------------------------------------------------


def _main(body: Body, segment: Segment, tokens: list[Token], mark: Mark, *, asked: bool) -> Iterator[Piece]:
    """Yield the pieces between the cuts, bare verbs put with the object they share."""
    question = body.hidden[segment.start : segment.end].rstrip().endswith("?")
    verb = "" if _participle(tokens) else begins(tokens, 0, firm=True)
    verb = verb or ("answer" if question or tokens[0].word in lexicon.QUESTIONS else "")
    cuts = list(_cuts(body, tokens, question=question))
    starts = [_Cut(tokens[0].start, 0, verb, mark), *cuts]
    ends = [one.end for one in cuts] + [segment.end]
    bare: list[_Cut] = []
    for one, end in zip(starts, ends, strict=True):
        begin = tokens[one.at].start
        if one.verb and end < segment.end and _clean(body.plain[begin:end]).lower() == one.verb:
            bare.append(one)
            continue
        if len(bare) > 1:
            shared = _clean(body.plain[tokens[one.at].end : end])
            yield from (
                Piece(f"{each.verb} {shared}", "ask", each.verb, "then" if number else each.mark)
                for number, each in enumerate(bare)
            )
            yield Piece(f"{one.verb} {shared}", "ask", one.verb, "then")
        else:
            first = bare[0] if bare else one
            yield from _timed(body, tokens, (tokens[first.at].start, end), first, asked=asked or bool(first.at))
        bare = []


def _participle(tokens: Sequence[Token]) -> bool:
    """Tell whether the sentence says what happened, "looking around, you see ...", not what is to be done."""
    if not lexicon.from_gerund(tokens[0].word):
        return False
    return any(one.word == "," and after.word in _SUBJECTS for one, after in pairwise(tokens))


def _cuts(body: Body, tokens: list[Token], *, question: bool) -> Iterator[_Cut]:
    """Yield the places where a new clause begins."""
    last = 0
    at = 1
    listing = False
    while at < len(tokens):
        if tokens[at].word not in _CUTS:
            at += 1
            continue
        start, mark, firm = skip(body, tokens[at].start, tokens[-1].end)
        after = at + 1
        while after < len(tokens) and tokens[after].start < start:
            after += 1
        signs = {token.word for token in tokens[at:after]}
        sure = firm or bool(signs & _FIRM) or (last > 0 and {",", "and"} <= signs)
        verb = begins(tokens, after, firm=sure)
        main = _behind_condition(tokens, after)
        if main:
            ordered: Mark = "then" if tokens[after].word in _HEADS else ""
            yield _Cut(tokens[at].start, after, begins(tokens, main, firm=True), mark or ordered)
            last, at = main, main + 1
            continue
        if not verb and question:
            verb = _asked(tokens, after)
        is_bare = after + 1 < len(tokens) and tokens[after + 1].word in _CUTS and at - last > 1
        if verb and is_bare and not sure:
            listing = True
        elif verb and not (listing and not sure) and not _blocked(body, tokens, last, at, signs):
            yield _Cut(tokens[at].start, after, verb, mark or ("then" if "then" in signs else ""))
            last = after
        at = max(after, at + 1)


def _behind_condition(tokens: Sequence[Token], at: int) -> int:
    """Return where "if ..., do y" or "based on x, do y" goes on with its verb; 0 if no such thing stands at `at`."""
    if at >= len(tokens) or tokens[at].word not in _HEADS | _INTRODUCES:
        return 0
    comma = next((one for one in range(at, len(tokens)) if tokens[one].word == ","), len(tokens))
    return comma + 1 if begins(tokens, comma + 1, firm=tokens[at].word in _HEADS) else 0


def _asked(tokens: Sequence[Token], at: int) -> str:
    """Return "answer" if a question of its own begins here, not one that speaks of what was just asked."""
    own = tokens[at:]
    if not own or own[0].word not in lexicon.QUESTIONS or any(token.word in _SPOKEN_OF for token in own):
        return ""
    return "answer"


def _blocked(body: Body, tokens: list[Token], last: int, at: int, signs: set[str]) -> bool:
    """Tell whether the cut would tear a relative clause, an infinitive or "between a and b" apart."""
    before = body.hidden[tokens[last].start : tokens[at].start].lower()
    if signs & _FIRM:
        return False
    if _ENABLES.search(before):
        return True
    return "," not in signs and (_INSIDE.search(before, 4) is not None or _relative(tokens[last:at]))


def _relative(tokens: Sequence[Token]) -> bool:
    """Tell whether "that" follows a noun here, and so belongs to it."""
    return any(
        one.word == "that" and before.word not in lexicon.PREPOSITIONS and not lexicon.base(before.word)
        for before, one in pairwise(tokens)
    )


def _timed(body: Body, tokens: list[Token], span: tuple[int, int], first: _Cut, *, asked: bool) -> Iterator[Piece]:
    """Yield a clause; two if it says "x before doing y" or "x after doing y"."""
    start, end = span
    inner = [token for token in tokens if start <= token.start < end]
    for at, token in enumerate(inner[2:-2], 2):
        verb = lexicon.from_gerund(inner[at + 1].word) if token.word in {"before", "after"} else ""
        if not verb:
            continue
        main = _piece(body, start, token.start, first.verb, first.mark, asked=asked)
        other = Piece(f"{verb} {_clean(body.plain[inner[at + 1].end : end])}", "ask", verb, again=True)
        if token.word == "before":
            yield from (main, other._replace(mark="then", late=True))
        else:
            yield from (other._replace(mark=first.mark), main._replace(mark="then"))
        return
    yield _piece(body, start, end, first.verb, first.mark, asked=asked)


def _sorted_pieces(pieces: Iterator[Piece]) -> list[Piece]:
    return sorted(pieces, key=lambda piece: piece.late)


def _piece(body: Body, start: int, end: int, verb: str, mark: Mark, *, asked: bool) -> Piece:
    text = _clean(body.plain[start:end])
    tail = _TAIL.search(text)
    if tail:
        text, mark = text[: tail.start()], order_word(tail.lastgroup or "")
    if _CHAT.match(text):
        return Piece(text, "chat")
    if _ASIDE.match(text):
        return Piece(text, "aside")
    first, _, others = text.partition(" ")
    if verb and others and lexicon.from_gerund(first.lower()) == verb:
        text = f"{verb} {others}"
    myself = _MYSELF.search(body.hidden, max(0, start - 24), start) if verb in lexicon.PERSONAL else None
    if myself:
        return Piece(_clean(body.plain[myself.start() : end]), "statement")
    if verb or asked or _WANT.search(body.hidden, start, end):
        return Piece(text, "ask", verb, mark)
    return Piece(text, "statement")


def _clean(text: str) -> str:
    """Return a clause without the signs around it and without line breaks, unless it holds code."""
    text = text.strip(" \t\r\n,;:\u2014\u2013").removesuffix(".").rstrip()
    return text if "`" in text else " ".join(text.split())
