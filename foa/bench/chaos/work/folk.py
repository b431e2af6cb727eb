"""The agents of a run, each a process of its own: ``foa agent run folk.py:polish --instance 2``.

They do next to nothing, for a moderate time, and say when they begin and end.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from foa.adapters.handlers import Assignment, agent
from foa.bench.chaos.work.ledger import ONCE, Writer
from foa.wire.ids import stable_hash
from foa.wire.records import Resources

SHORTEST_S: Final = 0.3
LONGEST_S: Final = 1.3
MANY: Final = Resources(concurrency=32)

_ledger: Final = Writer("agent")


def duration(key: str) -> float:
    """Return how long the work with this idempotency key takes, in seconds: always the same."""
    return SHORTEST_S + (LONGEST_S - SHORTEST_S) * (stable_hash(key) % 1000) / 1000


@asynccontextmanager
async def _noted(task: Assignment, seconds: float, sort: str = "") -> AsyncIterator[None]:
    """Note that work begins, take `seconds` with a sign of life in between, and note the end."""
    _ledger.say("begin", task.task, subtask=task.subtask, key=task.key, sort=sort)
    yield
    if seconds:
        await asyncio.sleep(seconds / 2)
        task.progress(0.5, "half way")
        await asyncio.sleep(seconds / 2)
    _ledger.say("end", task.task, subtask=task.subtask, key=task.key)


@agent("chaos/agents/echo", description="Repeats a text word for word.", skills=["echo"], resources=MANY)
async def echo(text: str, task: Assignment) -> str:
    """Give the text back."""
    async with _noted(task, 0.0):
        return text


@agent("chaos/agents/measure", description="Measures a note: counts its words.", skills=["measure"], resources=MANY)
async def measure(text: str, task: Assignment) -> str:
    """Count words."""
    async with _noted(task, duration(task.key)):
        return f"{len(text.split())} words"


@agent("chaos/agents/polish", description="Polishes the wording of a draft.", skills=["polish"], resources=MANY)
async def polish(text: str, task: Assignment) -> str:
    """Make it neat."""
    async with _noted(task, duration(task.key)):
        return text.strip().capitalize()


@agent("chaos/agents/archive", description="Archives a finished report.", skills=["archive"], resources=MANY)
async def archive(text: str, task: Assignment) -> str:
    """Name where it lies."""
    async with _noted(task, duration(task.key)):
        return f"archived {hashlib.sha256(text.encode()).hexdigest()[:12]}"


@agent("chaos/agents/pay", description="Pays an invoice.", skills=["pay"], resources=MANY, effects="once")
async def pay(text: str, task: Assignment) -> str:
    """Pay; never twice."""
    async with _noted(task, duration(task.key), ONCE):
        return f"paid {text}"


@agent("chaos/agents/weigh", description="Fingerprints a large table.", skills=["weigh"], resources=MANY)
async def weigh(table: bytes, task: Assignment) -> str:
    """Return the table's digest."""
    async with _noted(task, 0.0):
        return hashlib.sha256(table).hexdigest()


@agent("chaos/agents/ponder", description="Judges a question among peers.", skills=["ponder"], resources=MANY)
async def ponder(text: str, task: Assignment) -> str:
    """Judge; members do not agree at first."""
    async with _noted(task, SHORTEST_S):
        return f"{len(text) % 2 == 0} {stable_hash(task.key) % 3}"


@ponder.revise
async def _agree(draft: str, peers: list[str]) -> str:
    return min([draft, *peers])
