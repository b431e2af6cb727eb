"""Watching a task: a live tree on a terminal, plain lines anywhere else. Both draw the same `Picture`."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol

from foa.cli.watching.picture import Picture, Row, lines

if TYPE_CHECKING:
    from rich.console import RenderableType

    from foa.nodes.client import Client, Outcome, Submitted
    from foa.wire.messages import Events, Result

REFRESH_S: Final = 0.125
QUIET_S: Final = 0.25
"""All retained messages came if none did for this long."""
_MARKS: Final = {"waiting": "·", "ready": "·", "running": "▶", "done": "✓", "failed": "✗", "cancelled": "-"}
_COLOURS: Final = {"running": "yellow", "done": "green", "failed": "red", "cancelled": "red"}


class View(Protocol):
    """Where a task's movement is shown."""

    picture: Picture

    def happened(self, events: "Events") -> None:
        """Show `events`, which the picture has already."""

    def ended(self, result: "Result") -> None:
        """Show the end, which the picture has already."""

    def say(self, text: str) -> None:
        """Show a line of our own."""


class Lines:
    """Plain lines."""

    def __init__(self, picture: Picture, write: Callable[[str], None]) -> None:
        """`write` prints one line."""
        self.picture = picture
        self._write = write
        for row in picture.rows.values():
            write(f"{picture.ms / 1000:7.2f} s   {row.id}  {row.phase}  {', '.join(row.seats)}".rstrip())

    def happened(self, events: "Events") -> None:
        """Print them."""
        for each in lines(events):
            self._write(each)

    def ended(self, result: "Result") -> None:
        """Print how."""
        reason = f": {result.code}: {result.reason}" if result.status != "done" else ""
        self._write(f"{result.ms / 1000:7.2f} s   task {result.task} {result.status}{reason}  {result.cost:g} USD")

    def say(self, text: str) -> None:
        """Print it."""
        self._write(text)


class Tree:
    """A table that moves, drawn by rich."""

    def __init__(self, picture: Picture) -> None:
        """Nothing is drawn before `drawing`."""
        from rich.console import Console
        from rich.live import Live

        self.picture = picture
        self._loop = asyncio.get_running_loop()
        self._heard = (picture.ms, self._loop.time())
        self._console = Console(highlight=False, stderr=True)
        self._live = Live(console=self._console, auto_refresh=False, get_renderable=self._draw, transient=False)

    def happened(self, events: "Events") -> None:
        """Take the time; the next refresh shows it."""
        del events
        self._heard = (self.picture.ms, self._loop.time())

    def ended(self, result: "Result") -> None:
        """Draw the last time."""
        del result
        self._live.refresh()

    def say(self, text: str) -> None:
        """Print a line above the tree."""
        self._console.print(text)

    @asynccontextmanager
    async def drawing(self) -> AsyncIterator[None]:
        """Draw a few times a second until left."""
        with self._live:
            ticking = self._loop.create_task(self._tick())
            try:
                yield
            finally:
                ticking.cancel()

    async def _tick(self) -> None:
        while True:
            self._live.refresh()
            await asyncio.sleep(REFRESH_S)

    def _now_ms(self) -> int:
        picture = self.picture
        if picture.status is not None:
            return picture.ms
        ms, at = self._heard
        return ms + int((self._loop.time() - at) * 1000)

    def _draw(self) -> "RenderableType":
        return draw(self.picture, self._now_ms())


def draw(picture: Picture, now_ms: int) -> "RenderableType":
    """Return the picture as rich draws it, `now_ms` after the task's acceptance."""
    from rich.table import Table
    from rich.text import Text

    head = Text.assemble(
        (picture.text[:100] or picture.task, "bold"),
        f"\n{picture.task}  {picture.phase}",
        f" at {picture.owner}" if picture.owner else "",
        f"  {now_ms / 1000:.1f} s  {picture.spent:g} USD",
    )
    table = Table(title=head, title_justify="left", title_style="", box=None, pad_edge=False)
    for column in ("", "subtask", "agents", "try", "rounds", "time", "cost", ""):
        table.add_column(column, overflow="ellipsis", no_wrap=column not in {"agents", "subtask"})
    for row in picture.rows.values():
        style = _COLOURS.get(row.phase, "dim")
        table.add_row(Text(_MARKS.get(row.phase, "?"), style), *map(Text, _cells(row, now_ms)))
    return table


def _cells(row: Row, now_ms: int) -> tuple[str, ...]:
    agents = ", ".join(
        agent if word in {"running", "done"} else f"{agent} ({word})" for agent, word in row.seats.items()
    )
    after = f" ← {', '.join(row.after)}" if row.after else ""
    return (
        f"{row.id}{after}\n  {row.text[:70]}" if row.text else row.id,
        agents.replace(", ", "\n"),
        str(row.attempt or ""),
        str(row.rounds or ""),
        _time(row, now_ms),
        f"{row.cost:g}" if row.cost else "",
        row.said[:40],
    )


def _time(row: Row, now_ms: int) -> str:
    if row.began_ms is None:
        return ""
    end = row.ended_ms if row.ended_ms is not None else now_ms
    return f"{max(0, end - row.began_ms) / 1000:.1f} s"


@asynccontextmanager
async def viewing(picture: Picture, *, plain: bool, write: Callable[[str], None]) -> AsyncIterator[View]:
    """Show `picture`: as a tree if the terminal can, else (or if `plain`) as lines through `write`."""
    if plain or not sys.stderr.isatty():
        yield Lines(picture, write)
        return
    tree = Tree(picture)
    async with tree.drawing():
        yield tree


async def recall(client: "Client", picture: Picture) -> bool:
    """Bring `picture` up to what is retained of its task; tell whether anything is."""
    from foa.wire.ids import partition_of
    from foa.wire.messages import Result, State

    partition = partition_of(picture.task, client.topics.partitions)
    base = f"task/{partition}/{picture.task}"
    states: list[State] = []
    ended = False
    for each in await client.collect([f"{base}/state/+", f"{base}/result"], QUIET_S):
        if isinstance(each.message, State):
            states.append(each.message)
        elif isinstance(each.message, Result):
            picture.apply_result(each.message)
            ended = True
    for state in sorted(states, key=lambda state: (state.epoch, state.seq)):
        picture.apply_state(state)
    return ended or bool(states)


async def watch(
    submitted: "Submitted", view: View, noticed: "Callable[[Events, View], None] | None" = None
) -> "Outcome":
    """Show what happens until the result is there, and return it; `noticed` hears of everything once it is shown."""
    async for events in submitted.events():
        view.picture.apply_events(events)
        view.happened(events)
        if noticed is not None:
            noticed(events, view)
    outcome = await submitted.result()
    view.picture.apply_result(outcome.result)
    view.ended(outcome.result)
    return outcome
