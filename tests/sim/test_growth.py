"""Work leaves nothing behind: after many tasks, and the time their results are kept, every table is at its level."""

from collections import Counter
from random import Random

import pytest

from foa.core.effects import Key
from foa.core.machines.client import Report, Submission
from foa.testing import federation, workload
from foa.testing.agents import Temper, profile
from foa.testing.world import World

TASKS = 40
PAUSE_S = 0.5
PATIENCE_S = 240.0
"""What a task may take, the time its result is kept, and that its owner remembers it."""

PASSING = frozenset({"task", "award", "client"})
"""Machines of one piece of work."""


def _left(world: World) -> Counter[str]:
    """Return how much every node still holds of work, by table."""
    held: Counter[str] = Counter()
    for node in world.nodes.values():
        driver, name = node.driver, node.seat.name
        held[f"{name} traces"] = len(driver._traces)
        held[f"{name} timers"] = sum(key.kind in PASSING for key in driver._timers._set)
        held[f"{name} promises"] = len(driver._outgoing._promised)
        for key in driver._states:
            held[f"{name} {key.kind}"] += key.kind in PASSING
        for kind, _, _, _ in driver._journal.load():
            held[f"{name} journal {kind}"] += kind in PASSING
        for lookups in driver.states("lookup"):
            held[f"{name} questions"] = len(lookups.jobs) + len(lookups.asked) + len(lookups.loads)
        for match in driver.states("match"):
            held[f"{name} awards"] = len(match.awards) + len(match.loads) + len(match.room.queues)
        for admitted in driver.states("admission"):
            held[f"{name} open"] = len(admitted.open) + len(admitted.counts)
        for memory in driver.states("memory"):
            held[f"{name} remembered"] = len(memory.ended) + len(memory.reading)
    for root in ("task", "blob", "channel", "tasks", "dlq"):
        stored = world.network.broker.router.retained.matching(world.topics(f"{root}/#"), world.clock.time())
        held[f"broker {root}"] = sum(1 for _ in stored)
    return +held


@pytest.mark.slow
@pytest.mark.parametrize("sort", ["atomic", "planned", "team", "laden"])
def test_after_many_tasks_and_their_retention_nothing_of_them_is_left(sort: str) -> None:
    world, told = World(5, federation.settings()), list[str]()

    def report(said: Report) -> None:
        if said.kind == "result":
            told.append(said.id)

    for number in (1, 2):
        federation.coordinator(world, f"c{number}")
        federation.index(world, f"i{number}")
        one = profile(f"acme/tools/a{number}", price=0.01, refines=True, holds=("eu",))
        federation.agent(world, one, Temper(), lambda _: None)
    client = federation.client(world, "u1", report)
    for node in world.nodes.values():
        world.clock.call_at(0.0, node.start)
    world.clock.run_until(10.0)
    before, rng = _left(world), Random(sort)
    for number in range(TASKS):
        task = workload.SORTS[sort](rng, f"{sort}-{number}")
        client.tell(Key("client", task.id), Submission(task, watch=False))
        world.clock.run_until(world.clock.time() + PAUSE_S)
    assert _left(world).total() > before.total(), "or nothing is measured"
    world.clock.run_until(world.clock.time() + PATIENCE_S)
    assert len(set(told)) == TASKS
    assert _left(world) == before
