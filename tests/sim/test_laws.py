"""The laws see what is wrong: each is broken on purpose once."""

from typing import Any

import msgspec

from foa.core import effects as fx
from foa.core.dag.edit import spliced
from foa.core.effects import Event
from foa.core.machines.task.state import Live, changed, put
from foa.testing.sim.observing.laws import Book
from foa.wire.messages import Asking, Award, Withdrawn
from foa.wire.records import Plan, Subtask
from tests.core.task_bench import Bench, chain, done, hit, sent, task

NOTHING: Event = fx.Elapsed("events")


def words(before: Any, after: Any, *effects: fx.Effect, event: Event = NOTHING) -> set[str]:
    return {fault.word for fault in Book().step(before, event, after, list(effects))}


def running(**fields: Any) -> tuple[Live, Award]:
    bench = Bench(hit("a1"), hit("a2"))
    (award,) = sent(bench.submit(task(plan=chain(), **fields)), Award)
    return bench.live, award


def said(message: Any) -> fx.Publish:
    return fx.Publish("topic", message)


def working(live: Live, ident: str, **fields: Any) -> Live:
    return put(live, msgspec.structs.replace(live.works[ident], **fields))


def test_a_lawful_step_breaks_none() -> None:
    bench = Bench(hit("a1"), hit("a2"))
    book = Book()
    (award,) = sent(bench.submit(task(plan=chain())), Award)
    before = bench.live
    event = bench.received("answer", done(award))
    effects = bench.feed(event)
    assert book.step(before, event, bench.live, effects) == []


def test_an_award_left_active_is_found() -> None:
    live, award = running()
    freed = working(live, "a", phase="waiting", seats=())
    assert words(live, freed) == {"left-active"}
    gone = Withdrawn(award.award, "t1", live.epoch)
    assert words(live, freed, said(gone)) == set()


def test_an_award_that_does_not_run_is_found() -> None:
    live, award = running()
    assert words(live, live, said(award)) == set()
    assert words(live, live, said(msgspec.structs.replace(award, award="other"))) == {"award"}


def test_an_award_too_early_is_found() -> None:
    live, award = running()
    (seat,) = live.works["a"].seats
    early = working(live, "b", phase="running", seats=(msgspec.structs.replace(seat, award="early"),))
    sub = live.subtask("b")
    assert words(early, early, said(msgspec.structs.replace(award, award="early", subtask=sub))) == {"order"}


def test_an_award_without_consent_is_found() -> None:
    live, award = running()
    subtask = msgspec.structs.replace(award.subtask, approve=True)
    assert words(live, live, said(msgspec.structs.replace(award, subtask=subtask))) == {"consent"}
    asked = working(live, "a", question="which?")
    assert words(live, asked, said(award)) == {"consent", "question"}


def test_what_begins_again_is_found() -> None:
    live, award = running()
    (seat,) = live.works["a"].seats
    started = working(live, "a", seats=(msgspec.structs.replace(seat, effects="once", started=True),))
    book = Book()
    assert book.step(live, NOTHING, started, []) == []
    second = working(started, "a", seats=(msgspec.structs.replace(seat, award="second"),))
    gone, again = Withdrawn(seat.award, "t1", live.epoch), msgspec.structs.replace(award, award="second")
    found = book.step(started, NOTHING, second, [said(gone), said(again)])
    assert {fault.word for fault in found} == {"once"}


def test_a_silent_edit_is_found() -> None:
    live, _ = running()
    assert live.plan is not None
    part = Plan((Subtask("x", "x"), Subtask("y", "y")))
    assert words(live, changed(live, spliced(live.plan, "b", part, live.phases()))) == {"silent-edit"}


def test_an_edit_of_what_has_started_is_found() -> None:
    live, _ = running()
    assert live.plan is not None
    subtasks = (msgspec.structs.replace(live.plan.subtasks[0], text="other"), live.plan.subtasks[1])
    assert "edit" in words(live, changed(live, msgspec.structs.replace(live.plan, subtasks=subtasks)))


def test_a_plan_that_is_none_is_found() -> None:
    live, _ = running()
    assert live.plan is not None
    bad = msgspec.structs.replace(live.plan, edges=(("a", "a"),))
    assert "plan" in words(None, msgspec.structs.replace(live, plan=bad, graph=None, works=dict(live.works)))
    fewer = msgspec.structs.replace(live, works={"a": live.works["a"]})
    assert "works" in words(None, fewer)


def test_more_than_the_budget_is_found() -> None:
    live, _ = running(budget=1.0)
    assert words(live, msgspec.structs.replace(live, spent=1.5)) == {"budget"}


def test_a_lost_edit_is_found() -> None:
    bench = Bench(hit("a1"))
    (award,) = sent(bench.submit(task(plan=chain())), Award)
    before = bench.live
    bench.answer(Asking(award.award, "t1", award.agent, "which?"))
    assert words(bench.live, msgspec.structs.replace(bench.live, edits=())) == {"edits-lost"}
    silent = msgspec.structs.replace(bench.live, untold=None)
    assert "untold" in words(before, silent)
