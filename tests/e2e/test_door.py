"""The door for strangers: the README's own lines, and every way to stand at it wrongly."""

import asyncio
import json
import re
import secrets
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from foa.cli.nodes import node_members
from foa.wire import codec
from foa.wire.messages import Dead
from tests.bus.brokers import Mosquitto
from tests.e2e.town import (
    Square,
    Town,
    ears,
    folk,
    ledger,
    ledger_handler,
    mosquitto,
    program,
    publish,
    run,
    square,
    town,
    until,
)
from tests.house.tree import ROOT

ECHO = ROOT / "agents" / "echo"
DOOR = "foa/v1/tasks"


def lines() -> list[str]:
    """Return the shell lines of the README that it says are tested here."""
    block = re.search(
        r"<!-- tested: tests/e2e/test_door\.py.*?-->\n```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    )
    assert block is not None, "README.md no longer shows the door"
    return block[1].splitlines()


@pytest.mark.parametrize("kind", ["embedded", "mosquitto"])
def test_the_lines_of_the_readme_work(kind: str, tmp_path: Path) -> None:
    program("mosquitto_sub")
    with mosquitto() if kind == "mosquitto" else nullcontext() as broker:
        said = run(_lines_run(tmp_path, broker))
    result = json.loads(said)
    assert result["id"] == "hello-1"
    assert (result["status"], result["outputs"]) == ("done", {"text": {"type": "text/plain", "text": "hello"}})


async def _lines_run(folder: Path, broker: Mosquitto | None) -> str:
    publish_line, subscribe_line = lines()
    async with town(folder, ECHO, broker=broker) as place:
        said = ""
        for line in (publish_line, subscribe_line):
            there = re.sub(r"^(mosquitto_(?:pub|sub)) ", rf"\1 -h 127.0.0.1 -p {place.port} ", line)
            process = await asyncio.create_subprocess_shell(there, stdout=asyncio.subprocess.PIPE)
            said = (await process.communicate())[0].decode()
            assert process.returncode == 0, line
        return said


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Square]:
    program("mosquitto_pub")
    folder = tmp_path_factory.mktemp("door")
    counting = folk(folder, "counting", text="Counts calls", handler=ledger_handler(folder / "ledger"))
    with square(folder, ECHO, counting) as here:
        yield here


async def knock(place: Town, document: bytes | dict[str, Any], *more: str) -> None:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    assert await publish(place.port, DOOR, body, *more) == 0


@pytest.mark.parametrize(
    ("document", "mend"),
    [
        (b'{"text": "half a docu', "the document is no task"),
        (b"\xff\x00\x17 no JSON at all", "the document is no task"),
        (b'["text"]', "the document is no task"),
        ({"id": "no-text"}, "missing required field `text`"),
        ({"id": "empty-text", "text": "  "}, "text is empty; say what is to be done"),
        ({"id": "typo", "text": "echo", "input": {}}, "unknown field `input`"),
        ({"id": "a/b", "text": "echo"}, "id"),
        ({"id": "late", "text": "echo", "deadline_s": -1}, "deadline_ms"),
        ({"id": "odd", "text": "echo", "inputs": {"x": {"type": "text/csv"}}}, "add text, json or base64"),
        ({"text": "echo"}, "add an id or a Response Topic"),
    ],
    ids=lambda each: str(each)[:24],
)
def test_what_cannot_be_read_is_a_dead_letter(door: Square, document: bytes | dict[str, Any], mend: str) -> None:
    after = f"after-{secrets.token_hex(4)}"

    async def main(place: Town) -> None:
        async with ears(place.port, "foa/v1/dead/#", f"{DOOR}/{after}/result") as hear:
            await knock(place, document)
            topic, body = await hear()
            dead = codec.decode(body)
            assert isinstance(dead, Dead)
            assert (topic, dead.reason, dead.topic) == ("foa/v1/dead/door", "door", DOOR)
            assert mend in dead.detail
            assert "\n" not in dead.detail
            await knock(place, {"id": after, "text": "echo", "inputs": {"text": "fine"}})
            topic, body = await hear()
            assert topic == f"{DOOR}/{after}/result"
            assert json.loads(body)["outputs"]["text"]["text"] == "fine"

    door.run(main)


