"""What agents offer: the types they need and yield, and the price. From hits, and as a document for planners.

The document is an input named ``agents`` of type ``agents`` that planners are given: a JSON list of objects with the
keys agent, text, skill, inputs and outputs (each a list of name, type, optional), price (USD), latency_ms, relevance.
"""

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any, Final, NamedTuple

import msgspec

from foa.wire.ids import AgentId
from foa.wire.records import Hit, Port

MAX_OFFERS: Final = 512
MAX_PORTS: Final = 64
MAX_WORDS: Final = 512
"""Characters of an offer's text and of its skill's id that are kept."""

_NAME: Final = 64
_PLANNING: Final = "plan"
_TOP: Final = 1e9


class Offer(NamedTuple):
    """What one agent does: ``text`` in words, one ``skill`` or "", its ports, USD a call, ms, its relevance."""

    agent: AgentId
    text: str
    skill: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    price: float
    latency_ms: float
    relevance: float = 0.0


class _Said(msgspec.Struct):
    """An offer as a document says it."""

    agent: AgentId
    text: str = ""
    skill: str = ""
    inputs: list[Port] = []
    outputs: list[Port] = []
    price: float = 0.0
    latency_ms: float = 0.0
    relevance: float = 0.0


def offers(hits: Iterable[Hit]) -> tuple[Offer, ...]:
    """Return what the agents of `hits` offer, by id; planners and agents without outputs offer nothing.

    The skill is named where the agent has just one, since ports do not say which skill they are of. The price is that
    of a call with a thousand tokens.
    """
    found = {hit.agent: hit for hit in hits if hit.outputs and _PLANNING not in hit.skills}
    return tuple(_offer(found[agent]) for agent in sorted(found)[:MAX_OFFERS])


def fits(declared: str, given: str) -> bool:
    """Tell whether type `given` is one of `declared`: equal, below its media prefix, or with parameters.

    The same rule as in `foa.core.routing.gate`, which this room must not know; a test holds the two together.
    """
    if declared == given or declared in {"*/*", "*"}:
        return True
    base = given.partition(";")[0].strip()
    prefix = declared.removesuffix("*")
    return declared == base or (prefix.endswith("/") and base.startswith(prefix))


def offers_document(offered: Iterable[Offer]) -> list[dict[str, Any]]:
    """Return the document that `read_offers` makes these offers of."""
    return [
        {
            **one._asdict(),
            "inputs": [_port(port) for port in one.inputs],
            "outputs": [_port(port) for port in one.outputs],
        }
        for one in offered
    ]


def read_offers(document: object) -> tuple[Offer, ...]:
    """Return the offers in `document`, by agent and skill; whatever is no offer is left out. Never raises."""
    found: dict[tuple[str, str], Offer] = {}
    listed: Sequence[object] = document if isinstance(document, list | tuple) else ()
    for each in listed[: 4 * MAX_OFFERS]:
        one = _read(each)
        if one is not None:
            found.setdefault((one.agent, one.skill), one)
    return tuple(found[key] for key in sorted(found)[:MAX_OFFERS])


def read_ports(document: object) -> tuple[Port, ...]:
    """Return the ports in `document`, a list of objects with name and type, or of types alone. Never raises."""
    listed: Sequence[object] = document if isinstance(document, list | tuple) else ()
    found: list[Port] = []
    for each in listed[:MAX_PORTS]:
        try:
            found.append(msgspec.convert({"name": "given", "type": each} if isinstance(each, str) else each, Port))
        except (msgspec.ValidationError, TypeError, RecursionError):
            continue
    return tuple(found)


def _offer(hit: Hit) -> Offer:
    skill = hit.skills[0] if len(hit.skills) == 1 else ""
    does = ", ".join(one.replace("-", " ").replace("_", " ") for one in hit.skills[:4])
    words = ": ".join(filter(None, (hit.name.strip(), does.strip()))) or hit.agent
    return Offer(
        hit.agent,
        words[:MAX_WORDS],
        skill,
        hit.inputs[:MAX_PORTS],
        hit.outputs[:MAX_PORTS],
        hit.resources.price_call + hit.resources.price_1k,
        hit.resources.latency_ms,
        hit.cosine if hit.relevance is None else hit.relevance,
    )


def _port(port: Port) -> dict[str, Any]:
    return {"name": port.name, "type": port.type, "optional": port.optional}


def _read(each: object) -> Offer | None:
    try:
        said = msgspec.convert(each, _Said)
    except (msgspec.ValidationError, TypeError, RecursionError):
        return None
    numbers = (said.price, said.latency_ms, said.relevance)
    if (
        not all(isfinite(one) and abs(one) <= _TOP for one in numbers)
        or min(numbers[:2]) < 0
        or len(said.skill) > _NAME
    ):
        return None
    if not said.agent or not said.outputs or max(len(said.inputs), len(said.outputs)) > MAX_PORTS:
        return None
    text = said.text.strip()[:MAX_WORDS] or said.agent
    return Offer(said.agent, text, said.skill, tuple(said.inputs), tuple(said.outputs), *numbers)
