"""What is read from files and written to them, and that nothing unreadable goes to a terminal."""

import json
import os
from pathlib import Path

import pytest
import typer

from foa.cli import output
from foa.errors import ConfigError
from foa.wire.ids import Epoch
from foa.wire.messages import Result
from foa.wire.records import Given, Ref, Value


def _result(*outputs: Given, status: str = "done") -> Result:
    return Result("t", status, Epoch(1, "c"), outputs, code="x", reason="why")  # type: ignore[arg-type]


PAGE = Given("page", Value("text/html", "text/html", b"<html>"))
NOTE = Given("note", Value("text/plain", "text/plain", b"hello"))
DATA = Given("data", Value("outliers", "application/json", b'{"a": 1}'))


@pytest.mark.parametrize(
    ("name", "kind", "type_"),
    [("a.csv", "", "text/csv"), ("a.TXT", "", "text/plain"), ("a.md", "", "text/markdown"),
     ("a.json", "", "application/json"), ("a.html", "", "text/html"), ("a.png", "", "image/png"),
     ("a.xyz", ":text/csv", "text/csv"), ("a.csv", ":wines", "wines")],
)  # fmt: skip
def test_the_ending_or_the_user_tells_the_type(tmp_path: Path, name: str, kind: str, type_: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert output.read_input(f"in={tmp_path / name}{kind}")[1].type == type_


def test_a_name_of_ones_own_is_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    name, value = output.read_input(f"in={tmp_path}/a.json:outliers")
    assert (name, value.type, value.media, value.body) == ("in", "outliers", "application/json", b"{}")


def test_text_is_printed_and_what_is_not_for_terminals_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    output.outcome(_result(NOTE), None, json_wanted=False)
    assert capsys.readouterr().out == "hello\n"
    output.outcome(_result(PAGE, DATA), None, json_wanted=False)
    said = capsys.readouterr().out
    assert "<html>" not in said
    assert "6 bytes of text/html; write them to files with --out DIR" in said
    assert '"a": 1' in said


def test_control_characters_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.outcome(
        _result(Given("n", Value("text/plain", "text/plain", b"a\x1b]0;x\x07b\tc"))), None, json_wanted=False
    )
    assert capsys.readouterr().out == "a]0;xb\tc\n"


def test_everything_goes_to_files_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output.outcome(_result(PAGE, NOTE, DATA), tmp_path / "out", json_wanted=False)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["data.json", "note.txt", "page.html"]
    assert (tmp_path / "out" / "page.html").read_bytes() == b"<html>"
    assert capsys.readouterr().out.count("\n") == 3


def test_a_failure_is_exit_1_in_both_languages(capsys: pytest.CaptureFixture[str]) -> None:
    for wanted in (False, True):
        with pytest.raises(typer.Exit) as ended:
            output.outcome(_result(status="failed"), None, json_wanted=wanted)
        assert ended.value.exit_code == 1
    said = capsys.readouterr()
    assert said.err == "foa: task t failed: x: why\n"
    assert json.loads(said.out)["status"] == "failed"


def test_a_body_that_is_gone_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    output.outcome(_result(Given("big", Value("text/csv", ref=Ref("0" * 64, 7)))), None, json_wanted=False)
    assert "its 7 bytes are gone" in capsys.readouterr().err


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.html"
    output.write_atomically(path, b"one")

    def broken(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(KeyboardInterrupt):
        output.write_atomically(path, b"two")
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_mask()


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_place_that_cannot_be_written_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        output.write_atomically(tmp_path / "file" / "a", b"")


def test_a_table_of_nothing_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    output.table([], ("a",), "none here")
    output.table([{"a": "x\ny", "b": 0.5}], ("a", "b"), "")
    assert capsys.readouterr().out == "none here\na    b\nx y  0.5\n"
