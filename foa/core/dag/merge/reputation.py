"""What a planner's voice is worth, by how its proposals ended before: for this request, and lately.

Called by the coordinator before it merges. How a proposal ended is in [0, 1]: how much of it the plan that worked has.
The estimate is a weighted mean: an ended request counts `exp((cos - 1) / NEAR)` as much as one equal to this one, and
half as much for each `HALF_LIFE` that ended since; every planner starts with the mean of all, as if seen `PRIOR` times.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import exp
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST: Final = 1_024
"""So many ended requests are looked at, the latest."""

HALF_LIFE: Final = 512
NEAR: Final = 0.1
PRIOR: Final = 1.0
GAIN: Final = 8.0
"""A planner that is better by 0.1 has `exp(GAIN / 10)`, 2.2 times the weight."""

FLOOR: Final = 0.4
"""Who is worth less than this part of the best is not asked: merged with much better plans, poor ones only harm."""

VOICES: Final = 4
"""So many planners are asked, the worthiest."""

_FAR: Final = 0.02
"""What an ended request counts however unlike this one it is, so that a stranger's request finds an opinion."""


class Ended(NamedTuple):
    """How each planner's proposal for one request ended, in [0, 1]; the request's unit vector where there is one."""

    scores: Mapping[str, float]
    vector: NDArray[np.floating] | None = None


def reputation(
    ended: Sequence[Ended], planners: Iterable[str], vector: NDArray[np.floating] | None = None
) -> dict[str, float]:
    """Return each planner's weight in (0, 1] for the request at `vector`: 1 for the best, equal where none is known."""
    latest = ended[-MOST:]
    counts = _counts(latest, vector)
    known = [(count, one.scores) for count, one in zip(counts, latest, strict=True)]
    means = {name: _mean(name, known) for name in planners}
    best = max(means.values(), default=0.0)
    return {name: exp(GAIN * (mean - best)) for name, mean in means.items()}


def worthy(weights: Mapping[str, float], most: int = VOICES) -> tuple[str, ...]:
    """Return whose proposals are worth merging, best first, at most `most`; ties by name."""
    best = max(weights.values(), default=0.0)
    ranked = sorted(weights, key=lambda name: (-weights[name], name))
    return tuple(name for name in ranked[:most] if weights[name] >= FLOOR * best)


def _counts(latest: Sequence[Ended], vector: NDArray[np.floating] | None) -> list[float]:
    """Return how much each ended request counts."""
    size = len(latest)
    lately = [0.5 ** ((size - 1 - at) / HALF_LIFE) for at in range(size)]
    if vector is None:
        return lately
    return [
        weight * (_FAR if one.vector is None else max(_FAR, exp((float(one.vector @ vector) - 1.0) / NEAR)))
        for weight, one in zip(lately, latest, strict=True)
    ]


def _mean(name: str, known: Sequence[tuple[float, Mapping[str, float]]]) -> float:
    weight = score = 0.0
    everyone = everything = 0.0
    for count, scores in known:
        everyone += count * len(scores)
        everything += count * sum(scores.values())
        if name in scores:
            weight += count
            score += count * scores[name]
    start = everything / everyone if everyone else 0.0
    return (score + PRIOR * start) / (weight + PRIOR)
