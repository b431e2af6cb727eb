"""What a planner's voice is worth, by how its proposals ended before: for this request, and lately.

Called by the coordinator before it merges. How a proposal ended is in [0, 1]: how much of it the plan that worked has.
The estimate is a weighted mean over the `NEAREST` ended requests: one counts `exp((cos - cos of the nearest) / WIDTH)`,
and half as much for each `HALF_LIFE` that ended since. A planner starts there with its mean over all requests, as if
seen `PRIOR` times; and with all planners' mean where it is new.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import exp
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST: Final = 1_024
"""So many ended requests are looked at, the latest."""

HALF_LIFE: Final = 512
NEAREST: Final = 16
WIDTH: Final = 0.1
PRIOR: Final = 1.0
GAIN: Final = 20.0
"""A planner that is better by 0.1 has `exp(GAIN / 10)`, 7.4 times the weight."""

FLOOR: Final = 0.4
"""Who is worth less than this part of the best is not asked: merged with much better plans, poor ones only harm."""

_DIGITS: Final = 6
VOICES: Final = 4
"""So many planners are asked, the worthiest."""


class Ended(NamedTuple):
    """How each planner's proposal for one request ended, in [0, 1]; the request's unit vector where there is one."""

    scores: Mapping[str, float]
    vector: NDArray[np.floating] | None = None


def reputation(
    ended: Sequence[Ended], planners: Iterable[str], vector: NDArray[np.floating] | None = None
) -> dict[str, float]:
    """Return each planner's weight in (0, 1] for the request at `vector`: 1 for the best, equal where none is known."""
    latest = ended[-MOST:]
    lately = [(0.5 ** ((len(latest) - 1 - at) / HALF_LIFE), one.scores) for at, one in enumerate(latest)]
    here = _here(latest, vector)
    everyone = [(weight, {"": score}) for weight, scores in lately for score in scores.values()]
    start = _mean("", everyone, 0.0)
    means = {name: _mean(name, here, _mean(name, lately, start)) for name in planners}
    best = max(means.values(), default=0.0)
    return {name: exp(GAIN * (mean - best)) for name, mean in means.items()}


def worthy(weights: Mapping[str, float], most: int = VOICES) -> tuple[str, ...]:
    """Return whose proposals are worth merging, best first, at most `most`; ties by name."""
    best = max(weights.values(), default=0.0)
    ranked = sorted(weights, key=lambda name: (-weights[name], name))
    return tuple(name for name in ranked[:most] if weights[name] >= FLOOR * best)


def _here(latest: Sequence[Ended], vector: NDArray[np.floating] | None) -> list[tuple[float, Mapping[str, float]]]:
    """Return how much the ended requests nearest to `vector` count, and their scores; ties to the latest."""
    known = [(at, one.vector, one.scores) for at, one in enumerate(latest) if one.vector is not None]
    if vector is None or not known:
        return []
    cosines = np.round(np.stack([near for _, near, _ in known]) @ vector, _DIGITS).tolist()
    ranked = sorted(zip(cosines, known, strict=True), key=lambda pair: (-pair[0], -pair[1][0]))[:NEAREST]
    top = ranked[0][0]
    return [
        (exp((cosine - top) / WIDTH) * 0.5 ** ((len(latest) - 1 - at) / HALF_LIFE), scores)
        for cosine, (at, _, scores) in ranked
    ]


def _mean(name: str, known: Sequence[tuple[float, Mapping[str, float]]], start: float) -> float:
    """Return the weighted mean of a planner's scores, as if `start` had been seen `PRIOR` times."""
    found = [(count, scores[name]) for count, scores in known if name in scores]
    weight = PRIOR + sum(count for count, _ in found)
    return (PRIOR * start + sum(count * score for count, score in found)) / weight
