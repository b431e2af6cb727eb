"""What an outcome is worth: the one number that is learned, in the running system and in the benches alike."""

from math import isfinite
from typing import Final

WORST: Final = -16.0
"""The least utility: one absurd bill must not outweigh everything that was learned before."""


def utility(
    score: float,
    cost_ratio: float = 0.0,
    latency_ratio: float = 0.0,
    *,
    cost_weight: float = 0.0,
    latency_weight: float = 0.0,
) -> float:
    """Return ``score - cost_weight·cost_ratio - latency_weight·latency_ratio``, at least `WORST`.

    ``score`` in [0, 1] is how good the result is. The ratios are of what was used to a reference (>= 0, 1: all of it):
    the budget and the time left in the running system, the dearest agent's mean cost in a bench. Raises ValueError
    for a score outside [0, 1], a negative ratio or weight, or anything not finite.
    """
    used = (cost_ratio, latency_ratio, cost_weight, latency_weight)
    if not 0.0 <= score <= 1.0:
        raise ValueError(f"a score must be in [0, 1], not {score}")
    if not all(isfinite(value) and value >= 0.0 for value in used):
        raise ValueError(f"ratios and weights must be finite and not negative: {used}")
    return max(WORST, score - cost_weight * cost_ratio - latency_weight * latency_ratio)
