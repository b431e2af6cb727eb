"""What a node keeps over restarts: a key-value table in SQLite (WAL), committed once a turn.

Each body is kept with the time of the wall clock, so that a node can tell how long it was away.

``synchronous = NORMAL``: a killed process loses nothing that was committed; only a power cut can take the
last moments, and those the broker's retained state covers. Called by `foa.nodes.driver` alone.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from foa.errors import ConfigError, DiskError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS kept (kind TEXT, id TEXT, body BLOB, at REAL, PRIMARY KEY (kind, id)) WITHOUT ROWID
"""
_COLUMNS = "SELECT name FROM pragma_table_info('kept')"
_DATED = "ALTER TABLE kept ADD COLUMN at REAL"  # a file of a version that kept no time

_PUT = "INSERT OR REPLACE INTO kept (kind, id, body, at) VALUES (?, ?, ?, ?)"
_DROP = "DELETE FROM kept WHERE kind = ? AND id = ?"

Kept = tuple[str, str, bytes, float]
"""Kind, id, body, and how many seconds ago that was kept."""


def wall() -> float:
    """Return the seconds since 1970 as this machine has it."""
    return time.time_ns() / 1e9


class SqliteJournal:
    """A journal in one file; ``clock`` gives seconds since 1970."""

    def __init__(self, path: Path, clock: Callable[[], float] = wall) -> None:
        """Open or make the file; ConfigError if it cannot be written or belongs to a running node."""
        self._clock = clock
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute(_SCHEMA)
            if ("at",) not in self._db.execute(_COLUMNS).fetchall():
                self._db.execute(_DATED)
            self._db.execute(f"PRAGMA user_version = {int(clock()) % (1 << 31)}")  # a disk that is full says so now
        except sqlite3.Error as error:
            raise ConfigError(f"node.state_dir: {path}: {error}; give a folder that can be written") from error
        self._pending: dict[tuple[str, str], bytes | None] = {}

    def put(self, kind: str, ident: str, body: bytes | None) -> None:
        """Keep (or forget, with None) a body at the next `commit`; of several the last counts."""
        self._pending[kind, ident] = body

    def commit(self) -> None:
        """Write all that was put in one transaction; DiskError if the disk does not take it: then all of it waits."""
        try:
            self._write(self._pending)
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise DiskError(f"node.state_dir: {self._path}: {error}; is the disk full?") from error
        self._pending = {}

    def _write(self, pending: dict[tuple[str, str], bytes | None]) -> None:
        if not pending:
            return
        at = self._clock()
        kept = [(kind, ident, body, at) for (kind, ident), body in pending.items() if body is not None]
        gone = [key for key, body in pending.items() if body is None]
        if len(pending) == 1:  # a statement on its own is its own transaction
            self._db.execute(_PUT, kept[0]) if kept else self._db.execute(_DROP, gone[0])
            return
        self._db.execute("BEGIN")
        if kept:
            self._db.executemany(_PUT, kept)
        if gone:
            self._db.executemany(_DROP, gone)
        self._db.execute("COMMIT")

    def load(self) -> Iterable[Kept]:
        """Return all that is kept, in a fixed order; a time that lies ahead (the clock was set back) is now."""
        now = self._clock()
        rows = self._db.execute("SELECT kind, id, body, at FROM kept ORDER BY kind, id").fetchall()
        return [(kind, ident, body, max(0.0, now - at) if at is not None else 0.0) for kind, ident, body, at in rows]

    def close(self) -> None:
        """Commit, if the disk takes it, and close."""
        with suppress(DiskError):
            self.commit()
        self._db.close()


class MemoryJournal:
    """A journal for nodes that keep nothing, and for the simulator, where it outlives the node's crash."""

    def __init__(self, clock: Callable[[], float] = float) -> None:
        """Start empty; a `clock` that stands still (the default) has nothing grow older."""
        self._clock = clock
        self._kept: dict[tuple[str, str], tuple[bytes, float]] = {}
        self._pending: dict[tuple[str, str], bytes | None] = {}

    def put(self, kind: str, ident: str, body: bytes | None) -> None:
        """As `SqliteJournal.put`."""
        self._pending[kind, ident] = body

    def commit(self) -> None:
        """As `SqliteJournal.commit`."""
        for key, body in self._pending.items():
            if body is None:
                self._kept.pop(key, None)
            else:
                self._kept[key] = (body, self._clock())
        self._pending.clear()

    def load(self) -> Iterable[Kept]:
        """As `SqliteJournal.load`."""
        now = self._clock()
        return [(kind, ident, body, max(0.0, now - at)) for (kind, ident), (body, at) in sorted(self._kept.items())]

    def crash(self) -> None:
        """Lose what was not committed."""
        self._pending.clear()

    def close(self) -> None:
        """Commit."""
        self.commit()
