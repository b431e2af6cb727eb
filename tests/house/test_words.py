"""What no file may say: promises without a reason, the machine it was written on; and what each must say."""

import ast
import re
import sys
import tempfile
from pathlib import Path

from tests.house.tree import ROOT, SOURCE, modules, texts

_LATER = re.compile(r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK")) + r")\b(?!\([^)]+\): \S)")
_DRAWERS = {"utils", "util", "common", "helpers", "helper", "shared", "misc"}


def _machine_paths() -> set[str]:
    """Return where this checkout, its interpreter and its user live: paths that mean nothing elsewhere."""
    here = {ROOT, ROOT.parent, Path(sys.base_prefix), Path.home()}
    plain = {Path(path) for path in ("/", "/usr", "/usr/local", "/app", "/src", "/opt", tempfile.gettempdir())}
    return {f"{path}/" for path in here - plain}


def test_no_file_promises_without_a_reason() -> None:
    found = [f"{path}: {match.group()}" for path, text in texts() if (match := _LATER.search(text))]
    assert found == []


def test_no_file_names_the_machine_it_was_written_on() -> None:
    paths = _machine_paths()
    found = [f"{path} names {word}" for path, text in texts() for word in paths if word in text]
    found += [str(path) for path, text in texts() if re.search(r"(?<![\w.])/(?:home|Users)/\w", text)]
    assert found == []


def test_every_module_says_why_it_exists() -> None:
    mute = [str(module.path) for module in modules(*SOURCE) if len(ast.get_docstring(module.tree) or "") < 20]
    assert mute == []


def test_no_module_is_a_drawer() -> None:
    named = [str(module.path) for module in modules(*SOURCE, "tests") if module.path.stem in _DRAWERS]
    assert named == []


def test_every_ignored_check_says_why() -> None:
    bare = re.compile(r"#\s*noqa(?!: [A-Z]+[0-9]+(?:, ?[A-Z]+[0-9]+)* - \S)")
    found = [f"{module.path}: {match.group()}" for module in modules(*SOURCE) if (match := bare.search(module.text))]
    assert found == []
