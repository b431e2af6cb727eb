"""A query over several index nodes through the broker, beside bare round trips over the same broker in the same run.

Index nodes are processes of their own, each with its share of the partitions; this process is the client. Queries carry
their vectors, and no two are the same. Bare round trips and queries take turns within every round.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import numpy as np

from foa.bench.bare import Requester
from foa.bench.brokers import running
from foa.bench.index.local import Figures, Plan, travelling
from foa.bench.index.node import K
from foa.bench.index.population import MODEL, Population, Say, name, partition, populate, queries, turned
from foa.bus.mqtt.client import MqttBus
from foa.bus.port import Delivery, Facts, Options
from foa.errors import FoaError
from foa.nodes.client import Client
from foa.nodes.federation import Federation, Member
from foa.settings import Settings
from foa.wire import codec
from foa.wire.envelope import Envelope, Frame, to_properties
from foa.wire.records import Query
from foa.wire.topics import Topics

CARD: Final = b"{}"
"""Cards of the crowd: index nodes read no more of them than the status beside, since vectors are published too."""

BACKLOG: Final = 500
VISIBLE: Final = 20
FILL_S: Final = 600.0


class _Silent:
    """Listens to nothing."""

    def connected(self, facts: Facts) -> None:
        """Nothing to do."""

    def delivered(self, delivery: Delivery) -> None:
        """Nothing is subscribed to."""

    def disconnected(self, reason: str, *, final: bool) -> None:
        """Nothing to do."""

    def drained(self) -> None:
        """Nothing to do: publishing watches the backlog."""

    def turned(self) -> None:
        """Nothing is held back."""


async def measure(plan: Plan, nodes: int, say: Say) -> Figures:
    """Start everything, measure, end everything; FoaError if the federation does not come up."""
    population = populate(plan.agents, Path(plan.file) if plan.file else None, Path(plan.cache), say)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="foa-bench-index-")))
        port = await stack.enter_async_context(running("embedded", folder))
        knobs = {
            "broker.url": f"mqtt://127.0.0.1:{port}",
            "index.model": MODEL,
            "index.replicas": "1",
            "log.level": "warning",
        }
        ours = {f"FOA_{key.replace('.', '_').upper()}": value for key, value in knobs.items()}
        environment = {**os.environ, **ours, "FOA_NODE_STATE_DIR": str(folder / "state")}
        federation = await stack.enter_async_context(Federation(environment, folder, say, restart=False))
        say(f"starting {nodes} index nodes")
        names = [f"index-{number}" for number in range(1, nodes + 1)]
        await federation.start(Member(each, ("node", "index", "--name", each)) for each in names)
        bare = await _responder(stack, port)
        client = await stack.enter_async_context(Client(Settings.from_mapping(knobs, "bench")))
        bus = MqttBus(Options("bench/crowd/publisher", port=port), _Silent())
        await bus.open(5.0)
        stack.push_async_callback(bus.close)
        began = time.perf_counter()
        await _publish(bus, client.topics, population, say)
        await _filled(client, population, say)
        filled = time.perf_counter() - began
        asked = iter(queries(population, (plan.queries + 50) * plan.rounds + 50))
        rounds = [await _round(client, bare, asked, plan.queries, say) for _ in range(plan.rounds)]
        visible = await _visible(client, bus, population)
    query_us, bare_us = (statistics.median(column) for column in zip(*rounds, strict=True))
    fan = {"query_p50_us": query_us, "bare_p50_us": bare_us, "ratio": query_us / bare_us}
    shown = {"visible_s": statistics.median(visible), "visible_max_s": max(visible)}
    return {"agents": plan.agents, "nodes": nodes, "fill_s": filled, "fanout": fan, **shown}


async def _responder(stack: AsyncExitStack, port: int) -> Requester:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "foa.bench.bare", str(port), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    stack.callback(process.kill)
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.readline(), 10.0)
    requester = Requester(port)
    await requester.bus.open(5.0)
    stack.push_async_callback(requester.bus.close)
    return requester


async def _publish(bus: MqttBus, topics: Topics, population: Population, say: Say) -> None:
    """Publish card and vector of everybody, no faster than the broker takes them."""
    online = to_properties(Envelope(status="online"))
    for at in range(len(population.vectors)):
        bus.publish(Frame(topics.discovery(name(at)), CARD, retain=True, properties=online))
        bus.publish(_frame(topics, population, at))
        while bus.backlog > BACKLOG:
            await asyncio.sleep(0.001)
        if (at + 1) % 10_000 == 0:
            say(f"published {at + 1} of {len(population.vectors)} agents")


def _frame(
    topics: Topics,
    population: Population,
    at: int,
    counter: int = 1,
    vector: "np.typing.NDArray[np.float32] | None" = None,
) -> Frame:
    body = codec.encode(population.vcv(at, counter, vector))
    return Frame(topics.vcv(partition(at), name(at)), body, retain=True)


def _query(vector: "np.typing.NDArray[np.float32]") -> Query:
    """Return a query for the agent of this very vector; words have no say."""
    return Query("", travelling(vector), MODEL)


async def _filled(client: Client, population: Population, say: Say) -> None:
    """Return once all index nodes answer and the last agents of all are found; FoaError if that takes too long."""
    count = len(population.vectors)
    wanted = range(max(0, count - 64), count)
    until = time.monotonic() + FILL_S
    while time.monotonic() < until:
        found = await client.search([_query(population.vectors[at]) for at in wanted], 3)
        if len(found.covered) == client.topics.partitions and all(
            name(at) in {hit.agent for hit in hits} for at, hits in zip(wanted, found.hits, strict=True)
        ):
            say(f"all {count} agents are found")
            return
        await asyncio.sleep(0.2)
    raise FoaError(f"not all of {count} agents were found within {FILL_S:g} s")


async def _round(client: Client, bare: Requester, asked: Iterator[Query], count: int, say: Say) -> tuple[float, float]:
    """Return the medians of queries and of bare round trips that took turns, in microseconds."""
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(count + 20):
        query = next(asked)
        began = time.perf_counter()
        found = await client.search([query], K)
        middle = time.perf_counter()
        await bare.call()
        if number >= 20:  # noqa: PLR2004 - to warm up
            ours.append((middle - began) * 1e6)
            theirs.append((time.perf_counter() - middle) * 1e6)
        if len(found.covered) != client.topics.partitions:
            raise FoaError(f"an answer covered {len(found.covered)} partitions")
    say(f"query {statistics.median(ours):.0f} us, bare {statistics.median(theirs):.0f} us")
    return statistics.median(ours), statistics.median(theirs)


async def _visible(client: Client, bus: MqttBus, population: Population) -> list[float]:
    """Return the seconds from publishing a changed vector until searches find it, for some agents."""
    rng = np.random.default_rng(2)
    seconds: list[float] = []
    for at in rng.permutation(len(population.vectors))[:VISIBLE].tolist():
        (fresh,) = turned(population.vectors[at : at + 1], 0.0, rng)
        began = time.perf_counter()
        bus.publish(_frame(client.topics, population, at, 2, fresh))
        while True:
            found = await client.search([_query(fresh)], 1)
            if found.hits[0] and found.hits[0][0].agent == name(at) and found.hits[0][0].cosine > 0.99:  # noqa: PLR2004 - the fresh one
                break
        seconds.append(time.perf_counter() - began)
    return seconds
