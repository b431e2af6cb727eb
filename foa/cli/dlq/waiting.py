"""A submission until somebody has it: people are told what it waits for, and may leave it in the outbox."""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from foa.cli import output
from foa.errors import ConfigError

if TYPE_CHECKING:
    from foa.nodes.client import Client, Submitted

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
SHOW_S: Final = 2.0
"""A wait longer than that is explained."""


async def accepted(client: "Client", submitted: "Submitted", patience: float | None) -> None:
    """Return once a coordinator has the task.

    The broker is waited for as long as `patience` says; None: as long as it takes where a person can end it, else for
    one attempt to connect. Raises BusError without a broker, TaskError for a task that is rejected.
    """
    here = sys.stderr.isatty()
    if patience is None and not here:
        patience = client.settings.broker.connect_timeout_s
    say = output.to_stderr if here or patience is None else _unsaid
    try:
        url = client.settings.broker.url
        await _shown(client.reach(patience), f"waiting for a broker at {url}", submitted.id, say)
        await _shown(submitted.accepted(), "waiting for a coordinator to accept it", submitted.id, say)
    except asyncio.CancelledError:
        if not submitted.taken:
            kept = "is kept: 'foa task outbox --send' sends it, and so does the next submission"
            output.to_stderr(f"foa: task {submitted.id} {kept}")
        raise


def _unsaid(line: str) -> None:
    """Say nothing: nobody is there to end the wait."""
    del line


async def _shown(wait: "Awaitable[object]", what: str, task: str, say: Callable[[str], None]) -> None:
    """Wait, and say `what` is waited for if that takes long."""
    waiting = asyncio.ensure_future(wait)
    try:
        done, _ = await asyncio.wait((waiting,), timeout=SHOW_S)
        if not done:
            say(f"{what}; task {task} is kept meanwhile, Ctrl-C leaves it in the outbox")
        await waiting
    finally:
        waiting.cancel()


def seconds(text: str, option: str = "--deadline") -> float:
    """Return the seconds that ``90``, ``90s``, ``5m`` or ``1h`` are; ConfigError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?", text.strip())
    if match is None:
        raise ConfigError(f"{option} {text}: must be a number and a unit, such as 90s, 5m or 1h")
    return float(match[1]) * _UNITS[match[2] or "s"]
