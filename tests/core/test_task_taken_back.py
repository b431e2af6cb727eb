"""What is taken back, comes late or comes twice while a plan changes: nothing is done on what no longer stands."""

from typing import Any

import msgspec

from foa.core import effects as fx
from foa.core.dag.edit import spliced
from foa.core.dag.plan import check_edit
from foa.core.effects import Key
from foa.core.machines.task.changing import changed, logged
from foa.core.machines.task.pending import JOINING, Stuck
from foa.core.routing.exchange import Answer
from foa.wire.messages import Asking, Award, Failed, Found, Input, Rejected, Required, Result, Withdrawn
from foa.wire.records import Given, Plan, Port, Subtask, Value
from tests.core.task_bench import Bench, chain, declined, done, failed, hit, sent, taken, task


def said(bench: Bench, *, answer: bool = True, **fields: Any) -> list[Any]:
    words = bench.received("input", Input("t1", **fields), reply_to="foa/v1/reply/u1/input")
    return bench.feed(words, answer=answer)


def refuting(award: Award, source: str) -> Failed:
    return Failed(award.award, award.task, award.agent, "refuted", "it is wrong", refutes=source)


def test_a_subtask_looked_up_before_its_input_was_refuted_is_not_awarded() -> None:
    bench = Bench(hit("a1"), hit("a2"))
    (first,) = sent(bench.submit(task(plan=chain())), Award)
    bench.feed(bench.received("answer", done(first)), answer=False)
    (asked,) = bench.asked
    bench.asked.clear()
    (again,) = sent(said(bench, refute=True, subtask="a", text="wrong"), Award)
    assert again.subtask.id == "a"
    assert sent(bench.feed(bench.found(asked)), Award) == []
    (then,) = sent(bench.answer(done(again)), Award)
    assert then.subtask.id == "b"


def test_a_late_answer_built_on_what_was_refuted_does_not_count() -> None:
    bench = Bench(hit("a1"), hit("a2"))
    (first,) = sent(bench.submit(task(plan=chain())), Award)
    (second,) = sent(bench.answer(done(first)), Award)
    (again,) = sent(said(bench, refute=True, subtask="a", text="wrong"), Award)
    assert sent(bench.answer(done(second)), Result) == []
    bench.answer(done(first))
    assert [bench.live.works[one].phase for one in "ab"] == ["running", "waiting"]
    (then,) = sent(bench.answer(done(again)), Award)
    assert sent(bench.answer(done(then)), Result)[0].status == "done"


def once() -> Bench:
    bench = Bench(hit("a1"), hit("o1", effects="once"))
    only = {"first": "acme/tools/a1", "then": "acme/tools/o1"}
    bench.found_by = lambda query: tuple(one for one in bench.hits if one.agent == only[query.text])
    return bench


def to_the_second(bench: Bench) -> Award:
    (first,) = sent(bench.submit(task(plan=chain())), Award)
    bench.answer(done(first))
    bench.feed(fx.Delivered(f"sent:{bench.live.seq}", 0))
    (seat,) = bench.live.works["b"].seats
    return Award(
        seat.award, "t1", bench.partition, bench.live.subtask("b"), bench.live.epoch, 1, "k", 1, 1, agent=seat.agent
    )


def test_what_happens_once_is_not_taken_back_by_a_person() -> None:
    bench = once()
    award = to_the_second(bench)
    bench.answer(taken(award))
    (refused,) = sent(said(bench, refute=True, subtask="a", text="wrong"), Rejected)
    assert "happen once" in refused.reason
    assert sent(bench.answer(done(award)), Result)[0].status == "done"


def test_what_happens_once_and_failed_for_good_is_done_in_no_other_way() -> None:
    bench = once()
    award = to_the_second(bench)
    bench.answer(taken(award))
    bench.asked.clear()
    effects = bench.answer(failed(award, retryable=False))
    (result,) = {one.code: one for one in sent(effects, Result)}.values()
    assert (result.status, result.code) == ("failed", "agent-failed")
    assert "happen once" in result.reason
    assert result.edits == ()


def joiners(*names: str) -> Bench:
    return Bench(*(msgspec.structs.replace(hit(name, slots=4), skills=("synthesise",)) for name in names))


