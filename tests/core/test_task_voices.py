"""What a coordinator takes from how plans ended: not from one planner alone, and not from a few requests."""

from typing import Any

import msgspec
import pytest

from foa.core import effects as fx
from foa.core.dag.cases import Model, Recalled, Worked
from foa.core.dag.merge import Ended, Proposal
from foa.core.machines.task import finish
from foa.core.machines.task.pending import Session
from foa.core.machines.task.planning import voices
from foa.wire.deliberation import Deliberation, Kept, Voice
from foa.wire.records import Plan, Subtask
from tests.core.task_bench import Bench, chain, task

STEPS = chain()


@pytest.mark.parametrize(("ended", "heard"), [(voices.FEW - 1, ["loser", "winner"]), (voices.FEW, ["winner"])])
def test_whoever_lost_a_few_times_is_heard_again(ended: int, heard: list[str]) -> None:
    past = tuple(Ended({"winner": 1.0, "loser": 0.0}) for _ in range(ended))
    read = [Proposal(name, Plan((Subtask("a", "do it"),))) for name in ("loser", "winner")]
    kept, refused = voices._weighed(read, Session("", "do it", recalled=Recalled("t", (), Model(), past)), [])
    assert [one.planner for one in kept] == heard
    assert len(kept) + len(refused) == 2


@pytest.mark.parametrize(("others", "learned"), [((), {}), (("second",), {"first": 1.0, "second": 0.0})])
def test_a_plan_without_another_beside_it_tells_nothing_of_planners(others: Any, learned: dict[str, float]) -> None:
    bench = Bench()
    bench.submit(task(plan=STEPS))
    told = Deliberation(
        voices=(Voice("first", STEPS, 2), *(Voice(name, STEPS, 0) for name in others), Voice("third", refused="no")),
        kept=(Kept("a", ("first",)), Kept("b", ("first",))),
    )
    live = msgspec.structs.replace(bench.live, deliberations=(told,), vector=b"\0\0")
    _, effects = finish.finish(live, bench.context, 1.0)
    (worked,) = [one.message for one in effects if isinstance(one, fx.Tell) and isinstance(one.message, Worked)]
    assert worked.voices == learned
