"""A secured federation for tests: the folder that ``foa broker init`` makes, a broker on it, and who connects to it."""

import asyncio
import socket
import subprocess
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

from foa.bus.mqtt.broker.access import files
from foa.bus.mqtt.client import MqttBus
from foa.bus.port import Delivery, Facts, Options, Subscription, Tls, Will
from foa.cli.nodes import agent_members, node_members, numbered
from foa.cli.securing.folder import CLIENTS, CREDENTIALS, TRUST, Federation, Folder
from foa.nodes.federation import Federation as Processes
from foa.nodes.federation import Member
from foa.settings import Settings
from foa.wire.acl import PEOPLE
from foa.wire.envelope import Frame
from tests.bus.brokers import free_port, mosquitto_path
from tests.e2e.town import environment, until

Kind = Literal["mosquitto", "embedded"]
EVIL = "evil/corp/x"
"""An account like everybody's, in the wrong hands."""


class Place:
    """A running secured federation."""

    def __init__(self, kind: Kind, folder: Folder, logs: Path, processes: Processes | None = None) -> None:
        self.kind = kind
        self.folder = folder
        self.processes = processes
        self.logs = logs

    def settings(self, account: str) -> dict[str, Any]:
        return tomllib.loads(self.folder.client(account).read_text())

    def client(self, account: str = "submitter") -> Settings:
        return Settings.from_mapping({**self.settings(account), "log": {"level": "error"}}, "test")

    def options(self, account: str, client_id: str | None = None, **changes: Any) -> Options:
        known = self.folder.federation
        port = known.people_port if self.folder.names.get(account) in PEOPLE else known.port
        word = self.settings(account)["broker"]["password"]
        given = {"username": account, "password": word, "tls": Tls(str(self.folder.path / files.CA)), **changes}
        return Options(client_id or account, port=port, backoff_min_s=0.5, **given)


class Ear:
    """A listener that acknowledges and keeps what arrived."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def connected(self, facts: Facts) -> None: ...

    def delivered(self, delivery: Delivery) -> None:
        self.frames.append(delivery.frame)
        delivery.ack()

    def disconnected(self, reason: str, *, final: bool) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)

    def turned(self) -> None: ...

    def drained(self) -> None: ...


class Hand:
    """One connection to try things with."""

    def __init__(self, options: Options) -> None:
        self.ear = Ear()
        self.bus = MqttBus(options, self.ear)

    async def publish(self, frames: Sequence[Frame]) -> list[int]:
        loop = asyncio.get_running_loop()
        receipts: list[asyncio.Future[int]] = [loop.create_future() for _ in frames]
        for frame, receipt in zip(frames, receipts, strict=True):
            self.bus.publish(frame, receipt.set_result)
        return list(await asyncio.gather(*receipts))

    async def subscribe(self, *patterns: str) -> tuple[int, ...]:
        granted: asyncio.Future[tuple[int, ...]] = asyncio.get_running_loop().create_future()
        self.bus.subscribe([Subscription(each) for each in patterns], granted.set_result)
        return await granted

    async def retained(self, pattern: str) -> list[Frame]:
        """Return what is retained on `pattern`: a mark of our own, published after, comes after it."""
        await self.subscribe(pattern)
        await asyncio.sleep(0.3)
        return [frame for frame in self.ear.frames if frame.retain]


@asynccontextmanager
async def hand(options: Options) -> AsyncIterator[Hand]:
    made = Hand(options)
    await made.bus.open(20)
    try:
        yield made
    finally:
        await made.bus.close()


def will(topic: str, body: bytes = b"") -> Will:
    return Will(Frame(topic, body, retain=True))


def create(path: Path, agents: Sequence[str], nodes: tuple[int, int] = (2, 1)) -> Folder:
    accounts = {**numbered(*nodes), "agent": [*agents, EVIL], "submitter": ["submitter", "mallory"]}
    wanted = Federation(("127.0.0.1",), free_port(), free_port(), accounts={**accounts, "operator": ["operator"]})
    return Folder.create(path, wanted)


@contextmanager
def mosquitto(folder: Folder, log: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """Run Mosquitto with the configuration that was made, as it stands."""
    conf = folder.path / "mosquitto.conf"
    with log.open("wb") as output, subprocess.Popen([mosquitto_path(), "-c", str(conf)], stderr=output) as process:
        try:
            yield process
        finally:
            process.terminate()


@asynccontextmanager
async def secured(kind: Kind, path: Path, folk: Sequence[Path], identities: Sequence[str]) -> AsyncIterator[Place]:
    """Run coordinators, an index node and agents, each on its own account, over a broker that lets nobody else in."""
    folder = create(path / "secured", identities)
    logs = path / "logs"
    logs.mkdir()
    changes = {
        "FOA_BROKER_URL": f"mqtts://127.0.0.1:{folder.federation.port}",
        "FOA_BROKER_CA": str(folder.path / files.CA),
        "FOA_BROKER_PASSWORD_FILE": str(folder.path / CREDENTIALS),
        "FOA_SECURITY_KEY": str(folder.path / CLIENTS),
        "FOA_SECURITY_TRUST": str(folder.path / TRUST),
        "FOA_BROKER_BACKOFF_MAX_S": "0.2",
        "FOA_NODE_STATE_DIR": str(path / "state"),
        "FOA_INDEX_MODEL": "hash",
        "FOA_AGENT_DRAIN_S": "0",
    }
    said: list[str] = []
    async with Processes(environment(changes), logs, said.append) as processes:
        place = Place(kind, folder, logs, processes)
        with mosquitto(folder, logs / "mosquitto.log") if kind == "mosquitto" else nullcontext():
            if kind == "embedded":
                await processes.start([Member("broker", ("broker", "--secured", str(folder.path)), last=True)])
            await until(listening(folder.federation.port))
            await processes.start([*node_members(2, 1), *agent_members(folk)])
            try:
                yield place
            finally:
                await processes.stop()


def listening(port: int) -> Callable[[], bool]:

    def tried() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return tried
