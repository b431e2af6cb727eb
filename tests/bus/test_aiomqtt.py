"""What the conformance suite cannot see of the client on aiomqtt: its socket, its packets, its beginning and end."""

import asyncio
import socket
import sys
from collections.abc import Coroutine
from typing import Any, Self

import mqtt5
import pytest

from foa.bus.aiomqtt.client import AiomqttBus
from foa.bus.mqtt import packets
from foa.bus.mqtt.broker.server import BrokerServer
from foa.bus.port import Facts, Options, Subscription, Will
from foa.errors import BusError, ConfigError, TooLarge
from foa.nodes import host
from foa.settings import Settings
from foa.wire.envelope import Frame
from tests.bus.brokers import free_port
from tests.bus.reading import cut
from tests.bus.worlds import Recorder

FRAME = Frame("t", b"x", expiry_s=9, properties=(("k", "v"),))


def run(body: Coroutine[Any, Any, None]) -> None:
    asyncio.run(body)


class Script:
    """A broker that says yes to a CONNECT, notes what comes, and answers nothing."""

    def __init__(self, *, session_present: bool, receive_maximum: int = 100) -> None:
        self.hello = mqtt5.ConnAckPacket(session_present=session_present, receive_max=receive_maximum).write()
        self.heard: list[list[packets.Packet]] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.server.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cutter, found = packets.Reader(1 << 20), list[packets.Packet]()
        self.heard.append(found)
        while data := await reader.read(65_536):
            for packet in cut(cutter, data)[0]:
                if isinstance(packet, mqtt5.ConnectPacket):
                    writer.write(self.hello)
                found.append(packet)
        writer.close()

    def published(self, connection: int) -> list[mqtt5.PublishPacket]:
        return [one for one in self.heard[connection] if isinstance(one, mqtt5.PublishPacket)]

    async def until(self, connection: int, number: int) -> None:
        async with asyncio.timeout(5.0):
            while len(self.heard) <= connection or len(self.published(connection)) < number:  # noqa: ASYNC110
                await asyncio.sleep(0.002)


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_in_flight_is_sent_again_with_dup_if_the_broker_kept_the_session(kept: bool) -> None:
    async def body() -> None:
        async with Script(session_present=kept) as broker:
            bus = AiomqttBus(Options("a", port=broker.port), Recorder())
            await bus.open(5.0)
            for number in range(3):
                bus.publish(Frame("t", b"%d" % number))
            await broker.until(0, 3)
            bus.abort()
            await broker.until(1, 3)
            first, again = broker.published(0), broker.published(1)
            assert [one.payload for one in again] == [b"0", b"1", b"2"]
            assert [one.duplicate for one in again] == [kept] * 3
            assert ([one.packet_id for one in again] == [one.packet_id for one in first]) is kept
            await bus.close()
            assert isinstance(broker.heard[1][-1], mqtt5.DisconnectPacket)

    run(body())


def test_a_smaller_window_after_a_reconnect_is_obeyed() -> None:
    async def body() -> None:
        async with Script(session_present=True) as broker:
            bus = AiomqttBus(Options("a", port=broker.port), Recorder())
            await bus.open(5.0)
            for number in range(5):
                bus.publish(Frame("t", b"%d" % number))
            await broker.until(0, 5)
            broker.hello = mqtt5.ConnAckPacket(session_present=True, receive_max=2).write()
            bus.abort()
            await broker.until(1, 2)
            await asyncio.sleep(0.02)
            assert [one.payload for one in broker.published(1)] == [b"0", b"1"]
            assert bus.backlog == 5
            await bus.close()

    run(body())


def test_what_cannot_be_written_is_refused_and_leaves_nothing_behind() -> None:
    async def body() -> None:
        server = BrokerServer()
        await server.start("127.0.0.1", 0)
        bus = AiomqttBus(Options("a", port=server.port), Recorder())
        await bus.open(5.0)
        for bad in (
            Frame(""),
            Frame("t/#"),
            Frame("t\0"),
            Frame("\ud800"),
            Frame("t", qos=2),
            Frame("t", expiry_s=1 << 33),
            Frame("t", properties=(("k", "v" * 70_000),)),
        ):
            with pytest.raises(BusError, match="frame on"):
                bus.publish(bad)
        with pytest.raises(TooLarge):
            bus.publish(Frame("t", bytes(2 << 20)))
        for pattern in ("", "t\0", "\ud800", "t" * 70_000):
            with pytest.raises(BusError, match="cannot be encoded"):
                bus.subscribe([Subscription(pattern)])
        codes: list[tuple[int, ...]] = []
        bus.subscribe([Subscription("a#")], codes.append)
        receipts: list[int] = []
        bus.publish(FRAME, receipts.append)
        await bus.close()
        assert receipts == [0x10]
        assert codes == [(0x8F,)]
        await server.stop()

    run(body())


