"""One run: a federation is started, works, is hurt, comes to rest, and is judged. Called by `command` and tests."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from foa.bench.brokers import free_port
from foa.bench.chaos.faults import Faults
from foa.bench.chaos.observer import Observer
from foa.bench.chaos.plan import Run, faults
from foa.bench.chaos.proxy import Proxy
from foa.bench.chaos.town import OVER, Role, Town, residents
from foa.bench.chaos.verdict import Books
from foa.bench.chaos.witness import Witness
from foa.bench.chaos.work.ledger import listen
from foa.bench.chaos.work.submitter import digest
from foa.core.effects import Received
from foa.nodes.client import Client
from foa.nodes.host import topics_of
from foa.settings import Settings, from_env
from foa.wire.messages import Presence, Result
from foa.wire.records import Query

PROXIED: Final = ("coordinator-2", "index-2", "polish-2", "echo-2", "submitter-2")
START_S: Final = 60.0
CALM_S: Final = 3.0
"""How long the federation works before the first fault."""
GRACE_S: Final = 15.0
"""How long after the last deadline a result may take."""
LINE_S: Final = 5.0
ORDER: Final[tuple[Role, ...]] = ("broker", "index", "coordinator", "agent")

Say = Callable[[str], None]


class Place(NamedTuple):
    """What a run consists of."""

    run: Run
    town: Town
    witness: Witness
    books: Books
    faults: Faults
    client: Client
    over: Path
    say: Say


async def measure(run: Run, folder: Path, say: Say) -> dict[str, Any]:
    """Do one run in `folder` and return its figures; nothing is left running. FoaError if it does not come up."""
    async with AsyncExitStack() as stack:
        place = await _settle(run, folder, say, stack)
        began = time.monotonic()
        await _storm(place)
        stormed = time.monotonic() - began
        await _calm(place)
        kept = await _kept(place.client)
        return place.books.figures(place.run, place.town, place.faults, kept, (stormed, time.monotonic() - began))


async def _settle(run: Run, folder: Path, say: Say, stack: AsyncExitStack) -> Place:
    """Start everything, and return once every agent can be found and every partition has an owner."""
    for name in ("logs", "state"):
        (folder / name).mkdir()
    port, rng = free_port(), Random(run.seed)
    witness = Witness()
    books = Books(witness)
    ledger = await listen(str(folder / "ledger"), books.hear)
    stack.callback(ledger.close)
    proxies = {name: Proxy(port) for name in PROXIED}
    for proxy in proxies.values():
        await proxy.start()
        stack.push_async_callback(proxy.close)
    town = Town(residents(run, folder, port, proxies), folder / "logs", Random(run.seed + 1), say)
    stack.push_async_callback(town.stop)
    say(f"starting {len(town.residents)} processes over {run.broker}")
    for role in ORDER:
        await town.start(role)
    ours = {"broker.url": f"mqtt://127.0.0.1:{port}", "log.level": "error"}
    settings = Settings.from_mapping({**from_env(os.environ), **run.settings, **ours}, "the command line")
    observer = Observer(port, topics_of(settings), witness, folder / "logs" / "trace.txt")
    await observer.bus.open(5.0)
    stack.push_async_callback(observer.close)
    client = await stack.enter_async_context(Client(settings, "chaos"))
    hurt = Faults(town, witness, proxies, rng, settings.broker.keep_alive_s, observer.note)
    stack.callback(hurt.cancel)
    await asyncio.wait_for(_known(client, town), START_S)
    return Place(run, town, witness, books, hurt, client, folder / OVER, say)


async def _known(client: Client, town: Town) -> None:
    """Wait until every partition of tasks has an owner, and searches find all agents."""
    owned: set[int] = set()
    async for each in client.hear(["presence/coordinator/+"]):
        if isinstance(each.message, Presence):
            owned |= set(each.message.partitions)
        if len(owned) == client.settings.wire.partitions:
            break
    wanted = {each.identity for each in town.residents.values() if each.role == "agent"}
    while not wanted <= {hit.agent for hit in (await client.search([Query("anything")], 64)).hits[0]}:
        await asyncio.sleep(0.1)


async def _storm(place: Place) -> None:
    """Let the submitters work, and do a fault every few seconds, until the time is over."""
    run = place.run
    await place.town.start("client")
    telling = asyncio.get_running_loop().create_task(_tell(place))
    try:
        ends = time.monotonic() + run.seconds
        await asyncio.sleep(min(CALM_S, run.seconds / 4))
        due = time.monotonic()
        for kind in faults(Random(run.seed)):
            if (due := due + run.every_s) > ends:
                break
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await place.faults.do(kind)
        await asyncio.sleep(max(0.0, ends - time.monotonic()))
    finally:
        telling.cancel()
        place.over.touch()


async def _tell(place: Place) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(LINE_S)
        books, town = place.books, place.town
        down = len(town.residents) - len(town.up)
        place.say(
            f"{time.monotonic() - began:4.0f} s: {books.count('accepted')} accepted, {books.count('result')} ended, "
            f"{len(place.witness.tasks)} on their way, {len(place.witness.wounds)} faults, {down} down"
            + (f"; last {place.faults.last}" if place.faults.last else "")
        )


async def _calm(place: Place) -> None:
    """Wait until all that was submitted has ended, at most until the last deadline and a grace."""
    ends = time.monotonic() + place.run.deadline_s + GRACE_S
    place.say("the storm is over; what is on its way comes to its end")
    await place.faults.over()
    while (left := place.books.open()) and time.monotonic() < ends:
        await asyncio.sleep(0.2)
    if left:
        place.say(f"{len(left)} tasks have no result: {', '.join(sorted(left)[:5])}")


async def _kept(client: Client) -> dict[str, str]:
    """Return what tells the retained results apart, by task."""
    found: dict[str, str] = {}
    for each in await client.collect(["task/+/+/result"], 1.0):
        if isinstance(each, Received) and isinstance(each.message, Result):
            found[each.message.task] = digest(each.message)
    return found
