"""An agent that stood still: what it then hears first was said to it long ago, and may be another's by now."""

from foa.core import effects as fx
from foa.core.effects import Key
from foa.core.machines.agent.announce import LATE_S, TICK_S
from foa.testing.agents import profile
from foa.wire.messages import Taken
from tests.core.agent_bench import ME, Bench, award_of, sent

AGENT = Key("agent")


def stopped(seconds: float, *, once: bool = False) -> Bench:
    """Return an agent that comes to itself so long after its last tick."""
    bench = Bench(profile(ME, slots=1, effects="once") if once else None)
    bench.feed(AGENT, fx.Online(resumed=False))
    bench.now = bench.timers["", "tick"]
    bench.feed(AGENT, fx.Elapsed("tick"))
    bench.now += seconds
    return bench


def ticked(bench: Bench) -> None:
    bench.feed(AGENT, fx.Elapsed("tick"))


def test_what_was_taken_back_meanwhile_is_not_begun() -> None:
    bench = stopped(17.0)
    assert sent(bench.offer(award_of()), Taken)[0].started is False
    bench.withdraw("w1")
    ticked(bench)
    assert bench.jobs == {}
    assert (bench.agent.running, bench.agent.waiting) == ((), ())


def test_what_still_stands_is_begun_with_the_next_tick() -> None:
    bench = stopped(17.0)
    bench.offer(award_of())
    ticked(bench)
    assert list(bench.jobs) == ["w1"]
    assert bench.agent.waiting == ()


def test_work_whose_effects_happen_once_and_was_taken_back_may_come_again() -> None:
    bench = stopped(17.0, once=True)
    bench.offer(award_of())
    bench.withdraw("w1")
    ticked(bench)
    assert bench.agent.begun == {}


def test_an_agent_that_runs_on_begins_at_once() -> None:
    bench = stopped(TICK_S + LATE_S)
    bench.offer(award_of())
    assert list(bench.jobs) == ["w1"]
