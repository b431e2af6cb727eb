"""A whole federation sealed, in virtual time: all goes on as ever, and every frame sent again later does no harm."""

from typing import Any

import pytest

from foa.bus.memory import Faults
from foa.bus.mqtt.broker.records import Message
from foa.bus.port import Delivery, Facts, Options
from foa.core.effects import Key
from foa.core.machines.client import Report, Submission
from foa.testing import federation
from foa.testing.agents import Begun, Temper, profile
from foa.testing.sealing import Notary
from foa.testing.world import World
from foa.wire.envelope import Frame
from foa.wire.messages import Result
from foa.wire.records import Task
from foa.wire.trust import seal
from foa.wire.trust.seal import seal_of

EVE = "eve/any/where"


class Eve:
    """Hears everything that passes the broker, and may say all of it again, as it was or with a change."""

    def __init__(self, world: World) -> None:
        self.frames: list[Frame] = []
        self._bus = world.network.attach(Options(EVE, "memory", session_expiry_s=0), self)
        world.witness(self._note)

    def _note(self, message: Message) -> None:
        packet = message.packet
        if message.origin != EVE:
            self.frames.append(
                Frame(
                    packet.topic,
                    packet.payload,
                    retain=bool(packet.retain),
                    response_topic=packet.response_topic,
                    correlation=packet.correlation_data,
                    properties=tuple(packet.user_properties or ()),
                )
            )

    def say(self, frame: Frame) -> None:
        self._bus.publish(frame)

    def connected(self, facts: Facts) -> None:
        """Nothing to do."""

    def disconnected(self, reason: str, *, final: bool) -> None:
        """Nothing to do."""

    def delivered(self, delivery: Delivery) -> None:
        """Nothing is subscribed to: all is seen at the broker."""

    def turned(self) -> None:
        """Nothing to do."""

    def drained(self) -> None:
        """Nothing to do."""


class Sealed:
    """Two coordinators, an index node, three agents, a client; all with keys of their own."""

    def __init__(self, seed: int = 1, faults: Faults | None = None) -> None:
        self.world = world = World(seed, federation.settings(), faults)
        world.notary = Notary(seed, world.topics)
        self.eve = Eve(world)
        self.begun: list[Begun] = []
        self.reports: list[Report] = []
        for name in ("c1", "c2"):
            federation.coordinator(world, name)
        federation.index(world, "i1")
        for name in ("a1", "a2", "a3"):
            federation.agent(world, profile(f"acme/tools/{name}"), Temper(), self.begun.append)
        self.client = federation.client(world, "u1", self.reports.append)
        for node in world.nodes.values():
            node.start()
        self.run(2.0)

    def run(self, seconds: float) -> None:
        self.world.clock.run_until(self.world.clock.time() + seconds)

    def work(self, ident: str) -> Result:
        task = Task(ident, "echo these words", skills=("echo",), retention_s=20)
        self.client.driver.tell(Key("client", ident), Submission(task, watch=True))
        found = None
        for _ in range(20):
            self.run(1.0)
            found = found or next((r.value for r in self.reports if (r.kind, r.id) == ("result", ident)), None)
        assert isinstance(found, Result)
        return found

    def counted(self, reason: str) -> int:
        return sum(n.sink.counts[f"foa_dead_letters_total:{reason}"] for n in self.world.nodes.values())

    def errors(self) -> list[Any]:
        return [error for node in self.world.nodes.values() for error in node.sink.errors]


def test_a_sealed_federation_works_and_everything_but_bodies_is_sealed() -> None:
    town = Sealed()
    assert town.work("t1").status == "done"
    assert town.errors() == []
    bare = {town.world.topics.parse(frame.topic).kind for frame in town.eve.frames if seal_of(frame) is None}
    assert bare <= {"blob"}
    assert len({town.world.topics.parse(frame.topic).kind for frame in town.eve.frames}) > 10


@pytest.mark.slow
def test_it_works_through_faults_and_a_kill() -> None:
    town = Sealed(2, Faults(drop=0.02, duplicate=0.2, delay_s=(0.0, 0.05), reorder=0.1))
    assert town.work("t1").status == "done"
    town.world.nodes["c1"].kill()
    assert town.work("t2").status == "done"
    town.world.nodes["c1"].start()
    town.run(3.0)
    assert town.work("t3").status == "done"
    assert town.errors() == []


@pytest.mark.slow
@pytest.mark.parametrize("pause_s", [0.1, 30.0, 300.0])
def test_every_frame_said_again_does_no_harm(pause_s: float) -> None:
    """Whoever has the broker repeats all it heard: nothing runs twice, nobody is lost, and work goes on."""
    town = Sealed(3)
    first = town.work("t1")
    begun, heard = len(town.begun), list(town.eve.frames)
    town.run(pause_s)
    for frame in heard:
        town.eve.say(frame)
    town.run(2.0)
    assert len(town.begun) == begun, "an award sent again was worked on again"
    assert [one.value for one in town.reports if (one.kind, one.id) == ("result", "t1")] == [first]
    town.run(30.0)
    assert town.work("t2").status == "done"
    assert town.counted("replayed") + town.counted("stale") > 0
    assert all(node.alive for node in town.world.nodes.values())


@pytest.mark.slow
def test_every_frame_with_another_body_or_no_seal_is_refused() -> None:
    town = Sealed(4)
    town.work("t1")
    begun = len(town.begun)
    before = {word: town.counted(word) for word in ("forged", "unsigned")}
    heard = [frame for frame in town.eve.frames if seal_of(frame) is not None]
    for frame in heard:
        town.eve.say(Frame(frame.topic, frame.payload + b"x", properties=frame.properties))
        town.eve.say(Frame(frame.topic, frame.payload))
    town.run(2.0)
    assert town.counted("forged") > before["forged"]
    assert town.counted("unsigned") > before["unsigned"]
    assert len(town.begun) == begun
    town.run(30.0)
    assert town.work("t2").status == "done"


def test_two_runs_of_one_seed_are_the_same_to_the_byte() -> None:
    one, other = Sealed(5), Sealed(5)
    assert one.work("t1") == other.work("t1")
    assert one.eve.frames == other.eve.frames
    assert all(name != seal.SIGNATURE or len(value) == 86 for f in one.eve.frames for name, value in f.properties)
