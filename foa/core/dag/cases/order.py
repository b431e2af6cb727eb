"""What past plans teach about the order of listed steps: a small model that is learned one plan at a time.

Two parts, both linear, both learned by gradient steps scaled per weight (Duchi, Hazan and Singer 2011, "AdaGrad"). One
tells the shape of a plan: steps side by side, one after the other, or something else (softmax). The other tells, for
plans of the third shape, whether one step comes before another (logistic). The plan proposed is the one whose order
relation has the highest expected F1: of the empty plan, the chain, and the relation that grows when the likeliest
pairs are taken one by one, closed under transitivity. State is a frozen record of two arrays; it does not grow.
"""

from collections.abc import Sequence
from itertools import pairwise, permutations
from math import exp
from typing import Annotated, Final, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta

from foa.core.dag.cases.features import MAX_STEPS, PAIR, WHOLE, Floats, pair, read, whole
from foa.core.dag.clauses.lists import Step

SHAPES: Final = 3
"""Side by side, a chain, anything else."""

Pair = tuple[int, int]

_RATE_WHOLE: Final = 0.3
_RATE_PAIR: Final = 0.3
_START: Final = 0.1
_DECAY: Final = 1e-4
_SHARP: Final = 10.0
_BYTES: Final = 4
_FLAT: Final = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


