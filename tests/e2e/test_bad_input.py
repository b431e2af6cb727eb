"""A stranger's bytes do no harm: whatever is sent to whatever topic, work goes on and no process ends.

And what a user gets to see who is not let in, or finds no broker: one line.
"""

import asyncio
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

import foa
from foa.nodes.client import task_of
from foa.nodes.federation import Federation, Member
from foa.wire import codec
from foa.wire.ids import Epoch, idempotency_key, partition_of
from foa.wire.messages import Blob, Control, Dead, Rejected, Result, Submit
from foa.wire.records import Given
from foa.wire.topics import TABLE, Topic, Topics
from tests.bus.brokers import free_port
from tests.e2e.town import (
    Square,
    Town,
    ears,
    environment,
    folk,
    ledger,
    ledger_handler,
    mosquitto,
    nothing_left,
    program,
    publish,
    run,
    square,
    until,
)
from tests.house.tree import ROOT

TOPICS = Topics()
NOISE = random.Random(7).randbytes(300)
DEEP = b"\x91" * 100_000
HUGE = b"\xc6\x00\x98\x96\x80" + bytes(10_000_000)


@pytest.fixture(scope="module", params=["embedded", "mosquitto"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Square]:
    program("mosquitto_pub")
    folder = tmp_path_factory.mktemp("strangers")
    wait = (f"while not os.path.exists({str(folder)!r} + '/' + task.task):", "    await asyncio.sleep(0.02)")
    worker = folk(folder, "worker", text="Works behind a gate", handler=ledger_handler(folder / "ledger", *wait))
    with ExitStack() as stack:
        broker = stack.enter_context(mosquitto()) if request.param == "mosquitto" else None
        here = stack.enter_context(square(folder, ROOT / "agents" / "echo", worker, broker=broker))
        members = here.town.alive()
        yield here
        assert here.town.alive() >= members, "a process ended"
        assert here.town.said == []


def topic_of(kind: str, task: str) -> str:
    """Return a topic of every kind, as one that is listened to where there is such."""
    rule = next(rule for rule in TABLE if rule.kind == kind)
    node = {"ask": "index-1", "embed": "index-1", "presence": "coordinator-1"}.get(kind, "anybody")
    name = {"blob": "0" * 64, "state": "0", "presence": "coordinator"}.get(kind, "x")
    return TOPICS.build(Topic(rule.kind, partition_of(task), task, "test/folk/worker", node, name))


async def gated(place: Town, client: foa.Client, ident: str) -> Any:
    """Submit a task that is at work until `opened`."""
    submitted = client.submit("Works behind a gate", id=ident, skills=["worker"], inputs={"text": "undisturbed"})
    await submitted.accepted()
    key = idempotency_key(ident, "main")
    await until(lambda: key in {begun for _, begun, _ in ledger(place.folder / "ledger", "begin")})
    return submitted


async def opened(place: Town, submitted: Any) -> foa.Outcome:
    (place.folder / submitted.id).touch()
    outcome: foa.Outcome = await submitted.result()
    return outcome


async def works(client: foa.Client) -> None:
    """Check that a task goes its way."""
    outcome = await client.submit("echo this", skills=["echo"], inputs={"text": "on we go"}).result()
    assert outcome.checked().output == "on we go"


@pytest.mark.parametrize("body", [NOISE, DEEP, HUGE, msgspec.msgpack.encode({"kind": "submit.99"})],
                         ids=["noise", "deep", "huge", "version"])  # fmt: skip
def test_bytes_on_every_kind_of_topic(running: Square, body: bytes, request: pytest.FixtureRequest) -> None:
    """The huge body goes to the task's own topics only."""
    ident = f"under-fire-{request.node.callspec.indices['body']}"
    kinds = [rule.kind for rule in TABLE] if body is not HUGE else ["submit", "state", "result", "cancel", "answer"]

    async def main(place: Town) -> None:
        async with place.client() as client:
            submitted = await gated(place, client, ident)
            await asyncio.gather(*(publish(place.port, topic_of(kind, ident), body) for kind in kinds))
            await works(client)
            assert (await opened(place, submitted)).checked().output == "UNDISTURBED"

    running.run(main)
    keys = [key for _, key, _ in ledger(running.town.folder / "ledger", "begin")]
    assert len(keys) == len(set(keys)), "something ran twice"


@pytest.mark.parametrize(
    ("reason", "path", "body"),
    [
        ("shape", "task/0/x/submit", NOISE),
        ("shape", "request/test/folk/worker", DEEP),
        ("shape", "index/index-1/ask", msgspec.msgpack.encode({"kind": "ask.1", "queries": 3})),
        ("version", "task/0/x/submit", msgspec.msgpack.encode({"kind": "submit.98", "task": {}})),
        ("kind", "request/test/folk/worker", msgspec.msgpack.encode({"kind": "format-disk.1"})),
        ("size", "answer/0/x/test/folk/worker", codec.encode(Blob(bytes(codec.MAX_PAYLOAD + 1)))),
        ("place", "task/0/x/submit", codec.encode(Control("drain"))),
        ("place", "index/index-1/ask", codec.encode(Submit(task_of("x")))),
        ("topic", "answer/0/x/short", codec.encode(Control("drain"))),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_is_refused_is_shown_with_its_reason(running: Square, reason: str, path: str, body: bytes) -> None:
    async def main(place: Town) -> None:
        async with ears(place.port, "foa/v1/dead/#") as hear:
            await publish(place.port, TOPICS(path), body)
            topic, shown = await hear()
            dead = codec.decode(shown)
            assert isinstance(dead, Dead)
            assert (topic, dead.reason, dead.topic) == (TOPICS.dead(reason), reason, TOPICS(path))
            assert dead.detail
            assert "\n" not in dead.detail
            assert len(dead.body) <= 256

    running.run(main)


def test_nodes_that_come_later_bear_what_was_left_behind(running: Square) -> None:
    left = ("own/5", "presence/coordinator/ghost", "presence/index/ghost", "vcv/3/a/b/ghost", "discovery/a/b/ghost")

    async def main(place: Town) -> None:
        for path in left:
            await publish(place.port, TOPICS(path), NOISE, "-r")
        newcomers = [Member(f"{role}-9", ("node", role, "--name", f"{role}-9")) for role in ("coordinator", "index")]
        await place.federation.start(newcomers)
        async with place.client() as client:
            await works(client)
        assert {"coordinator-9", "index-9"} <= place.alive()

    running.run(main)


def test_a_submission_in_the_wrong_place_is_told_the_right_one(running: Square) -> None:
    task = task_of("echo", id="misplaced")
    right = partition_of(task.id)

    async def main(place: Town) -> None:
        async with ears(place.port, "strangers/inbox") as hear:
            topic = TOPICS.task((right + 1) % 64, task.id, "submit")
            reply = ("-D", "publish", "response-topic", "strangers/inbox")
            await publish(place.port, topic, codec.encode(Submit(task)), *reply)
            said = codec.decode((await hear())[1])
            assert isinstance(said, Rejected)
            assert said.code == "partition"
            assert f"belongs to partition {right}" in said.reason

    running.run(main)


def test_a_plan_that_bites_its_tail_is_refused(running: Square) -> None:
    steps = (foa.Subtask("a", "echo"), foa.Subtask("b", "echo"))
    wrong = {"cycle": (("a", "b"), ("b", "a")), "nowhere": (("a", "nowhere"),)}

    async def main(place: Town) -> None:
        async with place.client() as client:
            for word, edges in wrong.items():
                submitted = client.submit("echo", plan=foa.Plan(steps, edges))
                with pytest.raises(foa.TaskError, match=word):
                    (await submitted.result()).checked()

    running.run(main)


def test_a_forged_result_is_taken_for_the_first(running: Square) -> None:
    """What happens today: the first result in broker order is final, and nobody asks who said it.

    The client waits for the owner's reply or the retained result, whichever comes; both are the forged one, and the
    work is withdrawn. Only the broker's accounts and its ACL (broker/acl: results are written by coordinators) keep
    a stranger from it; docs/guarantees.md says so under "A hostile member".
    """
    ident = "robbed"
    given = Given("text", foa.Value("text/plain", "text/plain", b"forged"))
    forged = Result(ident, "done", Epoch(0, "nobody"), (given,))

    async def main(place: Town) -> None:
        async with place.client() as client:
            submitted = await gated(place, client, ident)
            await publish(place.port, topic_of("result", ident), codec.encode(forged), "-r")
            assert (await submitted.result()).output == "forged"
            await works(client)

    running.run(main)


# --- not let in -------------------------------------------------------------------------------------------------------

COMMANDS = (("task", "submit", "x"), ("node", "coordinator"), ("agent", "run", str(ROOT / "agents" / "echo")))


async def command(folder: Path, url: str, words: tuple[str, ...], **changes: str) -> tuple[int | None, list[str]]:
    """Run ``foa`` and return its exit code and the lines of its complaint."""
    settings = {
        "FOA_BROKER_URL": url,
        "FOA_NODE_STATE_DIR": str(folder),
        "FOA_BROKER_CONNECT_TIMEOUT_S": "1",
        **changes,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "foa", *words),
        env=environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, complaint.decode().splitlines()


def test_without_a_broker_there_is_one_line(tmp_path: Path) -> None:
    url = f"mqtt://127.0.0.1:{free_port()}"

    async def main() -> None:
        for code, lines in await asyncio.gather(*(command(tmp_path, url, words) for words in COMMANDS)):
            assert code == 3
            assert len(lines) == 1, lines
            assert lines[0].startswith("foa: ")
            assert url.removeprefix("mqtt://") in lines[0]

    with nothing_left(tmp_path):
        run(main())


def test_with_the_wrong_password_there_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("# who may\nann:right-horse\n")
    port = free_port()
    url = f"mqtt://127.0.0.1:{port}"
    broker = Member("broker", ("broker", "--port", str(port), "--users", str(tmp_path / "users")), last=True)

    async def main() -> None:
        async with Federation(environment({}), tmp_path / "logs", print) as federation:
            await federation.start([broker])
            wrong = {"FOA_BROKER_USERNAME": "ann", "FOA_BROKER_PASSWORD": "wrong-horse"}
            for code, lines in await asyncio.gather(*(command(tmp_path, url, words, **wrong) for words in COMMANDS)):
                assert code == 3
                assert [line for line in lines if "bus_lost" not in line] == lines[
                    -1:
                ]  # what a node logs, and why it ended
                assert lines[-1] == f"foa: broker 127.0.0.1:{port} refused user 'ann': bad user name or password (0x86)"
                assert "horse" not in "".join(lines)
            right = {**wrong, "FOA_BROKER_PASSWORD": "right-horse"}
            assert await command(tmp_path, url, ("agent", "list"), **right) == (0, [])
            assert "broker" in federation.pids

    with nothing_left(tmp_path):
        run(main())
