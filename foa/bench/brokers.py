"""The brokers a bench can run over: the embedded one, or a Mosquitto with this project's configuration."""

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from foa.bus.process import BrokerProcess
from foa.errors import ConfigError, FoaError

CONFIGURATION: Final = Path(__file__).parents[2] / "broker" / "mosquitto.conf"
STOP_S: Final = 5.0
TAKEN: Final = ("set_tcp_nodelay", "max_", "persistence true", "autosave", "persistent_client_expiration", "log_",
                "connection_messages")  # fmt: skip
"""Lines of the shipped configuration that hold for a bench: all of how it works, nothing of where and for whom."""


@asynccontextmanager
async def running(kind: str, folder: Path, *, durable: bool = True) -> AsyncIterator[int]:
    """Run a broker of `kind` (embedded or mosquitto) and yield its port on the loopback interface.

    Unless `durable`, a Mosquitto writes nothing to disk either.
    """
    if kind == "embedded":
        broker = await BrokerProcess.start()
        try:
            yield broker.port
        finally:
            await broker.stop()
    elif kind == "mosquitto":
        async with _mosquitto(folder, durable=durable) as port:
            yield port
    else:
        raise ConfigError(f"--with {kind}: is not known here; use embedded or mosquitto")


@asynccontextmanager
async def _mosquitto(folder: Path, *, durable: bool) -> AsyncIterator[int]:
    port = free_port()
    broker = await Mosquitto.start(port, folder, durable=durable)
    try:
        yield port
    finally:
        await broker.end(STOP_S)


class Mosquitto:
    """A Mosquitto on a port of this machine; it ends with us, however we end. Make one with `start`."""

    def __init__(self, process: asyncio.subprocess.Process, guard: asyncio.subprocess.Process) -> None:
        """Use `start`."""
        self.process = process
        self._guard = guard

    @classmethod
    async def start(cls, port: int, folder: Path, *, durable: bool = True, log: Path | None = None) -> "Mosquitto":
        """Start one that keeps its memory in `folder`, if it is to be `durable`, and return once it takes connections.

        Raises ConfigError if there is no such program, FoaError if it does not come up.
        """
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        if program is None:
            raise ConfigError(
                "this bench needs the program mosquitto, which is not there; install it (apt-get install mosquitto)"
            )
        file = await asyncio.to_thread(_configured, port, folder, durable)
        with (log or Path(os.devnull)).open("ab") as words:
            process = await asyncio.create_subprocess_exec(
                program, "-c", str(file), stdout=words, stderr=words, start_new_session=True
            )
        broker = cls(process, await guard(process.pid, "KILL"))
        try:
            await _until_open(port)
        except FoaError:
            await broker.end(0.0)
            raise
        return broker

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
            self.send(signal.SIGKILL)
            await self.process.wait()
        await disarm(self._guard)


def _configured(port: int, folder: Path, durable: bool) -> Path:  # noqa: FBT001 - called in a thread
    """Write the shipped configuration for one that listens on `port`, and return where."""
    lines = CONFIGURATION.read_text(encoding="utf-8").splitlines()
    settings = dict.fromkeys(line for line in lines if line.startswith(TAKEN))  # some stand there for each listener
    user = ["user root"] if os.geteuid() == 0 else []  # left to itself it would give up its rights to the folder
    text = [f"listener {port} 127.0.0.1", "allow_anonymous true", *user, *settings, f"persistence_location {folder}/"]
    if not durable:
        text = [line for line in text if not line.startswith(("persistence", "autosave"))]
    file = folder / "mosquitto.conf"
    file.write_text("\n".join(text) + "\n", encoding="utf-8")
    return file


async def guard(pid: int, name: str) -> asyncio.subprocess.Process:
    """Start a process that sends the signal `name` to `pid` when its standard input closes: at the latest with us."""
    return await asyncio.create_subprocess_exec(
        "sh", "-c", 'read _; kill -s "$1" "$0"', str(pid), name,
        stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


async def disarm(guarding: asyncio.subprocess.Process) -> None:
    """End a guard that has nothing to guard any more."""
    if guarding.returncode is None:
        guarding.kill()
    await guarding.wait()


async def _until_open(port: int) -> None:
    for _ in range(100):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    raise FoaError("mosquitto did not start")


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
