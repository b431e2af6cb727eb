"""The processes of the bench, and the tasks that walk through them while they are hurt."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from foa.bench.takeover.folk import LEDGER
from foa.errors import FoaError
from foa.nodes.client import Client
from foa.nodes.federation import Child, Member
from foa.wire.ids import partition_of
from foa.wire.messages import Own
from foa.wire.records import Plan, Query, Subtask

FOLK: Final = Path(__file__).with_name("folk.py")
STEPS: Final = 12
KEEP_ALIVE_S: Final = 2
EVENT_MS: Final = 5
SETTLE_S: Final = 30.0


class Moved(NamedTuple):
    """When, in seconds on our clock, a task said that a new owner has it, and when it went on after that."""

    taken: float | None
    onward: float | None


class Walk:
    """One task on its way: what was noted of it, and when."""

    def __init__(self, client: Client, number: int) -> None:
        names = [f"s{at}" for at in range(STEPS)]
        subtasks = tuple(Subtask(name, "take one step of the walk", skills=("step",)) for name in names)
        plan = Plan(subtasks, tuple(pairwise(names)))
        self.submitted = client.submit(f"walk {number}", plan=plan, inputs={"text": "x"}, watch=True, deadline_s=120)
        self.notes: list[tuple[float, str]] = []
        self.watching = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        async for events in self.submitted.events():
            now = time.monotonic()
            self.notes += [(now, note.kind) for note in events.notes]

    def moved(self, since: float) -> Moved:
        """Return when the task was taken over after `since`, and when it was awarded or done on its new owner."""
        taken = next((at for at, kind in self.notes if at >= since and kind == "taken-over"), None)
        if taken is None:
            return Moved(None, None)
        onward = (at for at, kind in self.notes if at >= taken and kind in {"awarded", "done"})
        return Moved(taken, next(onward, None))


class Town:
    """Coordinators, index nodes and agents over a broker that runs."""

    def __init__(self, port: int, folder: Path) -> None:
        self.url = f"mqtt://127.0.0.1:{port}"
        self.folder = folder
        self.ledger = folder / "ledger"
        self.children: dict[str, Child] = {}

    @property
    def settings(self) -> dict[str, str | float]:
        """What every process is started with."""
        return {
            "broker.url": self.url,
            "broker.keep_alive_s": KEEP_ALIVE_S,
            "broker.backoff_max_s": 0.2,
            "index.model": "hash",
            "coordinator.event_ms": EVENT_MS,
            "log.level": "warning",
        }

    async def start(self, *names: str) -> None:
        """Start processes by name: coordinator-N, index-N, step-N."""
        ours = {f"FOA_{key.replace('.', '_').upper()}": str(value) for key, value in self.settings.items()}
        ours |= {"FOA_NODE_STATE_DIR": str(self.folder / "state"), LEDGER: str(self.ledger)}
        log = self.folder / "logs"

        async def one(name: str) -> None:
            self.children[name] = await Child.start(_member(name), {**os.environ, **ours}, log / f"{name}.log")

        await asyncio.gather(*map(one, names))

    def send(self, name: str, number: int) -> None:
        """Send a signal to a process."""
        self.children[name].send(number)

    async def ended(self, name: str) -> int:
        """Wait for the end of a process; return its exit code."""
        return await asyncio.wait_for(self.children[name].process.wait(), SETTLE_S)

    async def stop(self) -> None:
        """End all that runs."""
        for child in self.children.values():
            child.send(signal.SIGCONT)
        await asyncio.gather(*(child.end(3.0) for child in self.children.values()))

    async def owners(self, client: Client) -> dict[int, str]:
        """Return who claimed each partition last."""
        return {
            each.message.partition: each.message.epoch.node
            for each in await client.collect(["own/+"], 0.1)
            if isinstance(each.message, Own)
        }

    async def settled(self, client: Client, coordinators: set[str], agents: int) -> dict[int, str]:
        """Return the owner of each partition once exactly these own all, and so many agents are found."""
        ends = time.monotonic() + SETTLE_S
        while time.monotonic() < ends:
            owners = await self.owners(client)
            whole = len(owners) == client.settings.wire.partitions and set(owners.values()) == coordinators
            query = Query("take one step of the walk", skills=("step",))
            if whole and len((await client.search([query], 64)).hits[0]) == agents:
                return owners
            await asyncio.sleep(0.1)
        raise FoaError(f"the federation did not settle within {SETTLE_S:g} s")

    def again(self) -> tuple[int, int]:
        """Return how many pieces of work were begun twice, and how many were begun again after they had ended."""
        begun: Counter[str] = Counter()
        ended: set[str] = set()
        after = 0
        for line in self.ledger.read_text().splitlines() if self.ledger.exists() else ():
            word, key = line.split()
            if word == "end":
                ended.add(key)
            else:
                begun[key] += 1
                after += key in ended
        return sum(times > 1 for times in begun.values()), after


def _member(name: str) -> Member:
    kind, _, number = name.partition("-")
    if kind == "step":
        return Member(name, ("agent", "run", f"{FOLK}:step", "--instance", number))
    return Member(name, ("node", kind, "--name", name))


def owner_of(walk: Walk, owners: Mapping[int, str], client: Client) -> str:
    """Return who owns the partition of a task."""
    return owners[partition_of(walk.submitted.id, client.settings.wire.partitions)]


Say = Callable[[str], None]
