"""The simulator: whole federations under faults, seed after seed, which says which promise broke (``foa sim``).

A seed decides everything: who is there, what is asked, what goes wrong and when (`scenario`). `run` plays it,
`observing` looks at every step, `many` runs seeds in parallel, `shrinking` cuts a failing one down, `kept` are those
that failed once, `mutants` break the machines on purpose, `soak` runs for hours, `tape` plays what was recorded live.
"""

from collections.abc import Callable

from foa.testing.sim import scenario
from foa.testing.sim.run import Outcome, Run

__all__ = ["Outcome", "Run", "run"]


def run(seed: int, trace: Callable[[str], None] | None = None) -> Outcome:
    """Run one seed."""
    return Run(scenario.draw(seed), trace).run()
