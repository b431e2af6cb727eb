"""Nodes of two releases in one federation, upgraded one by one and back while tasks run: none lost, none twice."""

from collections import Counter
from typing import Any

import msgspec
import pytest

from foa.bus.mqtt.broker.records import Message
from foa.core.effects import Key
from foa.core.machines import ownership
from foa.core.machines.agent import announce
from foa.core.machines.client import Report, Submission
from foa.testing import federation
from foa.testing.agents import Begun, Temper, profile
from foa.testing.world import Node, World
from foa.wire.messages import Result
from foa.wire.records import Plan, Subtask, Task
from tests.sim.release import NEWS, Release

COORDINATORS = ("c1", "c2", "c3")
INDICES = ("i1", "i2")
AGENTS = ("acme.tools.a1", "acme.tools.a2", "acme.tools.a3")
TASK_EVERY_S = 0.4
LEAVES = {"coordinator": ownership.KEY, "agent": announce.KEY, "index": Key("shard")}


class Rolling:
    """A federation whose nodes are of today's release or the next, and tasks that never cease."""

    def __init__(self, seed: int) -> None:
        self.world = World(seed, federation.settings())
        self.world.witness(self._witness)
        self.kinds: Counter[str] = Counter()
        self.begun: Counter[str] = Counter()
        self.results: dict[str, list[Result]] = {}
        self.next: dict[str, Release] = {}
        self.submitted: list[str] = []
        for name in COORDINATORS:
            federation.coordinator(self.world, name)
        for name in INDICES:
            federation.index(self.world, name)
        for name in AGENTS:
            federation.agent(self.world, profile(name.replace(".", "/"), slots=8), Temper(0.05, 0.3), self._begin)
        self.client = federation.client(self.world, "u1", self._report)
        for node in self.world.nodes.values():
            node.start()
        self.run(3.0)

    def _begin(self, begun: Begun) -> None:
        self.begun[begun.job.award.key] += begun.job.round == 0

    def _report(self, report: Report) -> None:
        if report.kind == "result":
            self.results.setdefault(report.id, []).append(report.value)

    def _witness(self, message: Message) -> None:
        payload = bytes(message.packet.payload)
        if (payload[:1] and payload[0] & 0xF0 == 0x80) or payload[:1] == b"\xde":
            self.kinds[str(msgspec.msgpack.decode(payload).get("kind"))] += 1

    def run(self, seconds: float) -> None:
        clock = self.world.clock
        clock.run_until(clock.time() + seconds)

    def work(self, seconds: float) -> None:
        """Submit a task now and then, for some time."""
        for _ in range(int(seconds / TASK_EVERY_S)):
            ident = f"t{len(self.submitted)}"
            self.submitted.append(ident)
            steps = tuple(Subtask(name, "echo these words", skills=("echo",)) for name in ("one", "two", "three"))
            plan = Plan(steps, (("one", "two"), ("two", "three")))
            task = Task(ident, "echo", plan=plan, deadline_ms=60_000, retention_s=20)
            self.client.tell(Key("client", ident), Submission(task, watch=False))
            self.run(TASK_EVERY_S)

    def change(self, name: str, *, upgrade: bool, abrupt: bool = False) -> None:
        """Have a node leave (or kill it), and start it again as another release."""
        node = self.world.nodes[name]
        if not abrupt:
            node.tell(LEAVES[node.seat.kind], "leave")
            self.work(1.2)
            node.close()
            self.run(0.5)
        node.kill()
        self.next.pop(name, None)
        node.start()
        if upgrade:
            self.next[name] = released(self.world, node)
        self.work(2.0)

    def finish(self) -> None:
        """Let all tasks end, then see what became of them."""
        self.run(30.0)
        ended = {ident: [one.status for one in found] for ident, found in self.results.items()}
        assert ended == {ident: ["done"] for ident in self.submitted}
        for node in self.world.nodes.values():
            wrong = [line for line in node.sink.errors if "dead_letter" not in line]
            assert wrong == [], wrong[:3]
            letters = sum("dead_letter" in line for line in node.sink.errors)
            assert letters <= 12, f"{node.seat.name} floods dead letters: {node.sink.errors[:3]}"


def released(world: World, node: Node) -> Release:
    """Put the next release between a node that was just started and its bus."""
    bus, driver = node.bus, node.driver
    publish, delivered = bus.publish, driver.delivered
    release = Release(world.topics, publish)

    def hear(delivery: Any) -> None:
        frame = release.into(delivery.frame)
        if frame is None:
            delivery.ack()
            return
        delivery.frame = frame
        delivered(delivery)

    object.__setattr__(bus, "publish", lambda frame, receipt=None: publish(release.out(frame), receipt))
    object.__setattr__(driver, "delivered", hear)
    return release


def rolled(rolling: Rolling, names: tuple[str, ...], *, upgrade: bool, abrupt: bool = False) -> None:
    for name in names:
        rolling.change(name, upgrade=upgrade, abrupt=abrupt)


@pytest.mark.slow
@pytest.mark.parametrize("order", [(*COORDINATORS, *INDICES, *AGENTS), (*AGENTS, *INDICES, *COORDINATORS)])
def test_a_federation_is_upgraded_node_by_node_and_back_while_tasks_run(order: tuple[str, ...]) -> None:
    rolling = Rolling(7)
    rolling.work(2.0)
    assert not any(kind.endswith(".2") for kind in rolling.kinds)
    rolled(rolling, order, upgrade=True)
    before = rolling.kinds.copy()
    rolling.work(2.0)
    assert rolling.kinds["state.2"] > before["state.2"], "all coordinators read it, so it is spoken"
    assert rolling.kinds["award.2"] > before["award.2"]
    assert rolling.kinds[NEWS]
    rolled(rolling, tuple(reversed(order)), upgrade=False)
    before = rolling.kinds.copy()
    rolling.work(2.0)
    assert rolling.kinds["state.2"] == before["state.2"]
    rolling.finish()
    assert set(rolling.begun.values()) == {1}, "who leaves in good order has nothing run twice"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_nor_is_anything_lost_when_nodes_are_killed_instead(seed: int) -> None:
    rolling = Rolling(seed)
    rolled(rolling, (*COORDINATORS, *INDICES, *AGENTS), upgrade=True, abrupt=True)
    rolled(rolling, (*COORDINATORS, *INDICES, *AGENTS), upgrade=False, abrupt=True)
    rolling.finish()
