"""The machine that remembers plans: what it keeps, what it answers, and that a restart forgets nothing."""

from itertools import pairwise
from random import Random

import msgspec
import numpy as np

from foa.core import effects as fx
from foa.core.dag.cases import Recall, Recalled, Rules, Worked
from foa.core.effects import Effect, Event, Key
from foa.core.machines.cases import State, step
from foa.core.vcv.vector import pack
from foa.wire.messages import Blob
from foa.wire.records import Plan, Subtask

TASK = Key("task", "t1")
PLAN = Plan((Subtask("a", "Load the file"), Subtask("b", "Plot it")), (("a", "b"),), origin=("clauses",))


def vector(seed: int) -> bytes:
    return pack(np.random.default_rng(seed).normal(size=8))


class Node:
    """One machine and what it had persisted."""

    def __init__(self, state: State | None = None) -> None:
        self.state = state or State()
        self.disk: dict[str, object] = {}

    def feed(self, event: Event) -> list[Effect]:
        self.state, effects = step(self.state, event, 0.0, Random(1))
        for effect in effects:
            if isinstance(effect, fx.Persist):
                self.disk[effect.part] = effect.message
        return effects

    def worked(self, seed: int, text: str = "", plan: Plan = PLAN, score: float = 1.0) -> list[Effect]:
        told = Worked(text or f"Plot file {seed}", vector(seed), plan, score, float(seed))
        return self.feed(fx.Told(TASK, told))

    def recall(self, seed: int, token: str = "x") -> Recalled:
        (effect,) = self.feed(fx.Told(TASK, Recall(token, f"Plot file {seed}", vector(seed))))
        assert isinstance(effect, fx.Tell)
        assert effect.to == TASK
        assert isinstance(effect.message, Recalled)
        return effect.message

    def restarted(self) -> "Node":
        """What comes up after a crash, restored in the order the journal gives."""
        node = Node(State(self.state.rules))
        node.disk = dict(self.disk)
        for part in sorted(part for part, message in self.disk.items() if message is not None):
            message = self.disk[part]
            assert isinstance(message, Blob)
            node.feed(fx.Restored(message))
        return node


def test_what_worked_is_recalled_nearest_first() -> None:
    node = Node()
    for seed in range(20):
        node.worked(seed)
    found = node.recall(7, "mine")
    assert found.token == "mine"
    assert len(found.cases) == Rules().nearest
    assert found.cases[0].case.request == "Plot file 7"
    assert all(one.similarity >= two.similarity for one, two in pairwise(found.cases))
    assert found.cases[0].case.plan == msgspec.structs.replace(PLAN, origin=())
    assert found.order.seen == 20


def test_two_recalls_in_flight_are_told_apart() -> None:
    node = Node()
    node.worked(1)
    node.worked(2)
    assert node.recall(1, "one").cases[0].case.request == "Plot file 1"
    assert node.recall(2, "two").token == "two"


def test_a_restart_forgets_nothing() -> None:
    node = Node(State(Rules(most=12)))
    rng = Random(3)
    for _ in range(40):
        node.worked(rng.randrange(25), score=rng.random())
    after = node.restarted()
    assert after.state.cases == node.state.cases
    assert after.state.order == node.state.order
    assert after.recall(3) == node.recall(3)
    for seed in range(40, 60):
        node.worked(seed)
        after.worked(seed)
    assert after.state.cases == node.state.cases


def test_the_disk_is_bounded_as_the_memory_is() -> None:
    node = Node(State(Rules(most=5)))
    for seed in range(50):
        node.worked(seed)
    held = [part for part, message in node.disk.items() if message is not None and part.startswith("case:")]
    assert len(held) == len(node.state.cases) == len(node.state.numbers) == 5
    again = Node(State(Rules(most=5)))
    for _ in range(10):
        again.worked(1)
    assert len(again.state.cases) == 1
    assert len([part for part, message in again.disk.items() if message is not None and part.startswith("case:")]) == 1


def test_what_is_no_case_changes_nothing() -> None:
    node = Node()
    before = node.state
    single = Plan((Subtask("a", "Do it"),))
    assert node.worked(1, plan=single) == []
    assert node.worked(1, plan=msgspec.structs.replace(PLAN, edges=(("a", "b"), ("b", "a")))) == []
    assert node.feed(fx.Told(TASK, "gossip")) == []
    assert node.feed(fx.Elapsed("never set")) == []
    assert node.feed(fx.Restored(Blob(b"\xc1 nonsense"))) == []
    assert node.state == before


def test_without_a_vector_nothing_is_found() -> None:
    node = Node()
    node.worked(1)
    (effect,) = node.feed(fx.Told(TASK, Recall("x", "Plot", b"")))
    assert isinstance(effect, fx.Tell)
    assert effect.message.cases == ()


def test_the_same_events_give_the_same_trace() -> None:
    one, two = Node(), Node()
    assert [one.worked(seed) for seed in range(10)] == [two.worked(seed) for seed in range(10)]
    assert one.state == two.state
