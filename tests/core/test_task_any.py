"""Whatever happens to a task, in whatever order: it never fails inside, keeps its laws, and ends once, in time."""

from collections import Counter

import pytest

from foa.core.machines.task.state import Ended
from tests.core.task_life import Life

STEPS = 250


def lived(seed: int) -> Life:
    life = Life(seed)
    life.begin()
    for _ in range(STEPS):
        if isinstance(life.state, Ended):
            break
        life.happen()
    life.end()
    assert life.faults == [], seed
    assert isinstance(life.state, Ended), seed
    assert len(life.results) == 1, (seed, life.results)
    assert life.loads == {}, seed
    return life


def test_any_life_of_a_task_ends_once_and_in_time() -> None:
    for seed in range(15):
        lived(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 2000, 250))
def test_many_lives(first: int) -> None:
    met: Counter[str] = Counter()
    for seed in range(first, first + 250):
        life = lived(seed)
        met.update(life.edits)
        met[life.results[0].status] += 1
    assert set(met) >= {"expand", "replan", "reroute", "withdraw", "grow", "input", "approve", "escalate"}
    assert set(met) >= {"done", "failed", "expired"}
