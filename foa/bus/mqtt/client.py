"""The asyncio client: a thin shell that moves bytes between a socket and the client machine.

Nodes make one `MqttBus` each. There is no task, future or lock per message: `data_received` runs the
machine and the listener, and one write per loop turn carries all that was queued in it.
"""

import asyncio
from typing import Final, cast

from foa.bus import tls
from foa.bus.awaited import FLUSH_S, AwaitedBus
from foa.bus.mqtt.shell import Shell
from foa.bus.port import Listener, Options

READ_BUFFER: Final = 64 << 10  # bytes taken from the socket at once
WRITE_BUFFER: Final = 1 << 20  # bytes in the socket's buffer above which publications wait in the outbox


class _Link(asyncio.BufferedProtocol):
    """One connection; once its bus has let go of it, it reports nothing more."""

    def __init__(self, bus: "MqttBus") -> None:
        self.bus: MqttBus | None = bus
        self.transport: asyncio.Transport | None = None
        self.answered = False
        self.closed = asyncio.Event()
        self.buffer = memoryview(bytearray(READ_BUFFER))  # asyncio would ask for 256 KiB of memory at every read

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # asyncio turns Nagle's algorithm off itself
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER)
        if self.bus is None:
            self.transport.abort()
        else:
            self.bus._opened()  # noqa: SLF001 - one unit with its bus

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self.bus is None:
            return
        data = bytes(self.buffer[:nbytes])
        if not self.answered:
            self.answered = True
            if data.startswith(tls.ALERT):
                self.bus._lost(tls.WANTS_TLS)  # noqa: SLF001 - one unit with its bus
                return
        self.bus._arrived(data)  # noqa: SLF001

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()
        if self.bus is not None:
            self.bus._lost(self._why(exc, self.bus.options))  # noqa: SLF001 - one unit with its bus

    def _why(self, exc: Exception | None, options: Options) -> str:
        if not self.answered:
            why = tls.words(exc, options) if isinstance(exc, OSError) else None
            if why is not None or exc is None or isinstance(exc, ConnectionError):
                return why or tls.silent(options)
        return f"connection lost: {exc}" if exc else "the broker closed the connection"

    def pause_writing(self) -> None:
        if self.bus is not None:
            self.bus._choked(full=True)  # noqa: SLF001

    def resume_writing(self) -> None:
        if self.bus is not None:
            self.bus._choked(full=False)  # noqa: SLF001


class MqttBus(AwaitedBus, Shell):
    """A `port.Session` over TCP, or TLS over it."""

    def __init__(self, options: Options, listener: Listener, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Prepare; BusError if `options` cannot be written as a CONNECT, ConfigError if a file of its TLS is no use."""
        super().__init__(options, listener, loop)
        self._tls = None if options.tls is None else tls.context(options.tls)
        self._link: _Link | None = None
        self._dialing: asyncio.Task[None] | None = None

    async def close(self, *, will: bool = False) -> None:
        """Wait at most `FLUSH_S` for what is queued, say goodbye, and hang up; idempotent."""
        link = self._link
        await super().close(will=will)
        if link is not None and link.transport is not None:
            try:
                await asyncio.wait_for(link.closed.wait(), FLUSH_S)
            except TimeoutError:
                link.transport.abort()

    def abort(self) -> None:
        """Drop the socket without a word, as a crash or a cut cable would; the bus then reconnects."""
        if self._link is not None and self._link.transport is not None:
            self._link.transport.abort()

    def _dial(self) -> None:
        self._link = _Link(self)
        self._dialing = self._loop.create_task(self._connect(self._link))

    async def _connect(self, link: _Link) -> None:
        options = self.options
        limit = options.connect_timeout_s if self._tls is not None else None
        try:
            await self._loop.create_connection(
                lambda: link, options.host, options.port, ssl=self._tls, ssl_handshake_timeout=limit
            )
        except OSError as error:
            if link.bus is not None:
                self._lost(self._unreached(error))

    def _write(self, data: bytes) -> None:
        assert self._link is not None
        assert self._link.transport is not None
        self._link.transport.write(data)

    def _hang_up(self) -> None:
        link, self._link = self._link, None
        if link is None:
            return
        link.bus = None
        if link.transport is not None:
            link.transport.close()
            self._loop.call_later(FLUSH_S, link.transport.abort)  # a dead peer would keep the buffer for ever
        elif self._dialing is not None:
            self._dialing.cancel()

    def _choked(self, *, full: bool) -> None:
        if full:
            self._session.pause()
        else:
            self._session.resume(self._clock.time())
