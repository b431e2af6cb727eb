"""Where the boxes and arrows of a plan stand: layers from left to right or from top to bottom.

After Sugiyama, Tagawa, Toda (1981): layers of bounded width, long edges get a lane of their own in every layer they
pass, orders by barycentres, then places that keep the order, nearest to their neighbours in least squares. Pure and
total: edges to nowhere are left out, and what is on a cycle stands behind the rest.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import ceil, sqrt
from typing import Final, NamedTuple

Edge = tuple[str, str]
Node = tuple[str, str, int]
"""A box (its id, "", 0), or the lane in a layer of long edges out of (">") or into ("<") the box with this id."""

SWEEPS: Final = 8
MAX_LANES: Final = 20_000
"""In all; the edges beyond, the longest ones, are drawn without."""
LANE: Final = 12.0
SLACK: Final = 1.6
NARROW: Final = 12
PULL: Final = 0.8
"""Nodes stand near the neighbours they have, and all of it near the middle of the page: layers do not drift aside."""


class Size(NamedTuple):
    """How large each box is, and how far boxes are apart along and across the direction of the arrows."""

    along: float
    across: float
    gap_along: float
    gap_across: float


class Placed(NamedTuple):
    """The middle of every box, and every edge as the points its arrow goes through, both as (along, across).

    An arrow leaves and enters boxes and lanes in the direction `along`: between two points of different layers it may
    bend, within a layer it is straight.
    """

    middles: dict[str, tuple[float, float]]
    arrows: dict[Edge, tuple[tuple[float, float], ...]]
    along: float
    across: float


def placed(ids: Sequence[str], edges: Iterable[Edge], size: Size) -> Placed:
    """Return where everything stands; the same for the same arguments."""
    known = dict.fromkeys(ids)
    kept = [each for each in dict.fromkeys(edges) if each[0] in known and each[1] in known and each[0] != each[1]]
    layer = layers(list(known), kept)
    kept = [each for each in kept if layer[each[0]] < layer[each[1]]]
    lanes = _lanes(kept, layer)
    rows = _rows(list(known), layer, lanes)
    links = dict.fromkeys(pair for nodes in lanes.values() for pair in pairwise(nodes))
    back, forth = _neighbours(links)
    _order(rows, back, forth)
    across = _across(rows, back, forth, size)
    lowest = min((at - _extent(node, size) / 2 for node, at in across.items()), default=0.0)
    across = {node: at - lowest for node, at in across.items()}
    step = size.along + size.gap_along
    middles = {ident: (layer[ident] * step + size.along / 2, across[ident, "", 0]) for ident in known}
    arrows = {edge: _points(nodes, layer, across, size) for edge, nodes in lanes.items()}
    far = max((at + _extent(node, size) / 2 for node, at in across.items()), default=0.0)
    return Placed(middles, arrows, max(0.0, len(rows) * step - size.gap_along), far)


def layers(ids: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Return the layer of each id: behind all that it comes after, at most so many in one that a page holds them.

    Of those that could stand in a layer, those with the longest way to the end come first (Coffman, Graham 1972).
    """
    before: dict[str, list[str]] = {ident: [] for ident in ids}
    after: dict[str, list[str]] = {ident: [] for ident in ids}
    for first, second in edges:
        before[second].append(first)
        after[first].append(second)
    order = _sorted(ids, before, after)
    height: dict[str, int] = {}
    for ident in reversed(order):
        height[ident] = 1 + max((height.get(each, 0) for each in after[ident]), default=0)
    widest = max(NARROW, ceil(SLACK * sqrt(len(ids))))
    place = {ident: at for at, ident in enumerate(ids)}
    waiting = {ident: len(before[ident]) for ident in order}
    found: dict[str, int] = {}
    ready = [ident for ident in order if not waiting[ident]]
    number = 0
    while ready:
        ready.sort(key=lambda ident: (-height[ident], place[ident]))
        now, ready = ready[:widest], ready[widest:]
        for ident in now:
            found[ident] = number
            for each in after[ident]:
                waiting[each] = waiting.get(each, 0) - 1
                if waiting[each] == 0:
                    ready.append(each)
        number += 1
    return {ident: found.get(ident, number) for ident in ids}


def _sorted(ids: Sequence[str], before: Mapping[str, list[str]], after: Mapping[str, list[str]]) -> list[str]:
    """Return the ids in an order in which each comes after what it needs; those on a cycle are left out."""
    waiting = {ident: len(before[ident]) for ident in ids}
    found = [ident for ident in ids if not waiting[ident]]
    for ident in found:
        for each in after[ident]:
            waiting[each] -= 1
            if not waiting[each]:
                found.append(each)
    return found


