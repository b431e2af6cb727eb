"""The cheapest way from types that are given to types that are wanted, over what agents declare to need and to yield.

An agent with several inputs needs all of them, so this is a directed hypergraph: types are vertices, an offer is an arc
from all its required inputs to each of its outputs. Knuth's generalisation of Dijkstra's algorithm (D. E. Knuth, "A
generalization of Dijkstra's algorithm", Information Processing Letters 6(1), 1977) gives, for functions that never
undercut their arguments, every vertex's least value. With the *sum* over inputs that is the cost of the cheapest tree,
which pays twice for what feeds two; with their *maximum* it is at most the cost of any plan. The first yields a plan,
the second guides a best-first search (A*, states are the types reached) to the plan that is cheapest when what feeds
two is paid once. That problem is NP-hard (Bylander 1994), so the search is bounded and the first plan stands where it
runs out.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from heapq import heappop, heappush
from typing import Final, NamedTuple

import msgspec

from foa.core.dag.typed.offers import Offer, fits

_LONGEST: Final = 64
"""Characters of a type's name that a subtask can carry; an offer with a longer one is not used."""

_NANO: Final = 1e9


class RouteRules(msgspec.Struct, frozen=True):
    """What a subtask costs in USD and how far a route may go.

    ``step`` for being one more, its price, ``second`` for every second it is expected to take, less ``bonus`` for full
    relevance to the request. At most ``size`` subtasks, ``depth`` of them in a row; ``search`` is how many times an
    offer may be looked at in search of a cheaper plan.
    """

    step: float = 0.01
    second: float = 0.002
    bonus: float = 0.009
    size: int = 24
    depth: int = 12
    search: int = 20_000


class _Arc(NamedTuple):
    """An offer with its cost in nano-USD and the sets of types, as bits, it needs and yields."""

    offer: Offer
    cost: int
    needs: int
    yields: int


class _Graph(NamedTuple):
    """``types`` are those needed or wanted, bit by bit; ``arcs`` by agent and skill."""

    types: tuple[str, ...]
    arcs: tuple[_Arc, ...]
    given: int
    wanted: int


DEFAULT: Final = RouteRules()


def cost(offer: Offer, rules: RouteRules = DEFAULT) -> int:
    """Return what using `offer` costs, in nano-USD, at least 1."""
    relevance = min(1.0, max(0.0, offer.relevance))
    price = rules.step + offer.price + rules.second * offer.latency_ms / 1_000 - rules.bonus * relevance
    return max(1, round(price * _NANO))


def cheapest(
    given: Collection[str], wanted: Collection[str], offers: Iterable[Offer], rules: RouteRules = DEFAULT
) -> tuple[Offer, ...] | None:
    """Return the offers that together yield `wanted` from `given` at least cost, each after those it needs.

    None if that cannot be, or not within ``rules.size``; () if all is given. Ties go to the smallest agents.
    """
    graph = _graph(given, wanted, offers, rules)
    first = _by_knuth(graph)
    if first is None:
        return None
    best = _by_search(graph, sum(arc.cost for arc in first), rules.search) or first
    return tuple(arc.offer for arc in _derived(graph, best)) if len(best) <= rules.size else None


def reachable(given: Collection[str], wanted: Collection[str], offers: Iterable[Offer]) -> tuple[str, ...]:
    """Return those of `wanted` that `offers` can yield from `given`, sorted; what is given needs nobody."""
    graph = _graph(given, wanted, offers, DEFAULT)
    known = _closure(graph.given, graph.arcs)
    return tuple(sorted(one for at, one in enumerate(graph.types) if known >> at & 1 and one in frozenset(wanted)))


# --- the hypergraph ---------------------------------------------------------------------------------------


def _graph(given: Collection[str], wanted: Collection[str], offers: Iterable[Offer], rules: RouteRules) -> _Graph:
    usable = sorted(filter(_usable, offers), key=lambda one: (one.agent, one.skill))
    types = tuple(sorted({*wanted, *(port.type for one in usable for port in one.inputs if not port.optional)}))
    place = {one: at for at, one in enumerate(types)}
    # Only a type that is no plain name takes others than itself and what has parameters behind it.
    wide = [one for one in types if one.endswith(("*", "/"))]

    def within(kinds: Iterable[str]) -> int:
        taken = (one for kind in kinds for one in (kind, kind.partition(";")[0].strip(), *wide) if fits(one, kind))
        return sum(1 << at for at in sorted({place[one] for one in taken if one in place}))

    arcs = [
        _Arc(
            one,
            cost(one, rules),
            sum(1 << at for at in sorted({place[port.type] for port in one.inputs if not port.optional})),
            within(port.type for port in one.outputs),
        )
        for one in usable
    ]
    goal = sum(1 << place[one] for one in sorted(set(wanted)))
    return _Graph(types, _relevant(arcs, goal), within(sorted(given)), goal)


def _usable(offer: Offer) -> bool:
    return all(len(port.type) <= _LONGEST for port in (*offer.inputs, *offer.outputs))


