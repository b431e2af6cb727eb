"""Plain functions off the loop, in daemon threads: one that never returns keeps neither the loop nor the process.

A thread cannot be interrupted. Whoever waits for it may give up (time-out, withdrawal); the thread goes on,
counted, until it ends. Executors are no use here: the interpreter joins their threads at exit.
"""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from foa.errors import AgentFailed

OVERSTAYING: Final = 8
MOST: Final = 256

T = TypeVar("T")


class Caught:
    """Holds what foreign code raised inside ``with``: the one place where that may be anything at all.

    Cancellation and KeyboardInterrupt pass; SystemExit does not, as no handler may end the agent.
    """

    error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error
        return isinstance(error, Exception | SystemExit)


class Threads:
    """A bounded number of threads for one agent: as many as it declares to bear, and a few that overstay."""

    def __init__(self, name: str, concurrency: int) -> None:
        self._name = name
        self._limit = min(concurrency, MOST) + OVERSTAYING
        self._alive = 0

    async def call(self, function: Callable[[], T]) -> T:
        """Return what `function` returns, raise what it raises; AgentFailed if too many never came back."""
        if self._alive >= self._limit:
            raise AgentFailed(f"{self._alive} earlier calls have not ended and cannot be interrupted")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()

        def work() -> None:
            result: Any = None
            with Caught() as caught:
                result = context.run(function)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._settle, future, result, caught.error)

        self._alive += 1
        threading.Thread(target=work, name=self._name, daemon=True).start()
        return await future

    def _settle(self, future: asyncio.Future[T], result: T, error: BaseException | None) -> None:
        self._alive -= 1
        if future.done():
            return
        if error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration):
            future.set_exception(RuntimeError("StopIteration was raised"))
        else:
            future.set_exception(error)
