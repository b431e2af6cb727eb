"""The live tree: a `Picture` as rich draws it. What strangers wrote is shown as text, never as markup."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from foa.cli.watching.lines import agreement, change, flat, plural
from foa.cli.watching.picture import Picture
from foa.cli.watching.planned import Branch, Open, Row, nested

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

MARKS: Final = {
    "waiting": "·", "ready": "○", "running": "▶", "done": "✓", "failed": "✗", "cancelled": "-", "asked": "?",
}  # fmt: skip
COLOURS: Final = {
    "waiting": "dim", "ready": "cyan", "running": "yellow", "done": "green", "failed": "red", "cancelled": "red",
    "asked": "bold magenta",
}  # fmt: skip
EDITS: Final = 5
"""The latest edits are shown."""
PARTIALS: Final = 3
TEXT: Final = 70
ARROWS: Final = 4
"""So many of what a subtask comes after are named."""
_COLUMNS: Final = ("", "subtask", "agents", "try", "rounds", "voices", "time", "cost", "")


def draw(picture: Picture, now_ms: int, room: int | None = None) -> "RenderableType":
    """Return the picture as rich draws it, `now_ms` after the task's acceptance, in about `room` lines (None: any)."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    above = [*_head(picture, now_ms), *_proposals(picture)]
    below = [*_changes(picture), *_partials(picture), *_questions(picture)]
    table = Table(box=None, pad_edge=False, show_header=bool(picture.rows))
    for column in _COLUMNS:
        table.add_column(column, overflow="ellipsis", no_wrap=column != "agents")
    branches = nested(picture.rows, picture.parents, picture.before)
    left = None if room is None else max(3, room - len(above) - len(below) - 2)
    tall = left is None or 2 * len(branches) <= left
    kept = branches if left is None or tall else shown(branches, left, picture)
    for branch in kept:
        phase = phase_of(branch.row, picture)
        cells = _cells(branch, picture, now_ms, tall=tall)
        table.add_row(Text(MARKS.get(phase, "·"), COLOURS.get(phase, "dim")), *cells)
    if len(kept) < len(branches):
        table.add_row("", Text(_rest(branches, kept), "dim"))
    return Group(*above, table, *below)


def phase_of(row: Row, picture: Picture) -> str:
    """Return the phase of a row, "asked" where it waits for a person."""
    return "asked" if row.id in picture.questions else row.phase


def shown(branches: Sequence[Branch], room: int, picture: Picture) -> list[Branch]:
    """Return at most `room` - 1 branches in their order: first what moves or is stuck, then what comes, then the past.

    Called where there are too many for the terminal.
    """
    rank = {"asked": 0, "running": 0, "failed": 1, "ready": 2, "waiting": 3}
    order = sorted(range(len(branches)), key=lambda at: (rank.get(phase_of(branches[at].row, picture), 4), at))
    return [branches[at] for at in sorted(order[: max(1, room - 1)])]


def _rest(branches: Sequence[Branch], kept: Sequence[Branch]) -> str:
    there = {branch.row.id for branch in kept}
    counts: dict[str, int] = {}
    for branch in branches:
        if branch.row.id not in there:
            counts[branch.row.phase] = counts.get(branch.row.phase, 0) + 1
    return "… and " + ", ".join(f"{number} {phase}" for phase, number in sorted(counts.items()))


def _head(picture: Picture, now_ms: int) -> "Iterator[Text]":
    from rich.text import Text

    yield Text(flat(picture.text)[:200] or picture.task, "bold")
    style = COLOURS.get("asked" if picture.questions else picture.phase, "")
    where = f" at {picture.owner}" if picture.owner else ""
    done = sum(row.phase == "done" for row in picture.rows.values())
    share = f"  {done}/{len(picture.rows)}" if picture.plan.subtasks else ""
    ends = flat(f"{where}{share}  {now_ms / 1000:.1f} s  {picture.spent:g} USD")
    yield Text.assemble(f"{picture.task}  ", (picture.phase, style), ends)
    if picture.reason:
        yield Text(flat(picture.reason), "red")


