"""Whom to ask: few index nodes that together serve all partitions, of one model, the least loaded first.

A greedy set cover: at most ln(64)+1 times the fewest nodes, microseconds, and the same for the same input.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from foa.core.routing.rendezvous import weight
from foa.wire.messages import Presence


class Cover(NamedTuple):
    """Nodes to ask, each with the partitions it is asked for, and the partitions nobody serves."""

    model: str
    legs: tuple[tuple[str, tuple[int, ...]], ...]
    missing: tuple[int, ...]


def choose_model(nodes: Mapping[str, Presence]) -> str:
    """Return the model whose nodes serve the most partitions, since two models are never mixed; ties by name."""
    served: dict[str, set[int]] = {}
    for presence in nodes.values():
        if presence.alive:
            served.setdefault(presence.model, set()).update(presence.partitions)
    return min(served, key=lambda model: (-len(served[model]), model), default="")


def cover(
    nodes: Mapping[str, Presence],
    wanted: Collection[int],
    *,
    loads: Mapping[str, int] | None = None,
    salt: int = 0,
    model: str | None = None,
) -> Cover:
    """Pick few of `nodes` that serve all `wanted` partitions.

    Of those that add equally many, the least loaded is taken (its own word plus `loads`, what the asker has
    in flight there); `salt` spreads ties over nodes, differently for different askers.
    """
    chosen = choose_model(nodes) if model is None else model
    offers = {name: set(p.partitions) for name, p in nodes.items() if p.alive and p.model == chosen}
    burden = {name: nodes[name].load + (loads or {}).get(name, 0) for name in offers}
    left = set(wanted)
    legs: list[tuple[str, tuple[int, ...]]] = []
    while left and offers:
        best = min(offers, key=lambda name: (-len(offers[name] & left), burden[name], weight(salt, name), name))
        gained = offers.pop(best) & left
        if not gained:
            break
        legs.append((best, tuple(sorted(gained))))
        left -= gained
    return Cover(chosen, tuple(legs), tuple(sorted(left)))
