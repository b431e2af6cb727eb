"""``python -m foa.bus.mqtt.broker``: the embedded broker as a process of its own.

Started by `foa.bus.process.BrokerProcess`, by ``foa broker``, or by hand. It prints one line when it is
ready, and ends silently on SIGTERM, SIGINT or, with ``--parent``, when its standard input closes: the
operating system does that when the parent dies, however it dies. SIGHUP makes it read its accounts again.
"""

import argparse
import asyncio
import selectors
import signal
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from foa.bus import tls
from foa.bus.mqtt.broker.access import Gate, files
from foa.bus.mqtt.broker.keeping.sqlite import SqliteStore
from foa.bus.mqtt.broker.records import changed
from foa.bus.mqtt.broker.server import BrokerServer
from foa.bus.process import READY
from foa.errors import BusError, ConfigError

TOLD_S: Final = 10.0
"""How often it is told what was refused, if anything was."""


class Serving(NamedTuple):
    """Where to listen and whom to let in: a file of users, or a folder of certificates and accounts (``secured``)."""

    host: str = "127.0.0.1"
    port: int = 1883
    users: Path | None = None
    secured: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    store: Path | None = None
    people_port: int = 0  # one more to listen on, as the Mosquitto of the folder does; 0: none
    limits: tuple[str, ...] = ()  # caps to change, each as name=number

    def gate(self) -> Gate | None:
        """Return who may come in; ConfigError if a file is no use."""
        if self.users is not None and self.secured is not None:
            raise ConfigError("--users and --secured: give one of them; the folder has accounts of its own")
        found = files.doors(self.users, self.secured)
        return Gate(*found) if found else None

    def tls(self) -> ssl.SSLContext | None:
        """Return what to encrypt with, None for nothing; ConfigError if a file is no use."""
        if self.secured is not None:
            cert, key = self.cert or self.secured / files.CERT, self.key or self.secured / files.KEY
            return tls.serving(str(cert), str(key), str(self.secured / files.CA))
        if self.cert is None:
            return None
        return tls.serving(str(self.cert), str(self.key or self.cert))


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


def run(serving: Serving, *, parent: bool) -> None:
    """Serve until told to end."""
    for line in files.warnings(serving.users, serving.secured):
        _say(line)
    selector = _Counting()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(_serve(serving, lambda: selector.ready == 1, parent=parent))


async def _serve(serving: Serving, alone: Callable[[], bool], *, parent: bool) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    gate = serving.gate()
    store = None if serving.store is None else SqliteStore(serving.store)
    server = BrokerServer(changed(serving.limits), access=gate, tls=serving.tls(), alone=alone, store=store)
    for port in (serving.port, serving.people_port)[: 1 + bool(serving.people_port)]:
        await server.start(serving.host, port)
    stdin = None
    if parent:
        stdin, _ = await loop.connect_read_pipe(lambda: _UntilClosed(ended), sys.stdin)
    if gate is not None:
        loop.add_signal_handler(signal.SIGHUP, _read_again, serving, gate, server)
    telling = loop.create_task(_tell(server, gate))
    sys.stdout.write(f"{READY} {serving.host}:{server.port}\n")
    sys.stdout.flush()
    await ended.wait()
    telling.cancel()
    _say_refused(server, gate, {})
    await server.stop()
    if stdin is not None:
        stdin.close()


def _read_again(serving: Serving, gate: Gate, server: BrokerServer) -> None:
    """Take accounts as they are now; with a mistake in a file those of before stay."""
    try:
        gate.change(*files.doors(serving.users, serving.secured))
    except ConfigError as error:
        _say(f"accounts stay as they were: {error}")
    else:
        server.broker.rights_changed()
        _say("accounts read again")


async def _tell(server: BrokerServer, gate: Gate | None) -> None:
    """Say what was refused since the last time, seldom enough that nobody can flood the log."""
    told: dict[str, int] = {}
    while True:
        await asyncio.sleep(TOLD_S)
        told = _say_refused(server, gate, told)


def _say_refused(server: BrokerServer, gate: Gate | None, told: dict[str, int]) -> dict[str, int]:
    """Write one line of all that was refused since the start, if it is more than what was `told`; return it."""
    stats = server.broker.stats
    counted = {f"connections ({why})": count for why, count in gate.refused.items()} if gate is not None else {}
    counted |= {
        "wills": stats.denied_wills,
        "publications": stats.denied_writes,
        "subscriptions": stats.denied_subscriptions,
        "malformed": stats.malformed,
    }
    if any(counted[name] > told.get(name, 0) for name in counted):
        _say("refused so far: " + ", ".join(f"{name} {count}" for name, count in sorted(counted.items()) if count))
    return counted


def _say(line: str) -> None:
    sys.stderr.write(f"foa-broker: {line}\n")
    sys.stderr.flush()


def main() -> int:
    """Parse the command line and serve; a user's mistake is one line and exit code 2."""
    parser = argparse.ArgumentParser(prog="foa-broker", description="Run the embedded MQTT 5 broker.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=1883, help="port to listen on, 0 for a free one")
    parser.add_argument("--users", type=Path, help="password file; without it everybody gets in")
    parser.add_argument("--secured", type=Path, help="folder of 'foa broker init': TLS, accounts and access control")
    parser.add_argument("--people-port", type=int, default=0, help="one more port to listen on")
    parser.add_argument("--cert", type=Path, help="certificate to serve TLS with")
    parser.add_argument("--key", type=Path, help="its private key")
    parser.add_argument("--store", type=Path, help="file to keep in what must survive the broker; made if missing")
    parser.add_argument("--limit", action="append", default=[], metavar="NAME=NUMBER", help="change a cap")
    parser.add_argument("--parent", action="store_true", help="end when standard input closes")
    given = vars(parser.parse_args())
    parent, limits = given.pop("parent"), tuple(given.pop("limit"))
    try:
        run(Serving(**given, limits=limits), parent=parent)
    except (BusError, ConfigError) as error:
        words = sys.stdout if parent else sys.stderr  # a parent reads our first line
        words.write(f"foa-broker: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