def _proposals(picture: Picture) -> "Iterator[Text]":
    """Yield what planners said, and what came of it once that is known."""
    from rich.text import Text

    told = {each.subtask for each in picture.deliberations}
    for each in picture.deliberations[-3:]:
        for number, said in enumerate(agreement(each)):
            refused = ": refused: " in said
            yield Text(said, "cyan" if number == 0 else "red" if refused else "dim")
        for dropped in each.dropped[:2]:
            yield Text(flat(f"    {dropped.planner or 'merged'}: {dropped.what}: {dropped.reason}"), "dim")
    for (subtask, planner), said in picture.proposals.items():
        if subtask.removeprefix("~plan").removeprefix(":") not in told:
            yield Text(flat(f"  {planner}: {said}"), "cyan")


def _changes(picture: Picture) -> "Iterator[Text]":
    from rich.text import Text

    for edit in picture.edits[-EDITS:]:
        yield Text(f"↻ {edit.at_ms / 1000:.1f} s  {change(edit)}", "blue")


def _partials(picture: Picture) -> "Iterator[Text]":
    from rich.text import Text

    streaming = [row for row in picture.rows.values() if row.partial and row.phase == "running"]
    for row in streaming[-PARTIALS:]:
        last = row.partial.rstrip("\n").rpartition("\n")[2]
        yield Text.assemble((flat(f"{row.id} "), "yellow"), flat(last)[-100:], ("▌", "yellow"))


def _questions(picture: Picture) -> "Iterator[Text]":
    from rich.text import Text

    for each in picture.questions.values():
        yield Text("\n".join(question_lines(each)), COLOURS["asked"])


def question_lines(asked: Open) -> Iterator[str]:
    """Yield a question as people read it: who asks what, and what there is to choose from."""
    who = f" ({asked.asker})" if asked.asker else ""
    yield f"? {flat(asked.subtask or 'the task')}{flat(who)}: {flat(asked.text)}"
    for number, option in enumerate(asked.options, 1):
        yield f"    {number}  {flat(option)}"


def _cells(branch: Branch, picture: Picture, now_ms: int, *, tall: bool) -> "list[Text]":
    from rich.text import Text

    row = branch.row
    guide, under = guides(branch.lasts)
    label = Text.assemble((guide, "dim"), (flat(row.id), "italic" if branch.heading else ""))
    if row.after:
        more = " …" if len(row.after) > ARROWS else ""
        label.append(flat(f" ← {', '.join(row.after[:ARROWS])}{more}"), "dim")
    if row.text:
        label.append(f"\n{under}  {flat(row.text)[:TEXT]}" if tall else f"  {flat(row.text)[:24]}", "dim")
    agents = [flat(name if word in {"running", "done"} else f"{name} ({word})") for name, word in row.seats.items()]
    rounds = flat(f"{row.rounds}{f' {row.agreement}' if row.agreement else ''}") if row.rounds else ""
    cells = (
        "\n".join(agents) if tall else plural(len(agents), "agent") if len(agents) > 1 else "".join(agents),
        str(row.attempt or ""),
        rounds[:24],
        f"{len(row.voices)}/{max(row.proposals, len(row.voices))}" if row.voices else "",
        _time(row, now_ms),
        f"{row.cost:g}" if row.cost else "",
        "approval needed" if row.approve and row.id in picture.questions else flat(row.said)[:40],
    )
    return [label, *map(Text, cells)]


def guides(lasts: Sequence[bool]) -> tuple[str, str]:
    """Return what stands before a branch of the tree, and before further lines of it; the top level has no guides."""
    if not lasts[1:]:
        return "", ""
    stem = "".join("   " if last else "│  " for last in lasts[1:-1])
    return stem + ("└─ " if lasts[-1] else "├─ "), stem + ("   " if lasts[-1] else "│  ")


def _time(row: Row, now_ms: int) -> str:
    if row.began_ms is None:
        return ""
    end = row.ended_ms if row.ended_ms is not None else now_ms
    return f"{max(0, end - row.began_ms) / 1000:.1f} s"
