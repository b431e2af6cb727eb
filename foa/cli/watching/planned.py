"""What a `picture` is made of: subtasks as rows, nested as they came of each other, and questions to people."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, cast, get_args

import msgspec

from foa.wire.deliberation import Deliberation, Edit, EditKind
from foa.wire.records import Note, Phase

MAX_NESTING: Final = 16
EDITS: Final = frozenset(get_args(EditKind))
DIGITS: Final = 5
"""A round's number has at most so many."""


class Row(msgspec.Struct):
    """One subtask: who has it (each with the word for where that agent is), what it says, when it began and ended.

    ``voices`` are the planners who proposed it, of so many ``proposals``; ``agreement`` is what its cluster's last
    round came to, ``partial`` the end of its answer so far, ``credit`` each member's part in what was accepted,
    ``rung`` how far its recovery went.
    """

    id: str
    text: str = ""
    after: tuple[str, ...] = ()
    phase: Phase = "waiting"
    attempt: int = 0
    seats: dict[str, str] = {}
    rounds: int = 0
    said: str = ""
    began_ms: int | None = None
    ended_ms: int | None = None
    cost: float = 0.0
    depth: int = 0
    approve: bool = False
    approved: bool = False
    strategy: str = ""
    voices: tuple[str, ...] = ()
    proposals: int = 0
    agreement: str = ""
    partial: str = ""
    credit: dict[str, float] = {}
    rung: int = 0


class Open(msgspec.Struct, frozen=True):
    """What a person is asked of a subtask ("": the task) by an agent ("": the federation).

    ``options`` are answers to choose from; with ``consent`` it is yes or no that is asked for.
    """

    subtask: str
    text: str
    asker: str = ""
    options: tuple[str, ...] = ()
    consent: bool = False


class Branch(NamedTuple):
    """A row in its place in the tree: how deep, whether it is the last of its siblings at each level.

    ``heading`` says that the row only stands for the subtasks it was expanded into.
    """

    lasts: tuple[bool, ...]
    row: Row
    heading: bool = False


def is_planning(ident: str) -> bool:
    """Tell whether an id is no subtask of the plan but the planning of one."""
    return ident.startswith("~")


def round_of(text: str) -> int:
    """Return the number of the round that a note speaks of, 0 if of none."""
    number = text.removeprefix("round ").partition(":")[0].strip()
    return int(number) if number.isascii() and number.isdecimal() and len(number) <= DIGITS else 0


def voices(deliberations: Iterable[Deliberation]) -> dict[tuple[str, str], tuple[tuple[str, ...], int]]:
    """Return the planners who proposed each subtask and of how many, by (subtask that was planned, id)."""
    return {
        (each.subtask, kept.id): (kept.planners, sum(voice.plan is not None for voice in each.voices))
        for each in deliberations
        for kept in each.kept
    }


def edit_of(note: Note) -> Edit | None:
    """Return the edit that a note tells of, as far as it does, in case the edit itself was not heard."""
    kind, _, reason = note.text.partition(":")
    if kind not in EDITS:
        return None
    return Edit(cast("EditKind", kind), note.subtask, note.at_ms, reason.strip(), agent=note.agent)


def nested(rows: Mapping[str, Row], parents: Mapping[str, str], before: Mapping[str, str]) -> list[Branch]:
    """Return the rows as a tree, in their own order: what came of a subtask stands below it.

    A subtask that its expansion replaced is a heading with its text from `before`. Every row is there exactly once,
    whatever `parents` says.
    """
    below: dict[str, dict[str, None]] = {"": {}}
    for row in rows.values():
        path = _path(row, rows, parents)
        for parent, child in zip(("", *path), path, strict=False):
            below.setdefault(parent, {})[child] = None
    found: list[Branch] = []
    _walk(found, below, rows, before)
    return found


def _path(row: Row, rows: Mapping[str, Row], parents: Mapping[str, str]) -> tuple[str, ...]:
    """Return the ids from the top of the tree down to `row`."""
    path = [row.id]
    while len(path) < MAX_NESTING:
        parent = parents.get(path[-1], "")
        here = rows.get(path[-1])
        if not parent and here is not None and here.depth:
            parent = path[-1].rpartition(".")[0]
        if not parent or parent in path:
            break
        path.append(parent)
    return tuple(reversed(path))


def _walk(
    found: list[Branch], below: Mapping[str, Mapping[str, None]], rows: Mapping[str, Row], before: Mapping[str, str]
) -> None:
    seen: set[str] = set()
    stack: list[tuple[str, tuple[bool, ...]]] = []

    def push(parent: str, lasts: tuple[bool, ...]) -> None:
        children = [each for each in below.get(parent, ()) if each not in seen]
        stack.extend((each, (*lasts, each == children[-1])) for each in reversed(children))

    push("", ())
    while stack:
        ident, lasts = stack.pop()
        if ident in seen:
            continue
        seen.add(ident)
        row = rows.get(ident)
        at = len(found)
        found.append(Branch(lasts, row or Row(ident, before.get(ident, "")), heading=row is None))
        push(ident, lasts)
        if row is None:
            found[at].row.phase = _together(rows[each].phase for each in below.get(ident, ()) if each in rows)


def _together(phases: Iterable[Phase]) -> Phase:
    """Return one phase for what a subtask was expanded into."""
    known = set(phases)
    if len(known) == 1:
        return known.pop()
    for phase in ("failed", "cancelled"):
        if phase in known:
            return phase
    return "running" if known & {"running", "done"} else "waiting"
