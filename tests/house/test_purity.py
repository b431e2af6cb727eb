"""What imports cannot say of wire, core and settings: no hidden dice, no salted hashes, no order taken from a set."""

import ast
from collections.abc import Iterator

from tests.house.tree import Module, modules, none

PURE = {"wire", "core", "settings", "errors"}
ORDERED = (ast.For, ast.ListComp, ast.DictComp)


def _pure() -> Iterator[Module]:
    return (module for module in modules("foa") if len(module.path.parts) > 1 and module.room in PURE)


def _places(found: Iterator[tuple[Module, ast.AST]]) -> list[str]:
    return [f"{module.path}:{getattr(node, 'lineno', 0)} {ast.unparse(node)[:60]}" for module, node in found]


def _throws(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "random" and any(name.name != "Random" for name in node.names)
    if isinstance(node, ast.Attribute) and node.attr not in {"Random", "Generator"}:
        return ast.unparse(node.value) in {"random", "np.random", "numpy.random"}
    return False


def _dice() -> Iterator[tuple[Module, ast.AST]]:
    """Yield uses of the shared generator: anything of `random` or `numpy.random` but the types for annotations."""
    for module in _pure():
        for node in ast.walk(module.tree):
            if _throws(node):
                yield module, node


def test_chance_comes_in_as_an_argument() -> None:
    none(_places(_dice()), "take `rng` as an argument")


def test_hashes_are_the_same_in_every_run() -> None:
    """The built-in `hash` of text is salted per process; `foa.wire.ids.stable_hash` is not."""
    found = (
        (module, node)
        for module in _pure()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"hash", "id"}
    )
    none(_places(found))


def _is_set(node: ast.expr) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    return isinstance(node, ast.Call) and ast.unparse(node.func) in {"set", "frozenset"}


def _unordered() -> Iterator[tuple[Module, ast.AST]]:
    for module in _pure():
        for node in ast.walk(module.tree):
            if isinstance(node, ORDERED):
                iterated = [node.iter] if isinstance(node, ast.For) else [part.iter for part in node.generators]
                yield from ((module, each) for each in iterated if _is_set(each))


def test_no_order_is_taken_from_a_set() -> None:
    none(_places(_unordered()), "sort it: the same seed must give the same trace under any hash seed")
