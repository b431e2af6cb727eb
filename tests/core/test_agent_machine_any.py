"""Whatever happens to an award, in whatever order: it ends in one way at most, and what it says stays bounded."""

from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from foa.core import effects as fx
from foa.core.effects import Effect, Key
from foa.core.machines.agent import announce
from foa.core.machines.agent.state import Charged, Progressed, Stumbled, Yielded
from foa.testing.agents import profile as profile_of
from foa.wire import codec
from foa.wire.messages import Asking, Declined, Done, Draft, Failed
from foa.wire.records import Team
from foa.wire.topics import Topic
from tests.core.agent_bench import ME, Bench, award_of, sent, text

OTHERS = ("acme/tools/a2", "acme/tools/a3", "acme/tools/guest", "o/u/stranger")
KEY = Key("award", "w1")
body = st.sampled_from(["yes", "no", "maybe so"])
sure = st.none() | st.floats(0, 1)
hears = st.tuples(st.just("hear"), st.sampled_from(OTHERS), st.integers(0, 5), body, st.booleans(), st.floats())
yields = st.tuples(st.just("yields"), st.none() | body, sure, st.floats())
TIMERS = ("silent", "beat", "round", "round", "deadline", "repeat", "forget", "hung", "expire")
elapses = st.tuples(st.just("elapse"), st.sampled_from(TIMERS))
rarely = st.one_of(
    st.tuples(st.just("offer")),
    st.tuples(st.just("withdraw")),
    st.tuples(st.just("settle")),
    st.tuples(st.just("recorded")),
    st.tuples(st.just("link"), st.booleans()),
    st.tuples(st.just("stumbles"), st.sampled_from(["failed", "declined", "asking"]), st.sampled_from(["", "load"])),
    st.tuples(st.just("charge"), st.floats(), st.integers(-5, 5)),
    st.tuples(st.just("stream"), st.floats(), st.text(max_size=9)),
)
steps = st.integers(0, 7).flatmap(lambda n: hears if n < 3 else yields if n < 6 else elapses if n < 7 else rarely)


def own(end: Any) -> bool:
    return bool(end.award == "w1")


def returned(bench: Bench, step: tuple[Any, ...]) -> list[Effect]:
    """Let the handler's work end."""
    token = "revised" if bench.jobs.pop("w1").round else "draft"
    match step:
        case ("yields", words, confidence, cost):
            outputs = None if words is None else text(words)
            made = Yielded(outputs, cost, confidence, {OTHERS[0]: "so"}, {OTHERS[0]: cost})
            return bench.feed(KEY, fx.Returned(token, made))
        case (_, kind, refutes):
            return bench.feed(KEY, fx.Returned(token, Stumbled(kind, "code", "why", refutes=refutes)))
    return []


