"""The index node: holds the vectors of its partitions, answers searches, embeds for those without a model.

A node that has a name keeps what it holds below ``node.state_dir`` and begins with that the next time.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any, Final, Self

from foa.adapters import embed
from foa.adapters.embed import Embedder, SentenceEmbedder
from foa.adapters.index.hnsw import HnswIndex
from foa.adapters.index.keeper import Keeper, uncollected
from foa.adapters.index.retriever import Retriever, serve
from foa.adapters.telemetry import Telemetry
from foa.core import effects as fx
from foa.core.effects import Key, Step
from foa.core.machines import shard
from foa.core.routing.exchange import IndexCall, Keep
from foa.core.vcv.card import profile_of
from foa.errors import FoaError, WireError
from foa.nodes.births import born
from foa.nodes.host import Host, Place, named, presence_will, ring_of, topics_of
from foa.nodes.ports import Done, Program, Service
from foa.settings import Settings

KEY = Key("shard")
TEND_S: Final = 0.01
"""How often keys are moved into the graph while some are outside, `TENDED` at a time."""

TENDED: Final = 8
KEEP_S: Final = 2.0
"""How often what changed is written."""


class ShardProgram:
    """The one machine of an index node."""

    def __init__(self, setup: shard.Setup, kept: Iterable[Keep] = ()) -> None:
        """Run the node that `setup` describes, with what it kept of its last life."""
        self.roots: tuple[Key, ...] = (KEY,)
        self.steps: Mapping[str, Step[Any]] = {KEY.kind: shard.step}
        self._setup = setup
        self._kept = kept

    def birth(self, key: Key) -> Any | None:
        """Return the first state of the machine."""
        if key != KEY:
            return None
        kept, self._kept = self._kept, ()
        with uncollected():
            return shard.new(self._setup, kept)

    def route(self, event: fx.Received | fx.Cleared, known: Callable[[Key], bool]) -> tuple[Key, ...]:
        """Give everything to the one machine."""
        del event, known
        return (KEY,)


class Indexing:
    """The services of an index node. Embedding has threads of its own: cached texts overtake a loading model."""

    def __init__(self, embedder: Embedder, index: HnswIndex, keeper: Keeper | None, kept: Iterable[Keep] = ()) -> None:
        """Start loading the model. Of those ``kept`` who can be found the index has the vectors already."""
        self._embedder = embedder
        self._index = index
        self._retriever = Retriever(index, HnswIndex(embedder.dim), embedder.dim)
        self._keeper = keeper
        self._retriever.adopt((agent, entry.terms) for agent, entry, online in kept if entry is not None and online)
        self._pool = ThreadPoolExecutor(2, "foa-embed")
        self._writer = ThreadPoolExecutor(1, "foa-keep")
        if isinstance(embedder, SentenceEmbedder):
            embedder.warm()

    def services(self) -> dict[str, Service]:
        """Return the services by name."""
        return {"index": self.index, "embed": self.embed, "card": self.card, "keep": self.keep}

    def index(self, call: IndexCall, done: Done) -> None:
        """Change or search the index, at once."""
        done(serve(self._retriever, call), "")

    def keep(self, kept: Keep, done: Done) -> None:
        """Note what is to be kept over a restart."""
        if self._keeper is not None:
            self._keeper.note(kept)
        done(None, "")

    def card(self, shown: tuple[str, bytes], done: Done) -> None:
        """Read a stranger's card; who it is says the topic it stands on, which the broker guards."""
        agent, body = shown
        try:
            done(profile_of(body, agent), "")
        except WireError as error:
            done(None, error.detail)

    def embed(self, texts: tuple[str, ...], done: Done) -> None:
        """Make vectors, in the thread."""
        asyncio.get_running_loop().create_task(self._embed(texts, done))

    async def _embed(self, texts: tuple[str, ...], done: Done) -> None:
        try:
            vectors = await asyncio.get_running_loop().run_in_executor(self._pool, embed.serve, self._embedder, texts)
        except FoaError as error:
            done(None, str(error))
        else:
            done(vectors, "")

    async def tend(self) -> None:
        """Move keys into the graph and write what changed, for as long as the node lives."""
        loop = asyncio.get_running_loop()
        write_at = loop.time() + KEEP_S
        while True:
            await asyncio.sleep(KEEP_S if self._index.is_tended else TEND_S)
            self._index.tend(TENDED)
            if loop.time() >= write_at:
                await self.write()
                write_at = loop.time() + KEEP_S

    async def write(self, *, last: bool = False) -> None:
        """Write what is due; `last`: all there is."""
        loop = asyncio.get_running_loop()
        for work in self._keeper.due(loop.time(), last=last) if self._keeper is not None else ():
            await loop.run_in_executor(self._writer, work)

    def close(self) -> None:
        """End the threads and close the files."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._writer.shutdown()
        if self._keeper is not None:
            self._keeper.close()


class ShardHost(Host):
    """An index node in this process; it tends its index while it lives and writes it when it ends."""

    def __init__(self, place: Place, program: Program, indexing: Indexing, settings: Settings) -> None:
        """Wire the node together; nothing happens before it is entered."""
        super().__init__(place, program, indexing.services(), settings, ring_of(settings, place.client_id))
        self._indexing = indexing
        self._tending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Connect, and begin to tend the index."""
        await super().__aenter__()
        self._tending = asyncio.get_running_loop().create_task(self._indexing.tend())
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Say goodbye, then write all there is to write."""
        await super().__aexit__(*exc)
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.wait((self._tending,))
            self._tending = None
            await self._indexing.write(last=True)
        self._indexing.close()


def shard_node(settings: Settings) -> Host:
    """Return an index node, ready to be entered; what it kept is read before this returns."""
    topics, life = topics_of(settings), born(settings.node.state_dir, settings.node.name)
    node = named(settings, "index")
    chosen = settings.index
    state = Path(settings.node.state_dir)
    embedder = embed.embedder(chosen.model, cache=state / chosen.cache if chosen.cache else None, batch=chosen.batch)
    setup = shard.Setup(
        topics=topics,
        node=node,
        epoch=life.number,
        model=embedder.model,
        dim=embedder.dim,
        replicas=chosen.replicas,
        refresh_s=settings.coordinator.refresh_s,
        wall=life.wall(monotonic()),
    )
    index = HnswIndex(embedder.dim, chosen.crossover)
    keeper = _keeper(settings, index, embedder.model) if settings.node.name else None
    with uncollected():
        kept = keeper.load() if keeper is not None else []
        indexing = Indexing(embedder, index, keeper, kept)
    place = Place(node, node, presence_will(topics, "index", node, life.number), keeps_journal=False)
    return ShardHost(place, ShardProgram(setup, kept), indexing, settings)


def _keeper(settings: Settings, index: HnswIndex, model: str) -> Keeper:
    """Return what keeps the index of a node with a name: another one would never find its own again."""
    telemetry = Telemetry(settings.node.name, settings.log.level, as_json=settings.log.json)
    label = f"{model} dim={index.rows.dim} root={settings.wire.root} partitions={settings.wire.partitions}"
    folder = Path(settings.node.state_dir) / f"{settings.node.name}.index"
    return Keeper(folder, index, label, lambda line: telemetry.log("index_kept", "warning", {"detail": line}))
