"""One index node as a value: the production catalogue, plans and index, called as the node's machine calls them."""

import gc
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import numpy as np

from foa.adapters.index.exact import ExactIndex
from foa.adapters.index.hnsw import HnswIndex
from foa.adapters.index.keeper import Keeper, uncollected
from foa.adapters.index.retriever import Retriever, serve
from foa.adapters.index.rows import rounded
from foa.bench.index.population import MODEL, Population, Say, partition
from foa.core.machines.shard.catalogue import Catalogue
from foa.core.machines.shard.retrieve import gather, plan
from foa.core.routing.exchange import IndexCall, Keep, Place, Search
from foa.core.vcv.relevance import Numbers, fused, relevance
from foa.core.vcv.terms import counted
from foa.core.vcv.vector import unpack
from foa.wire.messages import Vcv
from foa.wire.records import Hit, Query

T = TypeVar("T")

K: Final = 10
EPSILON: Final = 1e-6


class Times(NamedTuple):
    """Microseconds, rising."""

    us: list[float]

    def at(self, share: float) -> float:
        """Return the time below which `share` of the calls stayed."""
        return self.us[min(len(self.us) - 1, int(len(self.us) * share))]


def timed(call: Callable[[T], object], arguments: Iterable[T]) -> Times:
    """Time a call with each of `arguments`; the collector of garbage waits, as in a node it seldom comes."""
    times: list[float] = []
    gc.collect()
    gc.disable()
    try:
        for argument in arguments:
            began = time.perf_counter()
            call(argument)
            times.append((time.perf_counter() - began) * 1e6)
    finally:
        gc.enable()
    return Times(sorted(times))


class BenchNode:
    """A catalogue, its index, and what keeps them in `folder`."""

    def __init__(self, dim: int, crossover: int, folder: Path, say: Say) -> None:
        """Begin with what is in `folder`."""
        self.index = HnswIndex(dim, crossover)
        self.retriever = Retriever(self.index, HnswIndex(dim), dim)
        self.catalogue = Catalogue()
        self.keeper = Keeper(folder, self.index, f"{MODEL} bench", say)
        with uncollected():
            kept = self.keeper.load()
            self.retriever.adopt((each.agent, each.entry.terms) for each in kept if each.entry and each.online)
            self.catalogue.restore(kept)
            serve(self.retriever, Place(tuple(self.catalogue.columns.agents)))

    def fill(self, population: Population, say: Say) -> None:
        """Take in everybody, and build the graph to its end."""
        count = len(population.vectors)
        for at in range(count):
            vcv = population.vcv(at)
            self._take(self.catalogue.mark(vcv.agent, partition(at), online=True))
            self.put(vcv, at)
            if (at + 1) % 20_000 == 0:
                say(f"took in {at + 1} of {count} agents")
        while not self.index.is_tended:
            self.index.tend(64)

    def put(self, vcv: Vcv, at: int) -> None:
        """Take in what an agent published, and have the index catch up."""
        _, calls = self.catalogue.put(vcv, partition(at))
        self._take(calls)

    def find(self, query: Query, retriever: Retriever | None = None) -> tuple[Hit, ...]:
        """Answer one query as the node does between its inbox and its answer."""
        how = plan(query, K, self.catalogue)
        while True:
            call = Search((query.vector,), how.fetch, how.among, (query.text,))
            (near,) = serve(retriever or self.retriever, call) or ((),)
            found = gather(query, K, how, near, self.catalogue)
            if found.again is None:
                return found.hits
            how = found.again

    def write(self) -> None:
        """Write all there is."""
        for work in self.keeper.due(0.0, last=True):
            work()
        self.keeper.close()

    def exact(self) -> Retriever:
        """Return the same retriever over an exact index of the same vectors."""
        exact = ExactIndex(self.index.rows.dim)
        exact.rows = self.index.rows
        found = Retriever(exact, ExactIndex(exact.rows.dim), exact.rows.dim)
        found.words, found.memories = self.retriever.words, self.retriever.memories
        return found

    def truth(self, query: Query) -> Numbers:
        """Return the relevance of every agent to `query`, by row; nobody is left out."""
        vector = unpack(query.vector)
        rows = np.arange(len(self.index))
        asked = self.retriever.words.asked(counted((query.text,)))
        prior = fused(rounded(self.index.rows.products(vector, rows)), self.retriever.words.scores(asked, rows))
        return np.minimum(1.0, relevance(prior, np.zeros(len(rows))))

    def _take(self, calls: Sequence[IndexCall | Keep]) -> None:
        for call in calls:
            if isinstance(call, Keep):
                self.keeper.note(call)
            else:
                serve(self.retriever, call)


def score(hit: Hit) -> float:
    """Return what a hit was ranked by."""
    return hit.cosine if hit.relevance is None else hit.relevance


def recall(
    scores: Sequence[Sequence[float]],
    truth: Iterable["np.typing.NDArray[np.floating]"],
    permitted: "np.typing.NDArray[np.bool_]",
) -> float:
    """Return recall@10 by score: a result counts if it is no worse than the exact tenth.

    `truth` are the exact scores of all agents per query, each (n,), of whom only `permitted` (n,) count.
    """
    found = expected = 0
    for got, exact in zip(scores, truth, strict=True):
        allowed = exact[permitted]
        want = min(K, len(allowed))
        if not want:
            continue
        least = np.partition(allowed, len(allowed) - want)[len(allowed) - want]
        found += min(want, sum(one >= least - EPSILON for one in got))
        expected += want
    return found / expected if expected else 1.0


def memory_mb() -> float:
    """Return what this process holds in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def disk_mb(folder: Path) -> float:
    """Return what lies in `folder`."""
    return sum(path.stat().st_size for path in folder.iterdir()) / 1e6
