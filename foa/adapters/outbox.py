"""What a client has submitted and nobody accepted yet, in a file of its own until somebody did.

One folder for all clients of a machine, one file for each that runs, made with its first submission and gone with its
last. A lock tells the files of the living from those that a client left behind when it ended or was killed; the next
client that submits anything takes those over (`Outbox.adopted`). Of two that try at once one gets the lock. Should it
die between taking a file over and removing it, tasks are there twice: under one id, which is one task.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from foa.adapters.journal import Kept, SqliteJournal
from foa.errors import ConfigError

SUFFIX: Final = ".sqlite"


class Waiting(NamedTuple):
    """One entry of an outbox: a body under its machine's kind and id; ``held`` if the client that wrote it runs."""

    file: str
    kind: str
    id: str
    body: bytes
    age_s: float
    held: bool


class Outbox:
    """A journal that has no file before something is put into it, and none once it is empty."""

    def __init__(self, folder: Path, name: str) -> None:
        """Do nothing yet; `name` is that of the client."""
        self._folder = folder
        self._path = folder / f"{name}{SUFFIX}"
        self._lock: int | None = None
        self._journal: SqliteJournal | None = None

    def _opened(self) -> SqliteJournal:
        if self._journal is None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._lock = _locked(self._path)
            except OSError as error:
                mend = "give a folder that can be written"
                raise ConfigError(f"node.state_dir: {self._folder}: {error.strerror}; {mend}") from error
            if self._lock is None:
                raise ConfigError(f"node.name: a client of the name {self._path.stem} runs already; choose another")
            self._journal = SqliteJournal(self._path)
        return self._journal

    def put(self, kind: str, ident: str, body: bytes | None) -> None:
        """As `SqliteJournal.put`."""
        if body is not None or self._journal is not None:
            self._opened().put(kind, ident, body)

    def commit(self) -> None:
        """As `SqliteJournal.commit`."""
        if self._journal is not None:
            self._journal.commit()

    def load(self) -> Iterable[Kept]:
        """Return nothing: what earlier clients left is asked for with `adopted`."""
        return ()

    def adopted(self) -> list[Kept]:
        """Return what clients left behind that do not run any more; it is kept here from now on."""
        found: list[Kept] = []
        if self._journal is None and self._path.exists():  # an earlier life of ours
            found += self._opened().load()
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            lock = _locked(path) if path != self._path else None
            if lock is None:
                continue
            try:
                left = SqliteJournal(path)
                rows = list(left.load())
                left.close()
                for kind, ident, body, _ in rows:
                    self.put(kind, ident, body)
                self.commit()
                found += rows
                _removed(path)
            finally:
                os.close(lock)
        return found

    def close(self) -> None:
        """Commit; leave a file only if something waits in it."""
        if self._journal is None:
            return
        self._journal.commit()
        empty = not list(self._journal.load())
        self._journal.close()
        if empty:
            _removed(self._path)
        if self._lock is not None:
            os.close(self._lock)


def waiting(folder: Path) -> Iterator[Waiting]:
    """Yield all that waits in the outboxes below `folder`, those of clients that run too."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        lock = _locked(path)
        if lock is not None:
            os.close(lock)
        journal = SqliteJournal(path)
        rows = list(journal.load())
        journal.close()
        for kind, ident, body, age_s in rows:
            yield Waiting(path.stem, kind, ident, body, age_s, held=lock is None)


def dropped(folder: Path, file: str, kind: str, idents: Iterable[str]) -> bool:
    """Take entries out of the outbox `file` of a client that does not run; False if it does."""
    path = folder / f"{file}{SUFFIX}"
    lock = _locked(path)
    if lock is None:
        return False
    try:
        journal = SqliteJournal(path)
        for ident in idents:
            journal.put(kind, ident, None)
        journal.commit()
        empty = not list(journal.load())
        journal.close()
        if empty:
            _removed(path)
    finally:
        os.close(lock)
    return True


def _locked(path: Path) -> int | None:
    """Return the lock that goes with a file, until it is closed; None if a process that runs has it.

    A file of its own: closing any other descriptor of the database would let go of SQLite's locks.
    """
    lock = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _removed(path: Path) -> None:
    beside = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    for name in (path, *beside, path.with_suffix(".lock")):
        with suppress(FileNotFoundError):
            name.unlink()
