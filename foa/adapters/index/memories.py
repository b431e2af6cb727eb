"""What is remembered of agents' finished tasks, where a request can look it up. One owner, one thread.

A vector index of its own: a key's vectors are those of its exemplars, so that an agent is also found by the tasks it
did, and the index of profiles stays as small and as quick as it is without any evidence.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from foa.adapters.index.port import VectorIndex
from foa.core.learn.evidence import SUCCESS, current
from foa.core.learn.evidence_estimate import kernel, weights
from foa.core.learn.evidence_vector import length, restored
from foa.core.vcv.relevance import PRIOR, fused
from foa.core.vcv.vector import Floats
from foa.wire.lessons import Exemplar

Numbers = npt.NDArray[np.float64]

MAX_EXEMPLARS: Final = 200_000
"""Of all agents together, 300 MB at 384 dimensions, 600 MB with the index; what comes beyond is not remembered."""

FOUND_BY: Final = 32
"""An agent is proposed by so many of its latest successes, and judged by all that is remembered."""


class Memory(NamedTuple):
    """One agent's exemplars: vectors (n, dim), words, rewards, seconds since 1970, and their weights, (n,) each."""

    vectors: Floats
    words: Numbers
    rewards: Numbers
    at: Numbers
    alpha: Numbers


class Memories:
    """Exemplars of agents by key."""

    def __init__(self, index: VectorIndex, dim: int, most: int = MAX_EXEMPLARS) -> None:
        """Keep vectors in `index`, which is empty and nobody else's."""
        self.index = index
        self._dim = dim
        self._most = most
        self._held = 0
        self._of: dict[str, Memory] = {}
        self._now = 0.0

    def __len__(self) -> int:
        return len(self._of)

    def __contains__(self, key: object) -> bool:
        return key in self._of

    def put(self, key: str, c: Floats | None, exemplars: Sequence[Exemplar], now: float) -> None:
        """Replace what is remembered of an agent whose profile's vector is `c`, as of `now` (seconds since 1970).

        Without ``c`` it adds nothing until `reprofiled` says what the profile foretells. Exemplars of another
        dimension are left out. An agent is found by what it did well lately, and not by failures.
        """
        old = self._forgotten(key)
        self._now = max(self._now, now)
        whole = [each for each in current(exemplars) if len(each.vector) == length(self._dim)][
            : self._most - self._held
        ]
        if not whole:
            self.index.remove(key)
            return
        vectors = restored((each.vector for each in whole), self._dim)
        words = np.array([each.words for each in whole])
        rewards = np.array([each.reward for each in whole])
        at = np.array([each.at for each in whole])
        self._held += len(whole)
        memory = Memory(vectors, words, rewards, at, np.zeros(len(whole)))
        self._of[key] = memory if c is None else self._judged(memory, c)
        self._propose_by(key, vectors[rewards >= SUCCESS][:FOUND_BY], old)

    def reprofiled(self, key: str, c: Floats) -> None:
        """Judge an agent's exemplars anew by its new vector; an unknown agent is no error."""
        memory = self._of.get(key)
        if memory is not None:
            self._of[key] = self._judged(memory, c)

    def remove(self, key: str) -> None:
        """Forget an agent; an unknown one is no error."""
        if self._forgotten(key) is not None:
            self.index.remove(key)

    def propose(self, vector: Floats, n: int) -> tuple[str, ...]:
        """Return up to `n` agents that did tasks near `vector`, the nearest first."""
        return self.index.propose(vector, n) if self._of else ()

    def evidence(self, vector: Floats, keys: Sequence[str]) -> tuple[Numbers, Numbers]:
        """Return what finished tasks add to the prior of each of `keys`, and the mass near the request; (n,) each."""
        added, mass = np.zeros(len(keys)), np.zeros(len(keys))
        there = [(at, memory) for at, key in enumerate(keys) if (memory := self._of.get(key)) is not None]
        if there:
            which = [at for at, _ in there]
            alike = kernel(np.concatenate([memory.vectors @ vector for _, memory in there]))
            starts = [0, *accumulate(len(memory.alpha) for _, memory in there)][:-1]
            added[which] = np.add.reduceat(alike * np.concatenate([memory.alpha for _, memory in there]), starts)
            mass[which] = np.add.reduceat(alike, starts)
        return added, mass

    def _forgotten(self, key: str) -> Memory | None:
        """Take an agent's memory away, not yet what it is found by; return it."""
        memory = self._of.pop(key, None)
        self._held -= 0 if memory is None else len(memory.rewards)
        return memory

    def _propose_by(self, key: str, good: Floats, old: Memory | None) -> None:
        """Have an agent found by the tasks `good`, unless it is: a failure changes nothing there, and that is dear."""
        if old is not None and np.array_equal(good, old.vectors[old.rewards >= SUCCESS][:FOUND_BY]):
            return
        if len(good):
            self.index.upsert(key, good[0], good[0], good[1:])
        else:
            self.index.remove(key)

    def _judged(self, memory: Memory, c: Floats) -> Memory:
        """Return `memory` weighed against what the profile foretold of each task."""
        priors = PRIOR * fused((memory.vectors @ c).astype(np.float64), memory.words)
        ages = np.maximum(0.0, self._now - memory.at)
        return memory._replace(alpha=weights(memory.vectors, memory.rewards, priors, ages))