def _relevant(arcs: Sequence[_Arc], goal: int) -> tuple[_Arc, ...]:
    """Return the arcs that can be of use for `goal`; of those that need and yield the same the cheapest."""
    useful = goal
    while True:
        more = useful
        for arc in arcs:
            more |= arc.needs if arc.yields & more else 0
        if more == useful:
            break
        useful = more
    best: dict[tuple[int, int], _Arc] = {}
    for arc in arcs:
        key = (arc.needs, arc.yields & useful)
        if key[1] & ~arc.needs and (key not in best or arc.cost < best[key].cost):
            best[key] = arc._replace(yields=key[1])
    return tuple(best.values())


def _closure(known: int, arcs: Sequence[_Arc]) -> int:
    """Return all types that `arcs` can yield from `known`."""
    while True:
        before = known
        for arc in arcs:
            if not arc.needs & ~known:
                known |= arc.yields
        if known == before:
            return known


# --- Knuth's algorithm ------------------------------------------------------------------------------------


def _values(
    graph: _Graph, known: int, combine: Callable[[Iterator[int]], int]
) -> tuple[dict[int, int], dict[int, _Arc]]:
    """Return every type's least value from `known`, and the arc that gives it; ties to the arcs' order."""
    missing = [(arc.needs & ~known).bit_count() for arc in graph.arcs]
    waiting: dict[int, list[int]] = {}
    value = dict.fromkeys(_bits(known), 0)
    heap: list[tuple[int, int, int]] = []

    def reach(number: int) -> None:
        arc = graph.arcs[number]
        total = arc.cost + combine(value[at] for at in _bits(arc.needs))
        for at in _bits(arc.yields & ~known):
            heappush(heap, (total, number, at))

    for number, arc in enumerate(graph.arcs):
        for at in _bits(arc.needs & ~known):
            waiting.setdefault(at, []).append(number)
        if missing[number] == 0:
            reach(number)
    by: dict[int, _Arc] = {}
    while heap:
        total, number, at = heappop(heap)
        if at in value:
            continue
        value[at], by[at] = total, graph.arcs[number]
        for other in waiting.get(at, ()):
            missing[other] -= 1
            if missing[other] == 0:
                reach(other)
    return value, by


def _by_knuth(graph: _Graph) -> list[_Arc] | None:
    """Return the arcs of the cheapest trees to all that is wanted, each once and none needless."""
    _, by = _values(graph, graph.given, sum)
    open_ = graph.wanted & ~graph.given
    seen = graph.given
    chosen: list[_Arc] = []
    while open_:
        at = open_.bit_length() - 1
        if at not in by:
            return None
        seen |= 1 << at
        if by[at] not in chosen:
            chosen.append(by[at])
        open_ = (open_ | by[at].needs) & ~seen
    for arc in sorted(chosen, key=lambda one: -one.cost):
        others = [one for one in chosen if one is not arc]
        if not graph.wanted & ~_closure(graph.given, others):
            chosen = others
    return chosen


def _by_search(graph: _Graph, paid: int, most: int) -> list[_Arc] | None:
    """Return the arcs of a plan cheaper than `paid`, what feeds two paid once; None if there is none.

    None too after `most` steps: a step is one look at one arc.
    """
    graph = _affordable(graph, paid)
    heap: list[tuple[int, tuple[int, ...], int, int]] = [(0, (), 0, graph.given)]
    best: dict[int, int] = {graph.given: 0}
    left = most
    while heap:
        _, path, spent, known = heappop(heap)
        if not graph.wanted & ~known:
            return [graph.arcs[number] for number in path]
        if spent > best[known]:
            continue
        for number, arc in enumerate(graph.arcs):
            reached, total = known | arc.yields, spent + arc.cost
            if arc.needs & ~known or reached == known or best.get(reached, paid) <= total:
                continue
            best[reached] = total
            left -= len(graph.arcs)
            if left < 0:
                return None
            least = _bound(graph, reached)
            if least is not None and total + least < paid:
                heappush(heap, (total + least, (*path, number), total, reached))
    return None


def _affordable(graph: _Graph, paid: int) -> _Graph:
    """Return the graph without the arcs of which every plan costs `paid` or more."""
    value, _ = _values(graph, graph.given, _dearest)
    arcs = [
        arc
        for arc in graph.arcs
        if all(at in value for at in _bits(arc.needs))
        and arc.cost + _dearest(value[at] for at in _bits(arc.needs)) < paid
    ]
    return graph._replace(arcs=_relevant(arcs, graph.wanted))


def _bound(graph: _Graph, known: int) -> int | None:
    """Return what all that is wanted costs at least from `known`; None if it cannot be had."""
    value, _ = _values(graph, known, _dearest)
    if any(at not in value for at in _bits(graph.wanted)):
        return None
    return _dearest(value[at] for at in _bits(graph.wanted))


def _dearest(values: Iterable[int]) -> int:
    return max(values, default=0)


def _derived(graph: _Graph, arcs: Sequence[_Arc]) -> list[_Arc]:
    """Return `arcs` in an order in which each has what it needs, the smallest first among those that have."""
    known, left, ordered = graph.given, sorted(arcs, key=lambda one: (one.offer.agent, one.offer.skill)), []
    while left:
        nearest = next(arc for arc in left if not arc.needs & ~known)
        left.remove(nearest)
        ordered.append(nearest)
        known |= nearest.yields
    return ordered


def _bits(mask: int) -> Iterator[int]:
    while mask:
        yield (mask & -mask).bit_length() - 1
        mask &= mask - 1
