"""Text to agents: vectors, words and finished tasks propose, the fused relevance of docs/decisions/0013 decides.

Composes a vector index of profiles, the lexical index and the memories. A request is scored exactly for at most a few
hundred agents: those whose ``c`` or a view is near it, those that share its rare words, and those that did tasks like
it; while there are few agents, for all. One owner, one thread: nothing here locks.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from foa.adapters.index.lexical import LexicalIndex
from foa.adapters.index.memories import Memories
from foa.adapters.index.port import VectorIndex
from foa.core.routing.exchange import IndexCall, Near, Remember, Remove, Search, Upsert
from foa.core.vcv.relevance import Parts, clipped, fused, relevance
from foa.core.vcv.terms import counted, unpacked
from foa.core.vcv.vector import Floats, unpack, unpack_all
from foa.wire.lessons import Exemplar

Numbers = npt.NDArray[np.float64]

ALL: Final = 256
"""With so many agents or fewer every one is scored."""

LEAST_PROPOSED: Final = 64
OVERFETCH: Final = 4
"""Agents proposed by vectors, and again by words: this many times as many as are asked for."""

RECALLED: Final = 24
"""Agents whose finished tasks are looked at: so many that are best without, and so many that did tasks like it."""


class Probe(NamedTuple):
    """A request: its normalised vector (dim,), and its text (empty: no words count)."""

    vector: Floats
    text: str = ""


class Match(NamedTuple):
    """An agent that was found, with all that its relevance is made of."""

    key: str
    parts: Parts


class Retriever:
    """What an index node finds agents with."""

    def __init__(self, profiles: VectorIndex, memories: VectorIndex, dim: int) -> None:
        """Use two empty indices that are nobody else's."""
        self.profiles = profiles
        self.words = LexicalIndex()
        self.memories = Memories(memories, dim)
        self._c: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._c)

    def __contains__(self, key: object) -> bool:
        return key in self._c

    def upsert(self, key: str, c: bytes, e: bytes, views: Sequence[bytes] = (), terms: bytes = b"") -> None:
        """Keep an agent's float16 vectors and its terms, in place of earlier ones; what is remembered of it stays.

        ``views`` propose an agent and do not score it. Raises ValueError for terms that `terms.packed` did not write.
        """
        counts = unpacked(terms)
        vector = unpack(c)
        self.profiles.upsert(key, vector, unpack(e), unpack_all(views) if views else ())
        self.words.upsert(key, counts)
        self.memories.reprofiled(key, vector)
        self._c[key] = c

    def remember(self, key: str, exemplars: Sequence[Exemplar], now: float) -> None:
        """Replace what is known of an agent's finished tasks, as of `now`; none: forget them.

        They are kept while the agent is not there: it may be away, or its vector on the way.
        """
        body = self._c.get(key)
        self.memories.put(key, None if body is None else unpack(body), exemplars, now)

    def adopt(self, key: str, c: bytes, terms: bytes) -> None:
        """Take in an agent whose vectors the index of profiles holds already, as after a restart."""
        self.words.upsert(key, unpacked(terms))
        self._c[key] = c

    def remove(self, key: str) -> None:
        """Find an agent no more; an unknown one is no error. What is remembered of it stays until it is forgotten."""
        if self._c.pop(key, None) is not None:
            self.profiles.remove(key)
            self.words.remove(key)

    def search(
        self, probes: Sequence[Probe], k: int, among: Sequence[str] | None = None
    ) -> tuple[tuple[Match, ...], ...]:
        """Return the `k` most relevant agents for each probe, if given only among those keys; ties by key."""
        return tuple(self._search(probe, k, among) for probe in probes)

    def _search(self, probe: Probe, k: int, among: Sequence[str] | None) -> tuple[Match, ...]:
        asked = self.words.asked(counted((probe.text,))) if probe.text else ()
        experienced = tuple(key for key in self.memories.propose(probe.vector, RECALLED) if key in self._c)
        if among is None:
            keys = self._proposed(probe.vector, asked, experienced, k)
        else:
            keys = tuple(key for key in dict.fromkeys(among) if key in self._c)
        if not keys:
            return ()
        near = self.profiles.similarities(probe.vector, keys)
        lexical = self.words.scores(asked, keys)
        prior = fused(near.c, lexical)
        evidence, mass = self._evidence(probe.vector, keys, prior, experienced)
        found = relevance(prior, evidence)
        table = np.stack((found, near.c, near.e, lexical, evidence, mass), axis=1)
        best = _highest(found, keys, k)
        rows = table[best].tolist()
        return tuple(Match(keys[at], Parts(clipped(row[0]), *row[1:])) for at, row in zip(best, rows, strict=True))

    def _proposed(self, vector: Floats, asked: Sequence[int], experienced: tuple[str, ...], k: int) -> tuple[str, ...]:
        """Return the agents worth scoring for `k` results: all if they are few."""
        if len(self) <= ALL:
            return tuple(self._c)
        n = max(LEAST_PROPOSED, OVERFETCH * k)
        near = self.profiles.propose(vector, n)
        return tuple(dict.fromkeys((*near, *self.words.propose(asked, n), *experienced)))

    def _evidence(
        self, vector: Floats, keys: Sequence[str], prior: Numbers, experienced: tuple[str, ...]
    ) -> tuple[Numbers, Numbers]:
        """Return evidence and mass of each of `keys`; 0 for those that are neither near the top nor experienced."""
        evidence, mass = np.zeros(len(keys)), np.zeros(len(keys))
        if not len(self.memories):
            return evidence, mass
        at_of = {key: at for at, key in enumerate(keys)}
        best = _highest(prior, keys, RECALLED)
        some = list(dict.fromkeys((*best, *(at_of[key] for key in experienced if key in at_of))))
        evidence[some], mass[some] = self.memories.evidence(vector, [keys[at] for at in some])
        return evidence, mass


def _highest(found: Numbers, keys: Sequence[str], k: int) -> list[int]:
    """Return where the `k` highest are, falling, ties by key."""
    if k < len(found):
        least = np.partition(found, len(found) - k)[len(found) - k]
        chosen = np.flatnonzero(found >= least).tolist()
    else:
        chosen = list(range(len(found)))
    return sorted(chosen, key=lambda at: (-found[at], keys[at]))[:k]


def serve(retriever: Retriever, call: IndexCall) -> tuple[tuple[Near, ...], ...] | None:
    """Perform one call of the service "index"; synchronous, called on the thread that owns `retriever`."""
    match call:
        case Upsert(key, c, e, others, terms):
            retriever.upsert(key, c, e, others, terms)
        case Remember(key, exemplars, at):
            retriever.remember(key, exemplars, at)
        case Remove(keys):
            for key in keys:
                retriever.remove(key)
        case Search(vectors, k, among, texts):
            probes = map(Probe, unpack_all(vectors), texts or ("",) * len(vectors))
            return tuple(tuple(map(_near, found)) for found in retriever.search(tuple(probes), k, among))
    return None


def _near(found: Match) -> Near:
    parts = found.parts
    return Near(found.key, parts.cosine, parts.spec, parts.relevance, parts.lexical, parts.evidence, parts.mass)
