"""What a planner's voice is worth, by how its proposals ended before: for this request, and lately.

Called by the coordinator before it merges. How a proposal ended is in [0, 1]: how much of it the plan that worked has.
A planner is worth the mean of that, and each mean starts from a wider one: over all requests from that of all
planners, over requests whose proposals had the same form from that over all, over the `NEAREST` by vector from that of
the form. An ended request counts half as much for each `HALF_LIFE` that ended since, by form
`exp(-distance² / (2 · FORM_WIDTH²))`, by vector `exp((cos - cos of the nearest) / WIDTH)` besides.

The form is what the planners made of a request: how many subtasks each proposed and how much order. It tells requests
of one kind where their words differ, and who is right when two planners contradict each other in a certain way.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from math import exp, log1p
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foa.core.dag.merge.ordering import ancestors
from foa.core.dag.merge.terms import Proposal
from foa.wire.records import Plan

MOST: Final = 1_024
"""So many ended requests are looked at, the latest."""

HALF_LIFE: Final = 512
NEAREST: Final = 16
WIDTH: Final = 0.1
FORM_WIDTH: Final = 0.2
PRIOR: Final = 5.0
"""The wider mean counts like so many requests."""

GAIN: Final = 20.0
"""A planner that is better by 0.1 has `exp(GAIN / 10)`, 7.4 times the weight."""

FLOOR: Final = 0.4
"""Who is worth less than this part of the best is not asked: merged with much better plans, poor ones only harm."""

LEAD: Final = 0.97
"""Who is worth less than this part of the best has no say in the order of what a better one has too."""

VOICES: Final = 4
"""So many planners are asked, the worthiest."""

_DIGITS: Final = 6
_TINY: Final = 1e-9
_SIZE: Final = 0.7
_LONE: Final = -0.3
_SILENT: Final = (0.0, _LONE, 0.0)
_READ: Final = 8_192
_WORD: Final = re.compile(r"\w+")

Floats = NDArray[np.float64]


class Form(NamedTuple):
    """What a proposal looks like beside the others.

    Its size (by logarithm), the part of all pairs that it puts in order (`_LONE` of one subtask), and what part of its
    words it shares with the others' proposals.
    """

    size: float
    order: float
    shared: float = 0.0


class Ended(NamedTuple):
    """How each planner's proposal for one request ended, in [0, 1].

    With the request's unit vector and the proposals' forms, where these are known.
    """

    scores: Mapping[str, float]
    vector: NDArray[np.floating] | None = None
    forms: Mapping[str, Form] = {}


def forms(plans: Mapping[str, Plan]) -> dict[str, Form]:
    """Return the forms of valid plans that were proposed for one request."""
    said = {
        name: frozenset(_WORD.findall(" ".join(one.text for one in plan.subtasks)[:_READ].casefold()))
        for name, plan in plans.items()
    }
    return {
        name: Form(*_outline(plan), _shared(said[name], [said[one] for one in plans if one != name]))
        for name, plan in plans.items()
    }


def _outline(plan: Plan) -> tuple[float, float]:
    count = len(plan.subtasks)
    ordered = sum(map(len, ancestors(plan).values()))
    return _SIZE * log1p(count), ordered / (count * (count - 1) / 2) if count > 1 else _LONE


def _shared(words: frozenset[str], others: Sequence[frozenset[str]]) -> float:
    """Return the mean Dice coefficient of some words with each of the others'."""
    return sum(2 * len(words & other) / max(1, len(words) + len(other)) for other in others) / max(1, len(others))


