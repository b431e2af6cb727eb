"""What happens to a task as plain lines, where no terminal can draw a tree."""

from collections.abc import Iterator

from foa.cli.output import printable
from foa.cli.watching.planned import is_planning
from foa.wire.deliberation import Deliberation, Edit
from foa.wire.messages import Events, Result
from foa.wire.records import Note, Plan

_INDENT = " " * 11


def lines(events: Events) -> Iterator[str]:
    """Yield what happened: notes, then how the plan came about, what was edited, and the new plan's subtasks."""
    for note in events.notes:
        yield line(note)
    proposed = any(note.kind == "proposal" for note in events.notes)
    for deliberation in events.deliberations:
        how, *parts = agreement(deliberation)
        for each in (how,) if proposed else (how, *parts):
            yield _INDENT + each
    told = {(note.subtask, note.text) for note in events.notes if note.kind == "edited"}
    for edit in events.edits:
        if not any(subtask == edit.subtask and text.startswith(edit.kind) for subtask, text in told):
            yield f"{edit.at_ms / 1000:7.2f} s   {change(edit)}"
    if events.plan is not None:
        yield from (_INDENT + each for each in planned(events.plan))


def line(note: Note) -> str:
    """Return one thing that happened as a line for people."""
    where = "planning" if is_planning(note.subtask) else note.subtask
    words = [f"{note.at_ms / 1000:7.2f} s ", where, note.kind, note.agent, f"({note.text})" if note.text else ""]
    return flat("  ".join(word for word in words if word))


def flat(text: str) -> str:
    """Return what a stranger wrote as one line without control characters; spaces stay as they are."""
    return printable(text.replace("\n", " ").replace("\t", " ").replace("\r", " "))


def planned(plan: Plan) -> Iterator[str]:
    """Yield a plan, a line for each subtask."""
    before: dict[str, list[str]] = {}
    for first, second in plan.edges:
        before.setdefault(second, []).append(first)
    for subtask in plan.subtasks:
        after = f"  [after {', '.join(before[subtask.id])}]" if subtask.id in before else ""
        yield flat(f"{subtask.id}: {subtask.text}{after}")


def agreement(each: Deliberation) -> Iterator[str]:
    """Yield how a plan came about: what was decided, then each planner's part."""
    proposed = sum(voice.plan is not None for voice in each.voices)
    of = f" of {each.subtask}" if each.subtask else ""
    how = "consensus" if each.agreed and proposed > 1 else f"the plan of {each.anchor or 'one planner'}"
    said = f"plan{of}: {how}, {plural(proposed, 'proposal')}, {plural(len(each.kept), 'subtask')}"
    yield flat(f"{said}, run {each.shape} (width {each.width}, depth {each.depth}, coupling {each.coupling:.2f})")
    for voice in each.voices:
        if voice.plan is None:
            part = f"refused: {voice.refused or 'no plan came'}"
        else:
            part = f"{plural(len(voice.plan.subtasks), 'subtask')}, {voice.kept} kept"
        weight = f", weight {voice.weight:g}" if voice.weight != 1.0 else ""
        anchor = ", nearest to the others" if voice.planner == each.anchor and proposed > 1 else ""
        yield flat(f"  {voice.planner}: {part}{weight}{anchor}")
    if each.dropped:
        yield f"  not kept: {len(each.dropped)}"


def change(edit: Edit) -> str:
    """Return an edit of a running plan as a line."""
    added = f"  + {', '.join(edit.added)}" if edit.added else ""
    removed = f"  - {', '.join(edit.removed)}" if edit.removed else ""
    by = f"  by {edit.agent}" if edit.agent else ""
    return flat(f"{edit.kind}  {edit.subtask}{f': {edit.reason}' if edit.reason else ''}{added}{removed}{by}")


def end(result: Result) -> str:
    """Return how a task ended as a line."""
    reason = f": {result.code}: {result.reason}" if result.status != "done" else ""
    return flat(f"{result.ms / 1000:7.2f} s   task {result.task} {result.status}{reason}  {result.cost:g} USD")


def plural(number: int, word: str) -> str:
    """Return a number and what it counts."""
    return f"{number} {word}" + ("" if number == 1 else "s")
