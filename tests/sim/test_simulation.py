"""Whole federations under faults: a few seeds in every test run (many more in ``make sim``), and that seeds replay."""

import json
import os
import subprocess
import sys

import pytest

from foa.testing import sim
from foa.testing.sim import Run
from foa.testing.world import Node
from foa.wire.ids import Epoch
from foa.wire.messages import Result


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 40, 10))
def test_the_promises_hold(first: int) -> None:
    for seed in range(first, first + 10):
        outcome = sim.run(seed)
        assert outcome.violations == (), f"replay: python -m foa.testing.sim --seed {seed} --trace"


KEPT = (1577,)
"""Seeds in which something was found: a team joined one who worked alone after it."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", KEPT)
def test_what_was_found_stays_found(seed: int) -> None:
    assert sim.run(seed).violations == ()


@pytest.mark.slow
def test_a_seed_replays_under_any_hash_seed() -> None:
    program = "from foa.testing import sim; print([sim.run(seed).digest for seed in (3, 40, 85)])"
    digests = set()
    for salt in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": salt},
        )  # fmt: skip
        digests.add(done.stdout)
    assert len(digests) == 1


@pytest.mark.slow
def test_faults_and_phases_are_really_met() -> None:
    outcomes = [sim.run(seed) for seed in range(40)]
    coverage = sim.summarise(outcomes, 1.0)["coverage"]
    for kind in ("dropped", "duplicated", "reordered", "disconnected"):
        assert coverage[f"bus:{kind}"] > 0
    assert {word.split(":")[0] for word in coverage} >= {"kill", "kill-sending", "abort", "cut", "broker", "ended"}
    assert any(word.endswith("x awarded") for word in coverage)
    assert {word for word in coverage if word.startswith("edit:")} == {
        f"edit:{kind}" for kind in ("expand", "reroute", "replan", "grow", "withdraw", "approve", "input", "escalate")
    }
    assert {"asked", "said:answer", "said:refute", "clusters"} <= set(coverage)


# --- the inspector sees what is wrong ---------------------------------------------------------------------


class Sabotaged(Run):
    """A run in which something is broken on purpose."""

    def sabotage(self) -> None:
        raise NotImplementedError

    def run(self) -> sim.Outcome:
        self.world.clock.call_at(12.0, self.sabotage)
        return super().run()


class Overwritten(Sabotaged):
    """A stranger overwrites the result of a task after everybody has forgotten it."""

    def sabotage(self) -> None:
        def overwrite() -> None:
            ident = self.errands[0].task.id
            self.inspector.results[ident].append(Result(ident, "failed", Epoch(99, "nobody")))

        self.world.clock.call_at(60.0, overwrite)


class Deaf(Sabotaged):
    """The coordinators never come back."""

    def sabotage(self) -> None:
        for node in self.world.of("coordinator"):
            node.kill()

    def _stand_up(self, node: Node) -> None:
        if node.seat.kind != "coordinator":
            super()._stand_up(node)

    def run(self) -> sim.Outcome:
        self.world.clock.call_at(1.5, self.sabotage)
        return super().run()


@pytest.mark.slow
def test_a_result_that_changed_is_found() -> None:
    assert "retained" in {violation.word for violation in Overwritten(1).run().violations}


@pytest.mark.slow
def test_a_lost_task_is_found() -> None:
    assert "lost" in {violation.word for violation in Deaf(1).run().violations}


# --- the command line -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_summary_is_json_on_demand_and_the_exit_code_says_how_it_went(capsys: pytest.CaptureFixture[str]) -> None:
    assert sim.main(["--seeds", "3", "--start", "7", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["seeds"], summary["violations"]) == (3, 0)
    assert summary["events"] > 0
    assert summary["coverage"]


@pytest.mark.slow
def test_a_trace_tells_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    assert sim.main(["--seed", "5", "--trace"]) == 0
    assert "submits" in capsys.readouterr().out
