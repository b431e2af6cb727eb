"""Finished tasks as evidence of what an agent does well: a bounded memory that merges in any order.

Any coordinator may write an agent's memory, so it is a join-semilattice (a state-based CRDT): two memories merge to
the greatest of their union under one total order, which is commutative, associative and idempotent.
"""

from collections.abc import Iterable
from typing import Final

from foa.wire.lessons import Exemplar

MAX_EXEMPLARS: Final = 32


def merge(one: Iterable[Exemplar], other: Iterable[Exemplar]) -> tuple[Exemplar, ...]:
    """Return the memory of both, the latest first: of one award the later word, of all the latest `MAX_EXEMPLARS`."""
    latest: dict[str, Exemplar] = {}
    for exemplar in (*one, *other):
        known = latest.get(exemplar.award)
        if known is None or _order(exemplar) > _order(known):
            latest[exemplar.award] = exemplar
    return tuple(sorted(latest.values(), key=_order, reverse=True)[:MAX_EXEMPLARS])


def _order(exemplar: Exemplar) -> tuple[float, str, float, bytes]:
    return (exemplar.at, exemplar.award, exemplar.reward, exemplar.vector)
