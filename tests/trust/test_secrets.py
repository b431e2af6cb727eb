"""Secrets stay where they are: not in logs, not in errors, not in representations; and nothing is loaded unasked."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from foa.adapters.keys import keyfile
from foa.adapters.keys.ring import Ring
from foa.adapters.telemetry import Telemetry
from foa.errors import ConfigError
from foa.settings import Settings, entries
from tests.house.tree import ROOT
from tests.trust.holders import TOPICS

PASSWORD = "correct-horse-battery"


def _secrets(path: Path) -> list[str]:
    """Return what must never be seen of a key file, in the ways it could be written."""
    body = "".join(path.read_text().splitlines()[1:-1])
    return [part for part in (body, body[20:], PASSWORD) if part]


@pytest.mark.parametrize("as_json", [True, False])
def test_logs_show_no_secret_whatever_is_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, as_json: bool
) -> None:
    path = tmp_path / "a.key"
    keyfile.new(path)
    signer = keyfile.load(path)
    made = {"security.key": str(path), "broker.password": PASSWORD}
    settings = Settings.from_mapping(made, "the test")
    log = Telemetry("n", "debug", as_json=as_json).log
    ring = Ring(settings, TOPICS, "c1")
    thrown = ConfigError("for its traceback")
    try:
        _fail(signer, settings, thrown)
    except ConfigError as error:
        log("step_failed", "error", {"error": error, "machine": "x"})
    things: dict[str, Any] = {"signer": signer, "settings": settings, "ring": ring, "guard": ring.guard}
    log("all", "info", things)
    log("rows", "info", {"rows": list(entries(settings, {}))})
    seen = capsys.readouterr().err
    assert "step_failed" in seen
    assert signer.key in seen, "something of it was shown: the public part"
    assert [secret for secret in _secrets(path) if secret in seen] == []


def _fail(signer: keyfile.Signer, settings: Settings, error: ConfigError) -> None:
    del signer, settings
    raise error


def test_the_check_would_see_a_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keyfile.new(tmp_path / "a.key")
    Telemetry("n", as_json=True).log("leak", "info", {"body": (tmp_path / "a.key").read_text()})
    seen = json.loads(capsys.readouterr().err)["body"].replace("\n", "")
    assert any(secret in seen for secret in _secrets(tmp_path / "a.key"))


def _loaded(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize("changes", ["{}", "{'security.rate': 10}"])
def test_without_key_and_trust_file_no_cryptography_is_loaded(changes: str) -> None:
    loaded = _loaded(
        "import foa.nodes.agent, foa.nodes.coordinator\n"
        "from foa.nodes.host import ring_of\n"
        "from foa.settings import Settings\n"
        f"ring_of(Settings.from_mapping({changes}, 'x'), 'c1')"
    )
    assert not {name for name in loaded if name.startswith(("cryptography", "foa.adapters.keys.keyfile"))}


def test_without_any_setting_there_is_no_guard_at_all() -> None:
    from foa.nodes.host import ring_of

    assert ring_of(Settings(), "c1") is None
