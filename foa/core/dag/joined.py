"""Values put together: later JSON objects over earlier ones, values of one type as one. For `foa.core.dag.synthesis`.

Bodies are taken apart only as far as they are joined, so a number of forty digits leaves as it came. Nothing raises on
what a body holds: what is damaged, too deep, too large, by reference or of a kind not known here stays as it is.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from foa.wire.records import Given, Value

PROVENANCE: Final = "provenance"
"""The name and the type of the output that says which subtask and agent every part of a joined one is of."""

MAX_JOINED: Final = 1 << 20
"""Bytes of all bodies together above which they stay apart."""

MAX_ROWS: Final = 1_024
_DEEPEST: Final = 8
_HEADING: Final = 80
_TEXTS: Final = frozenset({"text/plain", "text/markdown"})
_DAMAGED: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError, ValueError)

Members = dict[str, msgspec.Raw]
Items = list[msgspec.Raw]
_Slot = tuple[str, str]


class Row(NamedTuple):
    """One contribution: ``part`` is a key of an object, the slice of a list, or the heading of a section."""

    output: str
    part: str
    subtask: str
    agent: str


def rebased(ends: Sequence[Given], inner: Sequence[Given], builds: Callable[[str, str], bool]) -> list[Given]:
    """Return `ends`, each JSON object with what the `inner` objects it builds on say that it does not.

    Both are in topological order; ``builds(end, source)`` tells whether one subtask waits for the other. Only objects
    of one name and type speak of the same; those of several ends become one, of which the later stands.
    """
    slots: dict[_Slot, list[Given]] = {}
    for given in ends:
        if _members(given.value) is not None:
            slots.setdefault((given.name, given.value.type), []).append(given)
    under: dict[_Slot, list[Given]] = {key: [] for key in slots}
    for given in inner:
        key = (given.name, given.value.type)
        if key in slots and any(builds(end.source, given.source) for end in slots[key]):
            under[key].append(given)
    rows: list[Row] = []
    result: list[Given] = []
    for given in ends:
        key = (given.name, given.value.type)
        if key not in slots or _members(given.value) is None:
            result.append(given)
        elif given is slots[key][0]:
            result += _folded([*under[key], *slots[key]], slots[key], rows)
    return _told(result, rows)


def merged(outputs: Sequence[Given], titles: Mapping[str, str]) -> list[Given]:
    """Return `outputs` with those of one type, from several subtasks, as one value in the place of the first.

    Lists are appended. Objects are united: where they differ, lists are appended, objects united in their turn, and
    anything else is kept of each subtask, under its id. Texts follow each other under headings, the subtasks' words in
    `titles` by id. If a subtask yields several of a type, those of one name belong together.
    """
    rows: list[Row] = []
    result: list[Given] = []
    for group in _grouped(outputs):
        one = _united(group, titles, rows) if len(group) > 1 else None
        result += group if one is None else [one]
    return _told(result, rows)


def _folded(versions: Sequence[Given], ends: Sequence[Given], rows: list[Row]) -> list[Given]:
    """Return the versions as one object, the later over the earlier; `ends` as they are if that cannot be."""
    if sum(len(one.value.body or b"") for one in versions) > MAX_JOINED:
        return list(ends)
    members: Members = {}
    origin: dict[str, Given] = {}
    for given in versions:
        for key, value in (_members(given.value) or {}).items():
            members[key], origin[key] = value, given
    if all(given is ends[-1] for given in origin.values()):
        return [ends[-1]]
    rows += [Row(ends[-1].name, key, given.source, given.agent) for key, given in origin.items()]
    return [_with_body(ends[-1], msgspec.json.encode(members))]


def _grouped(outputs: Iterable[Given]) -> list[list[Given]]:
    """Return the outputs in groups that may be one, by their first places."""
    kinds: dict[tuple[str, str], list[Given]] = {}
    for given in outputs:
        kinds.setdefault((given.value.type, given.value.media), []).append(given)
    placed: dict[tuple[str, ...], list[Given]] = {}
    for given in outputs:
        kind = (given.value.type, given.value.media)
        alone = len({one.source for one in kinds[kind]}) == len(kinds[kind])
        placed.setdefault(kind if alone else (*kind, given.name), []).append(given)
    return list(placed.values())


def _united(group: Sequence[Given], titles: Mapping[str, str], rows: list[Row]) -> Given | None:
    """Return the group as one value and say in `rows` what is whose; None if it cannot be one."""
    if sum(len(one.value.body or b"") for one in group) > MAX_JOINED or len({one.source for one in group}) < len(group):
        return None
    body = _one_object(group, rows) or _one_list(group, rows) or _one_text(group, titles, rows)
    return None if body is None else _with_body(group[0], body)


def _one_object(group: Sequence[Given], rows: list[Row]) -> bytes | None:
    found = [(given.source, members) for given in group if (members := _members(given.value)) is not None]
    if len(found) < len(group):
        return None
    rows += [
        Row(group[0].name, key, given.source, given.agent) for given in group for key in _members(given.value) or ()
    ]
    return msgspec.json.encode(_union(found, 0))


def _one_list(group: Sequence[Given], rows: list[Row]) -> bytes | None:
    found = [items for given in group if (items := _items(given.value)) is not None]
    if len(found) < len(group):
        return None
    at = 0
    for given, items in zip(group, found, strict=True):
        rows.append(Row(group[0].name, f"{at}:{at + len(items)}", given.source, given.agent))
        at += len(items)
    return msgspec.json.encode([item for items in found for item in items])


def _one_text(group: Sequence[Given], titles: Mapping[str, str], rows: list[Row]) -> bytes | None:
    if any(_base(given.value.media) not in _TEXTS or given.value.body is None for given in group):
        return None
    try:
        bodies = [(given.value.body or b"").decode().strip() for given in group]
    except UnicodeDecodeError:
        return None
    heads = [_heading(titles.get(given.source, ""), given.source) for given in group]
    rows += [Row(group[0].name, head, given.source, given.agent) for head, given in zip(heads, group, strict=True)]
    return "\n\n".join(f"## {head}\n\n{body}" for head, body in zip(heads, bodies, strict=True)).encode()


def _union(found: Sequence[tuple[str, Members]], depth: int) -> Members:
    """Return one object of several, each with whose it is."""
    said: dict[str, list[tuple[str, msgspec.Raw]]] = {}
    for source, members in found:
        for key, value in members.items():
            said.setdefault(key, []).append((source, value))
    return {key: _agreed(values, depth) for key, values in said.items()}


def _agreed(values: Sequence[tuple[str, msgspec.Raw]], depth: int) -> msgspec.Raw:
    """Return what all say, or all that they say."""
    if len({bytes(value) for _, value in values}) == 1:
        return values[0][1]
    inner = [(source, members) for source, value in values if (members := _object(value)) is not None]
    lists = [items for _, value in values if (items := _list(value)) is not None]
    if len(inner) == len(values) and depth < _DEEPEST:
        return msgspec.Raw(msgspec.json.encode(_union(inner, depth + 1)))
    if len(lists) == len(values):
        return msgspec.Raw(msgspec.json.encode([item for items in lists for item in items]))
    return msgspec.Raw(msgspec.json.encode(dict(values)))


def _told(outputs: list[Given], rows: Sequence[Row]) -> list[Given]:
    """Append the provenance of what was put together of several."""
    if not rows:
        return outputs
    names = frozenset(row.output for row in rows)
    last = [given for given in outputs if given.name in names][-1]
    table = [{"output": row.output, "part": row.part, "subtask": row.subtask, "agent": row.agent} for row in rows]
    value = Value(PROVENANCE, body=msgspec.json.encode(table[:MAX_ROWS]))
    return [*outputs, Given(PROVENANCE, value, source=last.source, agent=last.agent)]


def _with_body(given: Given, body: bytes) -> Given:
    return msgspec.structs.replace(given, value=Value(given.value.type, given.value.media, body))


def _members(value: Value) -> Members | None:
    """Return the members of a JSON object; None if `value` is none."""
    return _object(value.body) if value.body is not None and _is_json(value.media) else None


def _items(value: Value) -> Items | None:
    return _list(value.body) if value.body is not None and _is_json(value.media) else None


def _object(body: bytes | msgspec.Raw) -> Members | None:
    """Return what is written in `body`, its members as they are written; None if that is no JSON object."""
    try:
        bytes(body).decode()
        return msgspec.json.decode(body, type=Members)
    except _DAMAGED:
        return None


def _list(body: bytes | msgspec.Raw) -> Items | None:
    try:
        bytes(body).decode()
        return msgspec.json.decode(body, type=Items)
    except _DAMAGED:
        return None


def _is_json(media: str) -> bool:
    return _base(media) == "application/json" or _base(media).endswith("+json")


def _base(media: str) -> str:
    return media.partition(";")[0].strip().lower()


def _heading(title: str, source: str) -> str:
    """Return the first line of the subtask's words, or its id."""
    lines = title.strip().splitlines()
    return (lines[0].strip()[:_HEADING] if lines else "") or source
