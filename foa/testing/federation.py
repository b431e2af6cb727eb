"""The kinds of node the simulator runs, each made as its production host makes it, with services in virtual time."""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, Final

from foa.adapters import embed
from foa.adapters.embed import HashEmbedder
from foa.adapters.index.exact import ExactIndex
from foa.adapters.index.retriever import Retriever, serve
from foa.core.machines import shard
from foa.core.machines.client import Report
from foa.core.routing.exchange import IndexCall, Keep, Upsert
from foa.core.vcv.profile import Profile
from foa.nodes.agent import AgentProgram, will_of
from foa.nodes.client import SESSION_S, ClientProgram
from foa.nodes.coordinator import CoordinatorProgram
from foa.nodes.host import presence_will
from foa.nodes.ports import Done, Service
from foa.nodes.shard import ShardProgram
from foa.settings import Settings
from foa.testing.agents import Begun, Hands, Temper
from foa.testing.mortal import Life
from foa.testing.world import Birth, Node, Seat, World
from foa.wire.ids import node_of
from foa.wire.messages import Vectors

EMBED_S: Final = 0.005
WALL_S: Final = 1_700_000_000.0
"""The wall clock's time at the beginning of every world, in seconds since 1970."""

_HASH: Final = HashEmbedder()
_known: dict[tuple[str, ...], Vectors] = {}


def settings(**changes: Any) -> Settings:
    """Return the settings of simulated federations: few partitions, and nothing remembered for long."""
    base = {
        "wire.partitions": 4,
        "wire.retention_s": 20,
        "broker.keep_alive_s": 60,
        "index.model": "hash",
        "agent.repeat_ms": 1000,
    }
    return Settings.from_mapping(base | {key.replace("__", "."): value for key, value in changes.items()}, "sim")


def coordinator(world: World, name: str, skew_s: float = 0.0) -> Node:
    """Add a coordinator whose wall clock is `skew_s` fast."""

    def make(birth: int, life: Life) -> Birth:
        program = CoordinatorProgram(name, birth, world.settings, world.topics, WALL_S + skew_s - life.offset)
        return Birth(program, {}, presence_will(world.topics, "coordinator", name, birth))

    return world.add(Seat("coordinator", f"sim/nodes/{name}", name), make)


def index(world: World, name: str) -> Node:
    """Add an index node; its model takes a moment, its index none. It finds again what it knew when it died."""
    disk: dict[str, Keep] = {}

    def make(birth: int, life: Life) -> Birth:
        setup = shard.Setup(
            topics=world.topics,
            node=name,
            epoch=birth,
            model=_HASH.model,
            dim=_HASH.dim,
            replicas=world.settings.index.replicas,
            refresh_s=world.settings.coordinator.refresh_s,
        )
        vectors = _restored(disk)
        services: dict[str, Service] = {
            "index": partial(_index, vectors),
            "embed": partial(_embed, life),
            "card": _card,
            "keep": partial(_keep, disk),
        }
        return Birth(
            ShardProgram(setup, tuple(disk.values())), services, presence_will(world.topics, "index", name, birth)
        )

    return world.add(Seat("index", f"sim/nodes/{name}", name, keeps_journal=False), make)


def _index(vectors: Retriever, call: IndexCall, done: Done) -> None:
    done(serve(vectors, call), "")


def _keep(disk: dict[str, Keep], kept: Keep, done: Done) -> None:
    disk.pop(kept.agent, None)
    if kept.entry is not None:
        disk[kept.agent] = kept
    done(None, "")


def _restored(disk: dict[str, Keep]) -> Retriever:
    """Return the index as a node finds it again after its death."""
    vectors = Retriever(ExactIndex(_HASH.dim), ExactIndex(_HASH.dim), _HASH.dim)
    for agent, entry, online in disk.values():
        if entry is not None and online:
            serve(vectors, Upsert(agent, entry.c, entry.e, entry.others, entry.terms))
    return vectors


def _embed(life: Life, texts: tuple[str, ...], done: Done) -> None:
    found = _known.get(texts)
    if found is None:
        if len(_known) > 4096:  # noqa: PLR2004 - a bound, nothing more
            _known.clear()
        found = _known[texts] = embed.serve(_HASH, texts)
    life.call_at(life.time() + EMBED_S, partial(done, found, ""))


def _card(card: Any, done: Done) -> None:
    del card
    done(None, "strangers are not simulated")


def agent(world: World, profile: Profile, temper: Temper, begun: Callable[[Begun], None]) -> Node:
    """Add an agent with a temper."""
    return played(world, profile, lambda life, rng: Hands(profile, temper, life, rng, begun).services())


def played(world: World, profile: Profile, services: Callable[[Life, Random], dict[str, Service]]) -> Node:
    """Add an agent; each life of it gets the `services` made for its clock and its dice."""
    name = node_of(profile.agent)

    def make(birth: int, life: Life) -> Birth:
        program = AgentProgram(profile, birth, world.settings, world.topics)
        rng = Random(f"{world.seed}/{name}/{birth}")
        return Birth(program, services(life, rng), will_of(program.context))

    return world.add(Seat("agent", profile.agent, name), make)


def client(world: World, name: str, report: Callable[[Report], None]) -> Node:
    """Add a client; what its machines report goes to `report`."""

    def make(birth: int, life: Life) -> Birth:
        del birth, life
        return Birth(ClientProgram(name, world.settings, world.topics), {"report": lambda said, _done: report(said)})

    return world.add(Seat("client", f"sim/nodes/{name}", name, SESSION_S, keeps_journal=False), make)
