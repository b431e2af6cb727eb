"""No password is ever said: not by commands, logs, errors or JSON, and no file that holds one is open to others."""

import stat
import tomllib
from pathlib import Path

import pytest

from foa.cli.main import main
from foa.nodes.host import Place, options_of
from foa.settings import Settings
from tests.cli.programs import foa, running

SECRET = "correct-horse-battery"


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    main(arguments)
    shown = capsys.readouterr()
    return shown.out + shown.err


def test_settings_are_shown_without_the_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("foa.toml").write_text(f'[broker]\npassword = "{SECRET}"\n')
    for words in (("config", "show"), ("config", "show", "--json")):
        shown = said(capsys, *words)
        assert SECRET not in shown
        assert "(set)" in shown
    monkeypatch.setenv("FOA_BROKER_PASSWORD", SECRET)
    monkeypatch.setenv("FOA_BROKER_URL", "mqtt://127.0.0.1:1")
    monkeypatch.setenv("FOA_BROKER_CONNECT_TIMEOUT_S", "0.2")
    for words in (
        ("task", "list"),
        ("doctor", "--json"),
        ("config", "show", "--json"),
        ("broker", "--users", SECRET[:0]),
    ):
        assert SECRET not in said(capsys, *words)


def test_a_settings_file_with_a_password_that_others_may_read_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("foa.toml")
    path.write_text(f'[broker]\npassword = "{SECRET}"\n')
    path.chmod(0o644)
    assert "chmod 600 foa.toml" in said(capsys, "config", "show")
    path.chmod(0o600)
    assert "chmod" not in said(capsys, "config", "show")


def test_what_a_traceback_may_show_holds_no_password() -> None:
    settings = Settings.from_mapping({"broker": {"password": SECRET, "username": "ann"}}, "test")
    assert SECRET not in repr(settings)
    assert SECRET not in repr(options_of(settings, Place("a", "a")))


@pytest.mark.parametrize("value", [f'["{SECRET}"]', f'{{is = "{SECRET}"}}', "7", f'"{SECRET}'])
def test_a_wrong_password_setting_is_not_repeated(
    value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("foa.toml").write_text(f"[broker]\npassword = {value}\n")
    assert SECRET not in said(capsys, "config", "show")


@pytest.mark.slow
def test_nothing_a_secured_federation_says_or_logs_holds_a_password(tmp_path: Path) -> None:
    changes = {"FOA_INDEX_MODEL": "hash", "FOA_LOG_LEVEL": "debug"}
    words = ("up", "--secure", "--port", "0", "--agents", "none", "--state-dir", "state", "--coordinators", "1")
    heard: list[str] = []
    with running(*words, cwd=tmp_path, changes=changes) as program:
        line = program.until("try: foa")
        url = program.until("the broker is").split("the broker is ")[1].split(";")[0]
        given = ("--config", line.split("--config ")[1].split()[0], "--broker", url)
        for command in (
            ("task", "list"), ("doctor",), ("doctor", "--json"), ("config", "show", "--json"), ("agent", "list"),
            ("task", "submit", "nobody can", "--deadline", "1"),
        ):  # fmt: skip
            done = foa(*given, *command, cwd=tmp_path, **changes)
            heard += [done.stdout, done.stderr]
            assert "Traceback" not in done.stderr
        wrong = foa(*given, "task", "list", cwd=tmp_path, FOA_BROKER_PASSWORD="guess")
        assert wrong.returncode == 3
        heard += [wrong.stderr, *program.said]
    folder = tmp_path / "state" / "secured"
    secrets = [line.split(":", 1)[1] for line in (folder / "credentials").read_text().splitlines()]
    secrets += [tomllib.loads(path.read_text())["broker"]["password"] for path in (folder / "clients").glob("*.toml")]
    assert len(set(secrets)) >= 4
    heard += [path.read_text() for path in (tmp_path / "state" / "logs").iterdir()]
    assert [word for word in secrets for text in heard if word in text] == []
    for path in folder.rglob("*"):
        assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO), path
    hashed = (folder / "passwords").read_text()
    assert not any(word in hashed for word in secrets)
