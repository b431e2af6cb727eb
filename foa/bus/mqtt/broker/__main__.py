"""``python -m foa.bus.mqtt.broker``: the embedded broker as a process of its own.

Started by `foa.bus.process.BrokerProcess`, by ``foa broker``, or by hand. It prints one line when it is
ready, and ends silently on SIGTERM, SIGINT or, with ``--parent``, when its standard input closes: the
operating system does that when the parent dies, however it dies.
"""

import argparse
import asyncio
import selectors
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from foa.bus.mqtt.broker.server import BrokerServer
from foa.bus.process import READY
from foa.errors import BusError, ConfigError


class _Counting(selectors.DefaultSelector):
    """A selector that knows how many sockets were ready last."""

    ready = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(timeout)
        self.ready = len(found)
        return found


class _UntilClosed(asyncio.Protocol):
    """Reads standard input for its end only."""

    def __init__(self, ended: asyncio.Event) -> None:
        self._ended = ended

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._ended.set()


def read_users(path: Path) -> dict[str, str]:
    """Return the users in `path`: one ``name:password`` a line, ``#`` begins a comment line."""
    users: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"--users {path}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, password = line.partition(":")
        if not colon:
            raise ConfigError(f"--users {path}: line {number} must be name:password")
        users[name] = password
    return users


def run(host: str, port: int, users: dict[str, str] | None, *, parent: bool) -> None:
    """Serve until told to end."""
    selector = _Counting()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(_serve(host, port, users, lambda: selector.ready == 1, parent=parent))


async def _serve(
    host: str, port: int, users: dict[str, str] | None, alone: Callable[[], bool], *, parent: bool
) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    server = BrokerServer(users=users, alone=alone)
    await server.start(host, port)
    stdin = None
    if parent:
        stdin, _ = await loop.connect_read_pipe(lambda: _UntilClosed(ended), sys.stdin)
    sys.stdout.write(f"{READY} {host}:{server.port}\n")
    sys.stdout.flush()
    await ended.wait()
    await server.stop()
    if stdin is not None:
        stdin.close()


def main() -> int:
    """Parse the command line and serve; a user's mistake is one line and exit code 2."""
    parser = argparse.ArgumentParser(prog="foa-broker", description="Run the embedded MQTT 5 broker.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=1883, help="port to listen on, 0 for a free one")
    parser.add_argument("--users", type=Path, help="file of name:password lines; without it everybody gets in")
    parser.add_argument("--parent", action="store_true", help="end when standard input closes")
    arguments = parser.parse_args()
    try:
        users = None if arguments.users is None else read_users(arguments.users)
        run(arguments.host, arguments.port, users, parent=arguments.parent)
    except (BusError, ConfigError) as error:
        words = sys.stdout if arguments.parent else sys.stderr  # a parent reads our first line
        words.write(f"foa-broker: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
