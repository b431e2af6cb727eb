"""Nothing that was submitted is lost: over real processes, whoever is away or killed, and after everything failed."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

import foa
from foa.cli.nodes import broker_member, node_members
from foa.errors import TaskError
from tests.bus.brokers import Mosquitto, free_port
from tests.e2e.town import NOBODY, Town, environment, folk, ledger, ledger_handler, mosquitto, results, run, town, until
from tests.house.tree import ROOT

ECHO = ROOT / "agents" / "echo"
pytestmark = pytest.mark.slow


async def command(place: Town, *words: str, within_s: float = 60.0) -> tuple[int, str, str]:
    """Run ``foa words`` beside the town; return its exit code and what it said."""
    process = await started(place, *words)
    out, err = await asyncio.wait_for(process.communicate(), within_s)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def started(place: Town, *words: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "foa", *words, env=environment(place.changes), stdout=pipe, stderr=pipe
    )


def outbox(place: Town) -> list[str]:
    """Return the tasks that wait, by their files."""
    from foa.adapters.outbox import waiting

    return [one.id for one in waiting(Path(place.changes["FOA_NODE_STATE_DIR"]) / "outbox") if "#" not in one.id]


async def same(client: foa.Client, submitted: Any) -> foa.Outcome:
    """Return how a task ended, held against what the broker keeps."""
    outcome: foa.Outcome = await asyncio.wait_for(submitted.result(), 40)
    kept = await results(client, submitted.id)
    assert kept
    assert all(one == outcome.result for one in kept)
    return outcome


def test_what_was_submitted_without_a_broker_is_done_once_there_is_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with town(tmp_path, nodes=NOBODY) as place:
            place.federation.kill("broker")
            await until(lambda: "broker" not in place.alive())
            quick = ("--patience", "200ms")
            code, _, said = await command(place, "task", "submit", "echo these words", "--id", "o1", *quick)
            assert code == 3, said
            assert "o1" in said
            waiting = await started(place, "task", "submit", "echo others", "--id", "o2", "--patience", "60s")
            await until(lambda: "o2" in outbox(place))
            waiting.send_signal(signal.SIGKILL)
            await waiting.wait()
            await place.federation.start([broker_member(place.port)])
            await place.federation.start(node_members(1, 1))
            await place.settle(ECHO)
            await place.know({"foa/tools/echo"})
            code, out, said = await command(place, "task", "outbox", "--send", "--json")
            assert code == 0, said
            assert sorted(one["id"] for one in json.loads(out)) == ["o1", "o2"]
            assert outbox(place) == []
            for task, words in (("o1", "echo these words"), ("o2", "echo others")):
                code, out, said = await command(place, "task", "result", task, "--wait")
                assert (code, out.strip()) == (0, words), said

    run(main(), 120)


def test_large_inputs_outlive_the_client_too(tmp_path: Path) -> None:
    large = "x" * 300_000

    async def main() -> None:
        async with town(tmp_path, ECHO) as place:
            settings = place.settings(**{"node.state_dir": str(tmp_path / "mine"), "broker.url": NOWHERE})
            async with foa.Client(settings, patient=True) as client:
                client.submit("echo", id="big", inputs={"text": large})
                await asyncio.sleep(0.1)
            settings = place.settings(**{"node.state_dir": str(tmp_path / "mine")})
            async with foa.Client(settings) as client:
                (submitted,) = client.resume()
                outcome = await asyncio.wait_for(submitted.result(), 30)
                assert outcome.checked().output == large

    run(main(), 60)


NOWHERE = f"mqtt://127.0.0.1:{free_port()}"


def test_an_owner_killed_between_acceptance_and_result(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    body = (f"while not os.path.exists({str(gate)!r}):", "    await asyncio.sleep(0.02)")
    home = folk(tmp_path, "worker", text="Works in steps", handler=ledger_handler(tmp_path / "ledger", *body))

    async def main() -> None:
        async with town(tmp_path, home, nodes=(2, 1)) as place, place.client() as client:
            submitted = client.submit("Works in steps", skills=("worker",), inputs={"text": "a"})
            owner = (await submitted.accepted()).epoch.node
            await until(lambda: ledger(tmp_path / "ledger", "begin"))
            place.federation.kill(owner)
            gate.touch()
            outcome = await same(client, submitted)
            assert outcome.checked().output == "A"

    run(main(), 60)


def test_one_id_from_two_clients_is_one_task_and_another_body_is_refused(tmp_path: Path) -> None:
    home = folk(tmp_path, "worker", text="Works in steps", handler=ledger_handler(tmp_path / "ledger"))

    async def main() -> None:
        async with town(tmp_path, home) as place, place.client() as one, place.client() as two:
            demands: dict[str, Any] = {"id": "twin", "skills": ("worker",), "inputs": {"text": "a"}}
            first, second = one.submit("Works in steps", **demands), two.submit("Works in steps", **demands)
            left, right = await asyncio.gather(same(one, first), same(two, second))
            assert left.result == right.result
            with pytest.raises(TaskError, match="is taken"):
                await two.submit("Works otherwise", **demands).accepted()
        assert len(ledger(tmp_path / "ledger", "begin")) == 1

    run(main(), 60)


@pytest.mark.parametrize("kept", ["embedded", "mosquitto"])
def test_the_same_id_after_coordinators_that_know_nothing_any_more(tmp_path: Path, kept: str) -> None:
    home = folk(tmp_path, "worker", text="Works in steps", handler=ledger_handler(tmp_path / "ledger"))

    async def main(broker: Mosquitto | None) -> None:
        async with town(tmp_path, home, broker=broker, nodes=(1, 1)) as place, place.client() as client:
            demands: dict[str, Any] = {"id": "old", "skills": ("worker",), "inputs": {"text": "a"}}
            outcome = await same(client, client.submit("Works in steps", **demands))
            (member,) = [name for name in place.alive() if name.startswith("coordinator")]
            place.federation.kill(member)
            await until(lambda: member not in place.alive())
            for file in (tmp_path / "state").glob("coordinator*"):
                file.unlink()
            await place.federation.start(node_members(1, 0))
            again = await same(client, client.submit("Works in steps", **demands))
            assert again.result == outcome.result
            with pytest.raises(TaskError, match="is taken"):
                await client.submit("Works otherwise", **demands).accepted()
        assert len(ledger(tmp_path / "ledger", "begin")) == 1

    if kept == "embedded":
        run(main(None), 60)
    else:
        with mosquitto() as broker:
            run(main(broker), 60)


def test_poison_is_kept_mended_and_replayed_without_doing_again_what_was_done(tmp_path: Path) -> None:
    mended = tmp_path / "mended"
    poison = (f"if not os.path.exists({str(mended)!r}):", "    raise ValueError('poison')")
    first = folk(tmp_path, "reader", text="Reads a text", handler=ledger_handler(tmp_path / "ledger"))
    second = folk(tmp_path, "counter", text="Counts letters", handler=ledger_handler(tmp_path / "ledger", *poison))
    steps = (
        foa.Subtask("read", "Reads a text", skills=("reader",)),
        foa.Subtask("count", "Counts letters", skills=("counter",)),
    )
    plan = foa.Plan(steps, (("read", "count"),))

    async def main() -> None:
        quick = town(tmp_path, first, second, COORDINATOR_PATIENCE_MS="1000")
        async with quick as place, place.client() as client:
            submitted = client.submit("Reads and counts", plan=plan, id="poison", inputs={"text": "a"}, attempts=2)
            assert (await same(client, submitted)).status == "failed"
            code, out, said = await command(place, "dlq", "list", "--json")
            assert code == 0, said
            (row,) = json.loads(out)
            assert (row["id"], row["code"], row["subtask"]) == ("poison", "agent-failed", "count")
            assert row["tries"] >= 2
            code, out, _ = await command(place, "dlq", "show", "poison")
            assert "poison" in out
            assert "all but read" in out
            code, _, said = await command(place, "dlq", "show", "poisen")
            assert (code, "did you mean poison?" in said) == (4, True)
            mended.touch()
            both = await asyncio.gather(
                *(command(place, "dlq", "replay", "poison", "--wait", "--json") for _ in range(2))
            )
            assert {json.loads(out)[0]["replay"] for code, out, _ in both if code == 0} == {"poison.r1"}
            (kept,) = await results(client, "poison.r1")
            assert [part.subtask for part in kept.parts] == ["read", "count"]
            code, out, _ = await command(place, "dlq", "list")
            assert "the queue is empty" in out
            code, out, said = await command(place, "task", "retry", "poison")
            assert code == 0, said
        begun = [at for at, _, _ in ledger(tmp_path / "ledger", "end")]
        assert begun.count("read") == 1

    run(main(), 120)


def test_a_cancelled_task_is_retried(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    body = (f"while not os.path.exists({str(gate)!r}):", "    await asyncio.sleep(0.02)")
    home = folk(tmp_path, "worker", text="Works in steps", handler=ledger_handler(tmp_path / "ledger", *body))

    async def main() -> None:
        async with town(tmp_path, home) as place, place.client() as client:
            submitted = client.submit("Works in steps", id="c1", skills=("worker",), inputs={"text": "a"})
            await submitted.accepted()
            submitted.cancel("not now")
            assert (await same(client, submitted)).status == "cancelled"
            gate.touch()
            code, out, said = await command(place, "task", "retry", "c1")
            assert (code, out.strip()) == (0, "A"), said
            code, out, said = await command(place, "task", "retry", "nothing")
            assert code == 4, said

    run(main(), 90)
