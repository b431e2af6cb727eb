"""A set of node processes on one machine: started, watched, started again when they die, ended together.

Called by ``foa up``, ``foa demo`` and tests. Every child is a plain ``python -m foa …`` in a session of its
own, so that Ctrl-C reaches us alone and we end them in order. None outlives us, however we end: each child
holds the other end of a pipe as its standard input (`end_with_parent`), which the operating system closes
when we die. This works everywhere, for any thread that starts a child, and through a ``kill -9``; a death
signal asked of the kernel has neither the first nor the second property.
"""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Self

from foa.errors import FoaError

READY: Final = "ready"
READY_S: Final = 30.0
GRACE_S: Final = 5.0
ORPHAN_S: Final = 5.0
BACKOFF_S: Final = 0.5
BACKOFF_MAX_S: Final = 10.0
HEALTHY_S: Final = 30.0
MAX_LINE: Final = 400


class Member(NamedTuple):
    """One process: its name, and what follows ``python -m foa``. ``last``: ended after all others (the broker)."""

    name: str
    arguments: tuple[str, ...]
    last: bool = False


class Child:
    """A running member. Make one with `start`; its output goes to ``log``."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        """Use `start`."""
        self.process = process
        self.log = log
        self._drain: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, member: Member, environment: Mapping[str, str], log: Path) -> "Child":
        """Start `member` and return once it said that it is ready; FoaError has its own last words if it ended."""
        with open_log(log) as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "foa",
                *member.arguments,
                "--parent",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env={**environment},
                start_new_session=True,
            )
        child = cls(process, log)
        try:
            await asyncio.wait_for(child._until_ready(member), READY_S)
        except TimeoutError as error:
            raise FoaError(f"{member.name} was not ready after {READY_S:g} s; see {log}") from error
        finally:
            if child._drain is None:
                await child._reap()
        return child

    async def _until_ready(self, member: Member) -> None:
        assert self.process.stdout is not None
        line = (await self.process.stdout.readline()).decode(errors="replace").strip()
        if READY not in line.split():
            await self.process.wait()
            raise FoaError(f"{member.name} did not start: {(line or last_line(self.log))[:MAX_LINE]}")
        self._drain = asyncio.get_running_loop().create_task(self._copy())

    async def _copy(self) -> None:
        """Append what the child prints to its log."""
        assert self.process.stdout is not None
        with open_log(self.log) as log:
            while chunk := await self.process.stdout.read(65_536):
                log.write(chunk)
                log.flush()

    def send(self, number: int) -> None:
        """Send a signal; nothing if it has ended."""
        if self.process.returncode is None:
            self.process.send_signal(number)

    async def end(self, grace_s: float) -> None:
        """End it gently, after `grace_s` by force; idempotent."""
        self.send(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), grace_s)
        except TimeoutError:
            pass
        finally:
            await self._reap()

    async def _reap(self) -> None:
        self.send(signal.SIGKILL)
        await self.process.wait()
        if self._drain is not None:
            await self._drain


class Federation:
    """The members that run, by name; an async context manager that ends them all.

    ``environment`` is given to every child, ``folder`` keeps their logs, ``say`` hears in one line what happens
    to them. With ``restart`` false those that die stay dead.
    """

    def __init__(
        self, environment: Mapping[str, str], folder: Path, say: Callable[[str], None], *, restart: bool = True
    ) -> None:
        """Nothing runs before `start`."""
        self._environment = environment
        self._folder = folder
        self._say = say
        self._restart = restart
        self._children: dict[str, Child] = {}
        self._members: dict[str, Member] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        """Return self."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """End all members."""
        await self.stop()

    async def start(self, members: Iterable[Member]) -> None:
        """Start `members` side by side; return when all are ready, raise what kept the first from it."""
        starting = [asyncio.ensure_future(self._begin(member)) for member in members]
        try:
            await asyncio.gather(*starting)
        finally:  # nothing is left to cancel if all are ready
            for each in starting:
                each.cancel()
            await asyncio.gather(*starting, return_exceptions=True)

    async def _begin(self, member: Member) -> None:
        self._members[member.name] = member
        child = self._children[member.name] = await Child.start(member, self._environment, self._log(member))
        self._keepers[member.name] = asyncio.get_running_loop().create_task(self._keep(member, child))

    async def _keep(self, member: Member, child: Child | None) -> None:
        """Wait for the end of a member, and start it again with growing pauses."""
        pause = BACKOFF_S
        while True:
            if child is not None:
                born = time.monotonic()
                code = await child.process.wait()
                pause = BACKOFF_S if time.monotonic() - born > HEALTHY_S else pause
                again = self._restart and code != 0  # who was drained was meant to end
                self._say(f"{member.name} ended ({ending(code)})" + ("; it is started again" * again))
                if not again:
                    return
            if not self._restart:
                return
            await asyncio.sleep(pause)
            pause = min(BACKOFF_MAX_S, pause * 2)
            try:
                child = self._children[member.name] = await Child.start(member, self._environment, self._log(member))
            except FoaError as error:
                child = None
                self._say(str(error))
            else:
                self._say(f"{member.name} is back")

    def _log(self, member: Member) -> Path:
        return self._folder / f"{member.name}.log"

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of the members that run."""
        return {name: each.process.pid for name, each in self._children.items() if each.process.returncode is None}

    def kill(self, name: str) -> None:
        """``kill -9`` a member."""
        self._children[name].send(signal.SIGKILL)

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """End all members, the broker last; idempotent."""
        for keeper in self._keepers.values():
            keeper.cancel()
        await asyncio.gather(*self._keepers.values(), return_exceptions=True)
        self._keepers.clear()
        children, self._children = self._children, {}
        for last in (False, True):
            ending_now = [child for name, child in children.items() if self._members[name].last is last]
            await asyncio.gather(*(child.end(grace_s) for child in ending_now))


def open_log(path: Path) -> BinaryIO:
    """Open a log to be added to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab")


def ending(code: int) -> str:
    """Say how a process ended: ``exit 2`` or ``SIGKILL``."""
    if code >= 0:
        return f"exit {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def last_line(log: Path) -> str:
    """Return the last line of a child's log, which is its reason where it ended by itself."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return "it ended at once"
    return next((line.strip() for line in reversed(lines) if line.strip()), "it ended at once")


def end_with_parent() -> None:
    """End this process when its standard input closes: gently, and by force if that takes long.

    Called by a child early. The thread works even while the event loop is busy.
    """
    threading.Thread(target=_watch_parent, name="foa-parent", daemon=True).start()


def _watch_parent() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_S)
    os._exit(1)