def test_a_response_topic_gets_the_reply_as_json(door: Square) -> None:
    async def main(place: Town) -> None:
        async with ears(place.port, "strangers/inbox") as hear:
            asked = ("-D", "publish", "response-topic", "strangers/inbox")
            await knock(place, {"text": "echo this", "inputs": {"text": "to you"}}, *asked)
            replies = [json.loads((await hear())[1])]
            if replies[0]["status"] == "accepted":  # not said where the result was there at once
                replies.append(json.loads((await hear())[1]))
            assert replies[-1]["status"] == "done"
            assert {each["id"] for each in replies} == {replies[-1]["id"]}
            assert replies[-1]["outputs"]["text"]["text"] == "to you"
            await knock(place, b"{", *asked)
            topic, body = await hear()
            assert topic == "strangers/inbox"
            assert json.loads(body)["status"] == "rejected"

    door.run(main)


def test_the_same_id_is_the_same_task(door: Square) -> None:
    document = {"id": "once-only", "text": "Counts calls", "skills": ["counting"], "inputs": {"text": "a"}}

    async def main(place: Town) -> None:
        async with ears(place.port, f"{DOOR}/once-only/result") as hear:
            await knock(place, document)
            await knock(place, document)
            first = json.loads((await hear())[1])
            await knock(place, document)
            again = json.loads((await hear())[1])
            assert first["status"] == "done"
            assert again == first

    door.run(main)
    assert len(ledger(door.town.folder / "ledger", "begin")) == 1


def test_the_result_topic_holds_results_alone(door: Square) -> None:
    """What is read from it first is the result, however early one listens: README's line reads one message."""
    document = {"id": "result-alone", "text": "echo", "inputs": {"text": "x"}}

    async def main(place: Town) -> None:
        async with ears(place.port, f"{DOOR}/result-alone/result") as hear:
            await knock(place, document)
            assert json.loads((await hear())[1])["status"] == "done"

    door.run(main)


def test_a_document_with_an_id_can_be_said_again_whatever_happened(tmp_path: Path) -> None:
    """With an id a document may be said again at any time, and is done once (docs/guarantees.md)."""
    home = folk(tmp_path, "worker", text="Works in steps", handler=ledger_handler(tmp_path / "ledger"))
    document = {"id": "said-again", "text": "Works in steps", "skills": ["worker"], "inputs": {"text": "a"}}
    topic = f"{DOOR}/said-again/result"

    async def coordinators_forget(place: Town) -> None:
        (member,) = [name for name in place.alive() if name.startswith("coordinator")]
        place.federation.kill(member)
        await until(lambda: member not in place.alive())
        for file in (tmp_path / "state").glob("coordinator*"):
            file.unlink()

    async def main() -> None:
        async with town(tmp_path, home) as place, ears(place.port, topic) as hear:
            await coordinators_forget(place)
            await knock(place, document)  # the broker keeps it for a coordinator that comes back
            await place.federation.start(node_members(1, 0))
            await place.know({"test/folk/worker"})
            await knock(place, document)
            first = json.loads((await hear())[1])
            assert first["status"] == "done"
            await coordinators_forget(place)
            await place.federation.start(node_members(1, 0))
            await place.know({"test/folk/worker"})
            await knock(place, document)
            await knock(place, {**document, "text": "Works otherwise"})
            while (heard := json.loads((await hear())[1])) == first:
                pass
            assert heard["code"] == "taken"

    run(main(), 90)
    assert len(ledger(tmp_path / "ledger", "begin")) == 1
