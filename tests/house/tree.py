"""The project's own source as the house's tests see it: every file read and parsed once."""

import ast
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


class Module(NamedTuple):
    """One Python file: its path below the root, its text, and its tree."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    @property
    def room(self) -> str:
        """The floor a file of ``foa`` belongs to: ``wire`` for foa/wire/ids.py, ``errors`` for foa/errors.py."""
        return self.path.parts[1].removesuffix(".py")

    def functions(self) -> Iterator[FunctionNode]:
        return (node for node in ast.walk(self.tree) if isinstance(node, FunctionNode))


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Return all modules below `folders`, in order."""
    found = []
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            found.append(Module(path.relative_to(ROOT), text, ast.parse(text)))
    return tuple(found)


def sources() -> list[Module]:
    """Return what is shipped: foa and the ready agents, without the tests that stand beside those."""
    return [module for module in modules("foa", "agents") if not module.path.name.startswith(("test_", "conftest"))]


def checks() -> list[Module]:
    """Return every test module, wherever it stands."""
    shipped = set(sources())
    return [module for module in modules("foa", "agents", "tests") if module not in shipped]


def texts() -> Iterator[tuple[Path, str]]:
    """Yield every file that people read or machines run: source, docs, configuration, scripts."""
    kinds = {".py", ".md", ".toml", ".conf", ".yml", ".yaml", ".json", ".cfg", ".sh", ".txt"}
    for path in sorted(ROOT.iterdir()):
        if path.is_file() and (path.suffix in kinds or path.name == "Makefile"):
            yield path.relative_to(ROOT), path.read_text(encoding="utf-8")
    for folder in ("foa", "agents", "tests", "docs", "schemas", "broker", ".ci", "examples"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and (path.suffix in kinds or not path.suffix) and "__pycache__" not in path.parts:
                yield path.relative_to(ROOT), path.read_text(encoding="utf-8")


def none(found: Collection[object], mend: str = "") -> None:
    """Fail unless `found` is empty, and list all of it, a line each."""
    assert not found, "\n".join([f"{len(found)} found. {mend}".rstrip(), *map(str, found)])
