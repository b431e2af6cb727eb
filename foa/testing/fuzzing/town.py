"""A whole federation as a fuzz target: while it works, a hostile client says what it heard there, made worse.

The machines are those of production, met in the states that real work brings them into, with ids that are alive.
"""

from collections import deque
from contextlib import suppress
from functools import lru_cache
from random import Random
from typing import Any, Final

from foa.bus.memory import MemoryNetwork
from foa.bus.mqtt import packets
from foa.bus.mqtt.broker.records import Message
from foa.bus.port import Delivery, Facts, Options
from foa.core.effects import Key
from foa.core.machines.client import Report, Submission
from foa.errors import BusError
from foa.testing import federation
from foa.testing.agents import Temper, profile
from foa.testing.fuzzing.mutate import hostile
from foa.testing.fuzzing.tape import Tape
from foa.testing.world import World
from foa.wire.envelope import Frame
from foa.wire.records import Edge, Given, Plan, Subtask, Task, Value

HEARD: Final = 64
"""How many of the latest frames the hostile client knows."""

MOST: Final = 60
"""Hostile frames of one attack, at most."""

MACHINES: Final = 5000
"""Machines one node may have after an attack."""

QUIET_S: Final = 40.0
PACES: Final = (0.0, 0.001, 0.01, 0.1, 0.5, 1.0)


class _Deaf:
    """Listens to nothing."""

    def connected(self, facts: Facts) -> None: ...

    def delivered(self, delivery: Delivery) -> None:
        delivery.ack()

    def disconnected(self, reason: str, *, final: bool) -> None: ...

    def turned(self) -> None: ...

    def drained(self) -> None: ...


def attack(data: bytes) -> None:
    """Attack a federation at work; raises AssertionError with what a node reported if a step failed."""
    tape = Tape(data)
    world = World(tape.number(4), federation.settings())
    heard: deque[Frame] = deque(maxlen=HEARD)
    world.witness(lambda message: _note(heard, message))
    _populate(world)
    for node in world.nodes.values():
        world.clock.call_at(0.0, node.start)
    world.clock.run_until(1.0)
    for task in _tasks():
        world.nodes["u1"].driver.tell(Key("client", task.id), Submission(task, watch=True))
    _harass(world, tape, heard)
    world.clock.run_until(world.clock.time() + QUIET_S)
    for node in world.nodes.values():
        failures = [line for line in node.sink.errors if "step_failed" in line]
        assert not failures, failures[0]
        machines = len(node.driver._states)  # noqa: SLF001 - its size is what is looked at
        assert machines <= MACHINES, f"{node.seat.name} has {machines} machines"


def _harass(world: World, tape: Tape, heard: deque[Frame]) -> None:
    bus = _client(world.network)
    for _ in range(MOST):
        if tape.over:
            break
        with suppress(BusError):  # what cannot be written at all cannot be sent by anybody
            bus.publish(hostile(tape, tuple(heard)))
        world.clock.run_until(world.clock.time() + tape.choice(PACES))


def _client(network: MemoryNetwork) -> Any:
    return network.attach(Options("hostile", "memory"), _Deaf())


def _populate(world: World) -> None:
    for name in ("c1", "c2"):
        federation.coordinator(world, name)
    federation.index(world, "i1")
    for number, refines in ((1, False), (2, True), (3, True)):
        who = profile(f"acme/tools/a{number}", refines=refines, price=0.01)
        federation.agent(world, who, Temper(slowest_s=0.3, fails=0.1), _ignore)
    federation.agent(world, profile("acme/plans/p1", skills=("plan",)), Temper(), _ignore)
    federation.agent(world, profile("acme/asks/q1", skills=("paint",)), Temper(asks=True), _ignore)
    federation.client(world, "u1", _ignore)


def _ignore(_: Report | Any) -> None: ...


@lru_cache(maxsize=1)
def _tasks() -> tuple[Task, ...]:
    """Return a task of every shape: alone, planned, refined by a team, asking a person, with a large input."""
    given = (Given("source", Value("text/plain", "text/plain", Random(0).randbytes(20_000))),)
    steps = tuple(Subtask(f"s{at}", f"repeat these words {at}", ("echo",), team=2 * (at == 1)) for at in range(4))
    edges: tuple[Edge, ...] = (("s0", "s1"), ("s0", "s2"), ("s1", "s3"), ("s2", "s3"))
    say = "repeat these words, then say them again"
    return (
        Task("alone", "echo these words", given, deadline_ms=20_000, retention_s=20),
        Task("free", say, deadline_ms=20_000, retention_s=20, budget=1.0),
        Task("steps", say, plan=Plan(steps, edges), deadline_ms=20_000, retention_s=20, attended=True),
        Task("asked", "paint these words", skills=("paint",), deadline_ms=20_000, retention_s=20, attended=True),
    )


def _note(heard: deque[Frame], message: Message) -> None:
    heard.append(packets.frame_of(message.packet))