def test_a_connect_that_cannot_be_written_is_refused_at_once() -> None:
    async def body() -> None:
        for bad in (Options("x" * 70_000), Options("a", will=Will(Frame("w/#"))), Options("a", receive_maximum=0)):
            with pytest.raises(BusError, match="CONNECT cannot be encoded"):
                AiomqttBus(bad, Recorder())

    run(body())


def test_nagle_is_off_and_subscribing_comes_before_publishing() -> None:
    async def body() -> None:
        server = BrokerServer()
        await server.start("127.0.0.1", 0)
        heard = Recorder()
        bus = AiomqttBus(Options("a", port=server.port), heard)
        await bus.open(5.0)
        opened = bus._link.paho.socket()
        assert isinstance(opened, socket.socket)
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        bus.subscribe([Subscription("t")])
        bus.publish(FRAME)
        await bus.close()
        assert heard.frames == [FRAME]
        assert heard.ends == [("closed", True)]
        await bus.close()
        await server.stop()

    run(body())


def test_nobody_there_is_said_in_one_line() -> None:
    async def body() -> None:
        port = free_port()
        bus = AiomqttBus(Options("a", port=port), Recorder())
        with pytest.raises(BusError, match=f"cannot reach a broker at 127.0.0.1:{port}: .*refused"):
            await bus.open(0.1)
        with pytest.raises(BusError, match="closed"):
            bus.publish(FRAME)

    run(body())


def test_a_broker_that_never_answers_is_given_up_again_and_again() -> None:
    async def body() -> None:
        async with Script(session_present=False) as broker:
            broker.hello = b""
            bus = AiomqttBus(Options("a", port=broker.port, connect_timeout_s=0.03, backoff_max_s=0.01), Recorder())
            with pytest.raises(BusError, match=r"no answer (within 0.03 s|yet)"):
                await bus.open(0.2)
            assert len(broker.heard) > 1

    run(body())


def test_a_reconnect_without_an_answer_is_given_up_too() -> None:
    """After the first connection aiomqtt no longer waits for the CONNACK by itself."""

    async def body() -> None:
        async with Script(session_present=False) as broker:
            heard = Recorder()
            options = Options("a", port=broker.port, connect_timeout_s=0.05, backoff_max_s=0.01)
            bus = AiomqttBus(options, heard)
            await bus.open(5.0)
            hello, broker.hello = broker.hello, b""
            bus.abort()
            async with asyncio.timeout(5.0):
                while len(broker.heard) < 3:  # noqa: ASYNC110
                    await asyncio.sleep(0.002)
                broker.hello = hello
                while len(heard.facts) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.002)
            assert len(heard.ends) == 1
            await bus.close()

    run(body())


def test_a_connection_that_ends_with_its_first_word_is_followed_by_another() -> None:
    """aiomqtt's entering is not done yet then, and it takes the end for that of the connection before."""

    class Cutter(Recorder):
        bus: AiomqttBus

        def connected(self, facts: Facts) -> None:
            super().connected(facts)
            if len(self.facts) == 1:
                self.bus.abort()

    async def body() -> None:
        async with Script(session_present=False) as broker:
            heard = Cutter()
            heard.bus = bus = AiomqttBus(Options("a", port=broker.port, backoff_max_s=0.01), heard)
            await bus.open(5.0)
            async with asyncio.timeout(5.0):
                while len(heard.facts) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.002)
            await bus.close()

    run(body())


def test_a_host_chooses_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        loop = asyncio.get_running_loop()
        for kind, name in (("foa", "MqttBus"), ("aiomqtt", "AiomqttBus")):
            broker = Settings.from_mapping({"broker.client": kind}, "the test").broker
            assert type(host.session(broker.client, Options("a"), Recorder(), loop)).__name__ == name
        for module in [one for one in sys.modules if one.startswith("foa.bus.aiomqtt")]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setitem(sys.modules, "aiomqtt", None)
        with pytest.raises(
            ConfigError, match=r"broker.client = 'aiomqtt': .*pip install 'federation-of-agents\[aiomqtt\]'"
        ):
            host.session("aiomqtt", Options("a"), Recorder(), loop)

    run(body())