class Model(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was learned: weights of shapes and of pairs with the squares of their gradients, and from how many plans.

    float32, little endian; empty means nothing learned.
    """

    shapes: Annotated[bytes, Meta(max_length=2 * SHAPES * WHOLE * _BYTES)] = b""
    pairs: Annotated[bytes, Meta(max_length=2 * PAIR * _BYTES)] = b""
    seen: Annotated[int, Meta(ge=0)] = 0


class Shaped(NamedTuple):
    """A past case for the model: how like it is in [-1, 1], and the shape of its plan."""

    similarity: float
    shape: int


def shape_of(count: int, before: frozenset[Pair]) -> int:
    """Return the shape of an order relation over `count` steps in the order they were listed."""
    if not before:
        return 0
    return 1 if len(before) == count * (count - 1) // 2 and all(one < other for one, other in before) else 2


def relation(count: int, edges: Sequence[Pair]) -> frozenset[Pair]:
    """Return all pairs of places of which the first comes before the second by these edges, directly or not."""
    after = [0] * count
    for one, other in edges:
        after[one] |= 1 << other
    changed = True
    while changed:
        changed = False
        for at in range(count):
            reach = after[at]
            for to in range(count):
                if reach >> to & 1:
                    reach |= after[to]
            changed |= reach != after[at]
            after[at] = reach
    return frozenset((at, to) for at in range(count) for to in range(count) if at != to and after[at] >> to & 1)


def alike(near: Sequence[Shaped]) -> tuple[float, ...]:
    """Return the shapes of similar cases by weight, two also by the best similarity, and that: six numbers."""
    if not near:
        return _FLAT
    best = max(each.similarity for each in near)
    weights = [exp(_SHARP * (each.similarity - best)) for each in near]
    parts = [
        sum(w for w, each in zip(weights, near, strict=True) if each.shape == at) / sum(weights) for at in range(3)
    ]
    return (parts[0] * best, parts[1] * best, parts[0], parts[1], best, parts[2])


def observe(model: Model, goal: str, steps: Sequence[str], edges: Sequence[Pair], near: Sequence[Shaped] = ()) -> Model:
    """Return the model after one more plan that worked; ``near`` are cases that were known before it."""
    steps = steps[:MAX_STEPS]
    count = len(steps)
    if count < 2:  # noqa: PLR2004 - one step has no order
        return model
    views = read(steps)
    before = relation(count, [edge for edge in edges if max(edge) < count])
    shape = shape_of(count, before)
    weights, squares = _whole(model)
    seen = whole(goal, views, alike(near))
    wrong = _softmax(weights @ seen) - np.eye(SHAPES)[shape]
    gradient = np.outer(wrong, seen) + _DECAY * weights
    squares = squares + gradient**2
    weights = weights - _RATE_WHOLE * gradient / np.sqrt(squares)
    pairs = model.pairs
    if shape == 2:  # noqa: PLR2004 - neither of the simple ones
        pairs = _packed(*_pairs_learned(model, views, before))
    return Model(_packed(weights, squares), pairs, model.seen + 1)


def _pairs_learned(model: Model, views: Sequence[Step], before: frozenset[Pair]) -> tuple[Floats, Floats]:
    weights, squares = _pair(model)
    places = list(permutations(range(len(views)), 2))
    rows = np.array([pair(views, at, to) for at, to in places])
    wrong = _logistic(rows @ weights) - np.array([place in before for place in places])
    gradient = wrong @ rows / len(views) + _DECAY * weights
    squares = squares + gradient**2
    return weights - _RATE_PAIR * gradient / np.sqrt(squares), squares


def edges(model: Model, goal: str, steps: Sequence[str], near: Sequence[Shaped] = ()) -> tuple[Pair, ...]:
    """Return the edges between listed steps, by place, that the model expects most of; they form no cycle."""
    count = len(steps)
    if count < 2:  # noqa: PLR2004 - one step has no order
        return ()
    views = read(steps[:MAX_STEPS])
    beside, chained, other = _softmax(_whole(model)[0] @ whole(goal, views, alike(near))).tolist()
    chain = tuple(pairwise(range(count)))
    if count > MAX_STEPS:
        return () if beside > chained + other else chain
    places = list(permutations(range(count), 2))
    likely = _logistic(np.array([pair(views, at, to) for at, to in places]) @ _pair(model)[0])
    worth = dict(zip(places, np.round(likely, 6).tolist(), strict=True))
    total = sum(worth.values())
    full = count * (count - 1) // 2
    forward = sum(value for (at, to), value in worth.items() if at < to)
    best, found = max((beside, ()), (chained + other * 2 * forward / (full + total), chain))
    taken: list[Pair] = []
    for expected, edge in _growing(count, worth, (chained, other), total):
        taken.append(edge)
        if expected > best:
            best, found = expected, tuple(taken)
    return found


def _growing(
    count: int, worth: dict[Pair, float], weights: tuple[float, float], total: float
) -> list[tuple[float, Pair]]:
    """Return the likeliest pairs in turn, each with the expected F1 of all that follows from those so far."""
    chained, other = weights
    full = count * (count - 1) // 2
    before: set[Pair] = set()
    gained = ahead = 0.0
    found: list[tuple[float, Pair]] = []
    for at, to in sorted(worth, key=lambda place: (-worth[place], place)):
        if (at, to) in before or (to, at) in before:
            continue
        earlier = [at, *(one for one in range(count) if (one, at) in before)]
        later = [to, *(one for one in range(count) if (to, one) in before)]
        new = {(one, two) for one in earlier for two in later} - before
        before |= new
        gained += sum(worth[each] for each in sorted(new))
        ahead += sum(one < two for one, two in new)
        size = len(before)
        found.append((chained * 2 * ahead / (size + full) + other * 2 * gained / (size + total), (at, to)))
    return found


# --- arrays -----------------------------------------------------------------------------------------------


def _whole(model: Model) -> tuple[Floats, Floats]:
    found = _unpacked(model.shapes, SHAPES * WHOLE)
    return found[0].reshape(SHAPES, WHOLE), found[1].reshape(SHAPES, WHOLE)


def _pair(model: Model) -> tuple[Floats, Floats]:
    found = _unpacked(model.pairs, PAIR)
    return found[0], found[1]


def _unpacked(body: bytes, size: int) -> Floats:
    """Return weights and squares (2, size); those of a new model where the bytes are none."""
    if len(body) == 2 * size * _BYTES:
        found = np.frombuffer(body, dtype="<f4").astype(np.float64).reshape(2, size)
        if bool(np.isfinite(found).all()) and bool((found[1] > 0).all()):
            return found
    return np.stack([np.zeros(size), np.full(size, _START)])


def _packed(weights: Floats, squares: Floats) -> bytes:
    return np.stack([weights.ravel(), squares.ravel()]).astype("<f4").tobytes()


def _softmax(values: Floats) -> Floats:
    raised = np.exp(values - values.max())
    return np.asarray(raised / raised.sum(), dtype=np.float64)


def _logistic(values: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -30.0, 30.0))), dtype=np.float64)
