"""Watching a task: a live tree on a terminal, plain lines anywhere else. Both draw the same `Picture`."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from foa.cli.watching.lines import end, flat, lines
from foa.cli.watching.picture import Picture

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from foa.nodes.client import Client, Outcome, Submitted
    from foa.wire.messages import Events, Result

REFRESH_S: Final = 0.125
QUIET_S: Final = 0.25
"""All retained messages came if none did for this long."""


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
            write(flat(f"{picture.ms / 1000:7.2f} s   {row.id}  {row.phase}  {', '.join(row.seats)}").rstrip())
        for asked in picture.questions.values():
            self._write(flat(f"{picture.ms / 1000:7.2f} s   {asked.subtask}  asks  {asked.asker}  ({asked.text})"))

    def happened(self, events: "Events") -> None:
        """Print them."""
        for each in lines(events):
            self._write(each)

    def ended(self, result: "Result") -> None:
        """Print how."""
        self._write(end(result))

    def say(self, text: str) -> None:
        """Print it."""
        self._write(text)


class Quiet:
    """Nothing but what concerns the person at the terminal: questions, which others ask."""

    def __init__(self, picture: Picture, write: Callable[[str], None]) -> None:
        """`write` prints one line."""
        self.picture = picture
        self._write = write

    def happened(self, events: "Events") -> None:
        """Show nothing."""

    def ended(self, result: "Result") -> None:
        """Show nothing: the result is printed."""

    def say(self, text: str) -> None:
        """Print it."""
        self._write(text)


class Tree:
    """A tree that moves, drawn by rich."""

    def __init__(self, picture: Picture) -> None:
        """Nothing is drawn before `drawing`."""
        from rich.console import Console

        self.picture = picture
        self._loop = asyncio.get_running_loop()
        self._heard = (picture.ms, self._loop.time())
        self._console = Console(highlight=False, stderr=True)
        self._live: Live | None = None

    def happened(self, events: "Events") -> None:
        """Take the time; the next refresh shows it."""
        del events
        self._heard = (self.picture.ms, self._loop.time())

    def ended(self, result: "Result") -> None:
        """Draw the last time."""
        del result
        self._refresh()

    def say(self, text: str) -> None:
        """Print a line above the tree."""
        self._console.print(text, markup=False)

    @asynccontextmanager
    async def drawing(self) -> AsyncIterator[None]:
        """Draw a few times a second until left."""
        self._begin()
        ticking = self._loop.create_task(self._tick())
        try:
            yield
        finally:
            ticking.cancel()
            self._stop()

    @contextmanager
    def still(self) -> Iterator[None]:
        """Let the tree stand as it is while something is typed below it; it is drawn anew afterwards."""
        self._stop()
        try:
            yield
        finally:
            self._begin()

    def _begin(self) -> None:
        from rich.live import Live

        self._live = Live(console=self._console, auto_refresh=False, get_renderable=self._draw, transient=False)
        self._live.start()

    def _stop(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _refresh(self) -> None:
        if self._live is not None:
            self._live.refresh()

    async def _tick(self) -> None:
        while True:
            self._refresh()
            await asyncio.sleep(REFRESH_S)

    def _now_ms(self) -> int:
        picture = self.picture
        if picture.status is not None:
            return picture.ms
        ms, at = self._heard
        return ms + int((self._loop.time() - at) * 1000)

    def _draw(self) -> "RenderableType":
        from foa.cli.watching.tree import draw

        room = None if self.picture.status is not None else self._console.size.height
        return draw(self.picture, self._now_ms(), room)


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
    results: list[Result] = []
    for each in await client.collect([f"{base}/state/+", f"{base}/result"], QUIET_S):
        if isinstance(each.message, State):
            states.append(each.message)
        elif isinstance(each.message, Result):
            results.append(each.message)
    for state in sorted(states, key=lambda state: (state.epoch, state.seq)):
        picture.apply_state(state)
    for result in results:
        picture.apply_result(result)
    return bool(states or results)


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
