"""How many tasks a coordinator takes on: who is told to come back, what counts, and that nothing is left counted."""

from functools import partial
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.core import effects as fx
from foa.core.effects import Effect, Key
from foa.core.machines.task import machine
from foa.core.machines.task.entry import admission
from foa.core.machines.task.entry.admission import AFTER_MS, Began, Closed, Rules, State, Terms, terms_of
from foa.core.machines.task.state import Context
from foa.core.routing.exchange import Left
from foa.core.routing.ownership import Opened
from foa.errors import ConfigError
from foa.wire.messages import Award, Rejected, Submit
from foa.wire.records import Task
from foa.wire.topics import Topic
from tests.core.task_bench import E1, TOPICS, Bench, done, hit, sent, task

CONTEXT = Context(TOPICS)
PLAIN = machine.step


def step(state: State, event: fx.Event) -> list[Effect]:
    return admission.step(CONTEXT, state, event, 0.0, Random(0))[1]


def asks(state: State, task: str, submitter: str = "", **changes: Any) -> list[Effect]:
    asked = Task(task, "do it", submitter=submitter, **changes)
    received = fx.Received(Topic("submit", 1, task), Submit(asked), reply_to="foa/v1/reply/u1/task", correlation=b"c")
    return step(state, fx.Told(Key("ownership"), Opened(1, E1, received)))


def begins(state: State, task: str, submitter: str = "") -> None:
    (told,) = asks(state, task, submitter)
    assert isinstance(told, fx.Tell)
    assert told.to == Key("task", task)
    step(state, fx.Told(told.to, Began(submitter)))


def refused(effects: list[Effect]) -> Rejected:
    (said,) = [one.message for one in effects if isinstance(one, fx.Publish)]
    assert isinstance(said, Rejected)
    return said


def test_beyond_its_quota_a_submitter_comes_back_and_others_do_not_care() -> None:
    state = State(Rules(most=9, quota=2))
    begins(state, "t1", "acme")
    begins(state, "t2", "acme")
    said = refused(asks(state, "t3", "acme"))
    assert (said.code, said.after_ms) == ("quota", AFTER_MS)
    assert said.reason.startswith("task.submitter 'acme' has 2 open tasks here, coordinator.quota is 2; submit again")
    begins(state, "t4", "other")
    step(state, fx.Told(Key("task", "t1"), Closed()))
    begins(state, "t3", "acme")


def test_a_full_coordinator_tells_everybody_to_come_back() -> None:
    state = State(Rules(most=2, quota=9))
    begins(state, "t1", "a")
    begins(state, "t2", "b")
    said = refused(asks(state, "t3", "c"))
    assert (said.code, said.after_ms) == ("busy", AFTER_MS)
    assert "coordinator.open is 2" in said.reason


def test_some_have_terms_of_their_own() -> None:
    state = State(Rules(quota=1, terms={"big": Terms(2), "none": Terms(0)}))
    begins(state, "t1", "big")
    begins(state, "t2", "big")
    assert refused(asks(state, "t3", "big")).code == "quota"
    assert refused(asks(state, "t4", "none")).code == "quota"


def test_a_stranger_is_told_in_json() -> None:
    state = State(Rules(quota=0))
    (said,) = [one for one in asks(state, "t1", "door", format="json") if isinstance(one, fx.Publish)]
    assert said.message == (
        b'{"id":"t1","status":"rejected","code":"quota","reason":"task.submitter \'door\' has 0 open tasks here, '
        b'coordinator.quota is 0; submit again when some have ended","after_ms":1000}'
    )


@given(st.lists(st.tuples(st.sampled_from(["t1", "t2", "t3"]), st.booleans()), max_size=40))
def test_whatever_is_told_how_often_the_counts_are_of_what_is_open(told: list[tuple[str, bool]]) -> None:
    state = State()
    there: set[str] = set()
    for ident, begins_now in told:
        step(state, fx.Told(Key("task", ident), Began(ident) if begins_now else Closed()))
        (there.add if begins_now else there.discard)(ident)
        assert set(state.open) == set(state.counts) == there


def test_a_task_is_counted_from_its_begin_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(hit("a1"))
    monkeypatch.setattr(machine, "step", lambda context, *more: admission.counting(partial(PLAIN, context))(*more))
    state = State()
    opened = bench.submit(task(submitter="acme"))
    for effect in opened:
        count(state, effect)
    assert state.open == {"t1": "acme"}
    (award,) = sent(opened, Award)
    ended = bench.answer(done(award))
    for effect in ended:
        count(state, effect)
    assert (state.open, state.counts) == ({}, {})
    assert fx.Tell(Key("match"), Left()) in ended


def count(state: State, effect: Effect) -> None:
    match effect:
        case fx.Tell(Key("admission"), word):
            step(state, fx.Told(Key("task", "t1"), word))


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", {}),
        ("acme=500:2", {"acme": Terms(500, 2.0)}),
        (" acme = 500 , door=:0.5,x=7:", {"acme": Terms(500), "door": Terms(None, 0.5), "x": Terms(7)}),
    ],
)
def test_terms_are_read(text: str, terms: dict[str, Terms]) -> None:
    assert terms_of(text) == terms


@pytest.mark.parametrize("text", ["acme", "=5", "acme=five", "acme=5:0", "acme=5:-1", "acme=-5", "acme=5:nan", "a=1:x"])
def test_terms_that_cannot_be_read_are_named(text: str) -> None:
    with pytest.raises(ConfigError, match=r"coordinator\.submitters: .* must be name=quota:share"):
        terms_of(text)
