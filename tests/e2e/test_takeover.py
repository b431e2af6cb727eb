"""Any single process is killed with ``kill -9`` in the middle of work, the broker included: one result comes."""

import asyncio
import os
import signal
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import foa
from foa.cli.nodes import node_members
from foa.nodes.federation import Member
from foa.wire.messages import Found
from foa.wire.records import Query
from tests.bus.brokers import Mosquitto
from tests.e2e.town import NOBODY, Town, folk, ledger, ledger_handler, mosquitto, results, run, seen, town, until
from tests.house.tree import ROOT

ECHO = ROOT / "agents" / "echo"
CHAIN = ("one", "two", "three", "four")


def worker(folder: Path, *body: str) -> Path:
    return folk(folder, "worker", text="Works in steps", handler=ledger_handler(folder / "ledger", *body))


def chain() -> foa.Plan:
    """Return four steps one after the other, and one beside them."""
    steps = tuple(foa.Subtask(name, f"Works in steps: {name}", skills=("worker",)) for name in (*CHAIN, "beside"))
    return foa.Plan(steps, tuple(pairwise(CHAIN)))


async def one_result(place: Town, client: foa.Client, submitted: Any) -> foa.Outcome:
    """Return how the task ended, the same for who waited and for who looks now."""
    outcome: foa.Outcome = await asyncio.wait_for(submitted.result(), 40)
    (kept,) = await results(client, submitted.id)
    assert (kept.status, kept.outputs) == (outcome.result.status, outcome.result.outputs)
    return outcome.checked()


def test_the_owner_of_a_task_is_killed(tmp_path: Path) -> None:
    async def main() -> None:
        home = worker(tmp_path, "await asyncio.sleep(0.3)")
        async with town(tmp_path, home, nodes=(2, 1)) as place, place.client() as client:
            submitted = client.submit("Works in steps", plan=chain(), watch=True, inputs={"text": "a"})
            owner = (await submitted.accepted()).epoch.node
            await seen(submitted, lambda note: note.kind == "started" and note.subtask == "two")
            place.federation.kill(owner)
            outcome = await one_result(place, client, submitted)
            assert outcome.result.epoch.node != owner
            assert {part.subtask for part in outcome.result.parts} == {*CHAIN, "beside"}
            assert owner not in place.alive()

    run(main())
    ended = [at for at, _, _ in ledger(tmp_path / "ledger", "end")]
    assert sorted(ended) == sorted({*CHAIN, "beside"}), "a finished subtask ran again"
    assert [at for at in ended if at != "beside"] == list(CHAIN)


def test_an_agent_is_killed_at_work(tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    async def main() -> None:
        home = worker(tmp_path, f"while not os.path.exists({str(gate)!r}):", "    await asyncio.sleep(0.02)")
        hasty = town(tmp_path, COORDINATOR_LEASE_MS="600", COORDINATOR_GRACE_MS="100")
        async with hasty as place, place.client() as client:
            members = [await place.settle(home, instance) for instance in (1, 2)]
            await place.know({"test/folk/worker-1", "test/folk/worker-2"})
            submitted = client.submit("Works in steps", skills=("worker",), inputs={"text": "b"})
            ((_, key, first),) = await until(lambda: ledger(tmp_path / "ledger", "begin"))
            (victim,) = [name for name in members if place.federation.pids[name] == first]
            place.federation.kill(victim)
            gate.touch()
            outcome = await one_result(place, client, submitted)
            (survivor,) = set(members) - {victim}
            assert outcome.result.parts[0].agents == (f"test/folk/{survivor}",)
            assert outcome.result.parts[0].attempt == 2
            begun = ledger(tmp_path / "ledger", "begin")
            assert [entry[1] for entry in begun] == [key, key], "the idempotency key is the same over retries"
            assert begun[1][2] == place.federation.pids[survivor]

    run(main())


def gone(place: Town, name: str) -> bool:
    return name not in place.alive()


async def whole(client: foa.Client) -> Found:
    """Return the answer of an index that covers every partition."""
    while True:
        found = await client.search([Query("Works in steps"), Query("repeat this text")], 8)
        if len(found.covered) == client.settings.wire.partitions:
            return found


def test_index_nodes_are_killed_in_turn(tmp_path: Path) -> None:
    async def main() -> None:
        home = worker(tmp_path)
        async with town(tmp_path, home, ECHO, nodes=(1, 2)) as place, place.client() as client:
            before = await whole(client)
            assert [len(hits) for hits in before.hits] == [2, 2]
            for name in ("index-1", "index-2"):
                place.federation.kill(name)
                await until(partial(gone, place, name))
                assert (await whole(client)).hits == before.hits
                outcome = await client.submit("repeat this text", inputs={"text": name}).result()
                assert outcome.checked().output == name
                await place.federation.start([Member(name, ("node", "index", "--name", name))])
            assert (await whole(client)).hits == before.hits

    run(main())


def test_the_broker_is_killed_and_comes_back(tmp_path: Path) -> None:
    """What it remembers is old: sessions without the subscriptions made since, nothing that was retained since.

    Nodes ask and say again what they hold, and the one result comes.
    """
    gate = tmp_path / "gate"
    settings = f"persistence true\npersistence_location {tmp_path}/\nautosave_interval 3600"

    async def main(broker: Mosquitto) -> None:
        home = worker(tmp_path, f"while not os.path.exists({str(gate)!r}):", "    await asyncio.sleep(0.02)")
        async with town(tmp_path, broker=broker, nodes=NOBODY) as place, place.client() as client:
            await place.federation.start(node_members(0, 1))
            await place.federation.start(node_members(2, 0))
            os.kill(broker.pid, signal.SIGUSR1)  # save now: they are connected, and have not settled who owns what
            await until((tmp_path / "mosquitto.db").exists)
            await place.settle(home)
            await place.know({"test/folk/worker"})
            plan = foa.Plan(chain().subtasks[:2], (("one", "two"),))
            submitted = client.submit("Works in steps", plan=plan, inputs={"text": "c"})
            await submitted.accepted()
            await until(lambda: ledger(tmp_path / "ledger", "begin"))
            broker.kill()
            gate.touch()
            await until(lambda: ledger(tmp_path / "ledger", "end"))
            await asyncio.to_thread(broker.start)
            outcome = await one_result(place, client, submitted)
            assert [part.subtask for part in outcome.result.parts] == ["one", "two"]
            assert place.alive() == {"coordinator-1", "coordinator-2", "index-1", "worker-0"}

    with mosquitto(settings) as broker:
        run(main(broker))
    ended = [at for at, _, _ in ledger(tmp_path / "ledger", "end")]
    assert ended == ["one", "two"], "a finished subtask ran again"
