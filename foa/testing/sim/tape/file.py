"""What a live federation said, in a file: every frame with its time, one after another, compressed and bounded.

A file is gzip over records of four bytes of length and a `Heard` in msgpack, so that one cut short is read up to there.
Written by ``foa record``, read by `replaying`.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from foa.errors import ConfigError, WireError
from foa.nodes.window import JSON_KINDS
from foa.wire import codec
from foa.wire.records import Value
from foa.wire.topics import Topics

MAX_FRAMES: Final = 2_000_000
"""Frames that are read of one file."""

_LENGTH: Final = 4


class Heard(msgspec.Struct, frozen=True, array_like=True):
    """One frame: ``at`` seconds after the recording began, where, what, and what travelled beside the body.

    ``retained``: the broker kept it from before. ``expiry_s``, ``properties`` and ``reply_to`` are MQTT's.
    """

    at: float
    topic: str
    payload: bytes
    retained: bool = False
    reply_to: str = ""
    expiry_s: int | None = None
    properties: tuple[tuple[str, str], ...] = ()


class Writer:
    """Writes at most `most` bytes, before compression; ``full`` tells that there was more. A context manager."""

    def __init__(self, path: Path, most: int, topics: Topics, *, bodies: bool = True) -> None:
        """Open `path`; ConfigError if it cannot be written."""
        self.frames = 0
        self.written = 0
        self.full = False
        self._most = most
        self._topics = topics
        self._bodies = bodies
        try:
            self._file = gzip.open(path, "wb", compresslevel=6)  # noqa: SIM115 - closed by `__exit__`
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}; give a file that can be written") from error

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the file in good order."""
        self._file.close()

    def write(self, heard: Heard) -> None:
        """Write a frame, if there is room for it and, without bodies, if it is more than a body."""
        if not self._bodies:
            bare = _bared(heard, self._topics)
            if bare is None:
                return
            heard = bare
        body = msgspec.msgpack.encode(heard)
        if self.written + len(body) + _LENGTH > self._most:
            self.full = True
            return
        self._file.write(len(body).to_bytes(_LENGTH, "big") + body)
        self.written += len(body) + _LENGTH
        self.frames += 1


def read(path: Path) -> Iterator[Heard]:
    """Yield the frames of a file; ConfigError if it is none. One that was cut short ends where it was cut."""
    try:
        with gzip.open(path, "rb") as file:
            for _ in range(MAX_FRAMES):
                head = file.read(_LENGTH)
                if len(head) < _LENGTH:
                    return
                body = file.read(int.from_bytes(head, "big"))
                yield msgspec.msgpack.decode(body, type=Heard)
    except EOFError:
        return
    except (OSError, zlib.error, msgspec.MsgspecError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}: {why}; give a file that 'foa record' wrote") from error


def _bared(heard: Heard, topics: Topics) -> Heard | None:
    """Return a frame without what people's data is in: values lose their bodies, blobs go altogether."""
    try:
        topic = topics.parse(heard.topic)
        if topic.kind == "blob":
            return None
        if topic.kind == "door":
            return None
        if topic.kind in JSON_KINDS or not heard.payload:
            return heard
        message = codec.decode(heard.payload)
    except WireError:
        return msgspec.structs.replace(heard, payload=b"")
    return msgspec.structs.replace(heard, payload=codec.encode(_bare(message)))


def _bare(value: Any) -> Any:
    """Return a record in which no value has a body."""
    if isinstance(value, Value):
        return msgspec.structs.replace(value, body=b"") if value.body else value
    if isinstance(value, msgspec.Struct):
        fields = {name: _bare(getattr(value, name)) for name in value.__struct_fields__}
        return msgspec.structs.replace(value, **fields)
    if isinstance(value, tuple):
        return tuple(_bare(one) for one in value)
    if isinstance(value, dict):
        return {key: _bare(one) for key, one in value.items()}
    return value
