"""Asking the person at the terminal: a question below the tree, a line typed, an answer to the task's owner.

No thread waits for the keyboard: the loop does, so that Ctrl-C, the end of the task, or somebody else's answer ends
the wait at once and leaves nothing behind.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Final, NamedTuple

from foa.cli.watching import screen
from foa.cli.watching.planned import Open
from foa.cli.watching.tree import question_lines
from foa.errors import BusError, FoaError

if TYPE_CHECKING:
    from foa.cli.watching.screen import View
    from foa.nodes.client import Client, Outcome, Submitted

MAX_LINE: Final = 65_536
YES: Final = frozenset({"y", "yes", "ok", "approve", "approved"})
NO: Final = frozenset({"n", "no", "reject", "rejected"})


class Words(NamedTuple):
    """What a person typed, as it is to be said."""

    text: str
    approve: bool | None = None


def words_of(asked: Open, line: str) -> Words | None:
    """Return what `line` says to a question: an option by its number, yes or no with an optional reason, or words.

    None: it does not answer the question, ask again.
    """
    said = line.strip()
    if asked.options and said.isascii() and said.isdecimal() and 1 <= int(said[:4]) <= len(asked.options):
        said = asked.options[int(said[:4]) - 1]
    first, _, rest = said.partition(" ")
    word = first.strip(",;:.").lower()
    offered = not asked.asker and word in {option.lower() for option in asked.options}
    if asked.consent or (offered and word in YES | NO):
        if word not in YES | NO:
            return None
        return Words(rest.strip() or said, word in YES)
    return Words(said) if said else None


def hint(asked: Open) -> str:
    """Return what stands before the cursor."""
    if asked.consent:
        return "approve? y, or n and why: "
    return "number or words: " if asked.options else "your answer: "


class Keyboard:
    """Lines typed on a terminal, or coming through any other file descriptor."""

    def __init__(self, number: int) -> None:
        """Read from the descriptor `number`."""
        self._number = number
        self._rest = b""

    async def line(self) -> str | None:
        """Return the next line without its end; None at the end of all input. May be cancelled, losing nothing."""
        loop = asyncio.get_running_loop()
        while b"\n" not in self._rest and len(self._rest) < MAX_LINE:
            ready = asyncio.Event()
            loop.add_reader(self._number, ready.set)
            try:
                await ready.wait()
            finally:
                loop.remove_reader(self._number)
            if not (more := os.read(self._number, MAX_LINE)):
                line, self._rest = self._rest, b""
                return line.decode(errors="replace") if line else None
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace").rstrip("\r")


class Person:
    """Who is asked: each question once, one after another; what somebody else answers is no longer asked."""

    def __init__(self, client: "Client", view: "View", keyboard: Keyboard, write: Callable[[str], None]) -> None:
        """`write` prints without ending the line."""
        self._client, self._view, self._keyboard, self._write = client, view, keyboard, write
        self._changed = asyncio.Event()
        self._asked: set[tuple[str, str]] = set()

    def noticed(self, events: object = None, view: object = None) -> None:
        """Hear that the picture changed, in whatever way."""
        del events, view
        self._changed.set()

    async def attend(self) -> None:
        """Ask whatever there is to ask, until cancelled or nothing can be typed any more."""
        picture = self._view.picture
        while True:
            self._changed.clear()
            fresh = next((each for each in picture.questions.values() if self._name(each) not in self._asked), None)
            self._asked &= {self._name(each) for each in picture.questions.values()}
            if fresh is None:
                await self._changed.wait()
            elif not await self._ask(fresh):
                return

    @staticmethod
    def _name(asked: Open) -> tuple[str, str]:
        return asked.subtask, asked.text

    async def _ask(self, asked: Open) -> bool:
        """Ask one question; False once nothing can be typed any more."""
        self._asked.add(self._name(asked))
        with self._still():
            self._write("\n".join(question_lines(asked)) + "\n")
            while True:
                self._write(hint(asked))
                line = await self._typed(asked)
                if line is None:
                    return False
                if not self._open(asked):
                    return True
                if not line.strip():
                    self._write(f"left open; 'foa task answer {self._view.picture.task}' answers it\n")
                    return True
                if (words := words_of(asked, line)) is not None:
                    break
            await self._say(asked, words)
        return True

    def _open(self, asked: Open) -> bool:
        known = self._view.picture.questions.get(asked.subtask)
        return known is not None and self._name(known) == self._name(asked)

    async def _typed(self, asked: Open) -> str | None:
        """Return a line, or "" if the question is gone before one was typed."""
        typing = asyncio.ensure_future(self._keyboard.line())
        try:
            while self._open(asked):
                changed = asyncio.ensure_future(self._changed.wait())
                try:
                    await asyncio.wait({typing, changed}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    changed.cancel()
                self._changed.clear()
                if typing.done():
                    return typing.result()
        finally:
            typing.cancel()
        self._write("\nit is answered already\n" if self._view.picture.status is None else "\n")
        return ""

    async def _say(self, asked: Open, words: Words) -> None:
        picture = self._view.picture
        try:
            await self._client.answer(picture.task, words.text, subtask=asked.subtask, approve=words.approve)
        except BusError:
            raise
        except FoaError as error:
            self._write(f"{error}\n")
        else:
            if self._open(asked):
                del picture.questions[asked.subtask]

    def _still(self) -> AbstractContextManager[None]:
        return self._view.still() if isinstance(self._view, screen.Tree) else nullcontext()


@asynccontextmanager
async def attending(
    client: "Client", submitted: "Submitted", view: "View"
) -> AsyncIterator[Callable[[object, object], None]]:
    """Ask the person at the terminal as long as the block; yields what to call when the picture changed."""
    person = Person(client, view, Keyboard(sys.stdin.fileno()), _to_terminal)

    async def hear() -> None:
        async for asked in submitted.questions():
            view.picture.apply_required(asked)
            person.noticed()

    tasks = [asyncio.create_task(hear()), asyncio.create_task(person.attend())]
    try:
        yield person.noticed
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def watch(client: "Client", submitted: "Submitted", view: "View", *, here: bool) -> "Outcome":
    """Show what happens until the result is there, and return it; `here` is a person who answers questions."""
    if not here:
        return await screen.watch(submitted, view)
    async with attending(client, submitted, view) as noticed:
        return await screen.watch(submitted, view, noticed)


def somebody(*, plain: bool, as_json: bool = False) -> bool:
    """Tell whether a person can be asked right here: words go both ways, and nobody wants data only."""
    return not plain and not as_json and sys.stdin.isatty() and sys.stderr.isatty()


def _to_terminal(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
