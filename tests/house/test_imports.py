"""The floors: the contracts of pyproject.toml hold, and what a light process must not load it does not."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house.tree import ROOT

HEAVY = {"torch", "sentence_transformers", "scipy", "networkx", "sklearn", "pandas", "matplotlib"}


def _loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after `statement`."""
    code = f"import sys\n{statement}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def _exists(room: Path) -> bool:
    return (room / "__init__.py").exists() or room.with_suffix(".py").exists()


def test_the_contracts_hold() -> None:
    code = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as run; run()"
    command = [sys.executable, "-c", code, "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_layers_cover_the_house() -> None:
    """Every module of foa has its floor; only floors not yet built may be optional."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {contract["name"]: contract for contract in config["tool"]["importlinter"]["contracts"]}
    floors = contracts["The house has floors"]
    assert floors["exhaustive"] is True
    optional = [room.strip() for layer in floors["layers"] for room in layer.split("|") if "(" in room]
    built = [room for room in optional if _exists(ROOT / "foa" / room.strip("()"))]
    assert built == [], "these exist: take their parentheses away"


def test_importing_foa_is_light() -> None:
    assert _loaded_by("import foa") & (HEAVY | {"numpy", "pydantic", "mqtt5", "asyncio"}) == set()


def test_the_wire_is_light() -> None:
    assert _loaded_by("import foa.wire.codec, foa.wire.topics") & (HEAVY | {"numpy", "pydantic", "mqtt5"}) == set()


def test_an_agent_process_is_light() -> None:
    if not (ROOT / "foa" / "nodes" / "agent.py").exists():
        pytest.skip("foa.nodes.agent is not written yet")
    assert _loaded_by("import foa.nodes.agent") & HEAVY == set()