def take(bench: Bench, rounds: int, strategy: Any, step: tuple[Any, ...]) -> list[Effect]:
    """Let one thing happen, if it can happen now."""
    match step:
        case ("offer",):
            team = Team("c", (ME, *OTHERS[:2]), rounds, 1000, strategy, guests=OTHERS[2:3])
            return bench.offer(award_of(team=team, budget=1e6))
        case ("withdraw",):
            return bench.withdraw("w1")
        case ("link", up):
            return bench.feed(announce.KEY, fx.Online(resumed=False) if up else fx.Offline())
        case ("recorded" | "settle" as what,) if "w1" in bench.awards:
            return bench.recorded("w1") if what == "recorded" else bench.settle("w1")
        case ("elapse", timer) if ("w1", timer) in bench.timers:
            return bench.elapse("w1", timer)
        case ("hear", agent, number, words, complete, confidence):
            said = Draft(
                "w-x", "t1", "c", agent, number, text(words), complete, "main", {ME: "hm"}, {ME: 0.5}, confidence
            )
            return bench.feed(announce.KEY, fx.Received(Topic("channel", task="t1", name="c", agent=agent), said))
        case ("yields" | "stumbles", *_) if "w1" in bench.jobs:
            return returned(bench, step)
        case ("charge", usd, tokens) if "w1" in bench.awards:
            return bench.feed(KEY, fx.Told(Key("shell"), Charged(usd, tokens, tokens)))
        case ("stream", fraction, words) if "w1" in bench.awards:
            return bench.feed(KEY, fx.Told(Key("shell"), Progressed(fraction, "", words)))
    return []


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(
    st.lists(steps, min_size=8, max_size=40), st.integers(0, 4), st.sampled_from(["", "quadratic", "anchor"]),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_an_award_ends_in_one_way_at_most(
    happens: list[tuple[Any, ...]], rounds: int, strategy: str, once: bool, crowded: bool
) -> None:
    bench = Bench(profile_of(ME, slots=1, effects="once" if once else "idempotent", refines=True), hung_s=2.0)
    if crowded:
        bench.offer(award_of("w0", "t0"))
        if once:
            bench.recorded("w0")
        happens = [*happens[:2], ("free",), ("recorded",), *happens[2:]]
    ends: list[Any] = []
    said: list[tuple[int, bool]] = []
    for step in [("offer",), ("recorded",), *happens]:
        if step == ("offer",) and "w1" not in bench.awards:
            ends, said = [], []  # a new life of the award: nothing of the old one is left but what is kept
        effects = bench.yields("w0", text("x")) if step == ("free",) else take(bench, rounds, strategy, step)
        ends += [one for kind in (Done, Failed, Asking) for one in sent(effects, kind) if own(one)]
        said += [(one.round, one.complete) for one in sent(effects, Draft)]
        for one in effects:
            if isinstance(one, fx.Publish) and isinstance(one.message, Draft | Done | Failed | Asking | Declined):
                codec.decode(codec.encode(one.message))
        assert len({codec.encode(end) for end in ends}) <= 1
        assert [number for number, _ in said] == sorted({number for number, _ in said})
        assert len(said) <= rounds + 1
        assert len(bench.agent.running) <= 1
        if ends:
            assert "w1" not in bench.jobs
            assert "w1" not in bench.agent.running
            assert "w1" not in bench.agent.clusters
    event(f"{len(said)} drafts, {type(ends[0]).__name__ if ends else 'no end'}")


many = st.one_of(
    st.tuples(st.just("offer"), st.integers(0, 9), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("yields"), st.integers(0, 9)),
    st.tuples(st.just("stumbles"), st.integers(0, 9), st.sampled_from(["failed", "declined", "asking"])),
    st.tuples(st.just("elapse"), st.integers(0, 50)),
    st.tuples(st.just("settle"), st.integers(0, 9)),
    st.tuples(st.just("withdraw"), st.integers(0, 9)),
    st.tuples(st.just("recorded"), st.integers(0, 9)),
    st.tuples(st.just("late"), st.integers(0, 9)),
    st.tuples(st.just("link"), st.booleans()),
    st.tuples(st.just("die")),
)


def live(bench: Bench, step: tuple[Any, ...]) -> None:
    """Let one thing happen to an agent with many awards."""
    match step:
        case ("elapse", number) if bench.timers:
            bench.elapse(*sorted(bench.timers)[number % len(bench.timers)])
        case ("link", up):
            bench.feed(announce.KEY, fx.Online(resumed=False) if up else fx.Offline())
        case ("die",):
            bench.restart()
        case (what, number, *more):
            to_one(bench, what, number, more)


def to_one(bench: Bench, what: str, number: int, more: list[Any]) -> None:
    """Let something happen to one of the awards, if it can happen now."""
    ident, task = f"w{number}", f"t{number}"
    match what:
        case "offer":
            team = Team(f"c{number}", (ME, OTHERS[0]), 2, 1000) if more[1] else None
            bench.offer(award_of(ident, task, priority=more[0], team=team))
        case "withdraw":
            bench.withdraw(ident, task)
        case "yields" | "stumbles" if ident in bench.jobs:
            done = Stumbled(more[0], "code", "why") if more else Yielded(text("x"))
            token = "revised" if bench.jobs.pop(ident).round else "draft"
            bench.feed(Key("award", ident), fx.Returned(token, done))
        case "settle" | "recorded" if ident in bench.awards:
            bench.settle(ident, task) if what == "settle" else bench.recorded(ident)
        case "late" if ident not in bench.awards:  # a handler that would not be cancelled comes back after all
            bench.feed(Key("award", ident), fx.Returned("draft", Yielded(text("late"))))


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(st.lists(many, max_size=80), st.integers(1, 3), st.booleans())
def test_no_slot_leaks_and_nothing_is_left_of_many_awards(steps: list[Any], slots: int, once: bool) -> None:
    """Crashes, hangs, withdrawals, settlements that never come: every slot is free again, every memory in its cap."""
    effects: Any = "once" if once else "idempotent"
    made = profile_of(ME, slots=slots, effects=effects, refines=True)
    bench = Bench(made, hung_s=3.0, kept=4, backlog=3)
    for step in steps:
        live(bench, step)
        agent = bench.agent
        assert len(agent.running) <= slots
        assert set(agent.running) <= set(bench.awards), "a slot of nobody's"
        assert set(agent.waiting) <= set(bench.awards)
        assert set(agent.turns) == set(agent.waiting)
        assert not agent.waiting or len(agent.running) == slots or agent.suspects, "one waits beside a free slot"
        assert not agent.waiting or agent.running, "one waits and nobody works"
        assert len(agent.running) < 2 or not set(agent.running) & set(agent.suspects), "a suspect works alone"
        assert len(agent.answers) <= 4
        assert set(bench.jobs) <= set(agent.running), "work without a slot"
    bench.feed(announce.KEY, fx.Online(resumed=False))
    for _ in range(400):
        due = [name for name in sorted(bench.timers) if name[1] not in {"repeat", "tick", "card"}]
        if not due:
            break
        bench.elapse(*min(due, key=lambda name: bench.timers[name]))
    assert (bench.agent.running, bench.agent.waiting, bench.agent.clusters) == ((), (), {})
    assert (bench.agent.answers, bench.awards, bench.jobs, bench.agent.suspects) == ({}, {}, {}, ())
    assert all(name.startswith("#") for name in bench.kept), "but what it died over"
