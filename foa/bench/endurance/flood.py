"""A flood of hostile messages beside honest work: whether any is accepted, the work goes on, and memory stays.

Windows without and with the flood take turns, so that a noisy machine disturbs both.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from foa.bench.endurance.counters import counted
from foa.bench.endurance.load import DEADLINE_S, Steady
from foa.bench.endurance.sampling import Samples
from foa.bench.endurance.town import EVIL, Defence, Town, town
from foa.errors import FoaError

CALM_S: Final = 10.0
FLOOD_S: Final = 30.0
SAMPLE_S: Final = 1.0
REFUSED: Final = "foa_dead_letters_total:"


class Burden(NamedTuple):
    """How much: hostile messages in all and a second, honest tasks a second."""

    messages: int
    rate: float
    tasks_per_s: float
    broker: str
    defence: Defence
    seed: int = 0


class Window(NamedTuple):
    """What was done in one window of seconds: honest tasks, and how long they took."""

    hostile: bool
    seconds: float
    done: int
    latencies: tuple[float, ...]


async def flood(burden: Burden, say: Callable[[str], None]) -> dict[str, Any]:
    """Run it; FoaError if the federation does not come up."""
    with tempfile.TemporaryDirectory(prefix="foa-flood-") as folder:
        async with (
            town(burden.broker, burden.defence, Path(folder), say) as running,
            _attacker(burden, running) as attacker,
        ):
            before = await counted(running.metrics)
            samples, steady = Samples(), Steady(running.client, burden.tasks_per_s)
            await asyncio.sleep(2.0)
            windows = await _take_turns(burden, running, attacker, steady, samples, say)
            await steady.stop(DEADLINE_S)
            attacked = await attacker.end()
            seen = await counted(running.metrics) - before
            trends = samples.trends(samples_warm(windows))
    processes = {name: trend._asdict() for name, trend in trends.items()}
    return _harm(steady, seen) | _report(burden, windows, steady, attacked, processes)


async def _take_turns(
    burden: Burden, running: Town, attacker: "Attacking", steady: Steady, samples: Samples, say: Callable[[str], None]
) -> list[Window]:
    """Let calm and flood take turns until enough was sent."""
    windows: list[Window] = []
    flooded, begun = 0.0, time.monotonic()
    while flooded * burden.rate < burden.messages:
        for hostile, seconds in ((False, CALM_S), (True, min(FLOOD_S, burden.messages / burden.rate - flooded))):
            attacker.turn(on=hostile)
            before, first, since = steady.counts["done"], len(steady.latencies), time.monotonic()
            while (now := time.monotonic()) - since < seconds:
                samples.take(now - begun, running.pids)
                await asyncio.sleep(min(SAMPLE_S, seconds))
            taken = time.monotonic() - since
            flooded += taken * hostile
            windows.append(Window(hostile, taken, steady.counts["done"] - before, tuple(steady.latencies[first:])))
        attacker.turn(on=False)
        say(f"{flooded * burden.rate:,.0f} hostile messages; {steady.counts['done']} honest tasks done")
    return windows


def samples_warm(windows: list[Window]) -> float:
    """Return when trends begin: after a quarter of the time."""
    return sum(one.seconds for one in windows) / 4


def _harm(steady: Steady, seen: Counter[str]) -> dict[str, Any]:
    """Return what of the flood was taken for honest, and what was refused and why.

    Taken for honest: tasks that coordinators accepted, or handlers worked on, beyond those that were submitted; tasks
    that failed or ended with another result.
    """
    tasks = max(0, seen["foa_tasks_accepted_total"] - len(steady.tasks))
    handled = max(0, seen["foa_handler_seconds_count"] - steady.counts["calls"])
    spoilt = steady.counts["wrong"] + steady.counts["failed"] + steady.counts["lost"]
    refused = {name.partition(":")[2]: times for name, times in sorted(seen.items()) if name.startswith(REFUSED)}
    steps = sum(times for name, times in seen.items() if name.startswith("foa_step_failures_total"))
    return {
        "accepted": tasks + handled + spoilt,
        "accepted_tasks": tasks,
        "handled_again": handled,
        "spoilt": spoilt,
        "step_failures": steps,
        "refused": refused,
    }


def _report(
    burden: Burden, windows: list[Window], steady: Steady, attacked: Counter[str], trends: dict[str, Any]
) -> dict[str, Any]:
    calm, hostile = ([one for one in windows if one.hostile is which] for which in (False, True))
    calm_per_s, hostile_per_s = _per_s(calm), _per_s(hostile)
    return {
        "sent": attacked["sent"],
        "sent_per_s": round(attacked["sent"] / max(1e-9, sum(one.seconds for one in hostile)), 1),
        "raw_connections": attacked["raw"],
        "attacker": dict(sorted(attacked.items())),
        "honest": {name: steady.counts[name] for name in ("offered", "done", "failed", "wrong", "missed", "lost")},
        "honest_calm_per_s": round(calm_per_s, 2),
        "honest_flooded_per_s": round(hostile_per_s, 2),
        "throughput": round(hostile_per_s / calm_per_s, 4) if calm_per_s else 0.0,
        "calm_p50_ms": _p50(calm),
        "flooded_p50_ms": _p50(hostile),
        "processes": trends,
        "faults": steady.faults,
        "broker": burden.broker,
        "defence": burden.defence,
    }


def _per_s(windows: list[Window]) -> float:
    return sum(one.done for one in windows) / max(1e-9, sum(one.seconds for one in windows))


def _p50(windows: list[Window]) -> float | None:
    found = [each for one in windows for each in one.latencies]
    return round(statistics.median(found) * 1000, 2) if found else None


class Attacking:
    """The attacker's process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Use `_attacker`."""
        self._process = process

    def turn(self, *, on: bool) -> None:
        """Let the flood flow, or stop it."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"on\n" if on else b"off\n")

    async def end(self) -> Counter[str]:
        """End it; return what it did."""
        out, _ = await self._process.communicate(b"")
        return Counter(json.loads(out.decode().splitlines()[-1]))


@asynccontextmanager
async def _attacker(burden: Burden, running: Town) -> AsyncIterator[Attacking]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "foa.bench.endurance.attacker", str(burden.rate), str(burden.seed), EVIL,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=dict(running.outside),
    )  # fmt: skip
    assert process.stdout is not None
    try:
        if await asyncio.wait_for(process.stdout.readline(), 30.0) != b"ready\n":
            raise FoaError("the attacker did not start")
        yield Attacking(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
