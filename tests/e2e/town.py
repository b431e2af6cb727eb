"""A whole federation of real processes for one test: on a free port, in a folder of its own, gone afterwards.

`town` starts a broker and nodes and ends them; `folk` writes agents; `strangers` are MQTT clients that know nothing
of foa. The processes run the hash model, so agents are chosen by shared words and by the skills a task demands.
"""

import asyncio
import os
import shutil
import time
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

import foa
from foa.cli.nodes import agent_members, broker_member, node_members
from foa.nodes.federation import Federation, Member
from foa.wire.messages import Events, Result
from foa.wire.records import Note, Query
from tests.bus.brokers import Mosquitto, free_port
from tests.house.tree import ROOT

WAIT_S: Final = 30.0
NOBODY: Final = (0, 0)
T = TypeVar("T")


class Town:
    """What runs: a broker on `port`, and members of `federation`; ``said`` is what became of them."""

    def __init__(
        self, folder: Path, port: int, federation: Federation, said: list[str], changes: dict[str, str]
    ) -> None:
        self.folder = folder
        self.port = port
        self.url = f"mqtt://127.0.0.1:{port}"
        self.federation = federation
        self.said = said
        self.changes = changes

    def settings(self, **changes: Any) -> foa.Settings:
        """Return the settings with which a client of this town connects."""
        known = {"broker.url": self.url, "log.level": "error", "broker.backoff_max_s": 0.2}
        return foa.Settings.from_mapping({**known, **changes}, "the test")

    def client(self, **changes: Any) -> foa.Client:
        return foa.Client(self.settings(**changes))

    async def settle(self, folder: Path, instance: int = 0) -> str:
        """Run one more agent; return its name among the members."""
        name = f"{folder.name}-{instance}"
        more = ("--instance", str(instance)) if instance else ()
        await self.federation.start([Member(name, ("agent", "run", str(folder), *more))])
        return name

    async def know(self, agents: set[str]) -> None:
        """Wait until every partition of tasks has an owner and searches find all of `agents`."""
        async with self.client() as client:
            owned: set[int] = set()
            async for each in client.hear(["presence/coordinator/+"]):
                owned |= set(getattr(each.message, "partitions", ()))
                if len(owned) == self.settings().wire.partitions:
                    break
            while not agents <= {hit.agent for hit in (await client.search([Query("anything")], 64)).hits[0]}:
                pass

    def alive(self) -> set[str]:
        return set(self.federation.pids)


@asynccontextmanager
async def town(
    folder: Path,
    *folk: Path,
    broker: Mosquitto | None = None,
    nodes: tuple[int, int] = (1, 1),
    restart: bool = False,
    **changes: str,
) -> AsyncIterator[Town]:
    """Run coordinators and index nodes (``nodes``) and the agents ``folk`` over the embedded broker or `broker`.

    ``changes`` are settings as environment variables without their prefix: ``COORDINATOR_LEASE_MS="500"``.
    """
    port = broker.port if broker else free_port()
    said: list[str] = []
    settings = {
        "FOA_BROKER_URL": f"mqtt://127.0.0.1:{port}",
        "FOA_BROKER_BACKOFF_MAX_S": "0.2",
        "FOA_NODE_STATE_DIR": str(folder / "state"),
        "FOA_INDEX_MODEL": "hash",
        "FOA_AGENT_DRAIN_S": "0",
        **{f"FOA_{key}": value for key, value in changes.items()},
    }
    with nothing_left(folder):
        async with Federation(environment(settings), folder / "logs", said.append, restart=restart) as federation:
            if broker is None:
                await federation.start([broker_member(port)])
            await federation.start([*node_members(*nodes), *agent_members(folk)])
            place = Town(folder, port, federation, said, settings)
            if nodes != NOBODY:
                await place.know({identity(home) for home in folk})
            yield place


@contextmanager
def mosquitto(more: str = "") -> Iterator[Mosquitto]:
    """Run a Mosquitto; ``more`` are further lines of its configuration."""
    broker = Mosquitto(more)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


class Square:
    """A town that several tests share: its processes live as long as its loop, which only runs inside `run`."""

    def __init__(self, runner: asyncio.Runner, place: Town) -> None:
        self._runner = runner
        self.town = place

    def run(self, main: Callable[[Town], Awaitable[T]], within_s: float = WAIT_S) -> T:
        async def limited() -> T:
            return await asyncio.wait_for(main(self.town), within_s)

        return self._runner.run(limited())


@contextmanager
def square(folder: Path, *folk: Path, **options: Any) -> Iterator[Square]:
    """Run a town over several tests."""
    with asyncio.Runner() as runner:
        context = town(folder, *folk, **options)
        place = runner.run(context.__aenter__())
        try:
            yield Square(runner, place)
        finally:
            runner.run(context.__aexit__(None, None, None))


def run(main: Awaitable[T], within_s: float = 60.0) -> T:
    """Run a test's coroutine to its end, or fail."""

    async def limited() -> T:
        return await asyncio.wait_for(main, within_s)

    return asyncio.run(limited())


