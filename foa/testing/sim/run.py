"""One scenario run to its end through production machines and production bytes, in virtual time.

Everything is decided by the scenario and its seed: the same run again has the same digest. See `foa.testing.sim`.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Any, Final

from foa.bus.memory import Faults
from foa.core.effects import Key
from foa.core.machines.client import DESK, Abandon, Report, Say, Submission
from foa.core.machines.task.state import Ended, Live
from foa.testing import federation, people
from foa.testing.agents import Temper
from foa.testing.sealing import Notary
from foa.testing.sim.faults import torn
from foa.testing.sim.observing.coverage import Coverage, Transition, doing
from foa.testing.sim.observing.invariants import Inspector, Violation
from foa.testing.sim.observing.watching import Watch
from foa.testing.sim.scenario import Actor, Scenario
from foa.testing.sim.script import Script
from foa.testing.sim.stranger import Stranger
from foa.testing.sim.striking import Striker
from foa.testing.workload import Errand
from foa.testing.world import Node, World
from foa.wire.messages import Input

SAYS_S: Final = 2.0
PATIENT: Final = 4
"""How often a person says a thing that nobody hears."""

QUIET_S: Final = 90.0
"""How long after that everything must be forgotten."""


@dataclass(slots=True)
class Outcome:
    """What came of one run."""

    seed: int
    violations: tuple[Violation, ...] = ()
    events: int = 0
    met: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[Transition, str]] = field(default_factory=Counter)
    digest: str = ""


class Run:
    """One run of a scenario. ``trace`` is shown every line of what happens."""

    def __init__(self, scenario: Scenario, trace: Callable[[str], None] | None = None) -> None:
        self.scenario = scenario
        self.errands = scenario.errands
        self.met: Counter[str] = Counter()
        self.coverage = Coverage()
        self._digest = sha256()
        self._spoken = 0
        self._trace = trace
        settings = federation.settings(broker__keep_alive_s=scenario.keep_alive_s)
        world = self.world = World(scenario.seed, settings, trace=self._note)
        if scenario.sealed:
            world.notary = Notary(scenario.seed, world.topics)
            self.met["sealed"] += 1
        inspector = self.inspector = Inspector(world, torn(scenario.storm, frozenset(scenario.names("coordinator"))))
        world.looker = Watch(inspector, self.coverage, settings, world.clock.time)
        self._stranger = Stranger(world, scenario.storm.hostile)
        self.striker = Striker(world, self.coverage, self.cover, self.stand_up)
        world.witness(self._witness)
        for actor in scenario.actors:
            self._add(actor)

    def _add(self, actor: Actor) -> None:
        world = self.world
        match actor.kind:
            case "coordinator":
                node = federation.coordinator(world, actor.name, actor.skew_s)
            case "index":
                node = federation.index(world, actor.name)
            case "agent":
                node = self._agent(actor)
            case "client":
                node = federation.client(world, actor.name, self._report)
        node.offset = actor.offset_s
        node.sink.hostile = self.scenario.storm.hostile > 0.0
        if actor.starts_s:
            self.met[f"late:{actor.kind}"] += 1

    def _agent(self, actor: Actor) -> Node:
        assert actor.profile is not None
        if actor.script is None:
            return federation.agent(self.world, actor.profile, actor.temper or Temper(), self.inspector.start)
        profile, lines = actor.profile, list(actor.script)
        return federation.played(
            self.world, profile, lambda life, _: Script(profile, lines, life, self.inspector.start).services()
        )

    def run(self) -> Outcome:
        """Run it to its end."""
        self.play()
        return self.outcome()

    def play(self) -> None:
        """Let everything happen."""
        world, clock, storm = self.world, self.world.clock, self.scenario.storm
        self._note("plan", str(storm.faults), "")
        for actor in self.scenario.actors:
            clock.call_at(actor.starts_s, partial(self.stand_up, world.nodes[actor.name]))
        clock.call_at(1.0, self._rise)
        for errand in self.errands:
            self._plan(errand)
        for blow in storm.blows:
            self.striker.plan(blow)
        clock.run_until(self.scenario.storm_s)
        self._calm()
        until = self.scenario.storm_s + self.scenario.patience_s
        while clock.time() < until and not self.inspector.settled(self.errands):
            clock.run_until(clock.time() + 1.0)
        clock.run_until(clock.time() + max(QUIET_S, self.scenario.patience_s))
        self.inspector.close(self.errands)

    def outcome(self) -> Outcome:
        """Return what came of it."""
        injected, met = self.world.network.injected, self.met + self.inspector.met
        for kind in ("dropped", "duplicated", "reordered", "disconnected"):
            met[f"bus:{kind}"] += getattr(injected, kind)
        met["bus:hostile"] += self._stranger.sent
        for results in self.inspector.results.values():
            met[f"ended:{results[0].status}:{results[0].code}"] += 1
        stats = self.world.network.broker.stats
        return Outcome(
            self.scenario.seed,
            tuple(self.inspector.found),
            stats.published + stats.delivered,
            met,
            self.coverage.pairs(),
            self._digest.hexdigest(),
        )

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
            node.tell(DESK, Say(said, token))
        again = partial(self._say, errand, said, token, tries + 1)
        self.world.clock.call_at(self.world.clock.time() + SAYS_S, again)

    # --- what is asked ----------------------------------------------------------------------------------

    def _plan(self, errand: Errand) -> None:
        clock = self.world.clock
        clock.call_at(errand.at, partial(self._submit, errand))
        for number, words in enumerate(errand.says):
            word = partial(self._say, errand, words.said, f"{errand.task.id}.{number}", 0)
            clock.call_at(errand.at + words.after_s, word)
        if errand.cancel_at is not None:
            clock.call_at(errand.cancel_at, partial(self._cancel, errand))

    def _submit(self, errand: Errand) -> None:
        """Submit, or see to it that it is submitted once its client stands again."""
        node = self.world.nodes[errand.client]
        if node.alive:
            self._note(errand.client, "submits", errand.task.id)
            self.inspector.submitted.setdefault(errand.task.id, (self.world.clock.time(), errand.task))
            node.tell(Key("client", errand.task.id), Submission(errand.task, watch=False))

    def _cancel(self, errand: Errand) -> None:
        node = self.world.nodes[errand.client]
        if node.alive and errand.task.id not in self.inspector.told:
            self._note(errand.client, "cancels", errand.task.id)
            node.tell(Key("client", errand.task.id), Abandon(cancel=True, reason="not wanted any more"))

    def stand_up(self, node: Node) -> None:
        """Start a node; a client submits again what it does not know the end of, as users do."""
        if node.alive:
            return
        node.start()
        for errand in self.errands:
            mine = errand.client == node.seat.name and errand.at <= self.world.clock.time()
            if mine and errand.task.id not in self.inspector.told:
                self._submit(errand)

    # --- the weather ------------------------------------------------------------------------------------

    def _rise(self) -> None:
        """Let the storm begin."""
        storm = self.scenario.storm
        self.world.network.faults = storm.faults
        self._stranger.active = True
        for fault in self._constant():
            self.coverage.begin(fault)

    def _constant(self) -> list[str]:
        faults, hostile = self.scenario.storm.faults, self.scenario.storm.hostile
        there = {
            "net:drop": faults.drop,
            "net:duplicate": faults.duplicate,
            "net:delay": faults.delay_s[1],
            "net:reorder": faults.reorder,
            "net:disconnect": faults.disconnect,
            "net:hostile": hostile,
        }
        return [name for name, much in there.items() if much > 0.0]

    def _calm(self) -> None:
        """End the storm: the network is well, and whoever fell stands up."""
        self._note("storm", "ends", "")
        self.world.network.faults = Faults()
        self._stranger.active = False
        for fault in self._constant():
            self.coverage.end(fault)
        self.striker.calm()

    def _witness(self, message: Any) -> None:
        self.inspector.witness(message)
        self._stranger.witness(message)

    def cover(self, what: str) -> None:
        """Count in which phase each task was when this happened."""
        now = self.world.clock.time()
        for errand in self.errands:
            if errand.at <= now:
                self.met[f"{what} x {self._phase(errand.task.id)}"] += 1

    def _phase(self, task: str) -> str:
        key = Key("task", task)
        states = [node.driver.state(key) for node in self.world.of("coordinator") if node.alive]
        for state in states:
            if isinstance(state, Ended):
                return "ended"
            if isinstance(state, Live):
                return doing(state)
        return "unowned"

    def _note(self, node: str, what: str, detail: Any) -> None:
        line = f"{self.world.clock.time() if hasattr(self, 'world') else 0.0:9.4f} {node:14} {what:14} {detail}"
        self._digest.update(line.encode())
        if self._trace is not None:
            self._trace(line)
