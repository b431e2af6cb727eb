"""What one echo task costs beside a bare round trip over the same broker in the same run.

Client (this process), broker, coordinator, index node and agent are processes of their own; journal and
snapshots are on; ``agents`` others are registered. Three loads take turns within every round: bare requests, tasks
with one repeated text, and tasks with texts never seen before (which pay an embedding).
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

from foa.bench.bare import Requester
from foa.bench.brokers import running
from foa.bench.registry import register
from foa.errors import FoaError
from foa.nodes.client import Client
from foa.nodes.federation import Federation, Member
from foa.settings import Settings

IN_FLIGHT: Final = 100
BULK: Final = 10
TEXT: Final = "Say this back to me, word for word"
KEYS: Final = (
    "task_p50_us",
    "task_p99_us",
    "tasks_per_s",
    "distinct_p50_us",
    "bare_p50_us",
    "bare_per_s",
    "ratio_p50",
    "ratio_throughput",
)

Figures = dict[str, float]
Call = Callable[[], Awaitable[None]]


class Plan(NamedTuple):
    """What to measure, and how long."""

    agents: int = 1000
    tasks: int = 300
    rounds: int = 3
    broker: str = "embedded"
    model: str = "all-MiniLM-L6-v2"


class Load(NamedTuple):
    """Latencies in microseconds, rising, and calls a second."""

    latencies: list[float]
    per_s: float

    def at(self, share: float) -> float:
        """Return the latency below which `share` of the calls stayed."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * share))]


async def load(call: Call, calls: int, in_flight: int) -> Load:
    """Make `calls` calls with at most `in_flight` at a time."""
    latencies: list[float] = []
    left = iter(range(calls))

    async def worker() -> None:
        for _ in left:
            began = time.perf_counter()
            await call()
            latencies.append((time.perf_counter() - began) * 1e6)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return Load(sorted(latencies), calls / (time.perf_counter() - began))


async def measure(plan: Plan, say: Callable[[str], None]) -> Figures:
    """Start everything, measure, end everything; FoaError if the federation does not come up."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="foa-bench-")))
        port = await stack.enter_async_context(running(plan.broker, folder))
        settings = {"broker.url": f"mqtt://127.0.0.1:{port}", "index.model": plan.model, "log.level": "warning"}
        federation = await stack.enter_async_context(Federation(_environment(settings, folder), folder, say))
        say(f"starting a coordinator, an index node and an echo agent over {plan.broker}")
        await federation.start(_members())
        bare = await _responder(stack, port)
        client = await stack.enter_async_context(Client(Settings.from_mapping(settings, "bench")))
        await register(client, plan.agents, port, say)
        return _figures([await _round(plan, client, bare, number, say) for number in range(plan.rounds)])


def _environment(settings: Mapping[str, str], folder: Path) -> dict[str, str]:
    ours = {f"FOA_{key.replace('.', '_').upper()}": value for key, value in settings.items()}
    return {**os.environ, **ours, "FOA_NODE_STATE_DIR": str(folder / "state")}


def _members() -> list[Member]:
    echo = Path(__file__).parents[2] / "agents" / "echo"
    return [
        Member("coordinator-1", ("node", "coordinator", "--name", "coordinator-1")),
        Member("index-1", ("node", "index", "--name", "index-1")),
        Member("echo", ("agent", "run", str(echo))),
    ]


async def _responder(stack: AsyncExitStack, port: int) -> Requester:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "foa.bench.bare", str(port), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    stack.callback(process.kill)
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.readline(), 10.0)
    requester = Requester(port)
    await requester.bus.open(5.0)
    stack.push_async_callback(requester.bus.close)
    return requester


async def _round(plan: Plan, client: Client, bare: Requester, number: int, say: Callable[[str], None]) -> Figures:
    fresh = count()

    async def repeated() -> None:
        await _task(client, TEXT)

    async def distinct() -> None:
        await _task(client, f"Say back to me that order {number}-{next(fresh)}-{os.getpid()} has arrived")

    await load(repeated, 20, 1)
    await load(bare.call, 200, 1)
    bare_one = await load(bare.call, plan.tasks * 3, 1)
    task_one = await load(repeated, plan.tasks, 1)
    distinct_one = await load(distinct, max(10, plan.tasks // 3), 1)
    bare_many = await load(bare.call, plan.tasks * BULK * 4, IN_FLIGHT)
    task_many = await load(repeated, plan.tasks * BULK, IN_FLIGHT)
    say(
        f"round {number + 1}: task {task_one.at(0.5):.0f} us, bare {bare_one.at(0.5):.0f} us; "
        f"{task_many.per_s:.0f} tasks/s, {bare_many.per_s:.0f} bare/s"
    )
    return {
        "task_p50_us": task_one.at(0.5),
        "task_p99_us": task_one.at(0.99),
        "tasks_per_s": task_many.per_s,
        "distinct_p50_us": distinct_one.at(0.5),
        "bare_p50_us": bare_one.at(0.5),
        "bare_per_s": bare_many.per_s,
        "ratio_p50": task_one.at(0.5) / bare_one.at(0.5),
        "ratio_throughput": task_many.per_s / bare_many.per_s,
    }


async def _task(client: Client, text: str) -> None:
    outcome = await client.submit(text, skills=("echo",)).result()
    if outcome.checked().output != text:
        raise FoaError(f"echo answered {outcome.output!r} to {text!r}")


def _figures(rounds: list[Figures]) -> Figures:
    """Return the median of every key over the rounds."""
    return {key: round(statistics.median(one[key] for one in rounds), 4) for key in KEYS}


def table(figures: Mapping[str, Any]) -> str:
    """Return the figures for people."""
    return "\n".join(f"{key:>18}  {value:>12,.2f}" for key, value in figures.items())
