"""Text to agents: vectors, words and finished tasks propose, the fused relevance of docs/decisions/0013 decides.

Composes a vector index of profiles, the lexical index and the memories. A request is scored exactly for at most a few
hundred agents: those whose ``c`` or a view is near it, those that share its rare words, and those that did tasks like
it; while there are few agents, for all. One owner, one thread: nothing here locks.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from foa.adapters.index.lexical import LexicalIndex, Posting
from foa.adapters.index.memories import Memories
from foa.adapters.index.port import VectorIndex
from foa.adapters.index.rows import Numbers as Rows
from foa.adapters.index.rows import rounded
from foa.core.routing.exchange import IndexCall, Near, Place, Remember, Remove, Search, Upsert
from foa.core.vcv.relevance import Parts, clipped, fused, relevance
from foa.core.vcv.terms import counted, unpacked
from foa.core.vcv.vector import Floats, unpack, unpack_all
from foa.wire.lessons import Exemplar

Numbers = npt.NDArray[np.float64]

ALL: Final = 256
"""With so many agents or fewer every one is scored."""

PROPOSED: Final = 160
PROPOSED_EACH: Final = 10
"""Agents proposed by vectors, at least and for each that is asked for: the graph looks at more anyway."""

WORDED: Final = 224
WORDED_EACH: Final = 14
"""Agents proposed by words, at least and for each that is asked for."""

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


class Table(NamedTuple):
    """What was found, best first: keys, and of each relevance (not clipped), cosine, spec, words, evidence, mass."""

    keys: list[str]
    parts: list[list[float]]


class Retriever:
    """What an index node finds agents with. Vectors and words of an agent are in one row."""

    def __init__(self, profiles: VectorIndex, memories: VectorIndex, dim: int) -> None:
        """Use two empty indices that are nobody else's; `profiles` may hold agents that `adopt` takes in next."""
        self.profiles = profiles
        self.words = LexicalIndex()
        self.memories = Memories(memories, dim)

    def __len__(self) -> int:
        return len(self.profiles)

    def __contains__(self, key: object) -> bool:
        return key in self.profiles

    def upsert(self, key: str, c: bytes, e: bytes, views: Sequence[bytes] = (), terms: bytes = b"") -> None:
        """Keep an agent's float16 vectors and its terms, in place of earlier ones; what is remembered of it stays.

        ``views`` propose an agent and do not score it. Raises ValueError for terms that `terms.packed` did not write.
        """
        counts = unpacked(terms)
        vector = unpack(c)
        self.profiles.upsert(key, vector, unpack(e), unpack_all(views) if views else ())
        self.words.put(self.profiles.rows.row_of[key], counts, terms)
        self.memories.reprofiled(key, vector)

    def remember(self, key: str, exemplars: Sequence[Exemplar], now: float) -> None:
        """Replace what is known of an agent's finished tasks, as of `now`; none: forget them.

        They are kept while the agent is not there: it may be away, or its vector on the way.
        """
        row = self.profiles.rows.row_of.get(key)
        self.memories.put(key, None if row is None else self.profiles.rows.c[row].copy(), exemplars, now)

    def adopt(self, terms: Iterable[tuple[str, bytes]]) -> None:
        """Take in the terms of all agents whose vectors the index of profiles holds already, as after a restart."""
        bodies = [b""] * len(self.profiles)
        row_of = self.profiles.rows.row_of
        for key, body in terms:
            bodies[row_of[key]] = body
        self.words.restore(bodies)

    def remove(self, key: str) -> None:
        """Find an agent no more; an unknown one is no error. What is remembered of it stays until it is forgotten."""
        row = self.profiles.rows.row_of.get(key)
        if row is not None:
            self.profiles.remove(key)
            self.words.remove(row)

    def search(
        self, probes: Sequence[Probe], k: int, among: Sequence[str] | None = None
    ) -> tuple[tuple[Match, ...], ...]:
        """Return the `k` most relevant agents for each probe, if given only among those keys; ties by key."""
        rows = None if among is None else self.profiles.rows.rows(dict.fromkeys(among))
        found = (self.table(probe, k, rows) for probe in probes)
        return tuple(
            tuple(Match(key, Parts(clipped(row[0]), *row[1:])) for key, row in zip(*one, strict=True)) for one in found
        )

    def table(self, probe: Probe, k: int, among: Rows | None = None) -> Table:
        """Return the `k` most relevant for one probe, if given only among those rows, each of which is there once."""
        vector, profiles = probe.vector, self.profiles.rows
        asked = self.words.asked(counted((probe.text,))) if probe.text else []
        experienced = self._experienced(vector)
        if among is None and len(self) > ALL:
            rows, words, cosines = self._reached(vector, asked, experienced, k)
        else:
            rows = np.arange(len(self)) if among is None else among
            words = self.words.scores(asked, rows)
            cosines = rounded(profiles.products(vector, rows))
        if not len(rows):
            return Table([], [])
        prior = fused(cosines, words)
        evidence, mass = self._evidence(vector, rows, prior, experienced)
        found = relevance(prior, evidence)
        best = profiles.highest(found, k, rows)
        theirs = rows[best].tolist()
        specs = profiles.specs(vector, theirs)
        parts = np.stack((found[best], cosines[best], specs, words[best], evidence[best], mass[best]), axis=1)
        return Table([profiles.keys[row] for row in theirs], parts.tolist())

    def _reached(
        self, vector: Floats, asked: Sequence[Posting], experienced: Rows, k: int
    ) -> tuple[Rows, Numbers, Numbers]:
        """Return the rows worth scoring for `k` results, their BM25 and their cosines."""
        near, known = self.profiles.near(vector, max(PROPOSED, PROPOSED_EACH * k))
        began = np.concatenate((near, experienced)) if len(experienced) else near
        rows, words, origin = self.words.reach(asked, began, max(WORDED, WORDED_EACH * k))
        if known is None:
            return rows, words, rounded(self.profiles.rows.products(vector, rows))
        cosines = known.take(origin, mode="clip")
        fresh = np.flatnonzero(origin >= len(near))
        cosines[fresh] = self.profiles.rows.products(vector, rows[fresh])
        return rows, words, rounded(cosines)

    def _experienced(self, vector: Floats) -> Rows:
        """Return the rows of those who did tasks near `vector`, of all who are here."""
        keys = self.memories.propose(vector, RECALLED) if len(self.memories) else ()
        return self.profiles.rows.rows(keys)

    def _evidence(self, vector: Floats, rows: Rows, prior: Numbers, experienced: Rows) -> tuple[Numbers, Numbers]:
        """Return evidence and mass of each of `rows`; 0 for those that are neither near the top nor experienced."""
        evidence, mass = np.zeros(len(rows)), np.zeros(len(rows))
        if len(self.memories):
            best = np.flatnonzero(np.isin(rows, experienced)) if len(experienced) else experienced
            some = list(dict.fromkeys((*self.profiles.rows.highest(prior, RECALLED, rows), *best.tolist())))
            keys = self.profiles.rows.keys
            evidence[some], mass[some] = self.memories.evidence(vector, [keys[row] for row in rows[some].tolist()])
        return evidence, mass


def serve(retriever: Retriever, call: IndexCall) -> tuple[tuple[Near, ...], ...] | None:
    """Perform one call of the service "index"; synchronous, called on the thread that owns `retriever`."""
    match call:
        case Search(vectors, k, among, texts):
            rows = None if among is None else retriever.profiles.rows.at(among)
            probes = map(Probe, unpack_all(vectors), texts or ("",) * len(vectors))
            return tuple(_near(retriever.table(probe, k, rows)) for probe in probes)
        case Upsert(key, c, e, others, terms, slot):
            retriever.upsert(key, c, e, others, terms)
            retriever.profiles.rows.place(key, slot)
        case Place(keys):
            for at, key in enumerate(keys):
                retriever.profiles.rows.place(key, at)
        case Remember(key, exemplars, at_s):
            retriever.remember(key, exemplars, at_s)
        case Remove(keys):
            for key in keys:
                retriever.remove(key)
    return None


def _near(found: Table) -> tuple[Near, ...]:
    return tuple(
        Near(key, cosine, spec, clipped(relevant), words, done, mass)
        for key, (relevant, cosine, spec, words, done, mass) in zip(found.keys, found.parts, strict=True)
    )
