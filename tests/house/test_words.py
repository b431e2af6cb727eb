"""What no file may say: promises without a reason, the machine it was written on; and what each must say."""

import ast
import re
import sys
import tempfile
from pathlib import Path

from tests.house.tree import ROOT, checks, none, sources, texts

_LATER = re.compile(r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK")) + r")\b(?!\([^)]+\): \S)")
_DRAWERS = {"utils", "util", "common", "helpers", "helper", "shared", "misc"}


def _machine_paths() -> set[str]:
    """Return where this checkout, its interpreter and its user live: paths that mean nothing elsewhere."""
    here = {ROOT, ROOT.parent, Path(sys.base_prefix), Path.home()}
    plain = {Path(path) for path in ("/", "/usr", "/usr/local", "/app", "/src", tempfile.gettempdir())}
    return {f"{path}/" for path in here - plain}


def test_no_file_promises_without_a_reason() -> None:
    found = [f"{path}: {match.group()}" for path, text in texts() if (match := _LATER.search(text))]
    none(found)


def test_no_file_names_the_machine_it_was_written_on() -> None:
    paths = _machine_paths()
    found = [f"{path} names {word}" for path, text in texts() for word in paths if word in text]
    found += [str(path) for path, text in texts() if re.search(r"(?<![\w.])/(?:home|Users)/\w", text)]
    none(found)


def test_every_module_says_why_it_exists() -> None:
    mute = [str(module.path) for module in sources() if len(ast.get_docstring(module.tree) or "") < 20]
    none(mute)


def test_no_module_is_a_drawer() -> None:
    named = [str(module.path) for module in [*sources(), *checks()] if module.path.stem in _DRAWERS]
    none(named)


def test_every_ignored_check_says_why() -> None:
    """Once per file and code: ``# noqa: SLF001 - one unit with its bus``."""
    unsaid = []
    for module in sources():
        found = re.findall(r"#\s*noqa(?::\s*([A-Z0-9, ]+?))?(\s+-\s+\S.*)?$", module.text, re.MULTILINE)
        said = {code for codes, reason in found if reason for code in re.split(r",\s*", codes)}
        used = {code for codes, _ in found for code in re.split(r",\s*", codes)}
        unsaid += [f"{module.path}: noqa {code}" for code in sorted(used - said)]
    none(unsaid)
