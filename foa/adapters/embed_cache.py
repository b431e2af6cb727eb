"""Computed embeddings on disk: SQLite, by `foa.core.vcv.vector.digest`, bounded, the least recently used goes first.

A cache: whatever is wrong with the file, the answer is "not known" and the node works on. Thread-safe.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Lock
from typing import Final

MAX_ENTRIES: Final = 100_000
"""About 80 MB at 384 dimensions. A tenth is dropped when it is exceeded."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS vectors (digest BLOB PRIMARY KEY, body BLOB NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_use ON vectors (used);
"""


class EmbedCache:
    """float16 vectors by digest. `path` None keeps them in memory alone."""

    def __init__(self, path: Path | None, most: int = MAX_ENTRIES) -> None:
        self._most = most
        self._lock = Lock()
        self._tick = 0
        self._db: sqlite3.Connection | None = None
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None, timeout=1.0)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=OFF")
            self._db.executescript(_SCHEMA)
            self._tick = self._db.execute("SELECT coalesce(max(used), 0) FROM vectors").fetchone()[0]
        except (sqlite3.Error, OSError):
            self.close()

    def get(self, digests: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the vectors that are known, by digest."""
        found: dict[bytes, bytes] = {}
        with self._lock:
            if self._db is None:
                return found
            self._tick += 1
            try:
                for key in dict.fromkeys(digests):
                    row = self._db.execute("SELECT body, used FROM vectors WHERE digest = ?", (key,)).fetchone()
                    if row is not None:
                        found[key] = row[0]
                        self._touch(key, row[1])
            except sqlite3.Error:
                return found
        return found

    def put(self, vectors: Mapping[bytes, bytes]) -> None:
        """Keep `vectors` by digest."""
        with self._lock:
            if self._db is None:
                return
            self._tick += 1
            rows = [(key, body, self._tick) for key, body in vectors.items()]
            try:
                self._db.execute("BEGIN")
                self._db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
                count = self._db.execute("SELECT count(*) FROM vectors").fetchone()[0]
                if count > self._most:
                    drop = count - self._most + self._most // 10
                    self._db.execute(
                        "DELETE FROM vectors WHERE digest IN (SELECT digest FROM vectors ORDER BY used LIMIT ?)",
                        (drop,),
                    )
                self._db.execute("COMMIT")
            except sqlite3.Error:
                self._undo()

    def close(self) -> None:
        """Close the file; from then on nothing is known."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _touch(self, key: bytes, used: int) -> None:
        """Note a use, but not each: writing at every read would cost more than an exact order is worth."""
        if self._db is not None and self._tick - used > self._most // 100:
            self._db.execute("UPDATE vectors SET used = ? WHERE digest = ?", (self._tick, key))

    def _undo(self) -> None:
        if self._db is not None and self._db.in_transaction:
            self._db.execute("ROLLBACK")
