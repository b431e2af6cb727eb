"""The store on disk: killed processes, files that are no store, a disk that is full."""

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from foa.bus.mqtt.broker.keeping import writer
from foa.bus.mqtt.broker.keeping.forms import Ident, Row
from foa.bus.mqtt.broker.keeping.sqlite import SqliteStore
from foa.bus.mqtt.broker.server import BrokerServer
from foa.bus.mqtt.client import MqttBus
from foa.bus.port import Options, Subscription
from foa.bus.process import BrokerProcess
from foa.errors import BusError, ConfigError
from foa.wire.envelope import Frame
from tests.bus.kept import Drawer
from tests.bus.worlds import PATIENCE_S, Recorder


async def until(condition: object) -> None:
    end = asyncio.get_running_loop().time() + PATIENCE_S
    while not condition():  # type: ignore[operator]
        assert asyncio.get_running_loop().time() < end, "waited in vain"
        await asyncio.sleep(0.002)


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_the_broker_is_killed_under_load(tmp_path: Path) -> None:
    asyncio.run(_killed_under_load(tmp_path / "broker.sqlite"))


async def _killed_under_load(path: Path) -> None:
    broker = await BrokerProcess.start(store=path)
    port = broker.port
    options: dict[str, Any] = {"port": port, "backoff_max_s": 0.2}
    away = MqttBus(Options("away", **options), heard_before := Recorder())
    await away.open(PATIENCE_S)
    granted: list[object] = []
    away.subscribe([Subscription("t")], granted.append)
    await until(lambda: granted)
    await away.close()
    reader = MqttBus(Options("reader", **options), heard := Recorder())
    sender = MqttBus(Options("sender", **options), Recorder())
    await reader.open(PATIENCE_S)
    await sender.open(PATIENCE_S)
    reader.subscribe([Subscription("t")], granted.append)
    await until(lambda: len(granted) == 2)
    confirmed: dict[int, int] = {}
    sent = 0
    for deaths in range(3):
        while len(confirmed) < 1000 * (deaths + 1):
            if sender.backlog < 500:
                for _ in range(100):
                    retain = sent % 10 == 0
                    topic = f"kept/{sent % 50}" if retain else "t"
                    sender.publish(Frame(topic, b"%d" % sent, retain=retain), partial(confirmed.__setitem__, sent))
                    sent += 1
            await asyncio.sleep(0.001)
        broker.kill()
        await broker.stop()
        broker = await BrokerProcess.start(port=port, store=path)
    await until(lambda: len(confirmed) == sent)
    back = MqttBus(Options("away", **options), stored := Recorder())
    await back.open(PATIENCE_S)
    wanted = {number for number in confirmed if number % 10}
    for one in (heard, stored):
        await until(lambda one=one: wanted <= {int(body) for body in one.payloads})
    assert stored.facts[0].session_present
    assert heard_before.payloads == []
    late = MqttBus(Options("late", **options), retained := Recorder())
    await late.open(PATIENCE_S)
    late.subscribe([Subscription("kept/#")])
    last = {f"kept/{number % 50}": number for number in sorted(confirmed) if number % 10 == 0}
    await until(lambda: len(retained.deliveries) == len(last))
    assert {frame.topic: int(frame.payload) for frame in retained.frames} == last
    for bus in (reader, sender, back, late):
        await bus.close()
    await broker.stop()


@pytest.mark.parametrize("fill", [b"no database at all" * 100, b"SQLite format 3\x00" + bytes(2000)])
def test_a_file_that_is_no_store_is_one_line(tmp_path: Path, fill: bytes) -> None:
    path = tmp_path / "broker.sqlite"
    path.write_bytes(fill)
    with pytest.raises(ConfigError, match=r"--store .*broker\.sqlite: .*; name another file") as found:
        SqliteStore(path)
    assert "\n" not in str(found.value)
    assert path.read_bytes() == fill


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "broker.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE things (name TEXT)")
    with pytest.raises(ConfigError, match="is no store of this version"):
        SqliteStore(path)


def test_a_damaged_store_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "broker.sqlite"
    store = SqliteStore(path)
    store.write([("message", number, bytes(3000)) for number in range(1, 50)])
    store.close()
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xa5" * (len(data) - 8192)
    path.write_bytes(data)
    with pytest.raises(ConfigError, match="move this one away to begin anew"):
        list(SqliteStore(path).load())


def test_a_store_in_use_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "broker.sqlite"
    store = SqliteStore(path)
    with pytest.raises(ConfigError, match="another broker uses it"):
        SqliteStore(path)
    store.close()
    with pytest.raises(ConfigError, match="name a file to write to"):
        SqliteStore(tmp_path)


@pytest.mark.slow
def test_a_broker_process_says_what_is_wrong_with_its_store(tmp_path: Path) -> None:
    path = tmp_path / "broker.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(BusError, match=r"foa-broker: --store .*broker\.sqlite: file is not a database; name another"):
        asyncio.run(BrokerProcess.start(store=path))


def test_a_write_that_finds_no_room_changes_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "broker.sqlite")
    store.write([("retained", "t", b"1")])
    store._db.execute("PRAGMA max_page_count = 12")
    for _ in range(3):
        with pytest.raises(BusError, match="full"):
            store.write([("retained", "t", b"2"), ("message", 1, bytes(1 << 20))])
    with pytest.raises(BusError, match="full"):
        store.probe()
    store._db.execute("PRAGMA max_page_count = 100000")
    store.probe()
    assert list(store.load()) == [("retained", "t", b"1")]
    store.close()


class Full(Drawer):
    """A store whose disk may be full."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False

    def load(self) -> Iterable[tuple[str, Ident, bytes]]:
        return [(kind, ident, body) for (kind, ident), body in self.rows.items()]

    def write(self, rows: Sequence[Row]) -> None:  # type: ignore[override]
        self.probe()
        super().write(rows)

    def probe(self) -> None:
        if self.full:
            raise BusError("database or disk is full")

    def close(self) -> None: ...


def test_with_a_full_disk_it_goes_on_from_memory_says_so_once_and_catches_up(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.02)
    asyncio.run(_full_disk())
    said = capfd.readouterr().err
    assert said.count("cannot write the store: database or disk is full; going on from memory") == 1
    assert said.count("the store can be written again") == 1


async def _full_disk() -> None:
    store = Full()
    server = BrokerServer(store=store)
    await server.start("127.0.0.1", 0)
    bus = MqttBus(Options("a", port=server.port), heard := Recorder())
    await bus.open(PATIENCE_S)
    codes: list[int] = []
    bus.publish(Frame("kept/0", b"before", retain=True), codes.append)
    await until(lambda: codes == [0])
    store.full = True
    bus.subscribe([Subscription("t")])
    for number in range(1, 20):
        bus.publish(Frame(f"kept/{number}", b"meanwhile", retain=True), codes.append)
        bus.publish(Frame("t", b"%d" % number), codes.append)
    await until(lambda: len(codes) == 39 and len(heard.deliveries) == 19)
    assert server.broker.stats.store_failing
    await asyncio.sleep(0.1)
    assert len([kind for kind, _ in store.rows if kind == "retained"]) == 1
    store.full = False
    await until(lambda: len([kind for kind, _ in store.rows if kind == "retained"]) == 20)
    await until(lambda: not server.broker.stats.store_failing)
    await bus.close()
    await server.stop()
    again = store.broker()
    assert again.router.retained.count == 20
    assert again.stats.unreadable == 0
