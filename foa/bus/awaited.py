"""What the asyncio clients share: opening and closing that can be awaited."""

import asyncio
import os
import random
import socket
from collections.abc import Callable
from typing import Final

from foa.bus import tls
from foa.bus.output import Connected, Ended
from foa.bus.port import Listener, Options
from foa.bus.telling import Teller
from foa.errors import BusError, ConfigError, Refused

FLUSH_S: Final = 1.0  # how long `close` waits for acknowledgements, and a closing socket for its peer


def words(error: OSError) -> str:
    """Return why a socket could not be opened; asyncio's own text repeats the address instead."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    return os.strerror(error.errno).lower()


class AwaitedBus(Teller):
    """A `port.Session` on an asyncio loop, but for what carries it."""

    def __init__(self, options: Options, listener: Listener, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Prepare; raises BusError if `options` cannot be written as a CONNECT."""
        self._loop = loop or asyncio.get_running_loop()
        super().__init__(options, listener, self._loop, random.Random())
        self._first: asyncio.Future[None] | None = None
        self._flushed: asyncio.Future[None] | None = None
        self._ended = asyncio.Event()
        self._last_reason = "no answer yet"

    async def open(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the deadline is part of the error
        """Connect, and return once the broker said yes; reconnecting is the bus's own business from then on.

        Raises Refused if the broker says no for good, BusError if `timeout` seconds pass without a yes.
        """
        if self._first is not None:
            raise BusError("open is called once per bus")
        self._first = self._loop.create_future()
        self._start()
        try:
            await asyncio.wait_for(self._first, timeout)
        except TimeoutError as error:
            why = f"cannot reach a broker at {self.options.host}:{self.options.port}: {self._last_reason}"
            await self.close()
            raise BusError(why) from error
        except (ConfigError, asyncio.CancelledError):
            await self.close()
            raise

    async def close(self, *, will: bool = False) -> None:
        """Wait at most `FLUSH_S` for what is queued, say goodbye, and hang up; idempotent."""
        if not self._over:
            await self._settled()
            self._stop(will=will)
        await self._ended.wait()

    def _unreached(self, error: OSError) -> str:
        """Return why no connection came to be. At the first attempt a certificate nobody can trust ends `open`.

        Later ones are tried on: a broker's certificate may be renewed while we wait.
        """
        why = tls.words(error, self.options)
        if self.options.tls is not None and isinstance(error, ConnectionResetError | ConnectionAbortedError):
            return tls.UNSHAKEN
        if why is None:
            return words(error)
        if tls.permanent(error) and self._first is not None and not self._first.done():
            self._first.set_exception(ConfigError(why))
        return why

    async def _settled(self) -> None:
        """Wait until the backlog is empty, at most `FLUSH_S`."""
        if not self._transport_up or not self.backlog:
            return
        self._flushed = self._loop.create_future()
        try:
            await asyncio.wait_for(self._flushed, FLUSH_S)
        except TimeoutError:
            return

    def _turn(self) -> None:
        super()._turn()
        flushed = self._flushed
        if flushed is not None and not flushed.done() and not self.backlog:
            flushed.set_result(None)

    def _soon(self, callback: Callable[[], None]) -> None:
        self._loop.call_soon(callback)

    def _on_connected(self, event: Connected) -> None:
        if self._first is not None and not self._first.done():
            self._first.set_result(None)
        super()._on_connected(event)

    def _on_ended(self, event: Ended) -> None:
        self._last_reason = event.reason
        super()._on_ended(event)
        if event.final:
            self._ended.set()
            if self._first is not None and not self._first.done():
                self._first.set_exception(Refused(event.reason))
