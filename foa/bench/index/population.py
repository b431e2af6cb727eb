"""Agents in any number: those of a file, and made-up ones between them, with what gates look at.

A made-up vector lies between a real one and one of its ten nearest, at a random 20 to 80 % of the way, moved off
at random by `STRAY` of its length. With the 9,334 profiles of the given file as base, 100,000 of them are as near to
each other as real ones should be: the median cosine to the nearest is 0.85 and to the tenth 0.72; real subsets of
584, 1,167 … 9,334 gain 0.030 and 0.026 per doubling, which comes to 0.84 and 0.71. Without a file the base is made up.

Words are those of the profiles' names and descriptions; a made-up agent has half of either of the two it lies between.

A query is an agent's vector turned away at random to cosine `NEAR`: real queries are that near to the agent that
is right for them (medians over three public sets of tools: 0.38, 0.49, 0.55). Its text has `OWN` words of that agent
and `FOREIGN` of another one.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from foa.adapters.embed import DIM, SentenceEmbedder
from foa.bench import datasets
from foa.core.vcv.bloom import bloom
from foa.core.vcv.terms import counted, packed
from foa.core.vcv.vector import Floats, normalised
from foa.errors import FoaError
from foa.wire.ids import Version, partition_of
from foa.wire.messages import Vcv
from foa.wire.records import Query, Resources

SEED: Final = 7
NEAR: Final = 0.5
STRAY: Final = 0.55
BASE: Final = 10_000
NEIGHBOURS: Final = 10
OWN: Final = 4
FOREIGN: Final = 6
LENGTH: Final = 30
VOCABULARY: Final = 20_000
MODEL: Final = "hash"
"""What the vectors are called in the bench, so that index nodes load no model; the numbers are the real one's."""

GATES: Final = {"50%": 0.5, "10%": 0.1, "1%": 0.01, "0.1%": 0.001}
BATCH: Final = 256

Say = Callable[[str], None]


class Population(NamedTuple):
    """Vectors (n, dim) of n agents, and which of `GATES` each passes: (n, 4)."""

    vectors: Floats
    labels: np.typing.NDArray[np.bool_]
    real: int
    texts: tuple[str, ...]

    def vcv(self, at: int, counter: int = 1, vector: Floats | None = None) -> Vcv:
        """Return what agent number `at` publishes; its price in thousandths is its rank among all, shuffled."""
        body = (self.vectors[at] if vector is None else vector).astype("<f2").tobytes()
        agent = name(at)
        skills = (f"work-{at}",)
        holds = tuple(label for label, held in zip(GATES, self.labels[at], strict=True) if held)
        price = (at * 2_654_435_761 % 1_000_003) / 1_000_003
        return Vcv(
            agent=agent,
            version=Version(1, counter),
            model=MODEL,
            c=body,
            e=body,
            s=bloom(skills),
            r=Resources(price_call=price),
            holds=tuple(label.replace("%", "-percent") for label in holds),
            skills=skills,
            views={"description": body},
            name=agent,
            terms=packed(counted((self.texts[at],))),
        )


def name(at: int) -> str:
    """Return the identity of agent number `at`."""
    return f"bench/crowd/agent-{at}"


def partition(at: int) -> int:
    """Return where agent number `at` belongs."""
    return partition_of(name(at))


def populate(count: int, file: Path | None, cache: Path, say: Say) -> Population:
    """Return `count` agents, those of `file` first."""
    rng = np.random.default_rng(SEED)
    base, said = _made_up(rng) if file is None else _embedded(file, cache, say)
    real = 0 if file is None else min(count, len(base))
    order = rng.permutation(len(base))
    base, texts = base[order], [said[at] for at in order.tolist()]
    vectors = base[:count]
    if count > len(base):
        between, parents = _between(base, count - len(base), rng)
        vectors = np.concatenate((base, between))
        texts += [f"{half(texts[one], rng)} {half(texts[other], rng)}" for one, other in parents.tolist()]
    labels = rng.random((count, len(GATES))) < np.array(list(GATES.values()))
    whole = normalised(vectors.astype(np.float16))  # as they travel
    return Population(whole, labels, real, tuple(texts[:count]))


