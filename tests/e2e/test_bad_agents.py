"""Agents that raise, hang, lie, babble, exit, decline: the task says so in a line, or another agent does the work."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import foa
from tests.e2e.town import Square, Town, folk, ledger, ledger_handler, square

RAISES = """\
async def run(text: str) -> str:
    raise ValueError("the moon is in the wrong house")
"""
HANGS = """\
import asyncio

async def run(text: str) -> str:
    await asyncio.Event().wait()
    return text
"""
LIES = """\
async def run(text: str) -> dict:
    return "forty-two"
"""
DECLINES = """\
import foa

async def run(text: str) -> str:
    raise foa.Decline("too late in the day; ask tomorrow")
"""
STEADY = """\
async def run(text: str) -> str:
    return f"steady: {text}"
"""
BABBLES = f"command = {json.dumps(['python3', '-c', 'print(chr(123) * 40)'])}"
EXITS = f"command = {json.dumps(['sh', '-c', 'echo out of paper >&2; exit 3'])}"
SLEEPS = f"command = {json.dumps(['sleep', '60'])}"

KINDS = {
    "raises": "ValueError: the moon is in the wrong house (handler.py:2)",
    "hangs": "took longer than 0.3 s",
    "sleeps": "took longer than 0.3 s",
    "lies": "lies",
    "babbles": "answered garbage",
    "exits": "exit code 3: out of paper",
    "declines": "too late in the day; ask tomorrow",
}


def people(folder: Path) -> list[Path]:
    """Write one agent of each kind, and a steady one that does what any of them is asked."""
    handlers = {"raises": RAISES, "hangs": HANGS, "lies": LIES, "declines": DECLINES}
    programs = {"babbles": BABBLES, "exits": EXITS, "sleeps": SLEEPS}
    table = ("report", "application/json")
    homes = [
        folk(
            folder,
            kind,
            text=f"Says what {kind} knows",
            skills=(kind, f"shared-{kind}"),
            timeout_s=0.3 if kind in {"hangs", "sleeps"} else 20.0,
            output=table if kind == "babbles" else ("text", "text/plain"),
            **({"handler": handlers[kind]} if kind in handlers else {"run": programs[kind]}),
        )
        for kind in KINDS
    ]
    homes.append(
        folk(folder, "steady", text="Helps out", handler=STEADY, skills=tuple(f"shared-{kind}" for kind in KINDS))
    )
    homes.append(
        folk(
            folder,
            "once",
            text="Acts once",
            effects="once",
            handler=ledger_handler(folder / "ledger", 'raise RuntimeError("after it acted")'),
        )
    )
    return homes


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Square]:
    folder = tmp_path_factory.mktemp("bad")
    # nothing is learned here: once it is, whoever failed is not asked first again (test_learning.py)
    with square(folder, *people(folder), COORDINATOR_LEASE_MS="1000", LEARNING_ON="false") as here:
        yield here
        assert not here.town.said, "a process ended"


async def ask(place: Town, kind: str, skill: str) -> foa.Outcome:
    async with place.client() as client:
        submitted = client.submit(f"Says what {kind} knows", skills=(skill,), inputs={"text": kind})
        return await submitted.result()


def test_alone_each_fails_its_task_in_a_line(running: Square) -> None:
    """All at once: who failed is asked again while nobody else is there; who lied or declined is not."""

    async def main(place: Town) -> list[foa.Outcome]:
        return await asyncio.gather(*(ask(place, kind, kind) for kind in KINDS))

    for (kind, reason), outcome in zip(KINDS.items(), running.run(main), strict=True):
        assert (outcome.status, outcome.result.code) == ("failed", "agent-failed"), kind
        assert f"test/folk/{kind}: " in outcome.reason
        assert reason in outcome.reason
        assert outcome.reason.endswith(("; nobody else is permitted and able", "(attempt 3 of 3)"))
        assert "\n" not in outcome.reason
        assert "Traceback" not in outcome.reason


@pytest.mark.parametrize("kind", KINDS)
def test_another_does_its_work(running: Square, kind: str) -> None:
    outcome = running.run(lambda place: ask(place, kind, f"shared-{kind}"))
    assert outcome.checked().output == f"steady: {kind}"
    assert [part.agents for part in outcome.result.parts] == [("test/folk/steady",)]
    asked = [decision.chosen for decision in outcome.result.decisions]
    assert asked == [(f"test/folk/{kind}",), ("test/folk/steady",)]


def test_what_happens_once_is_not_done_again(running: Square) -> None:
    outcome = running.run(lambda place: ask(place, "once", "once"))
    assert outcome.status == "failed"
    assert "test/folk/once had started and its effects happen once; give consent to repeat it" in outcome.reason
    assert len(ledger(running.town.folder / "ledger", "begin")) == 1
