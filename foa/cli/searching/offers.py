"""What the permitted candidates of a search offer against each other: fit, price, latency, and the Pareto front."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from foa.cli.charts import Point, scatter
from foa.cli.searching.figures import agent, row

if TYPE_CHECKING:
    from foa.wire.records import Candidate, Hit

_MARKS: Final = "abcdefghijklmnopqrstuvwxyz"
_BEATEN_BY: Final = 2
_DIGITS: Final = 9
"""Rounding that makes the quotients of equal agents equal."""


class Offer(NamedTuple):
    """A permitted candidate: ``quality`` is alpha without its cost bias, ``beaten_by`` who of the front dominates it.

    ``mark`` is its letter, a capital on the front.
    """

    candidate: "Candidate"
    mark: str
    quality: float
    latency_ms: float
    beaten_by: tuple[str, ...]


def offers(candidates: "Sequence[Candidate]", hits: "Iterable[Hit]") -> list[Offer]:
    """Return what the permitted of `candidates` offer, in their order."""
    from foa.core.routing.pareto import dominators

    latencies = {hit.agent: hit.resources.latency_ms for hit in hits}
    able = [each for each in candidates if not each.refused and each.agent in latencies]
    qualities = [round(each.score / each.cost, _DIGITS) if each.cost > 0.0 else 0.0 for each in able]
    losses = [(-quality, each.price, latencies[each.agent]) for each, quality in zip(able, qualities, strict=True)]
    found = []
    for at, (each, beaten_by) in enumerate(zip(able, dominators(losses), strict=True)):
        letter = _MARKS[at] if at < len(_MARKS) else "·"
        names = tuple(able[other].agent for other in beaten_by)
        mark = letter if names else letter.upper()
        found.append(Offer(each, mark, qualities[at], latencies[each.agent], names))
    return found


def as_row(offer: Offer) -> dict[str, Any]:
    """Return an offer as ``--json`` prints it."""
    return {
        **row(offer.candidate),
        "quality": round(offer.quality, 6),
        "latency_ms": offer.latency_ms,
        "front": not offer.beaten_by,
        "dominated_by": offer.beaten_by,
    }


def lines(found: Sequence[Offer]) -> list[dict[str, str]]:
    """Return the rows of a table that sets fit, price and latency side by side."""
    marks = {offer.candidate.agent: offer.mark for offer in found}
    return [
        {
            "": offer.mark,
            "agent": agent(offer.candidate.agent),
            "alpha": f"{offer.candidate.score:.4f}",
            "without cost": f"{offer.quality:.4f}",
            "price": f"{offer.candidate.price:.6g}",
            "latency": f"{offer.latency_ms:.6g} ms",
            "front": "★" if not offer.beaten_by else f"dominated by {_names(offer, marks)}",
        }
        for offer in found
    ]


LINES: Final = ("agent", "alpha", "without cost", "price", "latency", "front")


def _names(offer: Offer, marks: dict[str, str]) -> str:
    names = [marks[name] if marks[name].isalpha() else agent(name) for name in offer.beaten_by[:_BEATEN_BY]]
    more = len(offer.beaten_by) - len(names)
    return " ".join(names) + (f" and {more} more" if more else "")


def plane(found: Sequence[Offer]) -> list[str]:
    """Return a picture of fit against price (or latency, if all cost the same); none where it would show nothing."""
    axes = (
        ("USD a call", [offer.candidate.price for offer in found]),
        ("ms", [offer.latency_ms for offer in found]),
    )
    for name, values in axes:
        if len(set(values)) > 1 and len({offer.quality for offer in found}) > 1:
            points = [Point(x, offer.quality, offer.mark) for x, offer in zip(values, found, strict=True)]
            return scatter(points, name, "fit")
    return []
