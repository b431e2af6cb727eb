"""The files of broker/ as a real Mosquitto reads them: nothing retained is lost, nobody writes too far."""

import asyncio
import getpass
import shutil
import socket
import subprocess
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from foa.bus.mqtt.client import MqttBus
from foa.bus.port import Delivery, Facts, Options, Subscription
from foa.wire.codec import encode
from foa.wire.envelope import Frame
from foa.wire.examples import EXAMPLES
from foa.wire.messages import Vcv
from foa.wire.topics import Topics

BROKER = Path(__file__).resolve().parents[2] / "broker"
PROGRAM = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
RETAINED = 5000
TOPICS = Topics()

pytestmark = [
    pytest.mark.mosquitto,
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="the mosquitto program is not installed"),
]


class Inbox:
    """A listener that acknowledges at once and keeps the topics that arrived."""

    def __init__(self, wanted: int) -> None:
        self.topics: set[str] = set()
        self.wanted = wanted
        self.full = asyncio.Event()

    def connected(self, facts: Facts) -> None: ...

    def delivered(self, delivery: Delivery) -> None:
        self.topics.add(delivery.frame.topic)
        delivery.ack()
        if len(self.topics) >= self.wanted:
            self.full.set()

    def disconnected(self, reason: str, *, final: bool) -> None: ...

    def turned(self) -> None: ...

    def drained(self) -> None: ...


@contextmanager
def mosquitto(folder: Path, *extra: str) -> Iterator[int]:
    """Run Mosquitto with the project's own configuration; only port, folder and user are the test's."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    text = (BROKER / "mosquitto.conf").read_text(encoding="utf-8")
    assert "\nlistener 1883 127.0.0.1\n" in text
    text = text.replace("\nallow_anonymous true\n", "\n" if extra else "\nallow_anonymous true\n")
    text = text.replace("\nlistener 1883 127.0.0.1\n", f"\nlistener {port} 127.0.0.1\n")
    config = folder / "mosquitto.conf"
    lines = [text, f"persistence_location {folder}/", f"user {getpass.getuser()}", *extra]
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with subprocess.Popen([str(PROGRAM), "-c", str(config)], stderr=subprocess.DEVNULL) as process:
        try:
            yield port
        finally:
            process.terminate()


async def _connected(port: int, client: str, inbox: Inbox, account: str | None = None) -> MqttBus:
    bus = MqttBus(Options(client, port=port, username=account, password=account), inbox)
    await bus.open(timeout=10.0)
    return bus


def _run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60.0))


async def _published(bus: MqttBus, frames: list[Frame]) -> list[int]:
    """Publish all and return the broker's receipts in order."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    codes: dict[int, int] = {}

    def receipt(at: int, code: int) -> None:
        codes[at] = code
        if len(codes) == len(frames):
            done.set_result(None)

    for at, frame in enumerate(frames):
        bus.publish(frame, lambda code, at=at: receipt(at, code))  # type: ignore[misc]
    await done
    return [codes[at] for at in range(len(frames))]


def test_five_thousand_retained_vectors_all_reach_a_new_subscriber(tmp_path: Path) -> None:
    payload = encode(next(example for example in EXAMPLES if isinstance(example, Vcv)))
    frames = [Frame(TOPICS.vcv(n % 64, f"acme/lab/a{n}"), payload, retain=True) for n in range(RETAINED)]

    async def replay(port: int) -> None:
        writer = await _connected(port, "writer", Inbox(0))
        assert max(await _published(writer, frames)) < 0x80
        inbox = Inbox(RETAINED)
        reader = await _connected(port, "reader", inbox)
        reader.subscribe([Subscription(TOPICS("vcv/#"))])
        await inbox.full.wait()
        assert inbox.topics == {frame.topic for frame in frames}
        await reader.close()
        await writer.close()

    with mosquitto(tmp_path) as port:
        _run(replay(port))


def test_a_real_broker_holds_the_generated_acl(tmp_path: Path) -> None:
    passwords = tmp_path / "passwd"
    passwords.write_text("agent:agent\ncoordinator:coordinator\n", encoding="utf-8")
    if (tool := shutil.which("mosquitto_passwd")) is None:
        pytest.skip("mosquitto_passwd is not installed")
    subprocess.run([tool, "-U", str(passwords)], check=True)
    shutil.copy(BROKER / "acl", tmp_path / "acl")
    (tmp_path / "acl").chmod(0o600)

    async def attempts(port: int) -> None:
        inbox = Inbox(1)
        agent = await _connected(port, "acme/lab/a", inbox, "agent")
        coordinator = await _connected(port, "c1", Inbox(0), "coordinator")
        agent.subscribe([Subscription(TOPICS.request("acme/lab/a")), Subscription(TOPICS.request("acme/lab/b"))])
        tried = [
            TOPICS.discovery("acme/lab/a"), TOPICS.discovery("acme/lab/b"),
            TOPICS.vcv(5, "acme/lab/a"), TOPICS.vcv(5, "acme/lab/b"),
            TOPICS.answer(5, "t", "acme/lab/a"), TOPICS.answer(5, "t", "acme/lab/b"),
            TOPICS("tasks"), TOPICS.own(5),
        ]  # fmt: skip
        codes = await _published(agent, [Frame(topic, b"x") for topic in tried])
        assert [code < 0x80 for code in codes] == [True, False] * 4
        awards = [TOPICS.request(name) for name in ("acme/lab/b", "acme/lab/a")]
        assert max(await _published(coordinator, [Frame(topic, b"x") for topic in [*awards, TOPICS.own(5)]])) < 0x80
        assert await _published(coordinator, [Frame(TOPICS.discovery("acme/lab/a"), b"x")]) == [0x87]
        # The foreign award was published first: had it been let through, it would be here by now.
        await inbox.full.wait()
        assert inbox.topics == {TOPICS.request("acme/lab/a")}
        await agent.close()
        await coordinator.close()

    extra = ("allow_anonymous false", f"password_file {passwords}", f"acl_file {tmp_path / 'acl'}")
    with mosquitto(tmp_path, *extra) as port:
        _run(attempts(port))
