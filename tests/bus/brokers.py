"""Real brokers for tests: one of their own per test, on a free port, gone afterwards."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

READY_S = 5.0

CONFIG = """\
listener {port} 127.0.0.1
persistence false
set_tcp_nodelay true
max_inflight_messages 1000
max_queued_messages 100000
log_type none
user {user}
"""


def mosquitto_path() -> str:
    """Return the mosquitto program; skips the test where there is none."""
    path = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    return path


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """One mosquitto process that can be killed, frozen and started again on its port."""

    def __init__(self, config_extra: str = "", port: int = 0) -> None:
        self.port = port or free_port()
        self._directory = tempfile.TemporaryDirectory(prefix="foa-mosquitto-")
        extra = config_extra if "allow_anonymous" in config_extra else f"allow_anonymous true\n{config_extra}"
        # Left to itself, mosquitto started by root would give up its rights to the temporary directory.
        config = CONFIG.format(port=self.port, user="root" if os.geteuid() == 0 else "nobody") + extra + "\n"
        self._config = Path(self._directory.name, "mosquitto.conf")
        self._config.write_text(config)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and return once it takes connections."""
        program = mosquitto_path()
        self._process = subprocess.Popen([program, "-c", str(self._config)], stderr=subprocess.PIPE)
        deadline = time.monotonic() + READY_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                assert self._process.stderr is not None
                words = self._process.stderr.read().decode(errors="replace") if self._process.poll() else ""
                self.stop()
                pytest.fail(f"mosquitto did not start: {words}")
            time.sleep(0.002)

    def kill(self) -> None:
        """``kill -9``."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def stop(self) -> None:
        """End it for good."""
        self.kill()
        self._directory.cleanup()


@contextlib.contextmanager
def run_mosquitto(config_extra: str = "", port: int = 0) -> Iterator[int]:
    """Run a mosquitto and give its port; `config_extra` are further lines of its configuration."""
    broker = Mosquitto(config_extra, port)
    broker.start()
    try:
        yield broker.port
    finally:
        broker.stop()


@contextlib.asynccontextmanager
async def mosquitto(config_extra: str = "", port: int = 0) -> AsyncIterator[int]:
    """Like `run_mosquitto`, for tests that run in a loop."""
    broker = Mosquitto(config_extra, port)
    await asyncio.to_thread(broker.start)
    try:
        yield broker.port
    finally:
        await asyncio.to_thread(broker.stop)
