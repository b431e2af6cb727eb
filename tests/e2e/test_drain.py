"""``foa drain`` over real processes: tasks go on elsewhere, nothing runs twice, every kind of node ends by itself."""

import asyncio
import json
import subprocess
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from foa.cli.ending import FAILED, NOT_FOUND, OK
from tests.cli.programs import foa
from tests.e2e.test_takeover import chain, one_result, worker
from tests.e2e.town import Town, ledger, run, seen, town, until

Ended = subprocess.CompletedProcess[str]


async def command(place: Town, *words: str) -> Ended:
    """Run ``foa`` beside the federation of `place`."""
    return await asyncio.to_thread(partial(foa, *words, "--broker", place.url, cwd=place.folder))


async def drained(place: Town, name: str, member: str = "") -> dict[str, Any]:
    """Drain a node, and wait for the end of its process."""
    ended = await command(place, "drain", name, "--timeout", "20", "--json")
    assert ended.returncode == OK, ended.stderr
    await until(lambda: (member or name) not in place.alive())
    told: dict[str, Any] = json.loads(ended.stdout)
    assert (told["drained"], told["left"]) == (True, 0)
    return told


def test_a_coordinator_hands_its_tasks_over_while_they_run(tmp_path: Path) -> None:
    async def main() -> None:
        home = worker(tmp_path, "await asyncio.sleep(1.5)")
        async with town(tmp_path, home, nodes=(2, 1)) as place, place.client() as client:
            submitted = client.submit("Works in steps", plan=chain(), watch=True, inputs={"text": "a"})
            owner = (await submitted.accepted()).epoch.node
            await seen(submitted, lambda note: note.kind == "started" and note.subtask == "one")
            told = await drained(place, owner)
            assert (told["role"], told["held"] > 0) == ("coordinator", True)
            assert f"{owner} ended (exit 0)" in place.said
            outcome = await one_result(place, client, submitted)
            assert outcome.result.epoch.node != owner
            (other,) = {"coordinator-1", "coordinator-2"} - {owner}
            nodes = json.loads((await command(place, "node", "list", "--json")).stdout)
            assert {each["owner"] for each in nodes["owners"]} == {other}
            assert {each["state"] for each in nodes["nodes"] if each["node"] == owner} <= {"gone"}

    run(main())
    begun = Counter(key for _, key, _ in ledger(tmp_path / "ledger", "begin"))
    assert set(begun.values()) == {1}, "something ran twice"


def test_an_index_node_and_an_agent_leave_without_a_gap(tmp_path: Path) -> None:
    async def main() -> None:
        home = worker(tmp_path, "await asyncio.sleep(0.5)")
        async with town(tmp_path, home, nodes=(1, 2)) as place, place.client() as client:
            await drained(place, "index-1")
            submitted = client.submit("Works in steps", skills=("worker",), watch=True, inputs={"text": "a"})
            await seen(submitted, lambda note: note.kind == "started")
            await drained(place, "test/folk/worker", "worker-0" if "worker-0" in place.alive() else "worker")
            outcome = (await one_result(place, client, submitted)).result
            assert outcome.status == "done", "it finished what it had begun"

    run(main())


def test_what_cannot_be_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with town(tmp_path, nodes=(1, 1)) as place:
            unknown = await command(place, "drain", "coordinator-2")
            assert unknown.returncode == NOT_FOUND
            assert "did you mean coordinator-1?" in unknown.stderr
            last = await command(place, "drain", "coordinator-1", "--timeout", "1")
            assert last.returncode == FAILED
            assert "no other coordinator is there" in last.stderr
            assert "coordinator-1" in place.alive(), "somebody has to be there for the tasks"

    run(main())
