"""A task as watchers see it move: pure, fed with the snapshot, the notes and the result; drawn by `screen`.

A watcher who joins late starts from the retained `State`; notes are lossy, so whatever the next snapshot or
the result says replaces what was gathered from them.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from foa.wire.messages import Events, Result, State
from foa.wire.records import Note, Phase, Plan, Status, Work

PLANNING: Final = "~plan"
MAX_ROWS: Final = 1024
_OVER: Final = frozenset({"done", "failed", "cancelled"})
_SEAT: Final = {
    "awarded": "awarded",
    "started": "running",
    "progress": "running",
    "round": "running",
    "done": "done",
    "failed": "failed",
    "declined": "declined",
    "silent": "lost",
}


class Row(msgspec.Struct):
    """One subtask: who has it (each with the word for where that agent is), what it says, when it began and ended."""

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


class Picture:
    """What is known of one task. ``ms`` is the time since its acceptance when it was last heard of."""

    def __init__(self, task: str, text: str = "") -> None:
        """Start with nothing but the name."""
        self.task = task
        self.text = text
        self.owner = ""
        self.rows: dict[str, Row] = {}
        self.status: Status | None = None
        self.reason = ""
        self.spent = 0.0
        self.ms = 0

    @property
    def phase(self) -> str:
        """One word for the whole task."""
        return self.status or ("running" if self.owner or self.rows else "submitted")

    def apply_state(self, state: State) -> None:
        """Take the retained snapshot."""
        self.text = state.task.text
        self.owner = state.epoch.node
        self.spent = state.spent
        self.ms = max(self.ms, state.ms)
        if state.plan is not None:
            self._plan(state.plan)
        for work in state.work:
            self._work(work)

    def apply_events(self, events: Events) -> None:
        """Take what happened since the last time."""
        if events.plan is not None:
            self._plan(events.plan)
        for work in events.work:
            self._work(work)
        for note in events.notes:
            self._note(note)

    def apply_result(self, result: Result) -> None:
        """Take the end: its parts say what really was."""
        self.status, self.reason = result.status, result.reason
        self.spent, self.ms = result.cost, result.ms
        if result.plan is not None:
            self._plan(result.plan)
        for part in result.parts:
            row = self._row(part.subtask)
            row.phase, row.attempt, row.rounds, row.cost = "done", part.attempt, part.rounds, part.cost
            row.seats = dict.fromkeys(part.agents, "done")
            if row.began_ms is None or row.ended_ms is None:
                row.began_ms, row.ended_ms = 0, part.ms
        for row in self.rows.values():
            if row.phase not in _OVER and result.status != "done":
                row.phase = "cancelled"

    def _row(self, ident: str) -> Row:
        row = self.rows.get(ident)
        if row is None:
            row = Row(ident, text="asking planners" if ident == PLANNING else "")
            if len(self.rows) < MAX_ROWS:
                self.rows[ident] = row
        return row

    def _plan(self, plan: Plan) -> None:
        known, self.rows = self.rows, {}
        for subtask in plan.subtasks:
            row = self.rows[subtask.id] = known.get(subtask.id, Row(subtask.id))
            row.text = subtask.text
            row.after = tuple(before for before, after in plan.edges if after == subtask.id)

    def _work(self, work: Work) -> None:
        row = self._row(work.id)
        row.phase, row.attempt = work.phase, work.attempt
        row.seats = {seat.agent: seat.phase for seat in work.seats}
        row.rounds = max([row.rounds, *(seat.rounds for seat in work.seats)])
        row.cost = sum(seat.price for seat in work.seats)
        row.said = work.reason or row.said

    def _note(self, note: Note) -> None:
        self.ms, self.spent = max(self.ms, note.at_ms), note.cost
        if note.kind in {"accepted", "taken-over"}:
            self.owner = note.text
        elif note.subtask:
            self._seat(self._row(note.subtask), note)

    def _seat(self, row: Row, note: Note) -> None:
        word = _SEAT.get(note.kind)
        if word is None:
            return
        if note.kind == "awarded" and row.seats.get(note.agent) != "awarded":
            self._awarded(row, note)
        row.seats[note.agent] = word
        if note.kind == "round":
            row.rounds = max(row.rounds, _round(note.text))
        row.said = note.text or row.said
        words = set(row.seats.values())
        if words & {"awarded", "running"}:
            row.phase, row.ended_ms = "running", None
        elif "done" in words:
            row.phase, row.ended_ms, row.said = "done", note.at_ms, ""
        else:
            row.phase = "waiting"

    @staticmethod
    def _awarded(row: Row, note: Note) -> None:
        """Begin an attempt; the seats of the last one are over."""
        if not set(row.seats.values()) & {"awarded"}:
            row.attempt += 1
            row.seats = {}
        if row.began_ms is None:
            row.began_ms = note.at_ms


def _round(text: str) -> int:
    number = text.removeprefix("round ").partition(":")[0]
    return int(number) if number.isdecimal() else 0


def line(note: Note) -> str:
    """Return one thing that happened as a line for people."""
    where = "planning" if note.subtask == PLANNING else note.subtask
    words = [f"{note.at_ms / 1000:7.2f} s ", where, note.kind, note.agent, f"({note.text})" if note.text else ""]
    return "  ".join(word for word in words if word)


def lines(events: Events) -> Iterator[str]:
    """Yield what happened as lines; a new plan is shown with its subtasks."""
    for note in events.notes:
        yield line(note)
    if events.plan is not None:
        for subtask in events.plan.subtasks:
            before = [source for source, target in events.plan.edges if target == subtask.id]
            yield f"           {subtask.id}: {subtask.text}" + (f"  [after {', '.join(before)}]" if before else "")