def reputation(
    ended: Sequence[Ended],
    planners: Iterable[str],
    vector: NDArray[np.floating] | None = None,
    here: Mapping[str, Form] | None = None,
) -> dict[str, float]:
    """Return each planner's weight in (0, 1] for the request at `vector`: 1 for the best, equal where none is known.

    ``here`` are the forms of the proposals at hand.
    """
    names = tuple(planners)
    latest = ended[-MOST:]
    if not names or not latest:
        return dict.fromkeys(names, 1.0)
    scores = np.array([[one.scores.get(name, np.nan) for name in names] for one in latest], dtype=np.float64)
    lately = 0.5 ** ((len(latest) - 1 - np.arange(len(latest))) / HALF_LIFE)
    like = _like(latest, here or {})
    near = _near(latest, vector)
    means = _means(scores, lately, np.full(len(names), _everyone(latest, lately)), 1.0)
    if like is not None:
        means = _means(scores, lately * like, means, PRIOR)
    if near is not None:
        means = _means(scores, lately * near * (np.sqrt(np.sqrt(like)) if like is not None else 1.0), means, PRIOR)
    found = np.round(means, _DIGITS).tolist()
    return {name: exp(GAIN * (mean - max(found))) for name, mean in zip(names, found, strict=True)}


def worthy(weights: Mapping[str, float], most: int = VOICES) -> tuple[str, ...]:
    """Return whose proposals are worth merging, best first, at most `most`; ties by name."""
    best = max(weights.values(), default=0.0)
    ranked = sorted(weights, key=lambda name: (-weights[name], name))
    return tuple(name for name in ranked[:most] if weights[name] >= FLOOR * best)


def ballot(plans: Mapping[str, Plan], weights: Mapping[str, float]) -> list[Proposal]:
    """Return what is to be merged of these plans: the worthy ones', led by those within `LEAD` of the best.

    Half of the subtasks of one planner and half of another's may be the better plan; half of an order is none.
    """
    names = worthy({name: weights.get(name, 0.0) for name in plans})
    best = max((weights.get(name, 0.0) for name in names), default=0.0)
    return [
        Proposal(name, plans[name], weights.get(name, 0.0), weights.get(name, 0.0) >= LEAD * best) for name in names
    ]


def _everyone(latest: Sequence[Ended], lately: Floats) -> float:
    """Return the mean of all planners, those that are not asked about too."""
    sums = [
        (weight * sum(one.scores.values()), weight * len(one.scores))
        for weight, one in zip(lately, latest, strict=True)
    ]
    return float(sum(total for total, _ in sums) / max(sum(count for _, count in sums), _TINY))


def _means(scores: Floats, counts: Floats, start: Floats, prior: float) -> Floats:
    """Return the weighted mean of each planner's scores, as if `start` had been seen `prior` times."""
    weights = np.where(np.isnan(scores), 0.0, counts[:, None])
    return np.asarray((prior * start + (weights * np.nan_to_num(scores)).sum(0)) / (prior + weights.sum(0)))


def _like(latest: Sequence[Ended], forms: Mapping[str, Form]) -> Floats | None:
    """Return how like the proposals for the ended requests were to those at hand, in (0, 1]; None if none is known."""
    if not forms or not any(one.forms for one in latest):
        return None
    names = sorted(forms)
    here = np.array([forms[name] for name in names])
    there = np.array([[one.forms.get(name, _SILENT) for name in names] for one in latest])
    apart = ((there - here) ** 2).sum(2).mean(1)
    return np.where([bool(one.forms) for one in latest], np.exp(-apart / (2 * FORM_WIDTH**2)), 0.0)


def _near(latest: Sequence[Ended], vector: NDArray[np.floating] | None) -> Floats | None:
    """Return how much the ended requests nearest to `vector` count, ties to the latest, 0 for all others."""
    known = [at for at, one in enumerate(latest) if one.vector is not None]
    if vector is None or not known:
        return None
    held = [near for near in (latest[at].vector for at in known) if near is not None]
    cosines = np.round(np.stack(held) @ vector, _DIGITS)
    ranked = np.lexsort((-np.array(known), -cosines))[:NEAREST]
    found = np.zeros(len(latest))
    found[np.array(known)[ranked]] = np.exp((cosines[ranked] - cosines[ranked[0]]) / WIDTH)
    return found