def environment(changes: dict[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FOA_")}
    return {**kept, "PYTHONPATH": str(ROOT), **changes}


def identity(home: Path) -> str:
    """Return the identity that a profile declares."""
    return str(tomllib.loads((home / "profile.toml").read_text())["agent"])


# --- nothing is left --------------------------------------------------------------------------------------------------


@contextmanager
def nothing_left(folder: Path) -> Iterator[None]:
    """Fail if after the block a process runs that has to do with `folder`: by its words, place or environment."""
    yield
    ends = time.monotonic() + 5.0
    while left := leftovers(folder):
        if time.monotonic() > ends:
            pytest.fail(f"still running: {left}")
        time.sleep(0.02)


def leftovers(folder: Path) -> list[str]:
    """Return the command lines of the other processes that have to do with `folder`."""
    mark = os.fsencode(folder)
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        try:
            words = (process / "cmdline").read_bytes()
            known = words + (process / "environ").read_bytes() + os.fsencode((process / "cwd").readlink())
        except OSError:
            continue
        if words and mark in known:
            found.append(f"{process.name}: {words.replace(bytes(1), b' ').decode(errors='replace')}")
    return found


# --- waiting ----------------------------------------------------------------------------------------------------------


async def until(condition: Callable[[], T], within_s: float = WAIT_S) -> T:
    """Return the first true value of `condition`, which no event tells of (a file, a process)."""
    ends = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < ends, "it never came to be"
        await asyncio.sleep(0.01)
    return value


async def seen(submitted: Any, wanted: Callable[[Note], bool]) -> Note:
    """Return the first note of a watched task that is `wanted`."""
    async for events in submitted.events():
        assert isinstance(events, Events)
        for note in events.notes:
            if wanted(note):
                return note
    raise AssertionError("the task ended before that")


async def results(client: foa.Client, task: str) -> list[Result]:
    """Return what is retained as the result of `task`."""
    return [
        each.message for each in await client.collect([f"task/+/{task}/result"]) if isinstance(each.message, Result)
    ]


# --- folk -------------------------------------------------------------------------------------------------------------

PROFILE: Final = """\
agent = "test/folk/{name}"
name = "{name}"
description = "{text}"
effects = "{effects}"

{skills}
[[input]]
name = "text"
type = "text/plain"
optional = true

[[output]]
name = "{output[0]}"
type = "{output[1]}"

[resources]
concurrency = 8

[run]
{run}
timeout_s = {timeout_s}
"""

LEDGER: Final = """\
import asyncio
import os
from pathlib import Path

import foa

LEDGER = Path({ledger!r})


def note(word: str, task: foa.Assignment) -> None:
    with LEDGER.open("a") as ledger:
        ledger.write(f"{{word}} {{task.subtask}} {{task.key}} {{os.getpid()}}\\n")


async def run(text: str, task: foa.Assignment) -> str:
    note("begin", task)
    task.progress(0.5, f"pid {{os.getpid()}}")
{body}
    note("end", task)
    return text.upper()
"""


def folk(
    folder: Path,
    name: str,
    *,
    text: str,
    run: str = 'python = "handler.py:run"',
    handler: str = "",
    skills: tuple[str, ...] = (),
    output: tuple[str, str] = ("text", "text/plain"),
    effects: str = "idempotent",
    timeout_s: float = 20.0,
) -> Path:
    """Write an agent and return its folder."""
    home = folder / name
    home.mkdir(parents=True)
    tables = "\n".join(f'[[skill]]\nid = "{skill}"\ndescription = "{text}"\n' for skill in skills or (name,))
    profile = PROFILE.format(
        name=name, text=text, run=run, skills=tables, output=output, effects=effects, timeout_s=timeout_s
    )
    (home / "profile.toml").write_text(profile)
    if handler:
        (home / "handler.py").write_text(handler)
    return home


def ledger_handler(ledger: Path, *body: str) -> str:
    """Return a handler that writes down what it begins and ends, and does `body` in between."""
    return LEDGER.format(ledger=str(ledger), body="\n".join(f"    {line}" for line in body))


def ledger(path: Path, word: str) -> list[tuple[str, str, int]]:
    """Return (subtask, key, pid) of what was noted with `word`, in order."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [(at, key, int(pid)) for said, at, key, pid in map(str.split, lines) if said == word]


# --- strangers --------------------------------------------------------------------------------------------------------


PROBE: Final = "test/probe"


def program(name: str) -> str:
    """Return the path of a mosquitto client; skips the test where there is none."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (apt install mosquitto-clients)")
    return path


async def publish(port: int, topic: str, body: bytes, *more: str) -> int:
    """Publish as a stranger does, with mosquitto_pub; return its exit code."""
    words = (program("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(port), "-V", "mqttv5", "-q", "1", "-t", topic, "-s")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*words, *more, stdin=pipe, stderr=asyncio.subprocess.DEVNULL)
    await process.communicate(body)
    assert process.returncode is not None
    return process.returncode


@asynccontextmanager
async def ears(port: int, *topics: str) -> AsyncIterator[Callable[[], Awaitable[tuple[str, bytes]]]]:
    """Subscribe as a stranger does; the function returned waits for the next message: its topic and body."""
    words = [program("mosquitto_sub"), "-h", "127.0.0.1", "-p", str(port), "-V", "mqttv5", "-q", "1"]
    await publish(port, PROBE, b"!", "-r")
    process = await asyncio.create_subprocess_exec(
        *words,
        *(word for topic in (*topics, PROBE) for word in ("-t", topic)),
        *("-F", "%t %x"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=1 << 24,
    )
    held: list[tuple[str, bytes]] = []

    async def hear() -> tuple[str, bytes]:
        assert process.stdout is not None
        if held:
            return held.pop(0)
        topic, _, body = (await asyncio.wait_for(process.stdout.readline(), WAIT_S)).decode().partition(" ")
        return topic, bytes.fromhex(body)

    try:
        early = []
        while (message := await hear())[0] != PROBE:  # retained: it comes once the broker has taken all the filters
            early.append(message)
        held += early
        yield hear
    finally:
        process.kill()
        await process.communicate()
