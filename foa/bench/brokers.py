"""The brokers a bench can run over: the embedded one, or a Mosquitto with this project's configuration."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from foa.bus.process import BrokerProcess
from foa.errors import ConfigError, FoaError

CONFIGURATION: Final = Path(__file__).parents[2] / "broker" / "mosquitto.conf"


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
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        raise ConfigError(
            "this bench needs the program mosquitto, which is not there; install it (apt-get install mosquitto)"
        )
    port = free_port()
    settings = [line for line in CONFIGURATION.read_text(encoding="utf-8").splitlines() if _kept(line)]
    file = folder / "mosquitto.conf"
    text = [f"listener {port} 127.0.0.1", *settings, f"persistence_location {folder}/"]
    if not durable:
        text = [line for line in text if not line.startswith(("persistence", "autosave"))]
    await asyncio.to_thread(file.write_text, "\n".join(text) + "\n", encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        program, "-c", str(file), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await _until_open(port)
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _kept(line: str) -> bool:
    """Tell whether a line of the shipped configuration holds here: all but where it listens and stores."""
    return not line.startswith(("listener", "persistence_location", "log_dest", "pid_file", "user "))


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
