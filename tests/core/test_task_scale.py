"""Plans of many groups: what a change writes, what heirs make of it, and that the sets kept along are right."""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from foa.core import effects as fx
from foa.core.dag.blobs import Fetch, Fetched
from foa.core.dag.graph import GROUP, Graph
from foa.core.dag.plan import ancestors, ready
from foa.core.dag.works import Works
from foa.core.effects import Effect, Key
from foa.core.machines.task.live import Live, Shadow
from foa.core.routing.ownership import Holds, Opened
from foa.wire.messages import Award, Blob, Result, State
from foa.wire.records import Plan, Seat, Subtask, Work
from tests.core.task_bench import E2, Bench, done, hit, sent, task

WIDE = 3 * GROUP + 5


def layered(size: int, width: int = 10, edges: int = 2, seed: int = 0) -> Plan:
    """Return a plan of layers; every subtask waits for some of the layer before."""
    rng = Random(seed)
    names = [f"s{number:04}" for number in range(size)]
    pairs = []
    for at, name in enumerate(names):
        layer = at // width
        before = names[(layer - 1) * width : layer * width] if layer else []
        pairs += [(one, name) for one in rng.sample(before, min(edges, len(before)))]
    return Plan(tuple(Subtask(name, f"do {name}", weight=rng.choice((1.0, 2.0, 5.0))) for name in names), tuple(pairs))


def big(**rules: Any) -> tuple[Bench, list[Effect]]:
    bench = Bench(hit("a1"), hit("a2"), **rules)
    return bench, bench.submit(task(plan=layered(WIDE), text="", deadline_ms=600_000))


# --- the sets kept along ----------------------------------------------------------------------------------


@given(
    st.integers(1, 40), st.integers(0, 10**6), st.lists(st.tuples(st.integers(0, 39), st.integers(0, 3)), max_size=60)
)
def test_what_is_kept_along_is_what_a_look_at_every_work_would_say(
    size: int, seed: int, changes: list[tuple[int, int]]
) -> None:
    plan = layered(size, 4, 2, seed)
    graph = Graph(plan)
    works = Works(graph)
    phases = ("waiting", "running", "done", "failed")
    for which, phase in changes:
        ident = graph.ids[which % size]
        seats = (Seat(f"a{which % 3}", f"w{which}", 1),) if phases[phase] == "running" else ()
        works = works.put(Work(ident, phases[phase], seats=seats))  # type: ignore[arg-type]
    anew = Works(graph, dict(works))
    assert (works.done, works.running, works.waiting, works.free) == (anew.done, anew.running, anew.waiting, anew.free)
    assert works.loads == anew.loads
    assert tuple(graph.members(works.ready)) == ready(plan, {ident: work.phase for ident, work in works.items()})
    assert works.finished == all(work.phase == "done" for work in works.values())
    assert list(works) == [subtask.id for subtask in plan.subtasks]


def test_the_order_of_awarding_is_that_of_the_longest_remaining_path() -> None:
    plan = Plan(
        (Subtask("a", "x"), Subtask("b", "x", weight=3.0), Subtask("z", "x"), Subtask("end", "x", weight=9.0)),
        (("z", "end"),),
    )
    assert Graph(plan).ids == ("z", "end", "b", "a")
    assert ready(plan, {}) == ("z", "b", "a")


def test_inputs_are_all_predecessors_and_the_nearest_of_those_behind_them() -> None:
    graph = Graph(layered(60, 6, 2))
    last = graph.plan.subtasks[-1].id
    assert set(graph.above(last, 1000)) == set(ancestors(graph.plan, last))
    few = graph.above(last, 5)
    assert len(few) == 5
    assert set(graph.before[last]) <= set(few)


# --- what is published ------------------------------------------------------------------------------------


def test_a_small_plan_is_one_record_without_a_blob() -> None:
    bench = Bench(hit("a1"))
    effects = bench.submit(task(plan=layered(GROUP), text=""))
    assert sent(effects, Blob) == []
    assert {one.group for one in sent(effects, State)} == {0}
    assert sent(effects, State)[-1].plan == layered(GROUP)


def test_of_a_large_plan_a_change_writes_its_group_and_the_head() -> None:
    bench, effects = big()
    assert len(sent(effects, Blob)) == 1
    first = sent(effects, Award)[0]
    changed = sent(bench.answer(done(first)), State)
    assert changed[-1].group == 0
    assert 1 <= len({one.group for one in changed}) - 1 <= 3
    assert all(one.plan is None and one.task.plan is None for one in changed)
    assert all(len(one.work) <= GROUP for one in changed)


def run_out(bench: Bench, effects: list[Effect]) -> Result:
    """Do all that is awarded until the task ends."""
    waiting = sent(effects, Award)
    for _ in range(20 * WIDE):
        effects = bench.elapse("relook") if not waiting else bench.answer(done(waiting.pop(0)))
        waiting += sent(effects, Award)
        if sent(effects, Result):
            bench.feed(fx.Elapsed("nothing"))
            return sent(effects, Result)[0]
    raise AssertionError("the task never ends")


def cleared(effects: list[Effect]) -> set[str]:
    return {one.topic for one in effects if isinstance(one, fx.Publish) and one.message is None}


