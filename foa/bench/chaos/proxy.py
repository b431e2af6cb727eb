"""A cable that can be cut: a TCP proxy between one process and the broker. Called by `town` and `faults`."""

import asyncio
from contextlib import suppress
from typing import Final

CHUNK: Final = 1 << 16


class Proxy:
    """Listens on a free port of this machine and carries bytes to `target`'s port and back, until it is told not to."""

    def __init__(self, target: int) -> None:
        """Nothing listens before `start`."""
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._up = asyncio.Event()
        self._down = asyncio.Event()
        self.mend()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def close(self) -> None:
        """Cut everything, and listen no more."""
        if self._server is not None:
            self._server.close()
        self.mend()
        self.drop()

    def drop(self) -> None:
        """Cut every connection, without a word."""
        for writer in list(self._writers):
            writer.transport.abort()

    def stall(self) -> None:
        """Hold back all bytes, both ways, until `mend`."""
        self._up.clear()
        self._down.clear()

    def deafen(self) -> None:
        """Hold back what the broker says until `mend`: half a connection."""
        self._down.clear()

    def mend(self) -> None:
        """Carry all again."""
        self._up.set()
        self._down.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        try:
            await asyncio.gather(_carry(reader, back, self._up), _carry(there, writer, self._down))
        finally:
            self._writers -= {writer, back}


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flows: asyncio.Event) -> None:
    """Carry one way until either end is gone; then the other is closed too."""
    with suppress(OSError):
        while chunk := await reader.read(CHUNK):
            await flows.wait()
            writer.write(chunk)
            await writer.drain()
    writer.close()
