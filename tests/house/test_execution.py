"""Nothing that came as bytes is ever executed: no unpickling, no evaluation, no shell, no names looked up as asked."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import Module, modules, none

UNSAFE_MODULES = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "marshal",
    "shelve",
    "joblib",
    "jsonpickle",
    "code",
    "codeop",
}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load"}
UNSAFE_FLAGS = {"shell", "allow_pickle"}

# Rooms that know names from the wire (the bus knows packets only), and their look-ups by name, each with its reason.
EXPOSED = {"wire", "nodes", "core"}
BY_NAME = {
    "foa/nodes/host.py": 2,  # three settings, named there
    "foa/core/vcv/card.py": 1,  # the fields of a record, as it declares them
    "foa/core/cluster/formation.py": 1,  # the terms of similarity, named there
}


def unsafe(module: Module) -> Iterator[str]:
    """Yield what in `module` could execute data."""
    for node in ast.walk(module.tree):
        found = ""
        if isinstance(node, ast.Import):
            found = next((each.name for each in node.names if each.name.partition(".")[0] in UNSAFE_MODULES), "")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in UNSAFE_MODULES:
            found = str(node.module)
        elif isinstance(node, ast.Call):
            found = _unsafe_call(node)
        if found:
            yield f"{module.path}:{getattr(node, 'lineno', 0)} {found}"


def _unsafe_call(node: ast.Call) -> str:
    called = ast.unparse(node.func)
    if called in UNSAFE_CALLS:
        return called
    flags = (each.arg for each in node.keywords if each.arg in UNSAFE_FLAGS and ast.unparse(each.value) != "False")
    return next((f"{called}(…, {flag}=…)" for flag in flags), "")


def named_elsewhere(module: Module) -> int:
    """Return how often `module` looks an attribute up by a name that is not written there."""
    return sum(
        isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"getattr", "setattr", "globals", "locals", "vars", "importlib.import_module"}
        and not (len(node.args) > 1 and isinstance(node.args[1], ast.Constant))
        for node in ast.walk(module.tree)
    )


def test_nothing_can_execute_data() -> None:
    none([found for module in modules("foa", "agents") for found in unsafe(module)])


def test_no_name_from_the_wire_is_looked_up() -> None:
    """Wire names resolve through closed tables; whoever adds a look-up by name says here why it is none of theirs."""
    counts = Counter({str(m.path): named_elsewhere(m) for m in modules("foa") if m.room in EXPOSED})
    none(
        [
            f"{path}: {n} look-ups by name, {BY_NAME.get(path, 0)} known"
            for path, n in counts.items()
            if n > BY_NAME.get(path, 0)
        ]
    )


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from marshal import loads",
        "import os, shelve",
        "eval(body)",
        "exec(body)",
        "__import__(name)",
        "yaml.load(body)",
        "np.load(file, allow_pickle=True)",
        "subprocess.run(body, shell=True)",
        "os.system(body)",
    ],
)
def test_the_check_finds_what_it_forbids(line: str) -> None:
    assert list(unsafe(Module(Path("x.py"), line, ast.parse(line))))


@pytest.mark.parametrize("line", ["getattr(codec, name)", "globals()[name]", "getattr(module, message.kind)()"])
def test_the_check_finds_look_ups_by_name(line: str) -> None:
    assert named_elsewhere(Module(Path("x.py"), line, ast.parse(line))) == 1


def test_the_checks_let_pass_what_is_harmless() -> None:
    text = 'import json\ngetattr(error, "reason", "")\nsubprocess.run(words, shell=False)\nyaml.safe_load(text)'
    module = Module(Path("x.py"), text, ast.parse(text))
    assert list(unsafe(module)) == []
    assert named_elsewhere(module) == 0
