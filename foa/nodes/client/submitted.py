"""A task on its way, as the program that waits for it sees it: its questions, its events, its end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Self

from foa.adapters import values
from foa.core.machines.client import Abandon, Report
from foa.errors import FoaError, TaskError, task_error
from foa.wire.messages import Accepted, Events, Rejected, Required, Result

MAX_QUESTIONS: Final = 256
"""Questions nobody took yet; of more than that the later ones are not kept."""
_ANSWERED: Final = frozenset({"answered", "approved", "rejected"})


class Outcome:
    """How a task ended. ``outputs`` are Python values by name: text, JSON, or bytes."""

    def __init__(self, result: Result) -> None:
        """Wrap `result`."""
        self.result = result
        self.status = result.status
        self.reason = result.reason

    @property
    def outputs(self) -> dict[str, Any]:
        """The decoded outputs by name."""
        return {given.name: values.decode(given.value) for given in self.result.outputs}

    @property
    def output(self) -> Any:
        """The first output: most tasks have one."""
        return next(iter(self.outputs.values()), None)

    def checked(self) -> Self:
        """Return self, or raise the TaskError that fits (NoRoute, Cancelled …) if the task was not done."""
        if self.status != "done":
            raise task_error(
                self.result.code, f"task {self.result.task} {self.status}: {self.result.code}: {self.reason}"
            )
        return self


class Submitted:
    """A task on its way: await `accepted` and `result`, or iterate `events` and `questions`; none needs the others."""

    def __init__(self, ident: str, tell: Callable[[str, Any], None]) -> None:
        """Made by `Client.submit` and `Client.follow`; `tell` says something to the machine of a task."""
        loop = asyncio.get_running_loop()
        self.id = ident
        self._tell = tell
        self._accepted: asyncio.Future[Accepted] = loop.create_future()
        self._result: asyncio.Future[Result] = loop.create_future()
        self._events: asyncio.Queue[Events | None] = asyncio.Queue()
        self._questions: asyncio.Queue[Required | None] = asyncio.Queue()
        self._open: dict[str, tuple[str, str]] = {}

    @property
    def taken(self) -> bool:
        """Tell whether a coordinator has the task, or said no to it."""
        return self._accepted.done()

    async def accepted(self) -> Accepted:
        """Return once the task is kept; TaskError if it was rejected."""
        return await asyncio.shield(self._accepted)

    async def result(self) -> Outcome:
        """Return how the task ended, whatever way; TaskError only if it was rejected at the door."""
        return Outcome(await asyncio.shield(self._result))

    async def events(self) -> AsyncIterator[Events]:
        """Yield what happens until the result is there."""
        while (events := await self._events.get()) is not None:
            yield events

    async def questions(self) -> AsyncIterator[Required]:
        """Yield what a person is asked until the result is there; `Client.answer` answers.

        A question that is said again before it was answered is yielded once. It waits within the task's deadline,
        whether anybody iterates here or not: the result then tells that nobody answered.
        """
        while (question := await self._questions.get()) is not None:
            yield question

    def cancel(self, reason: str = "") -> None:
        """Ask for the end of the task; its result says what came of that."""
        self._tell(self.id, Abandon(cancel=True, reason=reason))

    def hear(self, report: Report) -> None:
        """Take what the machine reports."""
        match report.value:
            case Accepted() as accepted:
                self._settle(self._accepted, accepted)
            case Rejected() as rejected:
                self.fail(TaskError(f"task {self.id} was rejected: {rejected.code}: {rejected.reason}"))
            case Required() as asked:
                self._asked(asked)
            case Events() as events:
                for note in events.notes:
                    if note.kind in _ANSWERED:
                        self.answered(note.subtask)
                self._events.put_nowait(events)
            case Result() as result:
                self._settle(self._accepted, Accepted(result.task, result.epoch))
                self._settle(self._result, result)
                self._end()

    def answered(self, subtask: str) -> None:
        """Forget what was asked of `subtask` ("": of whichever was asked first): the same words are a new question."""
        self._open.pop(subtask or next(iter(self._open), ""), None)

    def _asked(self, asked: Required) -> None:
        said = (asked.question, asked.agent)
        if self._open.get(asked.subtask) == said or self._questions.qsize() >= MAX_QUESTIONS:
            return
        self._open[asked.subtask] = said
        self._questions.put_nowait(asked)

    def _end(self) -> None:
        self._events.put_nowait(None)
        self._questions.put_nowait(None)

    def _settle(self, future: "asyncio.Future[Any]", value: Any) -> None:
        if not future.done():
            future.set_result(value)

    def fail(self, error: FoaError) -> None:
        """Tell whoever waits that nothing will come."""
        for future in (self._accepted, self._result):
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever awaits it is told; whoever does not, need not be
        self._end()
