"""The broker's store in one SQLite file.

WAL with ``synchronous = NORMAL``: what a commit wrote survives the broker's death, ``kill -9`` included, because the
operating system has it. Only when the whole machine dies the last moments may be gone, and never the file's
consistency; ``OFF`` would risk that and save little, for the disk is waited for at checkpoints only. The file is
locked while a broker has it.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from foa.bus.mqtt.broker.keeping import forms
from foa.bus.mqtt.broker.keeping.forms import Ident, Row
from foa.errors import BusError, ConfigError

APPLICATION: Final = 0x666F6131  # "foa1", in the file's header
VERSION: Final = 1
PROBE_BYTES: Final = 64 << 10
_NUMBERED: Final = (forms.MESSAGE, forms.DELIVERY)
_MEND: Final = "name another file, or move this one away to begin anew"


class SqliteStore:
    """See `ports.Store`."""

    def __init__(self, path: Path) -> None:
        """Open or create `path`. Raises ConfigError, naming it and the mend, if it is no store, damaged or in use."""
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(0o600)  # what others say to each other is in it
            self._open()
        except sqlite3.OperationalError as error:
            locked = "locked" in str(error)
            mend = "another broker uses it: end that, or name another file" if locked else "name a file to write to"
            raise ConfigError(f"--store {path}: {error}; {mend}") from error
        except (sqlite3.DatabaseError, OSError) as error:
            raise ConfigError(f"--store {path}: {error}; {_MEND}") from error

    def _open(self) -> None:
        db = self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=0.1)
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and (application, version) != (APPLICATION, VERSION):
            db.close()
            raise ConfigError(f"--store {self._path}: is no store of this version of the broker; {_MEND}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("BEGIN IMMEDIATE")
        for kind in forms.KINDS:
            key = "INTEGER PRIMARY KEY" if kind in _NUMBERED else "TEXT PRIMARY KEY NOT NULL"
            db.execute(f"CREATE TABLE IF NOT EXISTS {kind} (id {key}, body BLOB NOT NULL)")
        db.execute("CREATE TABLE IF NOT EXISTS probe (body BLOB)")
        db.execute(f"PRAGMA application_id = {APPLICATION}")
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")

    def load(self) -> Iterator[tuple[str, Ident, bytes]]:
        """See `ports.Store`."""
        for kind in forms.KINDS:
            try:
                for ident, body in self._db.execute(f"SELECT id, body FROM {kind}"):  # noqa: S608 - a name of ours
                    yield kind, ident, bytes(body)
            except sqlite3.DatabaseError as error:
                raise ConfigError(f"--store {self._path}: {error}; {_MEND}") from error

    def write(self, rows: Sequence[Row]) -> None:
        """See `ports.Store`."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for kind in forms.KINDS:
                kept = [(ident, body) for each, ident, body in rows if each == kind and body is not None]
                gone = [(ident,) for each, ident, body in rows if each == kind and body is None]
                self._db.executemany(f"INSERT OR REPLACE INTO {kind} VALUES (?, ?)", kept)  # noqa: S608 - as above
                self._db.executemany(f"DELETE FROM {kind} WHERE id = ?", gone)  # noqa: S608 - kind is one of our tables
            self._db.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            self._undo()
            raise BusError(f"{self._path}: {error}") from error

    def probe(self) -> None:
        """See `ports.Store`."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("INSERT INTO probe VALUES (zeroblob(?))", (PROBE_BYTES,))
            self._db.execute("DELETE FROM probe")
            self._db.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            self._undo()
            raise BusError(f"{self._path}: {error}") from error

    def close(self) -> None:
        """See `ports.Store`."""
        self._db.close()

    def _undo(self) -> None:
        """Leave the transaction, unless SQLite has left it already."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
