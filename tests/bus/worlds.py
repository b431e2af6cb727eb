"""The pairs of client and broker under test, made equal: one conformance suite runs in all of them.

In `MemoryWorld` time is virtual and a second costs nothing; in the others the sockets are real.
"""

import asyncio
import os
import random
import signal
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from foa.bus.aiomqtt.client import AiomqttBus
from foa.bus.memory import MemoryBus, MemoryNetwork, VirtualClock
from foa.bus.mqtt.broker.access import unlocked
from foa.bus.mqtt.broker.keeping.sqlite import SqliteStore
from foa.bus.mqtt.broker.records import Limits
from foa.bus.mqtt.broker.server import BrokerServer
from foa.bus.mqtt.client import MqttBus
from foa.bus.port import Delivery, Facts, Options, Subscription
from foa.wire.envelope import Frame
from tests.bus.brokers import Mosquitto, free_port

PATIENCE_S = 15.0
BusKind = MqttBus | AiomqttBus | MemoryBus


class Recorder:
    """A listener that notes everything, and acknowledges at once unless told not to."""

    def __init__(self, *, acks: bool = True) -> None:
        self.acks = acks
        self.facts: list[Facts] = []
        self.deliveries: list[Delivery] = []
        self.ends: list[tuple[str, bool]] = []
        self.drains = 0

    def connected(self, facts: Facts) -> None:
        self.facts.append(facts)

    def delivered(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        if self.acks:
            delivery.ack()

    def disconnected(self, reason: str, *, final: bool) -> None:
        self.ends.append((reason, final))

    def turned(self) -> None: ...

    def drained(self) -> None:
        self.drains += 1

    @property
    def payloads(self) -> list[bytes]:
        return [one.frame.payload for one in self.deliveries]

    @property
    def frames(self) -> list[Frame]:
        return [one.frame for one in self.deliveries]


class Client:
    """One bus and its recorder."""

    def __init__(self, world: "World", bus: BusKind, heard: Recorder) -> None:
        self.world = world
        self.bus = bus
        self.heard = heard

    async def subscribe(self, *patterns: str | Subscription) -> tuple[int, ...]:
        """Subscribe and return the codes."""
        answers: list[tuple[int, ...]] = []
        wanted = [one if isinstance(one, Subscription) else Subscription(one) for one in patterns]
        self.bus.subscribe(wanted, answers.append)
        await self.world.until(lambda: bool(answers))
        return answers[0]

    async def publish(self, topic: str, payload: bytes = b"x", **fields: Any) -> int:
        """Publish and return the receipt."""
        receipts: list[int] = []
        self.bus.publish(Frame(topic, payload, **fields), receipts.append)
        await self.world.until(lambda: bool(receipts))
        return receipts[0]

    async def close(self, *, will: bool = False) -> None:
        """Close and wait for it."""
        if isinstance(self.bus, MemoryBus):
            self.bus.close(will=will)
            await self.world.pass_time(0.01)
        else:
            await self.bus.close(will=will)

    def fall_silent(self) -> None:
        """Never ping again."""
        self.bus._disarm()
        if isinstance(self.bus, AiomqttBus):
            misc = self.bus._link.client._misc_task
            assert misc is not None
            misc.cancel()


class World(ABC):
    """A broker, and clients of it."""

    name = ""
    broker = ""  # "ours" or the name of a foreign one
    virtual = False

    def __init__(self, *, limits: Limits | None = None, users: dict[str, str] | None = None) -> None:
        self.limits = limits or Limits()
        self.users = users
        self.clients: list[Client] = []

    async def client(self, client_id: str, heard: Recorder | None = None, **options: Any) -> Client:
        """Return a connected client."""
        heard = heard or Recorder()
        bus = self.make(Options(client_id, **options), heard)
        client = Client(self, bus, heard)
        self.clients.append(client)
        if isinstance(bus, MemoryBus):
            await self.until(lambda: bool(heard.facts or heard.ends))
        else:
            await bus.open(PATIENCE_S)
        return client

    def lacks(self, why: str) -> None:
        """Skip the rest of this test: the broker cannot do it, says `why`."""
        pytest.skip(why)

    async def settle(self) -> None:
        """Let everything under way arrive."""
        await self.pass_time(0.05)

    @abstractmethod
    def make(self, options: Options, heard: Recorder) -> BusKind:
        """Return a bus that is not connected yet."""

    @abstractmethod
    async def until(self, condition: Callable[[], bool], patience: float = PATIENCE_S) -> None:
        """Wait for `condition`, and fail after `patience` seconds."""

    @abstractmethod
    async def pass_time(self, seconds: float) -> None:
        """Let time pass."""

    @abstractmethod
    async def start(self) -> None:
        """Start the broker."""

    @abstractmethod
    async def crash(self) -> None:
        """Kill the broker; it forgets everything."""

    @abstractmethod
    async def restart(self) -> None:
        """Start the killed broker again."""

    @abstractmethod
    def freeze(self) -> None:
        """Let the broker fall silent, its connections open."""

    @abstractmethod
    async def talk(self, data: bytes) -> tuple[bytes, bool]:
        """Send `data` on a connection of its own; return the answer, and whether the broker then closed it."""

    @abstractmethod
    async def stop(self) -> None:
        """End everything."""


class MemoryWorld(World):
    """The machines plugged together."""

    name = "memory"
    broker = "ours"
    virtual = True

    async def start(self) -> None:
        self.clock = VirtualClock()
        self.network = MemoryNetwork(self.clock, random.Random(7), limits=self.limits, users=self.users)

    def make(self, options: Options, heard: Recorder) -> MemoryBus:
        return self.network.attach(options, heard)

    async def until(self, condition: Callable[[], bool], patience: float = PATIENCE_S) -> None:
        end = self.clock.time() + patience
        while not condition():
            assert self.clock.time() <= end, "waited in vain"
            assert self.clock.step(), "nothing is left to happen"

    async def pass_time(self, seconds: float) -> None:
        self.clock.run_until(self.clock.time() + seconds)

    async def crash(self) -> None:
        self.network.crash_broker("all")

    async def restart(self) -> None:
        self.network.restart_broker()

    def freeze(self) -> None:
        for client in self.clients:
            self.network.partition(client.bus.options.client_id)

    async def talk(self, data: bytes) -> tuple[bytes, bool]:
        broker = self.network.broker
        connection = broker.connect(self.clock.time())
        connection.peer = Sink()
        broker.receive(connection, data, self.clock.time())
        answer, closed = connection.take(), connection.closing
        broker.touched.clear()
        broker.lost(connection, self.clock.time())
        return answer, closed

    async def stop(self) -> None:
        for client in self.clients:
            assert isinstance(client.bus, MemoryBus)
            client.bus.close()
        await self.pass_time(1)


class Sink:
    """Stands for the link of a raw connection."""

    def __init__(self) -> None:
        self.down = self

    def send(self, data: bytes) -> None:
        """Nobody listens."""

    def sever(self, reason: str) -> None:
        """Nobody listens."""


class SocketWorld(World):
    """A client over TCP: ours, or the one of a subclass."""

    port = 0

    def make(self, options: Options, heard: Recorder) -> BusKind:
        return MqttBus(msgspec.structs.replace(options, port=self.port), heard)

    async def until(self, condition: Callable[[], bool], patience: float = PATIENCE_S) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + patience
        while not condition():
            assert loop.time() < end, "waited in vain"
            await asyncio.sleep(0.001)

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def talk(self, data: bytes) -> tuple[bytes, bool]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            answer = b""
            while True:
                piece = await asyncio.wait_for(reader.read(65_536), 0.2)
                if not piece:
                    return answer, True
                answer += piece
        except TimeoutError:
            return answer, False
        except ConnectionResetError:
            return answer, True
        finally:
            writer.close()

    async def stop(self) -> None:
        for client in self.clients:
            await client.close()
        await self.end_broker()

    async def end_broker(self) -> None:
        raise NotImplementedError


class OursWorld(SocketWorld):
    """Our client, our broker."""

    name = "ours"
    broker = "ours"

    async def start(self) -> None:
        self.port = self.port or free_port()
        self.server = BrokerServer(self.limits, None if self.users is None else unlocked(self.users))
        await self.server.start("127.0.0.1", self.port)

    async def crash(self) -> None:
        for transport in list(self.server._transports):
            transport.abort()
        await self.server.stop()

    async def restart(self) -> None:
        await self.start()

    def freeze(self) -> None:
        for transport in self.server._transports:
            transport.pause_reading()
        if self.server._timer is not None:
            self.server._timer.cancel()  # or it would tell a client that it hears nothing

    async def end_broker(self) -> None:
        await self.server.stop()


class KeptWorld(OursWorld):
    """Our client, our broker with a store; a crash takes the store away as well."""

    name = "kept"

    async def start(self) -> None:
        self.port = self.port or free_port()
        self.folder = tempfile.TemporaryDirectory()
        store = SqliteStore(Path(self.folder.name) / "broker.sqlite")
        self.server = BrokerServer(self.limits, None if self.users is None else unlocked(self.users), store=store)
        await self.server.start("127.0.0.1", self.port)

    async def crash(self) -> None:
        await super().crash()
        self.folder.cleanup()

    async def end_broker(self) -> None:
        await super().end_broker()
        self.folder.cleanup()


class MosquittoWorld(SocketWorld):
    """Our client, Mosquitto."""

    name = "mosquitto"
    broker = "mosquitto"

    async def start(self) -> None:
        extra = ""
        if self.limits != Limits():
            extra += f"max_packet_size {self.limits.max_packet_size}\n"
            extra += f"max_inflight_messages {min(1000, self.limits.receive_maximum)}\n"
        if self.users is not None:
            extra += "allow_anonymous false\n"
        self.process = Mosquitto(extra)
        self.port = self.process.port
        await asyncio.to_thread(self.process.start)

    async def crash(self) -> None:
        await asyncio.to_thread(self.process.kill)

    async def restart(self) -> None:
        await asyncio.to_thread(self.process.start)

    def freeze(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    async def end_broker(self) -> None:
        await asyncio.to_thread(self.process.stop)


class Library(SocketWorld):
    """aiomqtt for a client."""

    def make(self, options: Options, heard: Recorder) -> BusKind:
        return AiomqttBus(msgspec.structs.replace(options, port=self.port), heard)


class AiomqttOursWorld(Library, OursWorld):
    """aiomqtt, our broker."""

    name = "aiomqtt-ours"


class AiomqttMosquittoWorld(Library, MosquittoWorld):
    """aiomqtt, Mosquitto."""

    name = "aiomqtt-mosquitto"


_ALL = (MemoryWorld, OursWorld, KeptWorld, MosquittoWorld, AiomqttOursWorld, AiomqttMosquittoWorld)
WORLDS: dict[str, type[World]] = {one.name: one for one in _ALL}
