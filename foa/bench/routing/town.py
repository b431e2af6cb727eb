"""The agents of a file as an index node has them: profile, texts, capability vector, retriever. And its queries."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from foa.adapters.embed import Embedder
from foa.adapters.index.hnsw import HnswIndex
from foa.adapters.index.retriever import Probe, Retriever
from foa.bench.datasets import AgentRow, QueryRow
from foa.core.vcv.build import build_vcv, texts_of
from foa.core.vcv.profile import Profile
from foa.core.vcv.vector import Floats, pack
from foa.wire.ids import Version, stable_hash

BATCH = 512
"""Texts between two words of progress."""

Say = Callable[[str], None]


class Town(NamedTuple):
    """A filled retriever, the key of each agent in the order of the file, and the rows it came from."""

    retriever: Retriever
    keys: tuple[str, ...]
    agents: tuple[AgentRow, ...]


class Asked(NamedTuple):
    """The queries of a file: as probes, and the keys of the agents that are right for each."""

    probes: tuple[Probe, ...]
    gold: tuple[frozenset[str], ...]


def embedded(embedder: Embedder, texts: Sequence[str], what: str, say: Say) -> Floats:
    """Return one vector per text (n, dim); short ones go together, so that little is padding."""
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    vectors = np.zeros((len(texts), embedder.dim), dtype=np.float32)
    for first in range(0, len(order), BATCH):
        some = order[first : first + BATCH]
        vectors[some] = embedder.embed([texts[at] for at in some])
        say(f"embedded {min(first + BATCH, len(order))} of {len(order)} {what}")
    return vectors


def key_of(row: AgentRow) -> str:
    """Return a key that says nothing of the row's place in the file: ties go by key."""
    return f"bench/routing/a{stable_hash(row.id):016x}"


def founded(rows: tuple[AgentRow, ...], embedder: Embedder, say: Say) -> Town:
    """Return the town of the agents `rows`, each built as an agent builds itself."""
    keys = tuple(key_of(row) for row in rows)
    profiles = [Profile(key, row.name, row.description) for key, row in zip(keys, rows, strict=True)]
    texts = [texts_of(profile) for profile in profiles]
    distinct = list(dict.fromkeys(text for each in texts for text in each.values()))
    vectors = embedded(embedder, distinct, "texts of agents", say)
    body_of = {text: pack(vector) for text, vector in zip(distinct, vectors, strict=True)}
    dim = embedder.dim
    retriever = Retriever(HnswIndex(dim), HnswIndex(dim), dim)
    for profile, named in zip(profiles, texts, strict=True):
        bodies = {name: body_of[text] for name, text in named.items()}
        vcv = build_vcv(profile, Version(1, 1), embedder.model, bodies)
        retriever.upsert(profile.agent, vcv.c, vcv.e, (), vcv.terms)
    return Town(retriever, keys, rows)


def asked(rows: tuple[QueryRow, ...], town: Town, embedder: Embedder, say: Say) -> Asked:
    """Return the queries `rows` as they are put to the town."""
    vectors = embedded(embedder, [row.query for row in rows], "queries", say)
    key_of_id = {row.id: key for row, key in zip(town.agents, town.keys, strict=True)}
    probes = tuple(Probe(vector, row.query) for vector, row in zip(vectors, rows, strict=True))
    return Asked(probes, tuple(frozenset(key_of_id[agent] for agent in row.gold) for row in rows))
