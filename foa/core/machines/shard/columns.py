"""What gates look at, in columns: which of a hundred thousand agents may have a task, without asking each one.

Verdicts are those of `foa.core.routing.gate`, agent for agent (a test compares them on random catalogues). Every
findable agent has a slot; prices and demands are arrays over slots. Of each skill, label and output type is kept who
has it: a set while they are few, a mask over slots when they are many, so that neither costs more than the other.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from foa.core.routing.gate import expected_tokens, fits
from foa.wire.records import Hit, Query

Slots = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

DENSE: Final = 64
"""A set of more than one in so many slots becomes a mask: there it is the smaller of the two."""

SAMPLE: Final = 1_024
"""Slots that an estimate looks at."""

_LEAST: Final = 256
_GOLDEN: Final = 0.6180339887498949


class Holders:
    """The slots that have one term."""

    __slots__ = ("count", "few", "mask")

    def __init__(self) -> None:
        self.few: set[int] = set()
        self.mask: Mask | None = None
        self.count = 0

    def add(self, slot: int, capacity: int) -> None:
        """Add a slot that is not among them."""
        self.count += 1
        if self.mask is not None:
            self.mask[slot] = True
            return
        self.few.add(slot)
        if self.count * DENSE > capacity:
            self.mask = np.zeros(capacity, dtype=np.bool_)
            self.mask[sorted(self.few)] = True
            self.few = set()

    def discard(self, slot: int) -> None:
        """Take a slot away that is among them."""
        self.count -= 1
        if self.mask is None:
            self.few.discard(slot)
        else:
            self.mask[slot] = False

    def fit(self, capacity: int) -> None:
        """Have room for `capacity` slots."""
        if self.mask is not None:
            self.mask.resize(capacity, refcheck=False)

    def among(self, slots: Slots) -> Mask:
        """Tell of each of `slots` whether it is one of them."""
        if self.mask is not None:
            return self.mask[slots]
        return np.fromiter((slot in self.few for slot in slots.tolist()), dtype=np.bool_, count=len(slots))

    def slots(self) -> Slots:
        """Return them, rising."""
        return np.array(sorted(self.few), dtype=np.intp) if self.mask is None else np.flatnonzero(self.mask)


_NOBODY: Final = Holders()


class Columns:
    """The findable agents by slot, and all that gates need to know of them."""

    def __init__(self) -> None:
        self.agents: list[str] = []
        self.slot_of: dict[str, int] = {}
        self._free: list[int] = []
        self._alive: Mask = np.zeros(_LEAST, dtype=np.bool_)
        self._call = np.zeros(_LEAST, dtype=np.float64)
        self._per_1k = np.zeros(_LEAST, dtype=np.float64)
        self._demands = np.zeros(_LEAST, dtype=np.int16)
        self._demanding = 0
        self._terms: dict[str, Holders] = {}
        self._types: set[str] = set()
        self._fitting: dict[str, tuple[str, ...]] = {}
        self._sampled: tuple[int, Slots] = (-1, np.zeros(0, dtype=np.intp))

    def __len__(self) -> int:
        return len(self.slot_of)

    def add(self, hit: Hit) -> None:
        """Take in an agent that is not there."""
        slot = self._place(hit.agent)
        self._alive[slot] = True
        self._call[slot] = hit.resources.price_call
        self._per_1k[slot] = hit.resources.price_1k
        demands = len(set(hit.requires))
        self._demands[slot] = demands
        self._demanding += demands > 0
        for term in _terms(hit):
            self._terms.setdefault(term, Holders()).add(slot, len(self._alive))
        fresh = {port.type for port in hit.outputs} - self._types
        if fresh:
            self._types |= fresh
            self._fitting.clear()

    def remove(self, hit: Hit) -> None:
        """Forget an agent that was added with this very hit."""
        slot = self.slot_of.pop(hit.agent)
        self._alive[slot] = False
        self._demanding -= self._demands[slot] > 0
        self._demands[slot] = 0
        self._free.append(slot)
        for term in _terms(hit):
            holders = self._terms[term]
            holders.discard(slot)
            if not holders.count:
                del self._terms[term]
                if term.startswith("type:"):
                    self._types.discard(term.removeprefix("type:"))
                    self._fitting.clear()

    def is_open(self, query: Query) -> bool:
        """Tell whether `query` refuses nobody but perhaps those it excludes by name."""
        named = query.skills or query.policies or query.produces
        return not named and query.budget is None and not self._demanding

    def estimate(self, query: Query) -> int:
        """Return about how many agents `query` permits: exact where few have a named term, else from a sample."""
        rarest = self._rarest(query)
        if rarest is not None and rarest.mask is None:
            return len(self.permitted(query))
        sample = self._sample()
        passed = int(np.count_nonzero(self.passing(query, sample)))
        bound = len(self) if rarest is None else rarest.count
        return min(bound, round(passed * len(self) / max(1, len(sample))))

    def permitted(self, query: Query) -> Slots:
        """Return the slots of all whom `query` permits, rising."""
        rarest = self._rarest(query)
        slots = np.flatnonzero(self._alive) if rarest is None else rarest.slots()
        return slots[self.passing(query, slots)]

    def passing(self, query: Query, slots: Slots) -> Mask:
        """Tell of each of `slots` (of agents that are there) whether `query` permits it."""
        passed = self._able(query, slots)
        if self._demanding:
            passed &= self._met(query, slots)
        if query.budget is not None:
            price = self._call[slots] + self._per_1k[slots] * expected_tokens(query) / 1_000
            passed &= ~(price > query.budget)
        barred = [self.slot_of[agent] for agent in query.exclude if agent in self.slot_of]
        if barred:
            passed &= ~np.isin(slots, barred)
        return passed

    def names(self, slots: Slots) -> tuple[str, ...]:
        """Return the agents in `slots`."""
        return tuple(self.agents[slot] for slot in slots.tolist())

    @staticmethod
    def packed(slots: Slots) -> bytes:
        """Return `slots` as the index service is told of them."""
        return slots.astype("<i4").tobytes()

    def slots(self, agents: Iterable[str]) -> Slots:
        """Return the slots of those of `agents` that are there."""
        found = map(self.slot_of.get, agents)
        return np.array([slot for slot in found if slot is not None], dtype=np.intp)

    def _able(self, query: Query, slots: Slots) -> Mask:
        """Tell who holds the labels, has the skills, and produces the types that `query` names."""
        passed = np.ones(len(slots), dtype=np.bool_)
        for term in _named(query):
            passed &= self._terms.get(term, _NOBODY).among(slots)
        for kind in dict.fromkeys(query.produces):
            able = np.zeros(len(slots), dtype=np.bool_)
            for declared in self._producing(kind):
                able |= self._terms[f"type:{declared}"].among(slots)
            passed &= able
        return passed

    def _met(self, query: Query, slots: Slots) -> Mask:
        """Tell whose demands on the task's labels `query` meets."""
        met = np.zeros(len(slots), dtype=np.int16)
        for label in dict.fromkeys(query.policies):
            met += self._terms.get(f"needs:{label}", _NOBODY).among(slots)
        return np.asarray(met == self._demands[slots], dtype=np.bool_)

    def _producing(self, kind: str) -> tuple[str, ...]:
        """Return the declared types that do for `kind`."""
        known = self._fitting.get(kind)
        if known is None:
            if len(self._fitting) >= SAMPLE:
                self._fitting.clear()
            known = self._fitting[kind] = tuple(sorted(each for each in self._types if fits(kind, each)))
        return known

    def _rarest(self, query: Query) -> Holders | None:
        """Return the holders of the rarest skill or label that `query` names; None if it names none."""
        return min((self._terms.get(term, _NOBODY) for term in _named(query)), key=_count, default=None)

    def _sample(self) -> Slots:
        """Return up to `SAMPLE` slots spread evenly, by steps of the golden ratio: no pattern of arrival fits that."""
        high, known = len(self.agents), self._sampled
        if high <= SAMPLE:
            return np.flatnonzero(self._alive[:high])
        if not 0 <= high - known[0] <= high // 16:
            spread = np.unique((np.arange(SAMPLE) * _GOLDEN % 1.0 * high).astype(np.intp))
            known = self._sampled = (high, spread)
        return known[1][self._alive[known[1]]]

    def _place(self, agent: str) -> int:
        if self._free:
            slot = self._free.pop()
            self.agents[slot] = agent
        else:
            slot = len(self.agents)
            self.agents.append(agent)
            if slot == len(self._alive):
                self._grow(2 * slot)
        self.slot_of[agent] = slot
        return slot

    def _grow(self, capacity: int) -> None:
        for column in (self._alive, self._call, self._per_1k, self._demands):
            column.resize(capacity, refcheck=False)
        for holders in self._terms.values():
            holders.fit(capacity)


def _count(holders: Holders) -> int:
    return holders.count


def _named(query: Query) -> Sequence[str]:
    """Return the terms that an agent must have every one of."""
    terms = [f"label:{label}" for label in query.policies] + [f"skill:{skill}" for skill in query.skills]
    return tuple(dict.fromkeys(terms))


def _terms(hit: Hit) -> Iterable[str]:
    """Return all terms of an agent, each once."""
    terms = [f"skill:{skill}" for skill in hit.skills] + [f"label:{label}" for label in hit.holds]
    terms += [f"needs:{label}" for label in hit.requires] + [f"type:{port.type}" for port in hit.outputs]
    return dict.fromkeys(terms)
