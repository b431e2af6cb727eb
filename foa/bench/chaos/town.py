"""The processes of a run, started as users start them, and started again like a supervisor would when they die.

`storm` starts and ends it, `faults` hurts it. None of the processes outlives us: nodes watch the pipe that is their
standard input, and what cannot (Mosquitto, a stopped process) has a guard.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from random import Random
from typing import Final, Literal, NamedTuple, Protocol

from foa.bench.brokers import Mosquitto, disarm, guard
from foa.bench.chaos.plan import Run
from foa.bench.chaos.proxy import Proxy
from foa.bench.chaos.work.ledger import VARIABLE
from foa.bench.chaos.work.load import SKILLS
from foa.errors import FoaError
from foa.nodes.federation import Child, Member

Role = Literal["broker", "coordinator", "index", "agent", "client"]
PAUSE_S: Final = (0.2, 2.0)
"""How long a supervisor waits, at random, before it starts a dead process again."""
PONDERERS: Final = 3
REPLICAS: Final = 2
SUBMITTERS: Final = 2
GRACE_S: Final = 5.0
FAULTY: Final = ("step_failed", "Traceback (most recent call last)", "Exception in callback")
"""What a log says only of a mistake in our own code."""
FOLK: Final = Path(__file__).parent / "work" / "folk.py"
OVER: Final = "over"
"""The file that tells submitters to submit no more."""
START: Final = 6
"""Processes that start side by side at first: each takes a second of one core."""


class Running(Protocol):
    """A process that was started: a `Child`, or a Mosquitto."""

    process: asyncio.subprocess.Process

    def send(self, number: int) -> None:
        """Send a signal; nothing if it has ended."""

    async def end(self, grace_s: float) -> None:
        """End it gently, after `grace_s` by force; idempotent."""


class Resident(NamedTuple):
    """One process of a run. ``group`` are those that stand in for it, ``identity`` is what it is on the bus."""

    name: str
    role: Role
    group: str
    identity: str
    start: Callable[[], Awaitable[Running]]


class Town:
    """All processes of a run. ``restarts`` counts those started again, ``said`` what was unexpected."""

    def __init__(self, residents: list[Resident], logs: Path, rng: Random, say: Callable[[str], None]) -> None:
        """Nothing runs before `start`; ``logs`` is where they write."""
        self._logs = logs
        self.residents = {each.name: each for each in residents}
        self.restarts = 0
        self.unexpected: list[str] = []
        self.wounded: dict[str, str] = {}
        self.up: set[str] = set()
        self._rng = rng
        self._say = say
        self._running: dict[str, Running] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._guards: dict[str, asyncio.subprocess.Process] = {}
        self._expected: set[str] = set()

    # --- lives ------------------------------------------------------------------------------------------------

    async def start(self, role: Role) -> None:
        """Start all of a role, a few at a time; raises what kept the first from it."""
        gate = asyncio.Semaphore(START)

        async def begin(resident: Resident) -> None:
            async with gate:
                self._running[resident.name] = await resident.start()
            self.up.add(resident.name)
            self._keepers[resident.name] = asyncio.get_running_loop().create_task(self._keep(resident))

        starting = [asyncio.ensure_future(begin(each)) for each in self.residents.values() if each.role == role]
        try:
            await asyncio.gather(*starting)
        finally:
            for each in starting:
                each.cancel()
            await asyncio.gather(*starting, return_exceptions=True)

    async def _keep(self, resident: Resident) -> None:
        """Wait for the end of a process, and start it again."""
        name = resident.name
        while True:
            code = await self._running[name].process.wait()
            self.up.discard(name)
            if name not in self._expected:
                self.unexpected.append(f"{name} ended by itself with {code}")
                self._say(self.unexpected[-1])
            self._expected.discard(name)
            await self._running[name].end(0.0)
            while name not in self.up:
                await asyncio.sleep(self._rng.uniform(*PAUSE_S))
                await self._again(resident)

    async def _again(self, resident: Resident) -> None:
        try:
            self._running[resident.name] = await resident.start()
        except FoaError as error:  # the broker may be dead as well: a supervisor tries again
            if resident.role == "broker":
                self._say(str(error))
            return
        self.restarts += 1
        self.up.add(resident.name)
        if self.wounded.get(resident.name) == "killed":
            del self.wounded[resident.name]

    async def stop(self) -> None:
        """End all, the broker last; idempotent."""
        for keeper in self._keepers.values():
            keeper.cancel()
        await asyncio.gather(*self._keepers.values(), return_exceptions=True)
        self._keepers.clear()
        for name in list(self._guards):
            await self.thaw(name)
        running, self._running = self._running, {}
        for last in (False, True):
            ending = [one for name, one in running.items() if (self.residents[name].role == "broker") is last]
            await asyncio.gather(*(one.end(GRACE_S) for one in ending))

    def faulty(self) -> list[str]:
        """Return the lines in which processes speak of a mistake of ours: none is expected, whatever is done."""
        found: list[str] = []
        for log in sorted(self._logs.glob("*.log")):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            found += [f"{log.stem}: {line}" for line in lines if any(word in line for word in FAULTY)]
        return found

    # --- what faults ask and do -------------------------------------------------------------------------------

    def able(self, role: Role) -> list[Resident]:
        """Return those of a role that may be hurt now: up and whole, and of their group another is too."""
        hurt: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for each in self.residents.values():
            sizes[each.group] = sizes.get(each.group, 0) + 1
            if each.name in self.wounded or each.name not in self.up:
                hurt[each.group] = hurt.get(each.group, 0) + 1
        return [
            each
            for each in self.residents.values()
            if each.role == role
            and each.name in self.up
            and each.name not in self.wounded
            and hurt.get(each.group, 0) < max(1, sizes[each.group] - 1)
        ]

    def pid(self, name: str) -> int:
        """Return the process id of one that runs."""
        return self._running[name].process.pid

    def kill(self, name: str) -> None:
        """``kill -9``."""
        self.wounded[name] = "killed"
        self._expected.add(name)
        self._running[name].send(signal.SIGKILL)

    def end(self, name: str) -> None:
        """Ask it to end, as an operator who restarts it does."""
        self.wounded[name] = "killed"
        self._expected.add(name)
        self._running[name].send(signal.SIGTERM)

    async def freeze(self, name: str) -> None:
        """Stop a process in its tracks; a guard lets it go on at the latest when we end."""
        self._guards[name] = await guard(self.pid(name), "CONT")
        self._running[name].send(signal.SIGSTOP)

    async def thaw(self, name: str) -> None:
        """Let a stopped process go on."""
        guarding = self._guards.pop(name, None)
        if guarding is not None:
            self._running[name].send(signal.SIGCONT)
            await disarm(guarding)


def expect(town: Town, name: str) -> None:
    """Note that a process may end by itself now: its disk is full, its identity was taken."""
    town._expected.add(name)  # noqa: SLF001 - one unit


def residents(run: Run, folder: Path, port: int, proxies: Mapping[str, Proxy]) -> list[Resident]:
    """Return who lives in a run over the broker at `port`; those in `proxies` reach it through theirs."""

    def settings(name: str) -> dict[str, str]:
        door = proxies[name].port if name in proxies else port
        return {
            "FOA_BROKER_URL": f"mqtt://127.0.0.1:{door}",
            "FOA_NODE_STATE_DIR": str(folder / "state" / name),
            "FOA_INDEX_MODEL": "hash",
            "FOA_LOG_LEVEL": "warning",
            VARIABLE: str(folder / "ledger"),
            **{f"FOA_{key.replace('.', '_').upper()}": value for key, value in run.settings.items()},
        }

    def child(name: str, role: Role, group: str, identity: str, *words: str) -> Resident:
        environment, log = {**os.environ, **settings(name)}, folder / "logs" / f"{name}.log"
        return Resident(name, role, group, identity, lambda: Child.start(Member(name, words), environment, log))

    def submitter(name: str) -> Resident:
        told = (
            name,
            run.seed,
            run.per_s / SUBMITTERS,
            run.deadline_s,
            folder / "state" / f"{name}.sent",
            folder / OVER,
        )
        return child(name, "client", "client", name, "bench", "submitter", *map(str, told))

    found = [_broker(run, folder, port, child)]
    for role, count in (("coordinator", run.coordinators), ("index", run.indices)):
        names = [f"{role}-{number}" for number in range(1, count + 1)]
        found += [child(name, role, role, name, "node", role, "--name", name) for name in names]  # type: ignore[arg-type]
    for skill in SKILLS:
        for number in range(1, (PONDERERS if skill == "ponder" else REPLICAS) + 1):
            words = ("agent", "run", f"{FOLK}:{skill}", "--instance", str(number))
            found.append(child(f"{skill}-{number}", "agent", skill, f"chaos/agents/{skill}-{number}", *words))
    return found + [submitter(f"submitter-{number}") for number in range(1, SUBMITTERS + 1)]


def _broker(run: Run, folder: Path, port: int, child: Callable[..., Resident]) -> Resident:
    if run.broker == "embedded":
        kept = str(folder / "state" / "broker.sqlite")
        return child("broker", "broker", "broker", "broker", "broker", "--port", str(port), "--store", kept)
    log, store = folder / "logs" / "broker.log", folder / "store"
    store.mkdir()
    return Resident("broker", "broker", "broker", "broker", lambda: Mosquitto.start(port, store, log=log))
