"""How commands end: exit codes, and Ctrl-C and SIGTERM as one thing."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from foa.errors import BusError, ConfigError, FoaError

OK: Final = 0
FAILED: Final = 1
MISTAKE: Final = 2
NO_BROKER: Final = 3
NOT_FOUND: Final = 4
INTERRUPTED: Final = 130

T = TypeVar("T")


class NotFound(FoaError):
    """What was asked for by name is not there."""


def exit_code(error: FoaError) -> int:
    """Return what a command that ended with `error` exits with."""
    if isinstance(error, ConfigError):
        return MISTAKE
    if isinstance(error, BusError):
        return NO_BROKER
    return NOT_FOUND if isinstance(error, NotFound) else FAILED


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` in a loop of its own; SIGTERM ends it like Ctrl-C does: cancelled, cleaned up, KeyboardInterrupt."""
    try:
        return asyncio.run(_until_told(main))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _until_told(main: Coroutine[Any, Any, T]) -> T:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await main
