"""What the processes of a run tell the bench: one datagram a fact, over a socket of the file system.

Not a file: an agent whose disk is full must still be able to say what it did. What was sent is the kernel's, so that it
arrives also from a process that is killed right after. Written by `folk` and `submitter`, read by `storm`.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

VARIABLE: Final = "CHAOS_LEDGER"
"""Names the socket in the environment of the processes of a run."""
ONCE: Final = "once"
"""The sort of a beginning whose effects happen once."""
_BUFFER: Final = 1 << 20


class Fact(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that happened at ``at`` (monotonic seconds of this machine), said by ``who`` with its ``pid``.

    ``word`` is begin or end (a handler), or sent, resumed, accepted, rejected, result, cancel, wrong
    (a submitter).
    """

    word: str
    who: str
    task: str
    at: float
    pid: int
    subtask: str = ""
    key: str = ""
    sort: str = ""
    status: str = ""
    code: str = ""
    reason: str = ""
    digest: str = ""


_decoder: Final = msgspec.json.Decoder(Fact)


class Writer:
    """Says facts; nobody is told if the bench is gone."""

    def __init__(self, who: str) -> None:
        """`who` is the name that goes with every fact."""
        self._who = who
        self._path = os.environ.get(VARIABLE, "")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def say(self, word: str, task: str, **more: Any) -> None:
        """Say one fact, now."""
        fact = Fact(word, self._who, task, time.monotonic(), os.getpid(), **more)
        try:
            self._socket.sendto(msgspec.json.encode(fact), self._path)
        except OSError:  # the bench has ended, and we will with it
            return

    def close(self) -> None:
        """Say nothing more."""
        self._socket.close()


class Reader(asyncio.DatagramProtocol):
    """Hands facts on as they come."""

    def __init__(self, hear: Callable[[Fact], None]) -> None:
        """`hear` is called with each fact."""
        self._hear = hear

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Take one fact."""
        del addr
        self._hear(_decoder.decode(data))


async def listen(path: str, hear: Callable[[Fact], None]) -> asyncio.DatagramTransport:
    """Listen at `path`; close what is returned."""
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    receiver.setblocking(False)
    receiver.bind(path)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Reader(hear), sock=receiver)
    return transport
