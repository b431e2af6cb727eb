"""``foa key``: what a user types to make keys and name them, and what a mistake says."""

import json
from pathlib import Path

import pytest

from foa.adapters.keys import trustfile
from tests.cli.programs import foa

pytestmark = pytest.mark.slow


def test_from_a_new_key_to_a_trust_file(tmp_path: Path) -> None:
    made = foa("key", "new", "a.key", cwd=tmp_path)
    assert (made.returncode, made.stderr) == (0, "")
    key = made.stdout.strip()
    assert len(key) == 43
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600
    shown = json.loads(foa("key", "show", "a.key", "--json", cwd=tmp_path).stdout)
    assert (shown["key"], shown["name"]) == (key, None)
    words = ("key", "trust", "a.key", "--name", "sales", "--as", "agent:acme/sales/*", "--as", "submitter")
    named = foa(*words, "--until", "2050-01-01", cwd=tmp_path)
    assert named.stdout.strip() == "trust.toml: sales may speak as agent:acme/sales/*, submitter"
    shown = json.loads(foa("key", "show", "a.key", "--json", cwd=tmp_path).stdout)
    assert (shown["name"], shown["as"]) == ("sales", ["agent:acme/sales/*", "submitter"])
    (entry,) = trustfile.load(tmp_path / "trust.toml").entries
    assert entry.key == key
    assert "PRIVATE" not in made.stdout + named.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("new", "there.key"), ["there.key", "never overwritten"]),
        (("show", "none.key"), ["none.key", "foa key new"]),
        (("trust", "none.key", "--name", "x", "--as", "agent"), ["none.key", "foa key new"]),
        (("trust", "A" * 43, "--name", "x", "--as", "boss"), ["'boss'", "coordinator"]),
        (("trust", "A" * 43, "--name", "x", "--as", "agent", "--until", "soon"), ["--until soon", "2027-01-01"]),
        (("trust", "A" * 43, "--name", "x/y", "--as", "agent"), ["name = 'x/y'"]),
        (("trust", "A" * 43, "--name", "x", "--as", "agent", "--voices", "two"), ["--voices two"]),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, arguments: tuple[str, ...], words: list[str]) -> None:
    (tmp_path / "there.key").write_text("")
    done = foa("key", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert [word for word in words if word not in done.stderr] == []
    assert not (tmp_path / "trust.toml").exists()


def test_help_shows_examples(tmp_path: Path) -> None:
    for command in ("new", "show", "trust"):
        assert "Examples:" in foa("key", command, "--help", cwd=tmp_path).stdout