def _lanes(edges: Sequence[Edge], layer: Mapping[str, int]) -> dict[Edge, list[Node]]:
    """Return what each edge goes through: its first box, a lane in every layer it passes, its last box.

    Long edges out of one box share their lanes, or those into one box, whichever are more: a fan is one line.
    """
    ordered = sorted(edges, key=lambda edge: layer[edge[1]] - layer[edge[0]])
    long = [edge for edge in ordered if layer[edge[1]] - layer[edge[0]] > 1]
    out = Counter(first for first, _ in long)
    into = Counter(second for _, second in long)
    found: dict[Edge, list[Node]] = {}
    known: set[Node] = set()
    for first, second in ordered:
        shared = (first, ">") if out[first] >= into[second] else (second, "<")
        between: list[Node] = [(*shared, at) for at in range(layer[first] + 1, layer[second])]
        if len(known) + len(between) > MAX_LANES:
            between = []
        known.update(between)
        found[first, second] = [(first, "", 0), *between, (second, "", 0)]
    return found


def _rows(ids: Sequence[str], layer: Mapping[str, int], lanes: Mapping[Edge, list[Node]]) -> list[list[Node]]:
    rows: list[list[Node]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for ident in ids:
        rows[layer[ident]].append((ident, "", 0))
    for node in dict.fromkeys(node for nodes in lanes.values() for node in nodes[1:-1]):
        rows[node[2]].append(node)
    return rows


def _neighbours(links: Iterable[tuple[Node, Node]]) -> tuple[dict[Node, list[Node]], dict[Node, list[Node]]]:
    back: dict[Node, list[Node]] = {}
    forth: dict[Node, list[Node]] = {}
    for first, second in links:
        back.setdefault(second, []).append(first)
        forth.setdefault(first, []).append(second)
    return back, forth


def _order(rows: list[list[Node]], back: Mapping[Node, list[Node]], forth: Mapping[Node, list[Node]]) -> None:
    """Sort every layer by the mean place of its neighbours, forward and backward in turn."""
    at = {node: float(place) for row in rows for place, node in enumerate(row)}
    for sweep in range(SWEEPS):
        near, order = (back, rows[1:]) if sweep % 2 == 0 else (forth, rows[-2::-1])
        for row in order:
            wish = {node: _mean([at[each] for each in near.get(node, ())], at[node]) for node in row}
            row.sort(key=lambda node: (wish[node], at[node]))
            at.update({node: float(place) for place, node in enumerate(row)})


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _across(
    rows: Sequence[Sequence[Node]], back: Mapping[Node, list[Node]], forth: Mapping[Node, list[Node]], size: Size
) -> dict[Node, float]:
    """Return where each node stands across the arrows: near its neighbours, in order, and never on another one."""
    at: dict[Node, float] = {}
    for row in rows:
        offsets = _offsets(row, size)
        middle = (offsets[-1] / 2) if offsets else 0.0
        at.update({node: offset - middle for node, offset in zip(row, offsets, strict=True)})
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            if row:
                near = [[at[each] for each in (*back.get(node, ()), *forth.get(node, ()))] for node in row]
                wishes = [PULL * _mean(each, at[node]) for node, each in zip(row, near, strict=True)]
                offsets = _offsets(row, size)
                moved = _rising([wish - offset for wish, offset in zip(wishes, offsets, strict=True)])
                at.update({node: move + off for node, move, off in zip(row, moved, offsets, strict=True)})
    return at


def _extent(node: Node, size: Size) -> float:
    return LANE if node[1] else size.across


def _offsets(row: Sequence[Node], size: Size) -> list[float]:
    """Return where the middles of a layer's nodes are when they stand as near to each other as they may."""
    found: list[float] = []
    for number, node in enumerate(row):
        if not found:
            found.append(0.0)
            continue
        last = row[number - 1]
        gap = LANE / 2 if node[1] and last[1] else size.gap_across
        found.append(found[-1] + (_extent(last, size) + _extent(node, size)) / 2 + gap)
    return found


def _rising(values: Sequence[float]) -> list[float]:
    """Return the never falling sequence nearest to `values` in least squares (pool adjacent violators)."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        blocks.append((value, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (high, many), (low, few) = blocks[-2:]
            blocks[-2:] = [((high * many + low * few) / (many + few), many + few)]
    return [value for value, many in blocks for _ in range(many)]


def _points(
    nodes: Sequence[Node], layer: Mapping[str, int], across: Mapping[Node, float], size: Size
) -> tuple[tuple[float, float], ...]:
    """Return the points of an arrow: out of a box, through each lane along its whole layer, into a box."""
    step = size.along + size.gap_along
    points: list[tuple[float, float]] = []
    for number, node in enumerate(nodes):
        start = (node[2] if node[1] else layer[node[0]]) * step
        if number > 0:
            points.append((start, across[node]))
        if number < len(nodes) - 1:
            points.append((start + size.along, across[node]))
    return tuple(points)
