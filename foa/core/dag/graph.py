"""What is derived of a plan once and used at every step of running it: neighbours, order, rank, places.

A `Graph` belongs to the one `Plan` it was made of; whoever edits a plan makes another. Sets of subtasks are integers
with a bit per subtask, in the order in which ready ones are awarded, so that the first ready one is the lowest bit, and
a set of 5,000 costs a copy of 625 bytes.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Final

import msgspec

from foa.core.dag.plan import levels, order, predecessors, ranks, successors
from foa.wire.ids import Digest, digest_of
from foa.wire.records import Plan, Subtask

GROUP: Final = 64
"""Subtasks of one group: a record of the snapshot (the wire allows 256; smaller ones cost less at every change)."""


class Graph:
    """A plan with what follows from it. Never changed after it was made.

    ``bit`` places an id in the order of awarding: the longest remaining path first, ties to the smallest id (the
    ``rank``: HEFT's upward rank, Topcuoglu et al. 2002, equation 5, with the weights as times and no cost of
    communication). Along every edge the rank falls, so that this is a topological order too. ``waits_for`` has the
    predecessors of the subtask at a bit as a set.
    """

    def __init__(self, plan: Plan) -> None:
        """Derive everything from a valid `plan`."""
        self.plan = plan
        self.subtasks: dict[str, Subtask] = {subtask.id: subtask for subtask in plan.subtasks}
        self.group = {ident: at // GROUP for at, ident in enumerate(self.subtasks)}
        self.groups = (len(self.subtasks) + GROUP - 1) // GROUP
        self.before = predecessors(plan)
        self.after = successors(plan)
        self.rank = ranks(plan)
        self.ids = tuple(sorted(self.subtasks, key=lambda one: (-self.rank[one], one)))
        self.bit = {ident: at for at, ident in enumerate(self.ids)}
        self.waits_for = [sum(1 << self.bit[other] for other in self.before[one]) for one in self.ids]
        self.all = (1 << len(self.ids)) - 1
        self._above: dict[tuple[str, int], list[str]] = {}

    @cached_property
    def place(self) -> dict[str, int]:
        """The place of every id in topological order, the smallest id first among equals."""
        return {ident: at for at, ident in enumerate(order(self.plan))}

    @cached_property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """The ids by distance from the start."""
        return levels(self.plan)

    @cached_property
    def packed(self) -> bytes:
        """The plan as msgpack: the body of its blob."""
        return msgspec.msgpack.encode(self.plan)

    @cached_property
    def digest(self) -> Digest:
        """The address of its blob."""
        return digest_of(self.packed)

    def weight(self, ident: str) -> float:
        """Return what `ident` itself weighs: its rank less that of the heaviest path after it."""
        return self.rank[ident] - max((self.rank[other] for other in self.after[ident]), default=0.0)

    def members(self, mask: int) -> Iterator[str]:
        """Yield the ids of a set, in the order of awarding."""
        while mask:
            low = mask & -mask
            yield self.ids[low.bit_length() - 1]
            mask ^= low

    def first(self, mask: int, count: int) -> int:
        """Return the first `count` of a set, as a set."""
        found = 0
        while mask and count > 0:
            low = mask & -mask
            found, mask, count = found | low, mask ^ low, count - 1
        return found

    def mask(self, idents: Iterable[str]) -> int:
        """Return the set of those `idents` that are the plan's."""
        found = 0
        for ident in idents:
            at = self.bit.get(ident)
            if at is not None:
                found |= 1 << at
        return found

    def above(self, ident: str, most: int) -> list[str]:
        """Return all predecessors of `ident` and then, nearest first, who those depend on: `most` of these in all.

        In topological order. The walk ends there, so that what is deep in a large plan costs no more than in a small,
        and is remembered: it is asked at every step of placing.
        """
        known = self._above.get((ident, most))
        if known is None:
            known = self._above[ident, most] = self._nearest(ident, most)
        return known

    def _nearest(self, ident: str, most: int) -> list[str]:
        seen = dict.fromkeys(self.before[ident])
        limit = max(most, len(seen))
        queue = list(seen)
        for one in queue:
            if len(seen) >= limit:
                break
            for other in self.before[one]:
                if other not in seen and len(seen) < limit:
                    seen[other] = None
                    queue.append(other)
        return sorted(seen, key=self.place.__getitem__)