def half(text: str, rng: np.random.Generator) -> str:
    """Return half of the words of `text`."""
    words = text.split()
    return " ".join(words[at] for at in np.flatnonzero(rng.random(len(words)) < 0.5).tolist())  # noqa: PLR2004 - half


def queries(population: Population, count: int, near: float = NEAR, seed: int = SEED) -> list[Query]:
    """Return `count` queries as they travel, each at cosine `near` to some agent, with a few of its words."""
    rng = np.random.default_rng(seed + 1)
    meant = rng.integers(len(population.vectors), size=count)
    found = turned(population.vectors[meant], near, rng).astype("<f2")
    return [
        Query(_asking(population, at, rng), vector.tobytes(), MODEL)
        for at, vector in zip(meant.tolist(), found, strict=True)
    ]


def _asking(population: Population, at: int, rng: np.random.Generator) -> str:
    own, foreign = population.texts[at].split(), population.texts[rng.integers(len(population.texts))].split()
    words = [*rng.permutation(own)[:OWN].tolist(), *rng.permutation(foreign)[:FOREIGN].tolist()]
    return f"Please help me with {' '.join(rng.permutation(words).tolist())}"


def turned(vectors: Floats, cosine: float, rng: np.random.Generator) -> Floats:
    """Return `vectors` (n, dim), each turned away in a random direction to `cosine`."""
    stray = rng.normal(size=vectors.shape).astype(np.float32)
    stray -= np.sum(stray * vectors, axis=1, keepdims=True) * vectors
    return normalised(cosine * vectors + float(np.sqrt(1.0 - cosine * cosine)) * normalised(stray))


def _embedded(file: Path, cache: Path, say: Say) -> tuple[Floats, list[str]]:
    """Return the vectors (of the real model, from its cache where they are in it) and the texts of a file's agents."""
    rows = datasets.agents(file)
    texts = [f"{row.name}. {row.description}" for row in rows]
    embedder = SentenceEmbedder(cache=cache)
    vectors = np.zeros((len(texts), embedder.dim), dtype=np.float32)
    try:
        for first in range(0, len(texts), BATCH):
            vectors[first : first + BATCH] = embedder.embed(texts[first : first + BATCH])
            if first % (BATCH * 8) == 0:
                say(f"embedded {first} of {len(texts)} agents")
    finally:
        embedder.close()
    if not len(vectors):
        raise FoaError(f"{file} has no agents")
    return vectors, texts


def _made_up(rng: np.random.Generator) -> tuple[Floats, list[str]]:
    """Return vectors of which few directions say most, as embeddings have it, and texts of which few words are many."""
    spectrum = (1.0 + np.arange(DIM)) ** -0.35
    vectors = normalised(rng.normal(size=(BASE, DIM)) * spectrum)
    words = np.minimum(rng.zipf(1.3, size=(BASE, LENGTH)), VOCABULARY)
    return vectors, [" ".join(f"w{word}x" for word in row) for row in words.tolist()]


def _between(base: Floats, count: int, rng: np.random.Generator) -> tuple[Floats, np.typing.NDArray[np.intp]]:
    """Return vectors between others, and between which two each is: (n, 2)."""
    near = _neighbours(base)
    one = rng.integers(len(base), size=count)
    other = near[one, rng.integers(near.shape[1], size=count)]
    way = rng.uniform(0.2, 0.8, size=(count, 1)).astype(np.float32)
    middle = normalised((1.0 - way) * base[one] + way * base[other])
    return normalised(middle + STRAY * normalised(rng.normal(size=middle.shape))), np.stack((one, other), axis=1)


def _neighbours(base: Floats) -> np.typing.NDArray[np.intp]:
    """Return for each vector its `NEIGHBOURS` nearest others: (n, k)."""
    most = min(NEIGHBOURS, len(base) - 1)
    if most < 1:
        return np.zeros((len(base), 1), dtype=np.intp)
    found = []
    for first in range(0, len(base), 1_000):
        cosines = base[first : first + 1_000] @ base.T
        cosines[np.arange(len(cosines)), np.arange(first, first + len(cosines))] = -2.0
        found.append(np.argpartition(-cosines, most - 1, axis=1)[:, :most])
    return np.concatenate(found)
