"""What an index node has again after a restart: its agents, a row each in SQLite, written as they change.

A row is written once per change and a batch per commit, so that disk sees about twice the bytes that changed. Bytes on
disk are not believed: each row has a checksum and typed fields, and the file says which model and
federation it is of. One that cannot be read, or is of another, is set aside and the node fills from the broker.
"""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final
from zlib import crc32

import msgspec

from foa.core.routing.exchange import Entry, Keep
from foa.errors import ConfigError

FORMAT: Final = 2
MAX_ROW: Final = 256 * 1024
ASIDE: Final = ".aside"

_SCHEMA: Final = """
PRAGMA page_size = 16384;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS about (label TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS agents (agent TEXT PRIMARY KEY, body BLOB NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID;
"""
_PUT: Final = "INSERT OR REPLACE INTO agents VALUES (?, ?, ?)"
_DROP: Final = "DELETE FROM agents WHERE agent = ?"

Say = Callable[[str], None]


class _Row(msgspec.Struct, frozen=True, array_like=True):
    entry: Entry
    online: bool | None


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(_Row)


class Store:
    """The rows of one node. ``label`` says what they are of: a file with another label is a foreign one.

    `put` may be called on another thread than the rest, but never beside it.
    """

    def __init__(self, path: Path, label: str, dim: int, say: Say) -> None:
        """Open or make the file; `say` hears in one line if an old one was set aside."""
        self._path = path
        self._label = f"{FORMAT} {label}"
        self._bytes = dim * 2
        self._say = say
        self._db = self._open()

    def load(self) -> list[Keep]:
        """Return what is kept; rows that are not as they were written are left out, and told of in one line."""
        try:
            rows = self._db.execute("SELECT agent, body, sum FROM agents").fetchall()
        except sqlite3.Error as error:
            self._db.close()
            self._set_aside(str(error))
            self._db = self._open()
            return []
        found = [kept for row in rows if (kept := self._read(*row)) is not None]
        if len(found) < len(rows):
            self._say(f"{self._path}: {len(rows) - len(found)} of {len(rows)} rows are damaged and left out")
        return found

    def put(self, batch: Iterable[Keep]) -> None:
        """Write what changed in one transaction; sqlite3.Error if the disk does not take it."""
        gone: list[tuple[str]] = []
        kept: list[tuple[str, bytes, int]] = []
        for agent, entry, online in batch:
            if entry is None:
                gone.append((agent,))
            else:
                body = _encoder.encode(_Row(entry, online))
                kept.append((agent, body, _sum(agent, body)))
        with self._db:
            self._db.executemany(_DROP, gone)
            self._db.executemany(_PUT, kept)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _read(self, agent: object, body: object, total: object) -> Keep | None:
        if not isinstance(agent, str) or not isinstance(body, bytes) or len(body) > MAX_ROW:
            return None
        if _sum(agent, body) != total:
            return None
        try:
            row = _decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        entry = row.entry
        whole = all(len(vector) == self._bytes for vector in (entry.c, entry.e, *entry.others))
        return Keep(agent, entry, row.online) if whole and entry.hit.agent == agent else None

    def _open(self) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return self._opened()
        except OSError as error:
            raise ConfigError(f"node.state_dir: {self._path}: {error}; give a folder that can be written") from error
        except (sqlite3.Error, ValueError) as error:
            self._set_aside(str(error))
        try:
            return self._opened()
        except (sqlite3.Error, ValueError) as error:
            raise ConfigError(f"node.state_dir: {self._path}: {error}; give a folder that can be written") from error

    def _opened(self) -> sqlite3.Connection:
        """Open the file; ValueError if it is of something else."""
        db = sqlite3.connect(self._path, check_same_thread=False)
        try:
            db.executescript(_SCHEMA)
            labels = [row[0] for row in db.execute("SELECT label FROM about")]
            if labels not in ([], [self._label]):
                raise ValueError(f"it is of {', '.join(map(str, labels))[:200]}, not of {self._label}")  # noqa: TRY301 - closed below
            if not labels:
                with db:
                    db.execute("INSERT INTO about VALUES (?)", (self._label,))
        except (sqlite3.Error, ValueError):
            db.close()
            raise
        return db

    def _set_aside(self, why: str) -> None:
        """Move the file out of the way; an earlier one there is replaced, so that they do not pile up."""
        aside = self._path.with_name(self._path.name + ASIDE)
        with suppress(OSError):
            self._path.replace(aside)
        for tail in ("-wal", "-shm"):
            with suppress(OSError):
                self._path.with_name(self._path.name + tail).unlink()
        self._say(f"{self._path} is set aside as {aside.name}: {why}; the broker has it all")


def _sum(agent: str, body: bytes) -> int:
    return crc32(body, crc32(agent.encode()))
