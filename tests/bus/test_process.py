"""The asyncio shells and the broker's process: starting, failing, ending."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from foa.bus.mqtt.broker.server import BrokerServer
from foa.bus.mqtt.client import MqttBus
from foa.bus.port import Options, Subscription
from foa.bus.process import BrokerProcess
from foa.errors import BusError, Refused
from foa.wire.envelope import Frame
from tests.bus.brokers import free_port, mosquitto
from tests.bus.worlds import Recorder


def run(body: Coroutine[Any, Any, None]) -> None:
    asyncio.run(body)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10.0):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.002)


async def heard_by(port: int) -> list[bytes]:
    """Publish to ourselves over `port` and return what arrived."""
    heard = Recorder()
    bus = MqttBus(Options("a", port=port), heard)
    await bus.open(5.0)
    bus.subscribe([Subscription("t")])
    bus.publish(Frame("t", b"hello"))
    await until(lambda: bool(heard.payloads))
    await bus.close()
    assert heard.ends == [("closed", True)]
    return heard.payloads


@pytest.mark.slow
def test_the_broker_runs_as_a_child_and_stops_when_told() -> None:
    async def body() -> None:
        process = await BrokerProcess.start()
        assert await heard_by(process.port) == [b"hello"]
        await process.stop()
        await process.stop()
        assert not process.running
        assert await process.wait() == 0

    run(body())


@pytest.mark.slow
def test_a_broker_that_cannot_start_says_why() -> None:
    async def body() -> None:
        process = await BrokerProcess.start()
        with pytest.raises(BusError, match=f"cannot listen on 127.0.0.1:{process.port}: .*in use"):
            await BrokerProcess.start(port=process.port)
        process.kill()
        assert await process.wait() == -signal.SIGKILL
        await process.stop()
        with pytest.raises(BusError, match="/nowhere: cannot be read: No such file"):
            await BrokerProcess.start(users=Path("/nowhere"))

    run(body())


@pytest.mark.slow
def test_users_are_read_from_a_file(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("# people\nann:sec:ret\n")

    async def body() -> None:
        process = await BrokerProcess.start(users=users)
        bus = MqttBus(Options("a", port=process.port, username="ann", password="sec:ret"), Recorder())
        await bus.open(5.0)
        await bus.close()
        for name, password in (("ann", "wrong"), ("bob", ""), (None, None)):
            bus = MqttBus(Options("a", port=process.port, username=name, password=password), Recorder())
            with pytest.raises(Refused, match="bad user name or password"):
                await bus.open(5.0)
        await process.stop()

    run(body())


@pytest.mark.slow
def test_the_broker_ends_with_its_parent() -> None:
    """The parent is killed: it can tell nobody."""
    program = (
        "import asyncio\n"
        "from foa.bus.process import BrokerProcess\n"
        "async def main():\n"
        "    process = await BrokerProcess.start()\n"
        "    print(process.port, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline())
        socket.create_connection(("127.0.0.1", port)).close()
        parent.kill()
    deadline = time.monotonic() + 5.0
    with contextlib.suppress(ConnectionRefusedError):
        while time.monotonic() < deadline:
            socket.create_connection(("127.0.0.1", port)).close()
            time.sleep(0.01)
    assert time.monotonic() < deadline


@pytest.mark.slow
def test_an_interrupt_ends_it_silently() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "foa.bus.mqtt.broker", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"foa-broker ready 127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=5.0) == (b"", b"")
        assert process.returncode == 0


@pytest.mark.mosquitto
def test_the_mosquitto_fixture_gives_a_broker() -> None:
    async def body() -> None:
        async with mosquitto() as port:
            assert await heard_by(port) == [b"hello"]

    run(body())


def test_nobody_there_is_said_in_one_line() -> None:
    async def body() -> None:
        port = free_port()
        heard = Recorder()
        bus = MqttBus(Options("a", port=port), heard)
        with pytest.raises(BusError, match=f"cannot reach a broker at 127.0.0.1:{port}: .*refused") as caught:
            await bus.open(0.1)
        assert "\n" not in str(caught.value)
        with pytest.raises(BusError, match="closed"):
            bus.publish(Frame("t"))
        await bus.close()

    run(body())


def test_close_sends_what_is_queued_first() -> None:
    async def body() -> None:
        server = BrokerServer()
        await server.start("127.0.0.1", 0)
        bus = MqttBus(Options("a", port=server.port), Recorder())
        await bus.open(5.0)
        receipts: list[int] = []
        for number in range(3000):
            bus.publish(Frame(f"t/{number}", b"x", retain=True), receipts.append)
        await bus.close()
        assert len(receipts) == 3000
        assert server.broker.router.retained.count == 3000
        await server.stop()

    run(body())


def test_a_client_that_does_not_read_is_bounded_and_dropped() -> None:
    """QoS 0 beyond the buffers is dropped, counted; QoS 1 waits; the others notice nothing."""

    async def body() -> None:
        server = BrokerServer()
        await server.start("127.0.0.1", 0)
        slow, fast, a = Recorder(), Recorder(), Recorder()
        buses = [
            MqttBus(Options(name, port=server.port), heard) for name, heard in (("s", slow), ("f", fast), ("a", a))
        ]
        for bus in buses:
            await bus.open(5.0)
        for bus in buses[:2]:
            bus.subscribe([Subscription("t")])
        await asyncio.sleep(0.05)
        link = buses[0]._link
        assert link is not None
        assert link.transport is not None
        link.transport.pause_reading()
        for number in range(600):
            buses[2].publish(Frame("t", bytes(50_000), qos=number % 2))
            if number % 20 == 0:
                await asyncio.sleep(0.001)
        await until(lambda: len(fast.payloads) >= 600)
        assert server.broker.stats.dropped_slow > 0
        link.transport.resume_reading()
        await until(lambda: sum(frame.qos for frame in slow.frames) == 300)
        for bus in buses:
            await bus.close()
        await server.stop()

    run(body())
