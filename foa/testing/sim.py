"""Runs federations under faults, seed after seed, and says which promise broke: ``python -m foa.testing.sim``.

A seed decides everything: who is there, what is asked, what goes wrong and when. So a failing one is replayed
with ``--seed N --trace``.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from random import Random
from time import perf_counter
from typing import Any, Final, NamedTuple

from foa.bus.memory import Faults, Forget
from foa.core.effects import Key
from foa.core.machines.client import DESK, Abandon, Report, Say, Submission
from foa.core.machines.task.state import JOINING, Ended, Live
from foa.testing import faults, federation, people, workload
from foa.testing.faults import STORM_S, Blow
from foa.testing.invariants import Inspector, Violation
from foa.testing.workload import Errand
from foa.testing.world import Node, World
from foa.wire.messages import Input

PATIENCE_S: Final = 40.0
"""How long after the storm every task must be over: the longest deadline, and twice a lease."""

FORGETS: Final[tuple[Forget, ...]] = ("nothing", "sessions", "retained", "all")

SAYS_S: Final = 2.0
PATIENT: Final = 4
"""How often a person says a thing that nobody hears."""

QUIET_S: Final = 60.0
"""How long after that everything must be forgotten."""


class Outcome(NamedTuple):
    """What came of one seed."""

    seed: int
    violations: tuple[Violation, ...]
    events: int
    coverage: Counter[str]
    digest: str


class Run:
    """One seed."""

    def __init__(
        self, seed: int, trace: Callable[[str], None] | None = None, forgets: Sequence[Forget] = ("nothing",)
    ) -> None:
        self.seed = seed
        self.coverage: Counter[str] = Counter()
        self._digest = sha256()
        self._spoken = 0
        self._trace = trace
        rng = Random(f"{seed}/plan")
        world = self.world = World(seed, federation.settings(), trace=self._note)
        inspector = self.inspector = Inspector(world)
        world.witness(inspector.witness)
        for number in range(rng.randrange(2, 4)):
            federation.coordinator(world, f"c{number + 1}", partial(inspector.look, f"c{number + 1}"))
        for number in range(rng.randrange(1, 3)):
            federation.index(world, f"i{number + 1}")
        clients = [f"u{number + 1}" for number in range(rng.randrange(1, 3))]
        self.errands = workload.errands(rng, clients)
        for profile, temper in workload.agents(rng, {errand.sort for errand in self.errands}):
            federation.agent(world, profile, temper, inspector.start)
        for name in clients:
            federation.client(world, name, self._report)
        kinds = ("coordinator", "index", "agent", "client")
        self.plan = faults.draw(rng, {kind: [node.seat.name for node in world.of(kind)] for kind in kinds}, forgets)

    def run(self) -> Outcome:
        """Run it to its end."""
        world, clock = self.world, self.world.clock
        self._note("plan", str(self.plan.faults), "")
        for node in world.nodes.values():
            clock.call_at(0.0, node.start)
        clock.call_at(1.0, partial(self._weather, self.plan.faults))
        for errand in self.errands:
            clock.call_at(errand.at, partial(self._submit, errand))
            for number, words in enumerate(errand.says):
                word = partial(self._say, errand, words.said, f"{errand.task.id}.{number}", 0)
                clock.call_at(errand.at + words.after_s, word)
            if errand.cancel_at is not None:
                clock.call_at(errand.cancel_at, partial(self._cancel, errand))
        for blow in self.plan.blows:
            clock.call_at(blow.at, partial(self._strike, blow))
        clock.run_until(STORM_S)
        self._calm()
        until = STORM_S + PATIENCE_S
        while clock.time() < until and not self.inspector.settled(self.errands):
            clock.run_until(clock.time() + 1.0)
        clock.run_until(clock.time() + QUIET_S)
        self.inspector.close(self.errands)
        injected = world.network.injected
        for kind in ("dropped", "duplicated", "reordered", "disconnected"):
            self.coverage[f"bus:{kind}"] += getattr(injected, kind)
        for results in self.inspector.results.values():
            self.coverage[f"ended:{results[0].status}:{results[0].code}"] += 1
        self.coverage += self.inspector.met
        stats = world.network.broker.stats
        events = stats.published + stats.delivered
        found = tuple(self.inspector.found)
        return Outcome(self.seed, found, events, self.coverage, self._digest.hexdigest())

    # --- people -----------------------------------------------------------------------------------------

    def _report(self, report: Report) -> None:
        """Hear what a client is told; who is asked something answers in their own time."""
        self.inspector.report(report)
        if report.kind != "required":
            return
        errand = next(errand for errand in self.errands if errand.task.id == report.id)
        for words in people.reply(errand.person, report.value):
            self._spoken += 1
            word = partial(self._say, errand, words.said, f"{errand.client}.{self._spoken}", 0)
            self.world.clock.call_at(self.world.clock.time() + words.after_s, word)

    def _say(self, errand: Errand, said: Input, token: str, tries: int) -> None:
        """Say it, and say it again until somebody has heard it."""
        if tries >= PATIENT or token in self.inspector.heard or errand.task.id in self.inspector.told:
            return
        node = self.world.nodes[errand.client]
        if node.alive:
            self._note(errand.client, "says", f"{said.task}/{said.subtask} {said.text} {said.approve} {token}")
            self.inspector.says(said)
            node.driver.tell(DESK, Say(said, token))
        again = partial(self._say, errand, said, token, tries + 1)
        self.world.clock.call_at(self.world.clock.time() + SAYS_S, again)

    # --- what is asked ----------------------------------------------------------------------------------

    def _submit(self, errand: Errand) -> None:
        """Submit, or see to it that it is submitted once its client stands again."""
        node = self.world.nodes[errand.client]
        if node.alive:
            self._note(errand.client, "submits", errand.task.id)
            self.inspector.submitted.setdefault(errand.task.id, (self.world.clock.time(), errand.task))
            node.driver.tell(Key("client", errand.task.id), Submission(errand.task, watch=False))

    def _cancel(self, errand: Errand) -> None:
        node = self.world.nodes[errand.client]
        if node.alive and errand.task.id not in self.inspector.told:
            self._note(errand.client, "cancels", errand.task.id)
            node.driver.tell(Key("client", errand.task.id), Abandon(cancel=True, reason="not wanted any more"))

    def _stand_up(self, node: Node) -> None:
        """Start a killed node; a client submits again what it does not know the end of, as users do."""
        if node.alive:
            return
        node.start()
        for errand in self.errands:
            mine = errand.client == node.seat.name and errand.at <= self.world.clock.time()
            if mine and errand.task.id not in self.inspector.told:
                self._submit(errand)

    # --- what goes wrong --------------------------------------------------------------------------------

    def _weather(self, wanted: Faults) -> None:
        self.world.network.faults = wanted

    def _strike(self, blow: Blow) -> None:
        world, clock = self.world, self.world.clock
        self._note("storm", blow.kind, f"{blow.node} {blow.lasts:.3f}")
        node = world.nodes.get(blow.node)
        self._cover(f"{blow.kind}:{node.seat.kind if node else blow.forget}")
        if node is None:
            world.network.crash_broker(blow.forget)
            clock.call_at(clock.time() + blow.lasts, world.network.restart_broker)
        elif node.alive:
            {"kill": self._kill, "kill-sending": self._kill, "abort": self._abort, "cut": self._cut}[blow.kind](
                node, blow
            )

    def _kill(self, node: Node, blow: Blow) -> None:
        if blow.kind == "kill":
            node.kill()
        else:
            node.kill_while_sending(blow.frames)
        self.world.clock.call_at(self.world.clock.time() + blow.lasts, partial(self._stand_up, node))

    def _abort(self, node: Node, blow: Blow) -> None:
        del blow
        node.bus.abort()

    def _cut(self, node: Node, blow: Blow) -> None:
        network, clock = self.world.network, self.world.clock
        network.partition(node.seat.client_id)
        clock.call_at(clock.time() + blow.lasts, partial(network.heal, node.seat.client_id))

    def _calm(self) -> None:
        """End the storm: the network is well, and whoever fell stands up."""
        self._note("storm", "ends", "")
        self._weather(Faults())
        self.world.network.restart_broker()
        for node in self.world.nodes.values():
            if node.alive:
                node.bus.fuse = None
            self.world.network.heal(node.seat.client_id)
            self._stand_up(node)

    def _cover(self, what: str) -> None:
        """Count in which phase each task was when this happened."""
        now = self.world.clock.time()
        for errand in self.errands:
            if errand.at <= now:
                self.coverage[f"{what} x {self._phase(errand.task.id)}"] += 1

    def _phase(self, task: str) -> str:
        key = Key("task", task)
        states = [node.driver.state(key) for node in self.world.of("coordinator") if node.alive]
        for state in states:
            if isinstance(state, Ended):
                return "ended"
            if isinstance(state, Live):
                return _doing(state)
        return "unowned"

    def _note(self, node: str, what: str, detail: Any) -> None:
        line = f"{self.world.clock.time() if hasattr(self, 'world') else 0.0:9.4f} {node:14} {what:14} {detail}"
        self._digest.update(line.encode())
        if self._trace is not None:
            self._trace(line)


def _doing(live: Live) -> str:
    """Return what a task is at, the rarest word of those that fit."""
    works = live.works.values()
    running = {work.id for work in works for seat in work.seats if seat.phase == "running"}
    words = (
        ("unaccepted", not live.accepted),
        ("large", live.records > 1),
        ("joining", JOINING in live.works),
        ("asked", any(work.question for work in works)),
        ("replanning", any(live.sessions)),
        ("planning", bool(live.sessions)),
        ("refining", any(pool.refined for pool in live.pools.values())),
        ("redone", any(edit.kind == "withdraw" for edit in live.edits)),
        ("edited", bool(live.edits)),
        ("awarded", bool(running)),
    )
    return next((word for word, fits in words if fits), live.stage)


def run(seed: int, trace: Callable[[str], None] | None = None, forgets: Sequence[Forget] = ("nothing",)) -> Outcome:
    """Run one seed; a broker that is killed comes back without one of what it `forgets`."""
    return Run(seed, trace, forgets).run()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run seeds as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m foa.testing.sim", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the first one")
    parser.add_argument("--seed", type=int, help="run this one only")
    parser.add_argument("--trace", action="store_true", help="show what happens")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON alone")
    parser.add_argument("--forget", choices=FORGETS, default="nothing", help="what a killed broker has forgotten")
    chosen = parser.parse_args(arguments)
    seeds = [chosen.seed] if chosen.seed is not None else range(chosen.start, chosen.start + chosen.seeds)
    begun = perf_counter()
    outcomes = []
    for seed in seeds:
        outcome = run(seed, _say if chosen.trace else None, (chosen.forget,))
        outcomes.append(outcome)
        if outcome.violations and not chosen.json:
            _show(outcome, traced=chosen.trace)
    summary = summarise(outcomes, perf_counter() - begun)
    _say(json.dumps(summary, indent=None if chosen.json else 2))
    return 1 if summary["violations"] else 0


def summarise(outcomes: Sequence[Outcome], seconds: float) -> dict[str, Any]:
    """Return the summary of many seeds."""
    coverage: Counter[str] = Counter()
    for outcome in outcomes:
        coverage += outcome.coverage
    return {
        "seeds": len(outcomes),
        "violations": sum(len(outcome.violations) for outcome in outcomes),
        "failing": [outcome.seed for outcome in outcomes if outcome.violations][:50],
        "events": sum(outcome.events for outcome in outcomes),
        "seconds": round(seconds, 2),
        "coverage": dict(sorted(coverage.items())),
    }


def _show(outcome: Outcome, *, traced: bool) -> None:
    """Print what broke, and unless all was shown already the last lines before it."""
    _say(f"seed {outcome.seed}: {len(outcome.violations)} violations")
    for violation in outcome.violations[:6]:
        _say(f"  {violation.word}: {violation.detail}")
    if not traced:
        _say(f"  replay: python -m foa.testing.sim --seed {outcome.seed} --trace")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
