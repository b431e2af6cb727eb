"""How near a plan comes to the given one: F1 of its subtasks, and of the order it puts them in.

Subtasks are matched one to one so that the sum of their similarities is largest (Hungarian method), among pairs at a
cosine of at least `ALIKE`; equal texts always may. ``node_f1`` is 2 · matched / (predicted + given).

``edge_f1`` compares the order relations (transitive closures): pairs of matched subtasks that both put the same way
round, over all pairs that either puts in order. A reduced plan and one that writes out what follows from it say the
same and score the same; with it a plain chain has the published .70 on AsyncHow's async plans, and 0 on its parallel
ones. ``direct_f1`` is the same for the edges as they are written in the given plan. Both empty is 1, one empty is 0;
who refuses has no plan: 0.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foa.bench.plans.data import Graph
from foa.core.dag.align import similarities

ALIKE: Final = 0.6
OVERLAP: Final = 0.5
"""The same for the part of words two texts share, where there is no embedding model."""

Vectors = Mapping[str, NDArray[np.floating]]
Pairs = frozenset[tuple[int, int]]


class Scores(NamedTuple):
    """Three F1s in [0, 1]."""

    node_f1: float
    edge_f1: float
    direct_f1: float


def scores(found: Graph, gold: Graph, vectors: Vectors) -> Scores:
    """Return how near `found` comes to `gold`; texts without a vector are compared by their words."""
    if not found.nodes:
        return Scores(0.0, 0.0, 0.0)
    match = matched(found.nodes, gold.nodes, vectors)
    return Scores(
        f1(len(match), len(found.nodes), len(gold.nodes)),
        _agreement(relation(found), relation(gold), match),
        _agreement(frozenset(found.edges), frozenset(gold.edges), match),
    )


def matched(found: tuple[str, ...], gold: tuple[str, ...], vectors: Vectors) -> dict[int, int]:
    """Return which of `found` is which of `gold`."""
    if not found or not gold:
        return {}
    from scipy.optimize import linear_sum_assignment

    near, by_vector = similarities([*found, *gold], vectors)
    here, there = slice(None, len(found)), slice(len(found), None)
    worth = near[here, there]
    close = worth >= np.where(by_vector[here, there], ALIKE, OVERLAP)

    rows, columns = linear_sum_assignment(np.where(close, worth, 0.0), maximize=True)
    return {int(one): int(other) for one, other in zip(rows, columns, strict=True) if close[one, other]}


def _agreement(found: Pairs, gold: Pairs, match: Mapping[int, int]) -> float:
    shared = sum((match.get(one, -1), match.get(other, -1)) in gold for one, other in found)
    return f1(shared, len(found), len(gold))


def f1(shared: int, found: int, gold: int) -> float:
    """Return the harmonic mean of precision and recall; 1.0 where both are empty."""
    return 2 * shared / (found + gold) if found + gold else 1.0


def relation(graph: Graph) -> Pairs:
    """Return all pairs of which the first comes before the second, through however many others."""
    after: dict[int, set[int]] = {}
    for one, other in graph.edges:
        after.setdefault(one, set()).add(other)
    return frozenset((one, other) for one in after for other in _below(after, one) if other != one)


def _below(after: Mapping[int, set[int]], start: int) -> set[int]:
    seen: set[int] = set()
    ahead = [start]
    while ahead:
        for other in after.get(ahead.pop(), ()):
            if other not in seen:
                seen.add(other)
                ahead.append(other)
    return seen
