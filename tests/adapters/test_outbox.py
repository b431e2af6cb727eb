"""What a client has submitted outlives it: kept until accepted, taken over once, gone when nothing waits."""

from pathlib import Path

import pytest

from foa.adapters.outbox import Outbox, dropped, waiting
from foa.errors import ConfigError


def kept(folder: Path, name: str, *idents: str) -> Outbox:
    """Return the outbox of a client in which `idents` wait."""
    box = Outbox(folder, name)
    for ident in idents:
        box.put("client", ident, ident.encode())
    box.commit()
    return box


def left(box: Outbox) -> list[str]:
    return [ident for _, ident, _, _ in box.adopted()]


def test_there_is_no_file_before_and_none_after(tmp_path: Path) -> None:
    box = kept(tmp_path, "a")
    assert list(tmp_path.iterdir()) == []
    box.put("client", "t1", b"x")
    box.commit()
    assert [one.id for one in waiting(tmp_path)] == ["t1"]
    box.put("client", "t1", None)
    box.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_client_left_is_taken_over_once(tmp_path: Path) -> None:
    kept(tmp_path, "gone", "t1", "t1#000000", "t2").close()
    heir, second = Outbox(tmp_path, "heir"), Outbox(tmp_path, "second")
    assert left(heir) == ["t1", "t1#000000", "t2"]
    assert left(second) == []
    assert {one.file for one in waiting(tmp_path)} == {"heir"}
    heir.close()
    assert left(second) == ["t1", "t1#000000", "t2"]
    second.close()


def test_a_client_that_runs_keeps_its_own(tmp_path: Path) -> None:
    runs = kept(tmp_path, "runs", "t1")
    assert left(Outbox(tmp_path, "other")) == []
    assert [(one.id, one.held) for one in waiting(tmp_path)] == [("t1", True)]
    assert not dropped(tmp_path, "runs", "client", ["t1"])
    runs.close()
    assert dropped(tmp_path, "runs", "client", ["t1"])
    assert list(tmp_path.iterdir()) == []


def test_a_client_of_the_same_name_finds_its_own_and_can_take_it_out(tmp_path: Path) -> None:
    kept(tmp_path, "ann", "t1").close()
    again = Outbox(tmp_path, "ann")
    assert left(again) == ["t1"]
    again.put("client", "t1", None)
    again.close()
    assert list(tmp_path.iterdir()) == []


def test_two_clients_of_one_name_do_not_share_a_file(tmp_path: Path) -> None:
    first = kept(tmp_path, "ann", "t1")
    with pytest.raises(ConfigError, match="ann runs already"):
        kept(tmp_path, "ann", "t2")
    first.close()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ConfigError, match=r"node\.state_dir"):
        kept(blocked / "outbox", "a", "t1")
