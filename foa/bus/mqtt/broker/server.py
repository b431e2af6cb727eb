"""The broker's asyncio shell: sockets, one timer, and one write per connection and loop turn.

`foa.bus.mqtt.broker.__main__` runs it in a process of its own; tests run it in theirs.
"""

import asyncio
import ssl
import sys
import time
from collections.abc import Callable
from typing import Any, Final, cast

from foa.bus.mqtt.broker.keeping.writer import Writer
from foa.bus.mqtt.broker.machine import Broker
from foa.bus.mqtt.broker.ports import Access, Store
from foa.bus.mqtt.broker.records import Connection, Keeping, Limits
from foa.errors import BusError

WRITE_BUFFER: Final = 1 << 20  # bytes in a socket's buffer above which its client counts as slow
MAX_WRITE_BUFFER: Final = 32 << 20  # above which it is dropped: even answers are not read
READ_BUFFER: Final = 64 << 10  # bytes taken from a socket at once: more, and its peers would wait for the end
BACKLOG: Final = 1024
CLOSE_S: Final = 1.0


class _Peer(asyncio.BufferedProtocol):
    """One client's socket."""

    def __init__(self, server: "BrokerServer") -> None:
        self._server = server
        self._connection: Connection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        writer = cast("asyncio.Transport", transport)  # asyncio turns Nagle's algorithm off itself
        writer.set_write_buffer_limits(high=WRITE_BUFFER)
        self._connection = self._server.connected(writer, _certified(transport.get_extra_info("peercert")))

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return self._server.incoming

    def buffer_updated(self, nbytes: int) -> None:
        assert self._connection is not None
        self._server.received(self._connection, bytes(self._server.incoming[:nbytes]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        assert self._connection is not None
        self._server.lost(self._connection)

    def pause_writing(self) -> None:
        assert self._connection is not None
        self._connection.paused = True

    def resume_writing(self) -> None:
        assert self._connection is not None
        self._connection.paused = False
        self._server.writable(self._connection)


def _certified(certificate: Any) -> str:
    """Return the common name of a client's checked certificate, as `ssl` tells it; "" if it has none."""
    subject = (certificate or {}).get("subject", ())
    return next((value for part in subject for name, value in part if name == "commonName"), "")


def _say(line: str) -> None:
    sys.stderr.write(f"foa-broker: {line}\n")
    sys.stderr.flush()


class BrokerServer:
    """A `Broker` that listens on TCP, or with `tls` on TLS over it."""

    def __init__(
        self,
        limits: Limits | None = None,
        access: Access | None = None,
        tls: ssl.SSLContext | None = None,
        alone: Callable[[], bool] = bool,
        store: Store | None = None,
    ) -> None:
        """With `access` it decides who gets in, and who may do what.

        With `store` it begins with what that kept, and keeps there what must survive it; ConfigError if that cannot
        be read. `alone` tells that one socket only was ready in this turn: then its answers wait for nothing.
        """
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self.broker = Broker(limits, access, None if store is None else Keeping(time.time_ns() / 1e9 - now))
        self._writer: Writer | None = None
        if store is not None and self.broker.ledger is not None:
            self.broker.restore(store.load(), now)
            self._writer = Writer(self.broker.ledger, store, self._flush_soon, _say)
        self._tls = tls
        self.incoming = memoryview(bytearray(READ_BUFFER))  # one for all: each read is taken out of it at once
        self._alone = alone
        self._servers: list[asyncio.Server] = []
        self._transports: set[asyncio.Transport] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._flushing = False
        self._emptied: asyncio.Future[None] | None = None

    @property
    def port(self) -> int:
        """The first port it listens on, once started."""
        return int(self._servers[0].sockets[0].getsockname()[1])

    async def start(self, host: str, port: int) -> None:
        """Listen, on one port more with every call; 0 takes a free one. Raises BusError if that is not possible."""
        limit = None if self._tls is None else self.broker.limits.connect_timeout_s
        try:
            server = await self._loop.create_server(
                lambda: _Peer(self), host, port, backlog=BACKLOG, ssl=self._tls, ssl_handshake_timeout=limit
            )
        except OSError as error:
            raise BusError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
        self._servers.append(server)

    async def stop(self) -> None:
        """Tell every client, close, and listen no more."""
        for server in self._servers:
            server.close()
        self.broker.shut_down(self._loop.time())
        self._flush()
        deadline = self._loop.time() + CLOSE_S
        for transport in list(self._transports):
            self._loop.call_at(deadline, transport.abort)
        if self._transports:
            self._emptied = self._loop.create_future()
            await self._emptied
        if self._timer is not None:
            self._timer.cancel()
        for server in self._servers:
            await server.wait_closed()
        if self._writer is not None:
            await self._writer.close()

    # What the sockets report.

    def connected(self, transport: asyncio.Transport, certified: str = "") -> Connection:
        """Take a new socket; `certified` is the name in its client's certificate, "" without one."""
        connection = self.broker.connect(self._loop.time(), certified)
        connection.peer = transport
        self._transports.add(transport)
        self._flush_soon()
        return connection

    def received(self, connection: Connection, data: bytes) -> None:
        """Take bytes."""
        now = self._loop.time()
        self.broker.receive(connection, data, now)
        if connection.rest_until > now and not connection.closing:
            connection.peer.pause_reading()
            self._loop.call_at(connection.rest_until, self._read_on, connection)
        if self._flushing:
            return
        if self._alone():
            self._flush()
        else:
            self._flush_soon()

    def _read_on(self, connection: Connection) -> None:
        """Read again from a client that had published too much."""
        if not connection.closing:
            connection.peer.resume_reading()

    def lost(self, connection: Connection) -> None:
        """Take the end of a socket."""
        self._transports.discard(connection.peer)
        if self._emptied is not None and not self._transports:
            self._emptied.set_result(None)
        self.broker.lost(connection, self._loop.time())
        self._flush_soon()

    def writable(self, connection: Connection) -> None:
        """Go on with a client that had been slow."""
        self.broker.written(connection, self._loop.time())
        self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write what waits; a queue that waited for room in a buffer fills it again, until the socket is full."""
        self._flushing = False
        broker = self.broker
        while broker.touched:
            batch = broker.touched[:]
            broker.touched.clear()
            for connection in batch:
                self._write(connection)
        self._arm()
        if self._writer is not None:
            self._writer.soon()

    def _write(self, connection: Connection) -> None:
        transport = cast("asyncio.Transport", connection.peer)
        data = connection.take()
        if data:
            transport.write(data)
        if connection.closing:
            transport.close()
        elif transport.get_write_buffer_size() > MAX_WRITE_BUFFER:
            self.broker.stats.overrun += 1
            transport.abort()
        else:
            self.broker.written(connection, self._loop.time())

    def _arm(self) -> None:
        """See to it that the timer fires at the machine's deadline or earlier."""
        when = self.broker.deadline()
        if when is None or (self._timer is not None and self._timer.when() <= when):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.broker.tick(self._loop.time())
        self._flush()
