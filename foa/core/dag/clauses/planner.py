"""The door of the clauses planner: a text read as a whole, its lists and remarks put where they belong, the plan."""

import re
from typing import Final, NamedTuple

from foa.core.dag.clauses import lexicon
from foa.core.dag.clauses.cutting import Piece, cut, generic, whole
from foa.core.dag.clauses.lists import content, covers, in_sequence, is_step, step
from foa.core.dag.clauses.material import without_material
from foa.core.dag.clauses.openings import Body, begins, skip, tokenize
from foa.core.dag.clauses.phrases import Clause
from foa.core.dag.clauses.references import linked, standing
from foa.core.dag.clauses.segments import MAX_SEGMENTS, Segment, hide, segments
from foa.core.dag.plan import reduced
from foa.wire.records import MAX_TEXT, Plan, Port, Subtask

MAX_CLAUSES: Final = 64
"""A text of more clauses than this is a document to work on, not a list of things to do: it stays whole."""

_MAX_GOAL: Final = 4_000
_HOW: Final = re.compile(r"how to\b[^\n]{1,200}$", re.IGNORECASE)
_EMPTY: Final = "."
"""Stands for an empty request, so that there is always a plan."""


class _Found(NamedTuple):
    segment: Segment
    piece: Piece
    context: str = ""
    step: bool = False
    listed: bool = False


class Listing(NamedTuple):
    """A request that ends in a list of its own steps: what it says before, and the steps as they were written."""

    goal: str
    steps: tuple[str, ...]


def propose(text: str, inputs: tuple[Port, ...] = ()) -> Plan:
    """Return the plan that the structure of `text` suggests; one subtask where it suggests none.

    ``inputs`` are what the submitter gives along: what has their name is known from the start, so nothing has
    to be waited for. Never raises; the plan always passes `foa.core.dag.plan.check`.
    """
    found = _read(text)
    if len(found) <= 1:
        apart = bool(found) and (found[0].listed or len(without_material(text)) < len(text))
        body = (standing(found[0]) if apart else text.strip())[:MAX_TEXT] or _EMPTY
        return Plan((Subtask(_id(1, 1, found[0].verb if found else ""), body),), origin=("clauses",))
    texts, edges = linked(found, frozenset(lexicon.singular(port.name.lower()) for port in inputs))
    ids = [_id(number, len(found), clause.verb) for number, clause in enumerate(found, 1)]
    subtasks = tuple(Subtask(one, body[:MAX_TEXT]) for one, body in zip(ids, texts, strict=True))
    return reduced(Plan(subtasks, tuple((ids[one], ids[other]) for one, other in edges), origin=("clauses",)))


def clauses(text: str) -> tuple[str, ...]:
    """Return the clauses of `text` in the order they are to be done; the text itself if it is one."""
    found = _read(text)
    return tuple(map(standing, found)) if len(found) > 1 else (text.strip(),)


def asked_words(text: str) -> frozenset[str]:
    """Return the words of what is asked, in the singular, without what is said or pasted beside it."""
    return content(" ".join(clause.text for clause in _read(text)) or text[:_MAX_GOAL])


def is_atomic(text: str) -> bool:
    """Tell whether `text` is one clause."""
    return len(_read(text)) <= 1


def _id(number: int, count: int, verb: str) -> str:
    """Return a readable id whose order is the clauses' own."""
    return f"{number:0{len(str(count))}d}-{re.sub('[^a-z0-9-]', '', verb)[:40] or 'do'}"


def _read(text: str) -> list[Clause]:
    """Return the clauses of a request with what stands around them folded in; empty if it is not to be split."""
    body = _body(text)
    every = segments(body.hidden)
    if len(every) > MAX_SEGMENTS:
        return []
    closing = _closing(body, every)
    found = _all(body, every[:closing])
    if closing < len(every):
        listed = _stepped(body, every[closing:])
        found = listed if _spelt_out(body, every[:closing], found, listed) else [*found, *listed]
    result = _folded(found)
    return result if len(result) <= MAX_CLAUSES else []


def listing(text: str) -> Listing | None:
    """Return the steps that a request lists at its end, and what stands before; None if it lists none."""
    body = _body(text)
    every = segments(body.hidden)
    at = _closing(body, every)
    if len(every) - at <= 1 or len(every) > MAX_SEGMENTS:
        return None
    steps = tuple(found.piece.text for found in _stepped(body, every[at:]))
    return Listing(body.plain[: every[at - 1].end].strip(), steps) if len(steps) <= MAX_CLAUSES else None


def _body(text: str) -> Body:
    text = without_material(text)
    return Body(text, hide(text))


def _all(body: Body, every: list[Segment]) -> list[_Found]:
    found: list[_Found] = []
    at = 0
    while at < len(every) and len(found) <= 4 * MAX_CLAUSES:
        taken, more = _next(body, every, at)
        found.extend(more)
        at += taken
    return found


def _closing(body: Body, every: list[Segment]) -> int:
    """Return where the list begins that closes a request by spelling it out in steps; the end if there is none."""
    at = len(every)
    while at and every[at - 1].kind != "sentence" and every[at - 1].group == every[-1].group:
        at -= 1
    items = every[at:]
    led = at > 0 and body.hidden[every[at - 1].start : every[at - 1].end].rstrip().endswith(":")
    if len(items) not in range(1, 4 * MAX_CLAUSES) or not at or led:
        return len(every)
    steps = sum(is_step(body.plain[item.start : item.end].strip()) for item in items)
    explained = len(items) > 1 and _HOW.match(body.plain[every[0].start : every[at - 1].end].strip())
    return at if explained or 2 * steps >= len(items) else len(every)