def joining(bench: Bench) -> Award:
    """Return the award of who joins the parts of a plan of two."""
    plan = Plan((Subtask("a", "left"), Subtask("b", "right")))
    one, other = sent(bench.submit(task(plan=plan)), Award)
    bench.answer(done(one, "L"))
    (join,) = sent(bench.answer(done(other, "R")), Award)
    assert join.subtask.id == JOINING
    return join


def test_a_part_refuted_while_they_are_joined_is_done_again_before_they_are() -> None:
    bench = joiners("a1", "a2")
    join = joining(bench)
    effects = said(bench, refute=True, subtask="a", text="wrong")
    assert [one.award for one in sent(effects, Withdrawn)] == [join.award]
    (again,) = sent(effects, Award)
    assert again.subtask.id == "a"
    assert sent(bench.answer(done(join)), Result) == []
    (then,) = sent(bench.answer(done(again, "better")), Award)
    assert [given.value.body for given in then.inputs] == [b"better", b"R"]
    assert then.award != join.award
    assert sent(bench.answer(done(then)), Result)[0].status == "done"


def test_who_joins_beyond_the_deadline_is_told_to_stop() -> None:
    bench = joiners("a1")
    join = joining(bench)
    effects = bench.elapse("deadline")
    assert sent(effects, Result)[0].status == "done"
    assert [one.award for one in sent(effects, Withdrawn)] == [join.award]


def test_only_a_plain_yes_is_consent() -> None:
    bench = Bench(hit("a1"))
    plan = Plan((Subtask("a", "pay for it", approve=True),))
    assert sent(bench.submit(task(plan=plan)), Required)
    (refused,) = sent(said(bench, text="what does it cost?"), Rejected)
    assert "yes or no" in refused.reason
    assert sent(said(bench, text="yes"), Award)


def test_a_question_is_over_once_an_earlier_award_has_answered() -> None:
    bench = Bench(hit("a1"))
    (award,) = sent(bench.submit(task(plan=chain())), Award)
    bench.answer(Asking(award.award, "t1", award.agent, "which?"))
    bench.answer(done(award))
    assert not bench.live.works["a"].question
    assert "waits for nobody" in sent(said(bench, text="that one"), Rejected)[0].reason


def test_the_same_word_twice_does_not_skip_a_rung() -> None:
    """Somebody is looked for over types, when the task hears once more that it is stuck."""
    bench = Bench(msgspec.structs.replace(hit("a1"), outputs=(Port("o", "text/html"),)))
    plan = Plan((Subtask("a", "make it", produces=("text/html",)),))
    (award,) = sent(bench.submit(task(plan=plan, attempts=1)), Award)
    bench.feed(bench.received("answer", failed(award)), answer=False)
    assert bench.live.works["a"].rung == 1
    assert bench.feed(fx.Told(Key("task", "t1"), Stuck("a", "no-route", "again")), answer=False) == []
    assert bench.live.works["a"].rung == 1


def test_words_of_a_person_are_heard_by_the_parts_of_what_they_were_about() -> None:
    plan = Plan((Subtask("a", "make it"),))
    bench = Bench(hit("a1"))
    (award,) = sent(bench.submit(task(plan=plan, attended=True, attempts=1)), Award)
    bench.answer(failed(award))
    (again,) = sent(said(bench, text="in blue"), Award)
    bench.feed(bench.received("answer", failed(again)), answer=False)
    part = Plan((Subtask("x", "one"), Subtask("y", "two")))
    live = bench.live
    assert live.plan is not None
    after = spliced(live.plan, "a", part, live.phases())
    live, _ = changed(live, after, logged(live, bench.now, "replan", "a", "", after=after), bench.context, bench.now)
    assert [live.works[one].heard[0].value.body for one in ("a.x", "a.y")] == [b"in blue", b"in blue"]


def test_an_edit_leaves_even_needless_edges_into_what_has_started() -> None:
    parts = tuple(Subtask(one, one) for one in "abcd")
    plan = Plan(parts, (("a", "b"), ("a", "c"), ("b", "c")))
    phases: dict[str, Any] = {"a": "done", "b": "done", "c": "running", "d": "waiting"}
    after = spliced(plan, "d", Plan((Subtask("x", "x"), Subtask("y", "y")), (("x", "y"),)), phases)
    assert check_edit(plan, after, phases) is None


