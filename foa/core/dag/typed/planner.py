"""The typed planner: from what the inputs are to what the request and the offers say is wanted, by the cheapest route.

What it understands of a request is little and said here: words that name a kind of document (`_NAMED`), the names that
agents gave to their outputs and types, and which offers the index holds for relevant. It refuses where that leaves
nothing but text: order among texts is for planners that read.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from foa.core.dag.planfile import write
from foa.core.dag.typed.layout import GENERIC, OWN_TEXT, laid
from foa.core.dag.typed.offers import Offer, fits, read_offers, read_ports
from foa.core.dag.typed.routes import DEFAULT, RouteRules, cheapest, reachable
from foa.wire.records import MAX_TEXT, Plan, Port

NEAR: Final = 0.9
"""Part of the best relevance from which what an offer yields is taken to be wanted."""

FLOOR: Final = 0.3
MAX_WANTED: Final = 8
_READ: Final = 8_192
"""Characters of a request that are read for names of types."""

_NAMED: Final = tuple(
    (re.compile(rf"\b(?:{words})\b"), kinds)
    for words, kinds in (
        (r"html|web ?pages?", ("text/html",)),
        (r"pdf", ("application/pdf",)),
        (r"markdown", ("text/markdown",)),
        (r"json", ("application/json",)),
        (r"csv|spreadsheets?", ("text/csv",)),
        (r"svg", ("image/svg+xml", "charts", "chart")),
        (r"png", ("image/png",)),
        (r"reports?|write-?up", ("report", "text/html", "application/pdf", "text/markdown")),
        (
            r"charts?|plots?|graphs?|diagrams?|histograms?|visuali[sz]\w*",
            ("charts", "chart", "image/svg+xml", "image/png"),
        ),
        (r"summar\w+|tl;dr|abstract", ("summary",)),
        (r"translat\w+", ("translation",)),
        (r"transcri\w+", ("transcript", "transcription")),
        (r"review\w*|verif\w*|fact-?check\w*|proofread\w*", ("review",)),
    )
)
"""Words of a request, and the types or names of outputs that they mean, the likeliest first."""

_FORM: Final = re.compile(r"\b(?:as|into|in the form of) (?:an? |one |the )?((?:[\w-]+ ){0,2}[\w-]+)", re.IGNORECASE)
"""Words that say in which form a result is wanted."""

_SAYS_NOTHING: Final = frozenset(
    {"result", "output", "answer", "text", "data", "value", "file", "plan", "body", "agents"}
)
_WORD: Final = re.compile(r"[a-z0-9]+")


def propose(
    text: str,
    given: tuple[Port, ...],
    offers: Sequence[Offer],
    wanted: Collection[str] = (),
    rules: RouteRules = DEFAULT,
) -> Plan | None:
    """Return the cheapest plan from the types `given` to the types `wanted`, or to those `inferred`; None to refuse.

    It refuses if nothing is wanted that can be had, or if all that is given and wanted is plain text. The request's
    own words are an input where the inputs alone do not yield all. What cannot be had at all is left out.
    """
    types = tuple(dict.fromkeys(port.type for port in given))
    goals = tuple(wanted) or inferred(text, types, offers)
    start, own = types, ""
    reached = reachable(types, goals, offers)
    if len(reached) < len(frozenset(goals)) and not any(fits(OWN_TEXT, one) for one in types):
        start, own = (*types, OWN_TEXT), text
        reached = reachable(start, goals, offers)
    goals = tuple(one for one in reached if not any(fits(one, each) for each in start))
    if not any(one != OWN_TEXT for one in (*types, *goals)):
        return None
    chosen = cheapest(start, goals, offers, rules) if goals else None
    return laid(chosen, start, goals, rules, own=own[:MAX_TEXT]) if chosen else None


def inferred(text: str, given: Collection[str], offers: Sequence[Offer]) -> tuple[str, ...]:
    """Return the types that a request wants: those it names, and what the most relevant offers yield."""
    best = max((one.relevance for one in offers), default=0.0)
    near = [one for one in offers if one.relevance >= max(FLOOR, NEAR * best)]
    relevant = sorted(near, key=lambda one: (-one.relevance, one.agent, one.skill))
    yielded = [port.type for one in relevant for port in one.outputs if port.type not in GENERIC]
    found = dict.fromkeys((*_named(text.casefold()[:_READ], offers), *yielded))
    return tuple(one for one in found if not any(fits(one, each) for each in given))[:MAX_WANTED]


def demanded(plan: Plan, offers: Sequence[Offer]) -> Plan:
    """Return `plan` with the type that a subtask's own words demand of its result ("as an HTML page").

    Only where it declares none itself, its words say one, and somebody among `offers` yields that.
    """
    subtasks = tuple(
        msgspec.structs.replace(one, produces=(kind,))
        if not one.produces and (kind := _form(one.text, offers))
        else one
        for one in plan.subtasks
    )
    return msgspec.structs.replace(plan, subtasks=subtasks)


def _form(text: str, offers: Sequence[Offer]) -> str:
    """Return the type of the last form that `text` names, "" if none, or if nobody yields it."""
    ports = sorted({(port.name, port.type) for one in offers for port in one.outputs})
    for said in reversed(_FORM.findall(text[:_READ])):
        for words, kinds in _NAMED:
            if words.search(said.casefold()):
                meant = (kind for name in kinds for port, kind in ports if name in (kind, port))
                if kind := next(meant, ""):
                    return kind
    return ""


def typed(request: str, agents: object, given: object = ()) -> dict[str, Any] | None:
    """Return the plan document of the *typed* planner, or None where it refuses: for a planner agent.

    ``agents`` is the document that planners are given (`foa.core.dag.typed.offers`), ``given`` the types of the task's
    inputs: a list of types, or of objects with name and type. Never raises on what they hold.
    """
    plan = propose(request, read_ports(given), read_offers(agents))
    return None if plan is None else write(plan)


def _named(text: str, offers: Iterable[Offer]) -> Iterator[str]:
    """Yield the types of outputs that the words of a request mean or name."""
    ports = sorted({(port.name, port.type) for one in offers for port in one.outputs})
    for words, kinds in _NAMED:
        if words.search(text):
            meant = (kind for name in kinds for port, kind in ports if name in (kind, port))
            yield from [kind for kind in [next(meant, "")] if kind]
    said = frozenset(map(_stem, _WORD.findall(text)))
    for name, kind in ports:
        for label in (name, "" if "/" in kind else kind):
            parts = [_stem(word) for word in _WORD.findall(label.casefold())]
            if parts and label.casefold() not in _SAYS_NOTHING and said.issuperset(parts):
                yield kind
                break


def _stem(word: str) -> str:
    """Return a word without the s of its plural."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word  # noqa: PLR2004 - "gas"
