"""What is known of a candidate when a subtask is awarded, as the row ``z`` of shared features.

Every feature is in [0, 1] or [-1, 1] and all are divided by ``sqrt(m)``, so that a row has norm 1 at most (the
bound that the width of LinUCB needs). The prior weighs alpha alone: before anything is learned, the expected reward
is alpha, and candidates keep the order that the static score gives them.
"""

from collections.abc import Sequence
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
PRICE: Final = NAMES.index("price")
SCALE: Final = 1.0 / sqrt(M)

_DOUBT: Final = 4.0
"""So many rewards weigh as much as knowing nothing: reputation starts at 0 and is believed slowly."""


class Standing(NamedTuple):
    """What was measured of an agent: the weight of its rewards, their mean in [0, 1], real means (0: not measured).

    ``price`` is the mean of what its awards were expected to cost, ``paid`` the weight of the measured ones.
    """

    seen: float = 0.0
    mean: float = 0.0
    paid: float = 0.0
    ms: float = 0.0
    cost: float = 0.0
    price: float = 0.0


class Around(NamedTuple):
    """What prices (USD) and latencies (ms) of one decision are measured against; 0: against nothing."""

    share: float = 0.0
    left_ms: float = 0.0


def prior() -> Floats:
    """Return the shared weights (M,) before anything is learned: the expected reward is alpha."""
    weights = np.zeros(M)
    weights[NAMES.index("alpha")] = 1.0 / SCALE
    return weights


def values(candidate: Candidate, hit: Hit, standing: Standing, around: Around, load: int) -> tuple[float, ...]:
    """Return the features of a permitted candidate in the order of `NAMES`, not yet bounded."""
    trust = standing.seen / (standing.seen + _DOUBT)
    return (
        1.0,
        candidate.score,
        candidate.cosine if candidate.relevance is None else candidate.relevance,
        candidate.words,
        candidate.done,
        candidate.spec,
        candidate.fit,
        candidate.price / around.share if around.share > 0.0 else 0.0,
        hit.resources.latency_ms / around.left_ms if around.left_ms > 0.0 else 0.0,
        load / hit.resources.concurrency,
        (standing.mean - 0.5) * 2.0 * trust,
        1.0 / (1.0 + standing.seen),
    )


def rows(many: Sequence[tuple[float, ...]]) -> Floats:
    """Return the rows z (n, M) of several candidates, each of norm 1 at most."""
    return np.asarray(np.clip(np.array(many, np.float64), -1.0, 1.0) * SCALE)


def packed(z: Floats, x: Floats) -> bytes:
    """Return the context of a decision as it is kept until the reward comes: z and x as little-endian float32."""
    return np.concatenate((z, x)).astype("<f4").tobytes()


def unpacked(context: bytes, m: int, d: int) -> Floats | None:
    """Return the context [z; x] (m + d,) in `context`; None unless it is of these features and finite."""
    if len(context) != 4 * (m + d):
        return None
    row = np.frombuffer(context, "<f4").astype(np.float64)
    return row if np.isfinite(row).all() else None
