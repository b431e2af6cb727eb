"""The embedded broker as a child process: what `foa up` starts, and what tests kill.

The child ends with us whatever happens to us, because it watches the pipe that is its standard input.
"""

import asyncio
import sys
from pathlib import Path
from typing import Final

from foa.errors import BusError

STORE: Final = "broker.sqlite"  # where the broker of `foa up` keeps what must survive it, below node.state_dir
READY: Final = "foa-broker ready"
READY_S: Final = 10.0
STOP_S: Final = 3.0


class BrokerProcess:
    """A running broker; make one with `start`."""

    def __init__(self, process: asyncio.subprocess.Process, host: str, port: int) -> None:
        """Use `start`."""
        self._process = process
        self.host = host
        self.port = port

    @classmethod
    async def start(
        cls,
        host: str = "127.0.0.1",
        port: int = 0,
        users: Path | None = None,
        secured: Path | None = None,
        store: Path | None = None,
    ) -> "BrokerProcess":
        """Start a broker and return once it takes connections; raises BusError with its own words if it fails."""
        arguments = ["--host", host, "--port", str(port), "--parent"]
        for flag, value in (("--users", users), ("--secured", secured), ("--store", store)):
            if value is not None:
                arguments += [flag, str(value)]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "foa.bus.mqtt.broker",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), READY_S)
        except TimeoutError as error:
            process.kill()
            await process.communicate()
            raise BusError(f"the embedded broker was not ready after {READY_S:g} s") from error
        words = line.decode(errors="replace").strip()
        if not words.startswith(READY):
            await process.communicate()
            raise BusError(words or "the embedded broker ended at once")
        return cls(process, host, int(words.rsplit(":", 1)[1]))

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """Wait for its end and return the exit code."""
        return await self._process.wait()

    def kill(self) -> None:
        """``kill -9``: no goodbye to clients."""
        if self.running:
            self._process.kill()

    async def stop(self) -> None:
        """End it gently, after `STOP_S` by force; idempotent."""
        if self.running:
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.communicate(), STOP_S)
        except TimeoutError:
            self.kill()
            await self._process.communicate()
