"""Rendezvous (highest random weight) hashing: who holds a partition, agreed upon without a word.

Whoever knows the same live nodes computes the same order. When a node leaves, only its partitions move;
when one joins, only those it wins do. Index nodes use it for shards, coordinators for ownership and heirs.
"""

from collections.abc import Collection
from functools import lru_cache
from typing import Final

from foa.wire.ids import stable_hash

_CACHED: Final = 65_536
"""Weights kept: 64 partitions of a thousand nodes; the least recently used goes first."""


@lru_cache(maxsize=_CACHED)
def weight(partition: int, node: str) -> int:
    """Return the weight, 64 random but stable bits, that `node` has for `partition`."""
    return stable_hash(f"{partition}\x00{node}")


def order(partition: int, nodes: Collection[str]) -> tuple[str, ...]:
    """Return `nodes` by falling weight for `partition`: the first holds it, the second is its heir."""
    return tuple(sorted(set(nodes), key=lambda node: (-weight(partition, node), node)))


def holders(partition: int, nodes: Collection[str], replicas: int) -> tuple[str, ...]:
    """Return the at most `replicas` nodes that should hold `partition`, the first one foremost."""
    return order(partition, nodes)[:replicas]


def share(node: str, nodes: Collection[str], partitions: int, replicas: int = 1) -> tuple[int, ...]:
    """Return the partitions, ascending, of which `node` is one of the holders among `nodes`."""
    return tuple(p for p in range(partitions) if node in holders(p, nodes, replicas))
