"""The agent of the bench, each a process of its own: ``foa agent run folk.py:step --instance 2``."""

import asyncio
import os
from pathlib import Path
from typing import Final

from foa.adapters.handlers import Assignment, agent
from foa.wire.records import Resources

LEDGER: Final = "TAKEOVER_LEDGER"
STEP_S: Final = 0.2
"""How long one step of a task takes."""


def note(word: str, key: str) -> None:
    """Note that work with an idempotency key begins or ends; one write, so that lines of many processes are whole."""
    with Path(os.environ[LEDGER]).open("ab", buffering=0) as ledger:
        ledger.write(f"{word} {key}\n".encode())


MANY: Final = Resources(concurrency=64)


@agent("takeover/folk/step", description="Takes one step of a walk.", skills=["step"], resources=MANY)
async def step(text: str, task: Assignment) -> str:
    """Take a step."""
    note("begin", task.key)
    await asyncio.sleep(STEP_S)
    note("end", task.key)
    return text
