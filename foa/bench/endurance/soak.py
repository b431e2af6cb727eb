"""Steady work for a long time: whether memory, or the number of open files, grows."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from foa.bench.endurance.load import DEADLINE_S, Steady
from foa.bench.endurance.sampling import Samples
from foa.bench.endurance.town import Defence, town

SAMPLE_S: Final = 5.0
WARM: Final = 0.5
"""The share of the time after which memory should have found its level; trends are of the rest.

Ended tasks are remembered for 300 s, and a coordinator's vectors are full after 8,192 tasks among two of them.
"""

SAY_S: Final = 60.0


async def soak(
    minutes: float, rate: float, broker: str, defence: Defence, say: Callable[[str], None]
) -> dict[str, Any]:
    """Work at `rate` tasks a second for `minutes`; return counts, latencies and the trend of every process."""
    with tempfile.TemporaryDirectory(prefix="foa-soak-") as folder:
        async with town(broker, defence, Path(folder), say) as running:
            samples, steady = Samples(), Steady(running.client, rate)
            begun = said = time.monotonic()
            while (now := time.monotonic()) - begun < minutes * 60:
                samples.take(now - begun, running.pids)
                if now - said >= SAY_S:
                    said = now
                    say(f"{(now - begun) / 60:.0f} min: {steady.counts['done']} of {steady.counts['offered']} done")
                await asyncio.sleep(SAMPLE_S)
            await steady.stop(DEADLINE_S)
            trends = samples.trends(minutes * 60 * WARM)
    counts = {name: steady.counts[name] for name in ("offered", "done", "failed", "wrong", "missed", "lost")}
    return {
        "minutes": minutes,
        "broker": broker,
        "defence": defence,
        **counts,
        "task_p50_ms": round(statistics.median(steady.latencies) * 1000, 2) if steady.latencies else None,
        "processes": {name: trend._asdict() for name, trend in sorted(trends.items())},
        "faults": steady.faults,
    }