def _spelt_out(body: Body, before: list[Segment], found: list[_Found], listed: list[_Found]) -> bool:
    """Tell whether the closing list says how what stands above it is done: a heading, a question, or its own words."""
    asked = [one.piece for one in found if one.piece.kind == "ask"]
    if _titled(body, before) or all(piece.verb == "answer" for piece in asked):
        return True
    return covers([step(one.piece.text) for one in listed], [content(piece.text) for piece in asked])


def _titled(body: Body, before: list[Segment]) -> bool:
    """Tell whether only a heading stands above a list: one line that does not end like a sentence, or "how to"."""
    title = body.plain[before[0].start : before[-1].end].strip()
    return "\n" not in title and (title[-1:] not in ".!?;," or _HOW.match(title) is not None)


def _stepped(body: Body, items: list[Segment]) -> list[_Found]:
    """Read the items of a list that spells out a request: each is a step, even what elsewhere is a remark."""
    pieces = [
        whole(body, item)._replace(text=" ".join(body.plain[item.start : item.end].split()), kind="ask", again=False)
        for item in items
    ]
    return [one._replace(listed=True) for one in _ordered(body, items, pieces, "")]


def _ordered(body: Body, items: list[Segment], pieces: list[Piece], context: str) -> list[_Found]:
    """Return the pieces of a list as steps that wait for each other, or each as a sentence of its own."""
    numbered = all(item.kind == "step" for item in items)
    goal = body.plain[max(0, items[0].start - _MAX_GOAL) : items[0].start]
    tied = numbered or in_sequence(goal, [step(piece.text) for piece in pieces])
    places = items if tied else [item._replace(group=-item.start - 1) for item in items]
    return [_Found(item, piece, context, step=tied) for item, piece in zip(places, pieces, strict=True)]


def _next(body: Body, every: list[Segment], at: int) -> tuple[int, list[_Found]]:
    """Read the segment at `at`, with the list or the text that belongs to it; return how many were read."""
    segment = every[at]
    items = _items(every, at + (segment.kind == "sentence"))
    leads = body.hidden[segment.start : segment.end].rstrip().endswith(":")
    if segment.kind != "sentence":
        return len(items), _listed(body, items, "")
    if leads and items:
        return 1 + len(items), _led(body, segment, items)
    if leads and at + 1 < len(every) and _asks(body, segment) and not _heads(body, segment):
        rest = segment._replace(end=every[-1].end)
        return len(every) - at, [_Found(rest, whole(body, rest))]
    return 1, [_Found(segment, piece) for piece in cut(body, segment)]


def _items(every: list[Segment], at: int) -> list[Segment]:
    """Return the items of the list that begins at `at`."""
    return [one for one in every[at : at + 4 * MAX_CLAUSES] if one.kind != "sentence" and one.group == every[at].group]


def _led(body: Body, lead: Segment, items: list[Segment]) -> list[_Found]:
    """Read a list under its heading: things to do, each in the heading's context, or the object of the heading."""
    if 2 * sum(_asks(body, item) for item in items) < len(items):
        rest = lead._replace(end=items[-1].end)
        return [_Found(rest, whole(body, rest))]
    before = cut(body, lead)
    if _heads(body, lead) or not before:
        return _listed(body, items, "")
    earlier = [_Found(lead, piece) for piece in before[:-1]]
    return [*earlier, *_listed(body, items, f"{before[-1].text}:")]


def _listed(body: Body, items: list[Segment], context: str) -> list[_Found]:
    """Read the items: each stays as its author wrote it. A list of nouns belongs to what stands before it."""
    pieces = [whole(body, item) for item in items]
    if 2 * sum(piece.kind == "ask" for piece in pieces) < len(pieces):
        return [_Found(items[0], Piece("; ".join(piece.text for piece in pieces), "aside"))]
    asked = [piece if piece.kind != "statement" else piece._replace(kind="ask") for piece in pieces]
    return _ordered(body, items, asked, context)


def _asks(body: Body, segment: Segment) -> bool:
    start, _, firm = skip(body, segment.start, segment.end)
    return bool(begins(tokenize(body, start, min(segment.end, start + 400)), 0, firm=True)) or firm


def _heads(body: Body, segment: Segment) -> bool:
    return generic(body.hidden[segment.start : segment.end].strip(" \t\r\n*#:"))


def _folded(found: list[_Found]) -> list[Clause]:
    """Put statements before what they are said for, and asides behind what they restrict."""
    result: list[Clause] = []
    said: list[str] = []
    for one in found:
        segment, piece, context = one.segment, one.piece, one.context
        if not piece.text:
            continue
        if piece.kind == "ask":
            if not (piece.again and _asked_before(piece, result)):
                around = " ".join(filter(None, (*said, context, piece.context)))
                result.append(
                    Clause(piece.text, piece.verb, piece.mark, segment.group, one.step, around, listed=one.listed)
                )
            said = []
        elif piece.kind == "aside" and result:
            result[-1] = _aside(result[-1], piece.text)
        elif piece.kind != "chat":
            said.append(f"{piece.text}.")
    if said and result:
        result[-1] = result[-1]._replace(
            aside=". ".join(filter(None, (result[-1].aside, " ".join(said).removesuffix("."))))
        )
    return result


def _asked_before(piece: Piece, earlier: list[Clause]) -> bool:
    """Tell whether what is named in passing is a clause already: the same verb, and a word of its object."""
    words = set(piece.text.lower().split()[1:]) - lexicon.STOP
    return any(one.verb == piece.verb and not words.isdisjoint(one.text.lower().split()) for one in earlier)


def _aside(clause: Clause, text: str) -> Clause:
    """Put what restricts a clause behind it."""
    return clause._replace(aside=f"{clause.aside}. {text}" if clause.aside else text)
