"""Mistakes in a file of tables, explained: one line with the key, the value and the mend.

Takes what pydantic found (``ValidationError.errors()``) and the keys that each table knows. Only
`foa.adapters.profile` calls it.
"""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Final

Keys = Mapping[str, Sequence[str]]
Mistake = Mapping[str, Any]

_MENDS: Final = {
    "string_type": "must be text in quotes",
    "bool_type": "must be true or false, without quotes",
    "int_type": "must be a whole number, without quotes",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number, without quotes",
    "finite_number": "must be a finite number",
    "tuple_type": 'must be a list, such as ["one", "two"]',
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must be a version such as 1.0.0",
}
_LISTED: Final = frozenset({"skill", "input", "output"})
_EXAMPLES: Final = {
    "agent": 'agent = "acme/data/profiler"',
    "name": 'name = "Profiler"',
    "description": 'description = "What it does, in the words of those who will ask for it"',
    "skill": '[[skill]] with id = "…" and description = "…": agents are found by their skills',
    "output": '[[output]] with name = "result" and type = "text/plain": say what it gives back',
    "run": '[run] with python = "handler.py:run", command = ["program"], http = "https://…" or openai = {…}',
    "base_url": 'base_url = "http://127.0.0.1:11434/v1"',
    "model": 'model = "…", a name that the endpoint knows',
    "prompt": 'prompt = "… {text} …", with the words of the work where {text} stands',
    "id": 'id = "find-outliers"',
    "type": 'type = "text/csv"',
}


def explain(mistakes: Sequence[Mistake], keys: Keys) -> list[str]:
    """Return a line per mistake, leaving out those that only follow from another one."""
    places = [_where(each) for each in mistakes]
    meant = {(*place[:-1], _near(place, keys)) for place, each in zip(places, mistakes, strict=True) if _unknown(each)}
    lines = []
    for place, each in zip(places, mistakes, strict=True):
        deeper = any(other[: len(place)] == place and len(other) > len(place) for other in places)
        if not (each["type"] == "missing" and place in meant) and not (each["type"] == "too_short" and deeper):
            lines.append(_line(place, each, keys))
    return lines


def _where(each: Mistake) -> tuple[str, ...]:
    return tuple(map(str, each["loc"]))


def _unknown(each: Mistake) -> bool:
    return bool(each["type"] == "extra_forbidden")


def _line(place: tuple[str, ...], each: Mistake, keys: Keys) -> str:
    kind, key = each["type"], ".".join(place)
    if _unknown(each):
        return f"{key}: is no key of a profile{_did_you_mean(place, keys)}"
    if kind == "missing":
        return f"{key}: is missing, add {_EXAMPLES.get(place[-1], place[-1] + ' = …')}"
    if kind in {"model_type", "dict_type", "tuple_type"} and place[0] in _LISTED and len(place) <= 2:  # noqa: PLR2004
        return f"{place[0]}: is written as a list of tables, [[{place[0]}]]"
    if kind in {"model_type", "dict_type"}:
        return f"{key}: is written as a table, [{key}]"
    if kind == "too_short" and place[-1] in _EXAMPLES:
        return f"{key}: is empty, add {_EXAMPLES[place[-1]]}"
    shown = f" {_shown(each['input'])}:" if isinstance(each["input"], str | int | float | tuple) else ""
    return f"{key}:{shown} {_mend(each)}" if key else _mend(each)


def _mend(each: Mistake) -> str:
    if each["type"] == "value_error":
        return str(each["ctx"]["error"])
    if each["type"] == "literal_error":
        return f"must be one of {each['ctx']['expected']}"
    message = str(each["msg"])
    return _MENDS.get(each["type"], message.removeprefix("Input ").replace("should be", "must be").lower())


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value[:60]}{"…" if len(value) > 60 else ""}"'  # noqa: PLR2004 - a line stays a line
    if isinstance(value, bool):
        return str(value).lower()
    return (f"{list(value)!r}" if isinstance(value, tuple) else str(value))[:60]


def _near(place: tuple[str, ...], keys: Keys) -> str:
    """Return the known key of the same table that an unknown one resembles, or ""."""
    return next(iter(difflib.get_close_matches(place[-1], _table(place, keys), n=1, cutoff=0.6)), "")


def _did_you_mean(place: tuple[str, ...], keys: Keys) -> str:
    """Name the nearest key of the same table; failing that, the table where that key belongs."""
    if near := _near(place, keys):
        return f": did you mean {near}?"
    for name in ("resources", "policies", "run", "spec", ""):
        if place[-1] in keys[name]:
            return f": it belongs under [{name}]" if name else ": it belongs at the top of the file"
    return f"; keys here are {', '.join(_table(place, keys))}"


def _table(place: tuple[str, ...], keys: Keys) -> Sequence[str]:
    """Return the keys of the innermost table that `place` is in."""
    within = [part for part in place[:-1] if not part.isdecimal()]
    while within and ".".join(within) not in keys:
        within.pop()
    return keys[".".join(within)]
