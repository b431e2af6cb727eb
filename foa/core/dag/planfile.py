"""A plan written by hand: from the parsed TOML or JSON document to a `Plan`. Called by whoever read the file.

::

    [[subtask]]
    id = "profile"                  # needed
    text = "Profile this data"      # needed
    after = ["load"]                # the rest is optional
    skills = ["csv"]
    policies = ["eu-only"]
    produces = ["text/markdown"]
    team = 3
    weight = 2.0
    consent = true
"""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, Final, get_args, get_type_hints

import msgspec

from foa.core.dag.clauses import propose
from foa.core.dag.plan import check
from foa.errors import ConfigError
from foa.wire.records import Edge, Plan, Subtask

_KEYS: Final = (*Subtask.__struct_fields__, "after")


def read(document: Mapping[str, Any]) -> Plan:
    """Return the plan in `document`; ConfigError names the key, the value and the mend in one line."""
    _refuse_unknown(document, ("subtask",), "the plan file")
    tables = document.get("subtask", [])
    if not isinstance(tables, list) or not tables:
        raise ConfigError("subtask: the plan file has none, write at least one [[subtask]] table")
    subtasks: list[Subtask] = []
    edges: list[Edge] = []
    for number, table in enumerate(tables, 1):
        subtask, after = _subtask(table, number)
        subtasks.append(subtask)
        edges.extend((before, subtask.id) for before in after)
    return _checked(Plan(tuple(subtasks), tuple(edges), origin=("file",)))


def write(plan: Plan) -> dict[str, Any]:
    """Return the document that `read` makes this plan of; what has its default is left out."""
    before: dict[str, list[str]] = {}
    for first, second in plan.edges:
        before.setdefault(second, []).append(first)
    tables: list[dict[str, Any]] = []
    for subtask in plan.subtasks:
        table: dict[str, Any] = msgspec.to_builtins(subtask)
        tables.append(table | ({"after": sorted(before[subtask.id])} if subtask.id in before else {}))
    return {"subtask": tables}


def clauses(text: str) -> dict[str, Any]:
    """Return the plan document of the *clauses* planner for `text`: a start for planners of your own."""
    return write(propose(text))


def _subtask(table: Any, number: int) -> tuple[Subtask, list[str]]:
    where = f"subtask {number}"
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: is {table!r:.80}, write it as a table with id and text")
    if isinstance(table.get("id"), str):
        where = f"subtask {table['id']!r}"
    _refuse_unknown(table, _KEYS, where)
    for needed in ("id", "text"):
        if needed not in table:
            raise ConfigError(f'{where}: {needed} is missing, add {needed} = "..."')
    fields = {key: value for key, value in table.items() if key != "after"}
    try:
        return msgspec.convert(fields, Subtask), msgspec.convert(table.get("after", []), list[str])
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {_explained(error, table)}") from error


def _explained(error: msgspec.ValidationError, table: Mapping[str, Any]) -> str:
    """Turn msgspec's ``Expected `int`, got `str` - at `$.team` `` into key, value and mend."""
    wanted, _, path = str(error).partition(" - at `$")
    key = path.strip("`.").partition("[")[0].partition(".")[0] or "after"
    choices = [one for one in get_args(get_type_hints(Subtask).get(key)) if one]
    if wanted.startswith("Invalid enum") and choices:
        wanted = f"use one of: {', '.join(choices)}"
    return f"{key} is {table.get(key)!r:.80}, {wanted[:1].lower()}{wanted[1:]}"


def _checked(plan: Plan) -> Plan:
    known = [subtask.id for subtask in plan.subtasks]
    for before, after in plan.edges:
        if before not in known:
            raise ConfigError(f"subtask {after!r}: after names {before!r}, which is no subtask{_hint(before, known)}")
    fault = check(plan)
    if fault is not None:
        raise ConfigError(f"plan file: {fault}")
    return plan


def _refuse_unknown(table: Mapping[str, Any], known: Collection[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise ConfigError(f"{where}: unknown key {str(key)!r:.80}{_hint(str(key), known)}")


def _hint(word: str, known: Collection[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f", did you mean {close[0]!r}?" if close else f", use one of: {', '.join(list(known)[:12])}"
