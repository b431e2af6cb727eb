"""Ids of ended tasks stay known as long as results live; a new one costs no message, a known one is read back first."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from foa.core import effects as fx
from foa.core.effects import Effect, Event, Key
from foa.core.machines import memory
from foa.core.routing.ownership import Forget, Opened, Over
from foa.wire.ids import Epoch, partition_of
from foa.wire.messages import Submit
from foa.wire.records import Task
from foa.wire.topics import Topic, Topics

TOPICS = Topics("foa/v1", 4)
E1 = Epoch(1, "c1")


class Node:
    def __init__(self) -> None:
        self.state = memory.State(TOPICS)
        self.now = 0.0

    def feed(self, event: Event) -> list[Effect]:
        self.state, effects = memory.step(self.state, event, self.now, Random(0))
        return effects

    def over(self, task: str, seconds: float = 10.0, life: float = 100.0) -> list[Effect]:
        return self.feed(fx.Told(Key("task", task), Over(seconds, life)))

    def submitted(self, task: str, epoch: Epoch | None = E1) -> list[Effect]:
        return self.feed(fx.Told(Key("ownership"), opened(task, epoch)))


def opened(task: str, epoch: Epoch | None = E1) -> Opened:
    partition = partition_of(task, 4)
    return Opened(partition, epoch, fx.Received(Topic("submit", partition, task), Submit(Task(task, "x"))))


def topic(task: str) -> str:
    return TOPICS.task(partition_of(task, 4), task, "result")


def test_a_new_task_goes_on_at_once() -> None:
    node = Node()
    node.over("old")
    assert node.submitted("new") == [fx.Tell(Key("admission"), opened("new"))]


def test_a_known_one_waits_until_its_result_is_read() -> None:
    node = Node()
    node.over("t1")
    effects = node.submitted("t1")
    assert fx.Subscribe((topic("t1"),)) in effects
    assert node.submitted("t1") == []
    effects = node.over("t1")
    assert effects[:2] == [fx.Tell(Key("task", "t1"), opened("t1"))] * 2
    assert fx.Unsubscribe((topic("t1"),)) in effects


def test_where_the_broker_has_none_it_begins() -> None:
    node = Node()
    node.over("t1")
    (wake,) = [one for one in node.submitted("t1") if isinstance(one, fx.Wake)]
    effects = node.feed(fx.Elapsed(wake.timer))
    assert effects[0] == fx.Tell(Key("admission"), opened("t1"))
    assert node.feed(fx.Elapsed(wake.timer)) == []


def test_an_heir_leaves_a_known_one_to_its_owner() -> None:
    node = Node()
    node.over("t1")
    assert node.submitted("t1", None) == []
    assert node.submitted("t2", None) == [fx.Tell(Key("task", "t2"), opened("t2", None))]


def test_who_waits_for_results_is_capped() -> None:
    node = Node()
    for at in range(memory.MAX_READING + 5):
        node.over(f"t{at}")
        node.submitted(f"t{at}")
    assert len(node.state.reading) == memory.MAX_READING


def test_after_a_generation_was_pushed_out_every_id_is_asked_for_until_its_results_are_over() -> None:
    node = Node()
    for at in range(2):
        generation = memory.Generation()
        generation.count, generation.until = memory.MAX_KNOWN, 50.0 + at
        node.state.known.append(generation)
    node.over("t1")
    assert node.state.unsure == 50.0
    assert any(isinstance(one, fx.Subscribe) for one in node.submitted("new"))
    node.now = 60.0
    assert node.submitted("newer") == [fx.Tell(Key("admission"), opened("newer"))]


def test_too_many_are_told_that_there_is_no_room() -> None:
    node = Node()
    told: list[Effect] = []
    for at in range(memory.MAX_REMEMBERED + 2):
        told += [one for one in node.over(f"t{at}", 10.0, 0.0) if isinstance(one, fx.Tell)]
    assert told == [fx.Tell(Key("task", "t0"), Forget(full=True)), fx.Tell(Key("task", "t1"), Forget(full=True))]


@given(st.sets(st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=20), max_size=40))
def test_what_a_generation_was_told_it_knows(idents: set[str]) -> None:
    generation = memory.Generation()
    for ident in idents:
        generation.add(ident, 1.0)
    assert all(ident in generation for ident in idents)


def test_few_strangers_are_taken_for_known() -> None:
    generation = memory.Generation()
    for at in range(4_000):
        generation.add(f"known-{at}", 1.0)
    assert sum(f"new-{at}" in generation for at in range(4_000)) == 0