def test_at_the_end_every_group_is_cleared_here_and_at_the_broker() -> None:
    bench, effects = big()
    seen: list[Effect] = []
    feed = bench.feed
    bench.feed = lambda event, **how: _noted(seen, feed(event, **how))  # type: ignore[method-assign]
    assert run_out(bench, effects).status == "done"
    written = {one.topic for one in (*effects, *seen) if isinstance(one, fx.Publish) and isinstance(one.message, State)}
    assert cleared(seen) == written
    parts = {one.part for one in seen if isinstance(one, fx.Persist) and one.message is None}
    assert {one.part for one in (*effects, *seen) if isinstance(one, fx.Persist)} == parts | {""}


def _noted(seen: list[Effect], effects: list[Effect]) -> list[Effect]:
    seen += effects
    return effects


# --- heirs ------------------------------------------------------------------------------------------------


def retained(effects: list[Effect]) -> tuple[list[State], list[Blob]]:
    """Return what the broker has: the last record of every group, and the plan's blobs."""
    last = {one.group: one for one in sent(effects, State)}
    return list(last.values()), sent(effects, Blob)


def heir_of(records: list[State], bench: Bench) -> Bench:
    heir = Bench(*bench.hits)
    for record in records:
        received = heir.received("state", record)
        if not isinstance(heir.state, Shadow) or (heir.state.snapshot is None and not heir.state.groups):
            heir.feed(fx.Told(Key("ownership"), Opened(heir.partition, None, received)))
        else:
            heir.feed(received)
    return heir


def taken_over(heir: Bench, blobs: list[Blob]) -> list[Effect]:
    """Make it owner, and answer its question for the plan from `blobs`."""
    effects = heir.become_owner()
    (fetch,) = [one.message for one in effects if isinstance(one, fx.Tell) and isinstance(one.message, Fetch)]
    (ref,) = fetch.refs
    body = b"".join(blob.body for blob in blobs)
    bodies = {ref.digest: body} if blobs else {}
    return heir.feed(fx.Told(Key("blobs"), Fetched(fetch.token, bodies, "" if blobs else "it is gone")))


@pytest.mark.parametrize("seed", range(5))
def test_an_heir_goes_on_from_groups_in_any_order_and_from_some_of_them(seed: int) -> None:
    owner, effects = big()
    awards = sent(effects, Award)
    for award in awards:
        effects += owner.answer(done(award))
    running = [seat.award for work in owner.live.works.values() for seat in work.seats if seat.phase == "running"]
    records, blobs = retained(effects)
    rng = Random(seed)
    rng.shuffle(records)
    lost = [one for one in records if one.group and seed and rng.random() < 0.4]
    heir = heir_of([one for one in records if one not in lost], owner)
    effects = taken_over(heir, blobs)
    live = heir.live
    assert live.epoch == E2
    gone = {work.id for one in lost for work in one.work}
    for ident, work in owner.live.works.items():
        assert live.works[ident].phase == (work.phase if ident not in gone else live.works[ident].phase)
        if ident in gone:
            assert live.works[ident].phase in {"waiting", "running"}
    if not lost:
        assert sorted(a.award for a in sent(effects, Award)) == sorted(running)
    assert {one.group for one in sent(effects, State)} == set(range(Graph(layered(WIDE)).groups + 1))


def test_an_heir_without_the_blob_begins_anew_if_it_can_and_else_says_why() -> None:
    owner, effects = big()
    records, _ = retained(effects)
    result = sent(taken_over(heir_of(records, owner), []), Result)[0]
    assert (result.status, result.code) == ("failed", "plan")


def test_an_owner_that_restarts_goes_on_from_its_journal_alone() -> None:
    owner, effects = big()
    effects += owner.answer(done(sent(effects, Award)[0]))
    kept = {one.part: one.message for one in effects if isinstance(one, fx.Persist)}
    again = Bench(*owner.hits)
    for message in reversed(list(kept.values())):
        assert message is not None
        again.feed(fx.Restored(message))
    effects = again.feed(fx.Told(Key("ownership"), Holds(again.partition, E2)))
    assert isinstance(again.state, Live)
    assert again.live.plan == layered(WIDE)
    assert dict(again.live.phases()) == dict(owner.live.phases())


def test_an_answer_that_came_before_the_owner_died_is_heard_once() -> None:
    owner, effects = big()
    records, blobs = retained(effects)
    first, *_ = sent(effects, Award)
    heir = heir_of(records, owner)
    heir.answer(done(first))
    heir.answer(done(first))
    taken_over(heir, blobs)
    assert heir.live.works[first.subtask.id].phase == "done"
    assert heir.live.spent == 0.0
    heir.answer(done(first))
    assert len(heir.live.works[first.subtask.id].seats) == 1


def test_an_edited_plan_that_shrinks_leaves_no_group_behind() -> None:
    bench, _ = big()
    live = structs.replace(bench.live, plan=layered(GROUP))
    from foa.core.machines.task.state import save

    _, effects = save(live, bench.context, bench.now)
    assert len(cleared(effects)) == Graph(layered(WIDE)).groups
    assert [one.plan for one in sent(effects, State)] == [layered(GROUP)]
