"""A task as watchers see it move: pure, fed with the snapshot, the notes and the result; drawn by `tree` and `lines`.

A watcher who joins late starts from the retained `State`; notes are lossy, so whatever the next snapshot or
the result says replaces what was gathered from them. Any order of what is fed gives a picture, never an error.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from foa.cli.watching.planned import Open, Row, edit_of, is_planning, round_of, voices
from foa.wire.deliberation import Deliberation, Edit
from foa.wire.messages import Events, Required, Result, State
from foa.wire.records import Note, Part, Plan, Status, Work

MAX_ROWS: Final = 1024
MAX_DELIBERATIONS: Final = 64
MAX_EDITS: Final = 256
MAX_SEATS: Final = 64
MAX_PROPOSALS: Final = 64
MAX_PARTIAL: Final = 400
"""Characters of a streamed answer that are kept: its end is what is shown."""
_OVER: Final = frozenset({"done", "failed", "cancelled"})
_UNDONE: Final = frozenset({"refuted", "withdrawn"})
_SEAT: Final = {
    "awarded": "awarded",
    "started": "running",
    "progress": "running",
    "partial": "running",
    "round": "running",
    "done": "done",
    "failed": "failed",
    "declined": "declined",
    "silent": "lost",
}

K = TypeVar("K")
T = TypeVar("T")


class Picture:
    """What is known of one task. ``ms`` is the time since its acceptance when it was last heard of.

    ``proposals`` are what planners handed in, in words, by (subtask planned, planner), until a deliberation says more.
    ``questions`` are what people are asked, by subtask ("": the task), oldest first. ``parents`` says of which subtask
    each came, and ``before`` holds the texts of subtasks that stand in the plan no more.
    """

    def __init__(self, task: str, text: str = "") -> None:
        """Start with nothing but the name."""
        self.task = task
        self.text = text
        self.owner = ""
        self.plan = Plan(())
        self.rows: dict[str, Row] = {}
        self.proposals: dict[tuple[str, str], str] = {}
        self.deliberations: list[Deliberation] = []
        self.edits: list[Edit] = []
        self.questions: dict[str, Open] = {}
        self.parents: dict[str, str] = {}
        self.before: dict[str, str] = {}
        self.status: Status | None = None
        self.reason = ""
        self.spent = 0.0
        self.ms = 0

    @property
    def phase(self) -> str:
        """One word for the whole task."""
        if self.status is None and self.questions:
            return "input required"
        return self.status or ("running" if self.owner or self.rows else "submitted")

    def apply_state(self, state: State) -> None:
        """Take the retained snapshot."""
        self.text = state.task.text
        self.owner = state.epoch.node
        self.spent = state.spent
        self.ms = max(self.ms, state.ms)
        self._planned(state.plan, state.deliberations, state.edits)
        for work in state.work:
            self._work(work)

    def apply_events(self, events: Events) -> None:
        """Take what happened since the last time."""
        self._planned(events.plan, events.deliberations, events.edits)
        for work in events.work:
            self._work(work)
        for note in events.notes:
            self._note(note)

    def apply_required(self, asked: Required) -> None:
        """Take a question to the submitter, which says more than the note of it: all of its words, and its options."""
        if self.status is None:
            self._ask(asked.subtask, asked.question, asked.agent, asked.options)

    def apply_result(self, result: Result) -> None:
        """Take the end: its parts say what really was."""
        self.status, self.reason = result.status, result.reason
        self.spent, self.ms = result.cost, result.ms
        self.questions = {}
        self.text = self.text or result.text
        self._planned(result.plan, result.deliberations, result.edits)
        for part in result.parts:
            self._part(part)
        for row in self.rows.values():
            if row.phase not in _OVER and result.status != "done":
                row.phase = "cancelled"

    # --- the plan -----------------------------------------------------------------------------------------

    def _planned(self, plan: Plan | None, deliberations: Sequence[Deliberation], edits: Sequence[Edit]) -> None:
        """Take how the plan came about and what it is now; of two on the same the later one stands."""
        _merge(self.deliberations, deliberations, lambda each: (each.subtask, each.at_ms), MAX_DELIBERATIONS)
        _merge(self.edits, edits, _edit_name, MAX_EDITS)
        for edit in edits:
            if edit.kind == "expand":
                fresh = (each for each in edit.added if each != edit.subtask)
                _bounded(self.parents, dict.fromkeys(fresh, edit.subtask), MAX_ROWS)
        if plan is not None:
            self._plan(plan)
        if plan is not None or deliberations:
            for (subtask, ident), (planners, proposals) in voices(self.deliberations).items():
                row = self.rows.get(ident) or self.rows.get(f"{subtask}.{ident}")
                if row is not None:
                    row.voices, row.proposals = planners, proposals

    def _plan(self, plan: Plan) -> None:
        known, self.rows, self.plan = self.rows, {}, plan
        for subtask in plan.subtasks[:MAX_ROWS]:
            row = self.rows[subtask.id] = known.get(subtask.id, Row(subtask.id))
            row.text, row.depth, row.approve = subtask.text, subtask.depth, subtask.approve
            row.strategy = subtask.strategy or row.strategy
        after: dict[str, list[str]] = {}
        for first, second in plan.edges:
            after.setdefault(second, []).append(first)
        for row in self.rows.values():
            row.after = tuple(after.get(row.id, ()))
        for ident in self.rows:
            self.before.pop(ident, None)
        gone = {row.id: row.text for row in known.values() if row.id not in self.rows and not is_planning(row.id)}
        _bounded(self.before, gone, MAX_ROWS)

    def _row(self, ident: str) -> Row:
        row = self.rows.get(ident)
        if row is None:
            row = Row(ident, text="asking planners" if is_planning(ident) else "")
            if len(self.rows) < MAX_ROWS:
                self.rows[ident] = row
        return row

    def _work(self, work: Work) -> None:
        row = self._row(work.id)
        row.phase, row.attempt, row.rung, row.approved = work.phase, work.attempt, work.rung, work.approved
        row.seats = {seat.agent: seat.phase for seat in work.seats}
        row.rounds = max([row.rounds, *(seat.rounds for seat in work.seats)])
        row.cost = sum(seat.price for seat in work.seats)
        row.said = work.reason or row.said
        if work.question and work.phase not in _OVER and self.status is None:
            self._ask(work.id, work.question, work.asker, work.options)
        else:
            self.questions.pop(work.id, None)

    def _part(self, part: Part) -> None:
        row = self._row(part.subtask)
        row.phase, row.attempt, row.rounds, row.cost = "done", part.attempt, part.rounds, part.cost
        row.seats = dict.fromkeys(part.agents, "done")
        row.strategy, row.credit, row.partial = part.strategy or row.strategy, part.credit, ""
        if not part.agreed:
            row.agreement = "no agreement"
        if row.began_ms is None or row.ended_ms is None:
            row.began_ms, row.ended_ms = 0, part.ms

    # --- questions ----------------------------------------------------------------------------------------

    def _ask(self, subtask: str, text: str, asker: str, options: tuple[str, ...] = ()) -> None:
        known = self.questions.get(subtask)
        if known is not None and known.asker == asker and known.text.startswith(text):
            text, options = known.text, options or known.options
        row = self.rows.get(subtask)
        consent = not asker and row is not None and row.approve and not row.approved
        _bounded(self.questions, {subtask: Open(subtask, text, asker, options, consent)}, MAX_ROWS)

    # --- notes --------------------------------------------------------------------------------------------

    def _note(self, note: Note) -> None:
        self.ms, self.spent = max(self.ms, note.at_ms), note.cost
        match note.kind:
            case "accepted" | "taken-over":
                self.owner = note.text
            case "proposal":
                _bounded(self.proposals, {(note.subtask, note.agent): note.text}, MAX_PROPOSALS)
            case "edited":
                self._edited(note)
            case "input-required":
                if self.status is None:
                    self._ask(note.subtask, note.text, note.agent)
            case "answered" | "approved" | "rejected":
                self.questions.pop(note.subtask, None)
                if note.kind == "approved" and note.subtask in self.rows:
                    self.rows[note.subtask].approved = True
            case kind if kind in _UNDONE and note.subtask in self.rows:
                row = self.rows[note.subtask]
                row.phase, row.seats, row.partial, row.ended_ms = "waiting", {}, "", None
                row.said = f"{note.kind}: {note.text}" if note.text else note.kind
            case kind if kind in _SEAT and note.subtask and not self._is_past(note.subtask):
                self._seat(self._row(note.subtask), note, _SEAT[kind])

    def _edited(self, note: Note) -> None:
        """Take an edit from its note; the edit itself, which says more, takes its place whenever it comes."""
        edit = edit_of(note)
        if edit is not None and not any(
            (each.kind, each.subtask, each.at_ms) == (edit.kind, edit.subtask, edit.at_ms) for each in self.edits
        ):
            _merge(self.edits, (edit,), _edit_name, MAX_EDITS)

    def _is_past(self, ident: str) -> bool:
        """Tell whether a late note is of what stands in the plan no more: of its planning, or of what was replaced."""
        return ident not in self.rows and (ident in self.before or (is_planning(ident) and bool(self.plan.subtasks)))

    def _seat(self, row: Row, note: Note, word: str) -> None:
        if note.kind == "awarded" and row.seats.get(note.agent) != "awarded":
            self._awarded(row, note)
        _bounded(row.seats, {note.agent: word}, MAX_SEATS)
        if note.kind == "round":
            row.rounds, row.agreement = max(row.rounds, round_of(note.text)), note.text.partition(":")[2].strip()
        elif note.kind == "partial":
            row.partial = (row.partial + note.text)[-MAX_PARTIAL:]
        else:
            row.said = note.text or row.said
        words = set(row.seats.values())
        if words & {"awarded", "running"}:
            row.phase, row.ended_ms = "running", None
        elif "done" in words:
            row.phase, row.ended_ms, row.said, row.partial = "done", note.at_ms, "", ""
        else:
            row.phase = "waiting"

    @staticmethod
    def _awarded(row: Row, note: Note) -> None:
        """Begin an attempt; the seats of the last one are over."""
        if not set(row.seats.values()) & {"awarded"}:
            row.attempt += 1
            row.seats, row.partial = {}, ""
        if row.began_ms is None:
            row.began_ms = note.at_ms


def _edit_name(edit: Edit) -> object:
    return edit.kind, edit.subtask, edit.at_ms


def _merge(known: list[T], fresh: Iterable[T], name: Callable[[T], object], most: int) -> None:
    """Put `fresh` among `known`, in place of what has the same name; of more than `most` the earliest go."""
    at = {name(each): number for number, each in enumerate(known)}
    for each in fresh:
        if (number := at.get(name(each))) is not None:
            known[number] = each
        else:
            at[name(each)] = len(known)
            known.append(each)
    del known[: max(0, len(known) - most)]


def _bounded(known: dict[K, T], fresh: dict[K, T], most: int) -> None:
    """Put `fresh` into `known`, which keeps at most the latest `most`."""
    known.update(fresh)
    while len(known) > most:
        del known[next(iter(known))]
