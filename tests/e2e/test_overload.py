"""Hung, crashing and flapping agents beside a good one, and a submitter of far too much beside a small one."""

import asyncio
import time
from pathlib import Path
from typing import Any

import foa
from tests.e2e.town import Town, folk, run, town, until

HANGS = """\
import asyncio

async def run(text: str) -> str:
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass  # it will not be stopped either
"""
BLOCKS = """\
import time

async def run(text: str) -> str:
    time.sleep(3600)
    return text
"""
CRASHES = """\
import os

async def run(text: str) -> str:
    os._exit(9)
"""
DECLINES = """\
import foa

async def run(text: str) -> str:
    raise foa.Decline("not in the mood")
"""
GOOD = """\
import asyncio

async def run(text: str) -> str:
    await asyncio.sleep(0.05)
    return text.upper()
"""
BAD = {"hangs": HANGS, "blocks": BLOCKS, "crashes": CRASHES, "declines": DECLINES}
MANY, FEW = 300, 12
FACTOR = 30.0
"""So many times as long as alone a task of few (95 of 100) may take beside one who brings far too much: 2 to 10 times
were seen, the more the busier the machine, and 90 where both were one submitter's."""


def p95(seconds: list[float]) -> float:
    return sorted(seconds)[int(0.95 * (len(seconds) - 1))]


async def timed(client: foa.Client, submitter: str, number: int, taken: list[int] | None = None) -> float:
    """Submit a task, see that it is done, and return how long that took; say in `taken` when it is accepted."""
    began = time.monotonic()
    asked: dict[str, Any] = {"skills": ("worker",), "deadline_s": 120.0, "attempts": 8, "submitter": submitter}
    submitted = client.submit("Works for all", inputs={"text": f"{submitter} {number}"}, **asked)
    await submitted.accepted()
    if taken is not None:
        taken.append(number)
    outcome = await submitted.result()
    assert outcome.checked().output == f"{submitter} {number}".upper()
    return time.monotonic() - began


async def now_and_then(client: foa.Client) -> list[float]:
    """Submit a task every tenth of a second, whether the one before has ended or not."""

    async def later(number: int) -> float:
        await asyncio.sleep(0.1 * number)
        return await timed(client, "few", number)

    return list(await asyncio.gather(*map(later, range(FEW))))


def people(folder: Path) -> tuple[Path, list[Path]]:
    def made(name: str, handler: str) -> Path:
        timeout_s = 1.0 if name == "hangs" else 20.0
        home = folk(folder, name, text="Works for all", skills=("worker",), handler=handler, timeout_s=timeout_s)
        profile = home / "profile.toml"
        profile.write_text(profile.read_text().replace("concurrency = 8", "concurrency = 2"))
        return home

    return made("good", GOOD), [made(name, handler) for name, handler in BAD.items()]


def test_bad_agents_and_a_flood_hold_up_nobody(tmp_path: Path) -> None:
    """Every task that was accepted ends well, and the small submitter's take no more than a stated factor longer."""
    good, bad = people(tmp_path)

    async def main() -> tuple[list[float], list[float], list[float]]:
        hasty = {"COORDINATOR_LEASE_MS": "1500", "COORDINATOR_ACCEPT_MS": "600", "COORDINATOR_GRACE_MS": "200"}
        async with town(tmp_path, good, restart=True, **hasty) as place, place.client() as client:  # type: ignore[arg-type]
            alone = await now_and_then(client)
            await join(place, bad)
            taken: list[int] = []
            flood = [asyncio.ensure_future(timed(client, "many", number, taken)) for number in range(MANY)]
            await until(lambda: len(taken) == MANY)  # from here on they share the good agent's slots, and little else
            beside = await now_and_then(client)
            return alone, beside, await asyncio.gather(*flood)

    alone, beside, flood = run(main(), 170.0)
    assert len(flood) == MANY
    said = f"p95: alone {p95(alone):.3f} s, beside {p95(beside):.3f} s, of the flood {p95(flood):.3f} s"
    assert p95(beside) < FACTOR * p95(alone), said


async def join(place: Town, homes: list[Path]) -> None:
    await asyncio.gather(*(place.settle(home) for home in homes))
    await place.know({f"test/folk/{home.name}" for home in homes} - {"test/folk/crashes"})