def test_an_answer_costs_no_more_than_the_budget_has() -> None:
    bench = Bench(hit("a1", 0.01))
    (award,) = sent(bench.submit(task(budget=0.02)), Award)
    (result,) = {msgspec.json.encode(one): one for one in sent(bench.answer(done(award, cost=5.0)), Result)}.values()
    assert result.cost == 0.02


# --- found by random lives ----------------------------------------------------------------------------------


def planned_by(bench: Bench) -> list[Award]:
    """Submit a request of several clauses that a planner is asked about."""
    planner = msgspec.structs.replace(hit("p1"), skills=("plan",))
    parts = {"Count": hit("count"), "Translate": hit("translate")}
    bench.found_by = lambda query: (
        (planner,)
        if "plan" in query.skills
        else tuple(one for word, one in parts.items() if query.text.startswith(word))
    )
    bench.submit(task(text="Do Count the words, then Translate the counts."), answer=False)
    effects: list[Any] = []
    while bench.asked:
        effects += bench.feed(bench.found(bench.asked.pop(0)), answer=False)
    return [one for one in sent(effects, Award) if one.subtask.id == "~plan"]


def test_a_proposal_that_is_no_table_is_refused() -> None:
    bench = Bench()
    (award,) = planned_by(bench)
    bench.answer(msgspec.structs.replace(done(award), outputs=(Given("plan", Value("plan", body=b"[]")),)))
    assert bench.live.plan is not None
    assert "~plan" not in bench.live.works


def test_a_planner_refutes_nothing() -> None:
    bench = Bench()
    (award,) = planned_by(bench)
    bench.answer(refuting(award, "main"))
    assert bench.live.plan is not None
    assert bench.live.edits == ()


def test_an_answer_about_a_detour_nobody_looks_for_changes_nothing() -> None:
    bench = Bench(hit("a1"))
    bench.submit(task(), answer=False)
    told = fx.Told(Key("lookup"), Answer("detour:main", Found(())))
    assert bench.feed(told, answer=False) == []


def test_a_late_answer_is_that_of_one_though_a_team_was_asked_before() -> None:
    bench = Bench(*(hit(f"a{n}") for n in range(1, 5)))
    for at, one in enumerate(bench.hits):
        bench.hits[at] = msgspec.structs.replace(one, refines=True, outputs=(Port("o", "text/plain"),))
    first, second = sent(bench.submit(task()), Award)
    for award in (first, second):
        bench.feed(bench.received("answer", declined(award)), answer=False)
    assert bench.live.works["main"].attempt == 0
    assert sent(bench.feed(bench.received("answer", done(first)), answer=False), Result)[0].status == "done"


def test_who_works_alone_after_a_team_failed_is_not_joined_by_the_team() -> None:
    """Its effects happen once: its answer stands, however many could have been asked before."""
    bench = Bench(
        *(msgspec.structs.replace(hit(f"a{n}"), refines=True, outputs=(Port("o", "text/plain"),)) for n in (1, 2, 3))
    )
    first, second = sent(bench.submit(task()), Award)
    bench.answer(failed(first))
    bench.hits = [hit("o1", effects="once")]
    bench.answer(failed(second))
    effects = bench.feed(fx.Delivered(f"sent:{bench.live.seq}", 0))
    (alone,) = sent(effects, Award)
    bench.answer(taken(alone))
    effects = bench.answer(done(alone))
    assert sent(effects, Award) == []
    assert sent(effects, Result)[0].status == "done"


def test_however_many_steps_wait_for_a_person_the_others_go_on() -> None:
    asking = tuple(Subtask(f"s{at}", "pay for it", approve=True, weight=2.0) for at in range(300))
    bench = Bench(hit("a1"))
    effects = bench.submit(task(plan=Plan((*asking, Subtask("free", "echo")))))
    assert len(sent(effects, Required)) >= 256
    effects += said(bench, subtask="s0", approve=True)
    assert {one.subtask.id for one in sent(effects, Award)} & {"free", "s0"}
    awards = sent(effects, Award)
    while awards:
        effects = bench.answer(done(awards.pop()))
        awards += sent(effects, Award)
    assert bench.live.works["free"].phase == "done"
