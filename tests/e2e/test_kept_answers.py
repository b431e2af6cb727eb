"""An agent's answer outlives the agent, its owner and the broker; what ends the agent is not begun for ever."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

import foa
from foa.nodes.federation import Member
from tests.e2e.town import Town, folk, ledger, ledger_handler, mosquitto, run, town, until

GATE = "    await asyncio.sleep(0.02)"


def worker(folder: Path, *body: str, name: str = "worker") -> Path:
    return folk(
        folder, name, text="Works in steps", skills=("worker",), handler=ledger_handler(folder / "ledger", *body)
    )


def gone(place: Town, name: str) -> bool:
    return name not in place.alive()


@pytest.mark.parametrize("what", ["the owner comes back", "another owner", "a broker that forgot everything"])
def test_an_answer_nobody_settled_is_said_again_and_the_work_is_not_done_again(tmp_path: Path, what: str) -> None:
    """The owner dies, the handler finishes, the agent dies: then all come back, or others in their place."""
    gate = tmp_path / "gate"

    async def main() -> None:
        home = worker(tmp_path, f"while not os.path.exists({str(gate)!r}):", GATE)
        with mosquitto() as broker:
            async with town(tmp_path, broker=broker, AGENT_REPEAT_MS="100") as place, place.client() as client:
                agent = await place.settle(home)
                await place.know({"test/folk/worker"})
                submitted = client.submit("Works in steps", skills=("worker",), inputs={"text": "kept"})
                await submitted.accepted()
                await until(lambda: ledger(tmp_path / "ledger", "begin"))
                place.federation.kill("coordinator-1")
                await until(lambda: gone(place, "coordinator-1"))
                gate.touch()
                await until(lambda: ledger(tmp_path / "ledger", "end"))
                await asyncio.sleep(0.1)  # the answer is in its journal after 5 ms; here the work would be done again
                place.federation.kill(agent)
                await until(lambda: gone(place, agent))
                if what == "a broker that forgot everything":
                    broker.kill()
                    await asyncio.to_thread(broker.start)
                await place.federation.start([Member(agent, ("agent", "run", str(home)))])
                name = "coordinator-2" if what == "another owner" else "coordinator-1"
                await place.federation.start([Member(name, ("node", "coordinator", "--name", name))])
                outcome = (await asyncio.wait_for(submitted.result(), 40)).checked()
                assert outcome.output == "KEPT"
                assert outcome.result.epoch.node == name
                assert [part.attempt for part in outcome.result.parts] == [1]

    run(main())
    assert len(ledger(tmp_path / "ledger", "begin")) == 1, "the work was done again"


@pytest.mark.parametrize("after_ms", [0, 2, 6, 30])
def test_an_agent_that_dies_as_it_answers_costs_an_attempt_at_most(tmp_path: Path, after_ms: int) -> None:
    """Until its answer is in the journal the work is done again, from then on never. There is one result either way."""
    once = tmp_path / "once"
    body = (
        f"if not os.path.exists({str(once)!r}):",
        f"    open({str(once)!r}, 'w').close()",
        f"    asyncio.get_running_loop().call_later({after_ms / 1000}, os._exit, 9)",
    )

    async def main() -> foa.Outcome:
        home = worker(tmp_path, *body)
        async with town(tmp_path, home, restart=True) as place, place.client() as client:
            submitted = client.submit("Works in steps", skills=("worker",), inputs={"text": "kept"})
            return await asyncio.wait_for(submitted.result(), 40)

    outcome = asyncio.run(asyncio.wait_for(main(), 60)).checked()
    assert outcome.output == "KEPT"
    begun = len(ledger(tmp_path / "ledger", "begin"))
    assert begun <= 2
    assert [part.attempt for part in outcome.result.parts] == [begun]


DIES = """\
import os
from pathlib import Path
from typing import Any


async def run(text: str) -> str:
    if "poison" in text:
        with Path({deaths!r}).open("a") as deaths:
            deaths.write("x")
        os._exit(9)
    return text.upper()
"""


def test_what_kills_every_agent_stops_after_its_attempts_and_other_work_goes_on(tmp_path: Path) -> None:
    deaths = tmp_path / "deaths"
    handler = DIES.format(deaths=str(deaths))

    async def main() -> list[foa.Outcome]:
        homes = [
            folk(tmp_path, name, text="Works in steps", skills=("worker",), handler=handler) for name in ("one", "two")
        ]
        async with town(tmp_path, *homes, restart=True) as place, place.client() as client:
            asked: dict[str, Any] = {"skills": ("worker",), "deadline_s": 90.0, "attempts": 5}
            bad = client.submit("Works in steps", inputs={"text": "poison"}, **asked)
            good = [client.submit("Works in steps", inputs={"text": f"fine {n}"}, **asked) for n in range(10)]
            return await asyncio.gather(*(each.result() for each in (bad, *good)))

    bad, *good = run(main(), 120.0)
    assert [outcome.checked().output for outcome in good] == [f"FINE {number}" for number in range(10)]
    assert (bad.status, bad.result.code) == ("failed", "agent-failed")
    assert "test/folk/" in bad.reason
    assert 2 <= len(deaths.read_text()) <= 4, "each declines what ended it twice, also where more attempts are left"
