"""The index node: holds the vectors of its partitions, answers searches, embeds for those without a model."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from foa.adapters import embed
from foa.adapters.embed import Embedder, SentenceEmbedder
from foa.adapters.index.hnsw import HnswIndex
from foa.adapters.index.port import serve
from foa.core import effects as fx
from foa.core.effects import Key, Step
from foa.core.machines import shard
from foa.core.routing.exchange import IndexCall, Keep
from foa.core.vcv.card import profile_of
from foa.errors import FoaError, WireError
from foa.nodes.host import Host, Place, birth, client_id, named, presence_will, topics_of
from foa.nodes.ports import Done, Service
from foa.settings import Settings

KEY = Key("shard")


class ShardProgram:
    """The one machine of an index node."""

    def __init__(self, setup: shard.Setup) -> None:
        """Run the node that `setup` describes."""
        self.roots: tuple[Key, ...] = (KEY,)
        self.steps: Mapping[str, Step[Any]] = {KEY.kind: shard.step}
        self._setup = setup

    def birth(self, key: Key) -> Any | None:
        """Return the first state of the machine."""
        return shard.new(self._setup) if key == KEY else None

    def route(self, event: fx.Received | fx.Cleared, known: Callable[[Key], bool]) -> tuple[Key, ...]:
        """Give everything to the one machine."""
        del event, known
        return (KEY,)


class Indexing:
    """The services of an index node. Embedding has threads of its own: cached texts overtake a loading model."""

    def __init__(self, embedder: Embedder, crossover: int) -> None:
        """Start loading the model."""
        self._embedder = embedder
        self._index = HnswIndex(embedder.dim, crossover)
        self._pool = ThreadPoolExecutor(2, "foa-embed")
        if isinstance(embedder, SentenceEmbedder):
            embedder.warm()

    def services(self) -> dict[str, Service]:
        """Return the services by name."""
        return {"index": self.index, "embed": self.embed, "card": self.card, "keep": self.keep}

    def index(self, call: IndexCall, done: Done) -> None:
        """Change or search the index, at once."""
        done(serve(self._index, call), "")

    def keep(self, kept: Keep, done: Done) -> None:
        """Note what is to be kept over a restart."""
        del kept
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

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def shard_node(settings: Settings) -> Host:
    """Return an index node, ready to be entered."""
    topics, born = topics_of(settings), birth()
    node = named(settings, "index")
    chosen = settings.index
    cache = Path(settings.node.state_dir) / chosen.cache if chosen.cache else None
    embedder = embed.embedder(chosen.model, cache=cache, batch=chosen.batch)
    setup = shard.Setup(
        topics=topics,
        node=node,
        epoch=born,
        model=embedder.model,
        dim=embedder.dim,
        replicas=chosen.replicas,
        refresh_s=settings.coordinator.refresh_s,
    )
    indexing = Indexing(embedder, chosen.crossover)
    place = Place(client_id(settings, node), node, presence_will(topics, "index", node, born), keeps_journal=False)
    return Host(place, ShardProgram(setup), indexing.services(), settings)
