"""Steady honest work: tasks at a fixed rate, whatever becomes of them, each result compared with what it must be."""

import asyncio
import time
from collections import Counter
from itertools import count
from typing import Any, Final

from foa.errors import FoaError
from foa.nodes.client import Client
from foa.wire.records import Plan, Subtask

OUTSTANDING: Final = 2000
"""Tasks under way above which no further one is submitted: it counts as missed."""

STEPS: Final = 5
"""Every so many-th task has two steps."""

DEADLINE_S: Final = 60.0


class Steady:
    """Submits ``rate`` tasks a second through `client` until `stop`.

    ``counts`` are those offered, done, wrong, failed, missed and lost.
    """

    def __init__(self, client: Client, rate: float) -> None:
        """Begin at once."""
        self.counts: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.tasks: set[str] = set()
        self.faults: list[str] = []
        self._client = client
        self._rate = rate
        self._under_way: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop().create_task(self._offer())

    async def stop(self, patience_s: float) -> None:
        """Offer no more, and wait up to ``patience_s`` for what is under way; the rest counts as lost."""
        self._loop.cancel()
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=patience_s)
            self.counts["lost"] += len(late)
            for one in late:
                one.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _offer(self) -> None:
        begun = time.monotonic()
        for number in count():
            await asyncio.sleep(max(0.0, begun + number / self._rate - time.monotonic()))
            self.counts["offered"] += 1
            if len(self._under_way) >= OUTSTANDING:
                self.counts["missed"] += 1
                continue
            task = asyncio.get_running_loop().create_task(self._one(number))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _one(self, number: int) -> None:
        text = f"Say back to me that order {number} has arrived"
        steps = 1 + (number % STEPS == 0)
        self.counts["calls"] += steps
        begun = time.monotonic()
        try:
            submitted = self._client.submit(text, plan=_plan(text) if steps > 1 else None, **_DEMANDS)
            self.tasks.add(submitted.id)
            outcome = await submitted.result()
        except FoaError as error:
            self._fault("failed", str(error))
            return
        if outcome.result.status != "done":
            self._fault("failed", f"{outcome.result.code}: {outcome.result.reason}")
        elif text not in str(outcome.output):
            self._fault("wrong", f"{text!r} was answered by {str(outcome.output)[:80]!r}")
        else:
            self.counts["done"] += 1
            self.latencies.append(time.monotonic() - begun)

    def _fault(self, kind: str, detail: str) -> None:
        self.counts[kind] += 1
        if len(self.faults) < 20:  # noqa: PLR2004 - a report, no archive
            self.faults.append(f"{kind}: {detail}")


_DEMANDS: Final[dict[str, Any]] = {"skills": ("echo",), "deadline_s": DEADLINE_S, "retention_s": 30}


def _plan(text: str) -> Plan:
    steps = (Subtask("one", text, ("echo",)), Subtask("two", text, ("echo",)))
    return Plan(steps, (("one", "two"),))
