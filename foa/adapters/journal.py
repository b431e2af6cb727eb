"""What a node keeps over restarts: a key-value table in SQLite (WAL), committed once a turn.

``synchronous = NORMAL``: a killed process loses nothing that was committed; only a power cut can take the
last moments, and those the broker's retained state covers. Called by `foa.nodes.driver` alone.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from foa.errors import ConfigError

_SCHEMA = "CREATE TABLE IF NOT EXISTS kept (kind TEXT, id TEXT, body BLOB, PRIMARY KEY (kind, id)) WITHOUT ROWID"

_PUT = "INSERT OR REPLACE INTO kept VALUES (?, ?, ?)"
_DROP = "DELETE FROM kept WHERE kind = ? AND id = ?"


class SqliteJournal:
    """A journal in one file."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; ConfigError if it cannot be written or belongs to a running node."""
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute(_SCHEMA)
        except sqlite3.Error as error:
            raise ConfigError(f"node.state_dir: {path}: {error}; give a folder that can be written") from error
        self._pending: dict[tuple[str, str], bytes | None] = {}

    def put(self, kind: str, ident: str, body: bytes | None) -> None:
        """Keep (or forget, with None) a body at the next `commit`; of several the last counts."""
        self._pending[kind, ident] = body

    def commit(self) -> None:
        """Write all that was put in one transaction."""
        if not self._pending:
            return
        pending, self._pending = self._pending, {}
        kept = [(kind, ident, body) for (kind, ident), body in pending.items() if body is not None]
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

    def load(self) -> Iterable[tuple[str, str, bytes]]:
        """Return all that is kept, in a fixed order."""
        return self._db.execute("SELECT kind, id, body FROM kept ORDER BY kind, id").fetchall()

    def close(self) -> None:
        """Commit and close."""
        self.commit()
        self._db.close()


class MemoryJournal:
    """A journal for nodes that keep nothing, and for the simulator, where it outlives the node's crash."""

    def __init__(self) -> None:
        """Start empty."""
        self._kept: dict[tuple[str, str], bytes] = {}
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
                self._kept[key] = body
        self._pending.clear()

    def load(self) -> Iterable[tuple[str, str, bytes]]:
        """As `SqliteJournal.load`."""
        return [(kind, ident, body) for (kind, ident), body in sorted(self._kept.items())]

    def crash(self) -> None:
        """Lose what was not committed."""
        self._pending.clear()

    def close(self) -> None:
        """Commit."""
        self.commit()
