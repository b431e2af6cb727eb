"""The journal of a node: what was put is there after a restart, also around a moment in which the disk was full."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from foa.adapters.journal import SqliteJournal
from foa.errors import ConfigError, DiskError


@contextmanager
def full_disk() -> Iterator[None]:
    """No file grows while the block runs."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def kept(path: Path) -> dict[tuple[str, str], bytes]:
    journal = SqliteJournal(path)
    found = {(kind, ident): body for kind, ident, body, _ in journal.load()}
    journal.close()
    return found


@pytest.mark.parametrize("many", [False, True])
def test_what_a_full_disk_did_not_take_waits_for_it(tmp_path: Path, *, many: bool) -> None:
    path = tmp_path / "n.sqlite"
    journal = SqliteJournal(path)
    journal.put("task", "old", b"first")
    journal.commit()
    with full_disk():
        journal.put("task", "a", b"x" * 5000)
        if many:
            journal.put("task", "old", None)
        for _ in range(2):
            with pytest.raises(DiskError, match=r"^node.state_dir: .*n.sqlite"):
                journal.commit()
        journal.put("task", "a", b"newer")
    journal.put("task", "b", b"later")
    journal.commit()
    journal.close()
    rest = {} if many else {("task", "old"): b"first"}
    assert kept(path) == {("task", "a"): b"newer", ("task", "b"): b"later", **rest}


def test_a_node_that_ends_on_a_full_disk_ends_in_order(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "n.sqlite")
    with full_disk():
        journal.put("task", "a", b"x" * 5000)
        journal.close()
    assert kept(tmp_path / "n.sqlite") == {}


def test_a_full_disk_is_told_at_the_start(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "n.sqlite").close()
    with full_disk(), pytest.raises(ConfigError, match=r"^node.state_dir: .*give a folder that can be written"):
        SqliteJournal(tmp_path / "n.sqlite")
