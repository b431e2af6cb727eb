"""What is known of a candidate when a subtask is awarded, as the row ``z`` of shared features.

Every feature is in [0, 1] or [-1, 1] and all are divided by ``sqrt(m)``, so that a row has norm 1 at most (the
bound that the width of LinUCB needs). The prior weighs alpha alone: before anything is learned, the expected reward
is alpha, and candidates keep the order that the static score gives them.
"""

from math import sqrt
from typing import Final, NamedTuple

import numpy as np

from foa.core.learn.moments import Floats
from foa.wire.records import Candidate, Hit

NAMES: Final = (
    "bias",
    "alpha",
    "meaning",
    "words",
    "finished tasks",
    "spec",
    "fit",
    "price",
    "latency",
    "load",
    "reputation",
    "newness",
)
M: Final = len(NAMES)

_SCALE: Final = 1.0 / sqrt(M)
_DOUBT: Final = 4.0
"""So many rewards weigh as much as knowing nothing: reputation starts at 0 and is believed slowly."""


class Standing(NamedTuple):
    """What was measured of an agent: rewards counted, their mean in [0, 1], and real means (0: not measured)."""

    seen: float = 0.0
    mean: float = 0.0
    ms: float = 0.0
    cost: float = 0.0


def prior() -> Floats:
    """Return the shared weights (M,) before anything is learned: the expected reward is alpha."""
    weights = np.zeros(M)
    weights[NAMES.index("alpha")] = 1.0 / _SCALE
    return weights


def shared(candidate: Candidate, hit: Hit, standing: Standing, *, share: float, left_ms: float, load: int) -> Floats:
    """Return the row z (M,) of a permitted candidate, norm at most 1.

    ``share`` is what its price is measured against (USD), ``left_ms`` what its latency is (0: no measure).
    """
    relevance = candidate.cosine if candidate.relevance is None else candidate.relevance
    trust = standing.seen / (standing.seen + _DOUBT)
    evidence = candidate.mass / (candidate.mass + 1.0)
    values = (
        1.0,
        candidate.score,
        relevance,
        candidate.words,
        (candidate.done - 0.5) * 2.0 * evidence,
        candidate.spec,
        candidate.fit,
        candidate.price / share if share > 0.0 else 0.0,
        hit.resources.latency_ms / left_ms if left_ms > 0.0 else 0.0,
        load / hit.resources.concurrency,
        (standing.mean - 0.5) * 2.0 * trust,
        1.0 / (1.0 + standing.seen),
    )
    return np.asarray(np.clip(np.array(values), -1.0, 1.0) * _SCALE)


def packed(z: Floats, x: Floats) -> bytes:
    """Return the context of a decision as it is kept until the reward comes: z and x as little-endian float32."""
    return np.concatenate((z, x)).astype("<f4").tobytes()


def unpacked(context: bytes, m: int, d: int) -> Floats | None:
    """Return the context [z; x] (m + d,) in `context`; None unless it is of these features and finite."""
    if len(context) != 4 * (m + d):
        return None
    row = np.frombuffer(context, "<f4").astype(np.float64)
    return row if np.isfinite(row).all() else None
