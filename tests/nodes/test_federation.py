"""A federation over the in-memory bus, no process and no fault: what a user does, from end to end."""

from typing import Any

import pytest

from foa.bus.mqtt.broker.records import Message
from foa.core.effects import Key
from foa.core.machines.client import Abandon, Report, Submission
from foa.testing import federation
from foa.testing.agents import Begun, Temper, profile
from foa.testing.world import Node, World
from foa.wire.messages import Result
from foa.wire.records import Plan, Subtask, Task


class Federation:
    """Two coordinators, an index node, three agents, a client."""

    def __init__(self, *, temper: Temper | None = None, **profiles: Any) -> None:
        self.world = World(1, federation.settings())
        self.traces: dict[str, set[str]] = {}
        self.world.witness(self._note)
        self.begun: list[Begun] = []
        self.reports: list[Report] = []
        for name in ("c1", "c2"):
            federation.coordinator(self.world, name)
        federation.index(self.world, "i1")
        for name in ("a1", "a2", "a3"):
            made = profile(f"acme/tools/{name}", **profiles)
            federation.agent(self.world, made, temper or Temper(), self.begun.append)
        self.client = federation.client(self.world, "u1", self.reports.append)
        for node in self.world.nodes.values():
            node.start()
        self.world.clock.run_until(2.0)

    def _note(self, message: Message) -> None:
        kind = self.world.topics.parse(message.packet.topic).kind
        self.traces.setdefault(kind, set()).add(dict(message.packet.user_properties).get("traceparent", ""))

    def submit(self, task: Task) -> None:
        self.client.driver.tell(Key("client", task.id), Submission(task, watch=True))

    def run(self, seconds: float) -> None:
        self.world.clock.run_until(self.world.clock.time() + seconds)

    def result(self, task: str = "t1") -> Result:
        (found,) = [one.value for one in self.reports if (one.kind, one.id) == ("result", task)]
        assert isinstance(found, Result)
        return found

    def owner(self, task: str = "t1") -> Node:
        key = Key("task", task)
        (found,) = [node for node in self.world.of("coordinator") if type(node.driver.state(key)).__name__ == "Live"]
        return found


def echo(**changes: Any) -> Task:
    fields: dict[str, Any] = {"text": "echo these words", "skills": ("echo",), "retention_s": 20}
    return Task("t1", **(fields | changes))


def test_a_task_is_accepted_done_and_forgotten() -> None:
    net = Federation()
    net.submit(echo())
    net.run(1.0)
    assert [one.kind for one in net.reports if one.kind != "events"] == ["accepted", "result"]
    assert net.result().outputs[0].value.body == b"main: echo these words"
    net.run(60.0)
    for node in net.world.nodes.values():
        assert {key.kind for key in node.driver._states} <= {key.kind for key in node.program.roots}, node.seat.name
        assert node.sink.errors == []


def test_events_say_what_happened_in_order() -> None:
    net = Federation()
    net.submit(echo())
    net.run(1.0)
    kinds = [note.kind for one in net.reports if one.kind == "events" for note in one.value.notes]
    assert [kind for kind in kinds if kind in {"planned", "awarded", "done"}][:2] == ["planned", "awarded"]


def test_branches_run_side_by_side_and_meet() -> None:
    net = Federation(temper=Temper(0.5, 0.5))
    subtasks = tuple(Subtask(name, f"echo {name}", skills=("echo",)) for name in ("a", "b", "c"))
    net.submit(echo(text="", plan=Plan(subtasks, (("a", "c"), ("b", "c")))))
    net.run(3.0)
    assert net.result().status == "done"
    assert 1000 <= net.result().ms < 1300


def test_a_killed_owner_is_followed_by_its_heir() -> None:
    net = Federation(temper=Temper(0.5, 0.5))
    net.submit(echo())
    net.run(0.2)
    net.owner().kill()
    net.run(1.0)
    assert net.result().status == "done"
    assert len(net.begun) == 1, "the work went on meanwhile"


def test_a_killed_agent_is_replaced_after_its_lease() -> None:
    net = Federation(temper=Temper(0.5, 0.5))
    net.submit(echo())
    net.run(0.2)
    net.world.nodes[net.begun[0].agent.replace("/", ".")].kill()
    net.run(15.0)
    assert net.result().status == "done"
    assert [one.job.award.attempt for one in net.begun] == [1, 2]


def test_a_cancel_reaches_the_agent() -> None:
    net = Federation(temper=Temper(5.0, 5.0))
    net.submit(echo())
    net.run(0.5)
    net.client.driver.tell(Key("client", "t1"), Abandon(cancel=True, reason="enough"))
    net.run(0.5)
    assert (net.result().status, net.result().reason) == ("cancelled", "enough")
    agents = [node.driver.state(Key("agent")) for node in net.world.of("agent")]
    assert [state.running for state in agents if state is not None] == [(), (), ()]


@pytest.mark.parametrize("frames", range(1, 8))
def test_an_owner_killed_while_sending_loses_nothing(frames: int) -> None:
    net = Federation()
    for node in net.world.of("coordinator"):
        node.kill_while_sending(frames)
    net.submit(echo())
    net.run(3.0)
    for node in net.world.of("coordinator"):
        node.bus.fuse = None
        if not node.alive:
            node.start()
    net.run(25.0)
    assert net.result().status == "done"


def test_a_broker_that_restarts_loses_no_task() -> None:
    net = Federation(temper=Temper(0.5, 0.5))
    net.submit(echo())
    net.run(0.2)
    net.world.network.crash_broker()
    net.run(1.0)
    net.world.network.restart_broker()
    net.run(10.0)
    assert net.result().status == "done"


def test_every_frame_sent_for_a_task_carries_its_trace() -> None:
    net = Federation()
    net.traces.clear()
    trace = f"00-{'ab' * 16}-{'cd' * 8}-01"
    net.client.driver.tell(Key("client", "t1"), Submission(echo(), watch=True, trace=trace))
    net.run(1.0)
    assert net.result().status == "done"
    kinds = {"submit", "ask", "reply", "state", "request", "answer", "result"}
    assert {kind: net.traces.get(kind) for kind in kinds} == {kind: {trace} for kind in kinds}
