"""Looks at every step of every machine of a run: what was met, and which law the step broke.

Only the machine that stepped is looked at, so that looking costs a fraction of the step itself.
"""

from collections.abc import Callable
from typing import Any, Final

from foa.core import effects as fx
from foa.core.dag.cases.records import MAX_CASES
from foa.core.machines import cases, memory
from foa.core.machines.agent import announce
from foa.core.machines.lookup import state as lookup
from foa.core.machines.match import memory as evidence
from foa.core.machines.match import state as learned
from foa.core.machines.ownership.state import MAX_KNOCKED
from foa.core.machines.shard import catalogue
from foa.core.machines.shard import state as shard
from foa.core.machines.task import awarding, changing, live
from foa.core.machines.task.state import Live
from foa.core.routing.exchange import Concluded
from foa.core.routing.members import MAX_MEMBERS
from foa.nodes.agent import AgentProgram
from foa.settings import Settings
from foa.testing.sim.observing.coverage import Coverage, word
from foa.testing.sim.observing.invariants import Inspector
from foa.testing.sim.observing.leases import Leases
from foa.testing.world import Node, Seen
from foa.wire.ids import Epoch
from foa.wire.messages import Award


class Watch:
    """A `foa.testing.world.Looker` that counts and judges."""

    def __init__(self, inspector: Inspector, coverage: Coverage, settings: Settings, now: Callable[[], float]) -> None:
        self.leases = Leases(settings)
        self._inspector = inspector
        self._coverage = coverage
        self._now = now
        self._epochs: dict[tuple[str, int, int], Epoch] = {}
        self._rewarded: dict[tuple[str, int], set[str]] = {}

    def before(self, kind: str, state: Any) -> str:
        """Return what a machine is at before its step."""
        return word(kind, state)

    def look(self, seen: Seen) -> None:
        """Count a step and hold it against the laws."""
        kind, after = seen.kind, seen.after
        self._coverage.count(kind, seen.before, seen.event, word(kind, after))
        for name, size, cap in _CAPS.get(kind, ()):
            if (has := size(after)) > cap:
                self._inspector.blame("cap", f"{seen.node.seat.name}/{kind}: {has} {name}, at most {cap}")
        match kind:
            case "task":
                self._inspector.look(seen.node.seat.name, seen.state, seen.event, after, seen.effects)
                for fault in self.leases.step(seen, self._now()):
                    self._inspector.blame(*fault)
            case "agent":
                self._fenced(seen)
                self._slots(seen.node, after)
            case "match":
                self._rewards(seen)
            case _:
                pass

    def _fenced(self, seen: Seen) -> None:
        """No agent takes on an award of a lower epoch than it has heard of in this life."""
        event = seen.event
        if not isinstance(event, fx.Received) or not isinstance(event.message, Award):
            return
        award = event.message
        key = (seen.node.seat.name, seen.node.lives, award.partition)
        highest = self._epochs.get(key, award.epoch)
        if award.epoch < highest:
            taken = [one for one in seen.effects if isinstance(one, fx.Tell)]
            if taken:
                self._inspector.blame("fenced", f"{key[0]} took {award.award} under {award.epoch} after {highest}")
        else:
            self._epochs[key] = award.epoch

    def _slots(self, node: Node, state: Any) -> None:
        assert isinstance(node.program, AgentProgram)
        slots = node.program.context.profile.resources.concurrency
        if len(state.running) > slots or len(set(state.running)) < len(state.running):
            self._inspector.blame("slots", f"{node.seat.name} runs {state.running} in {slots} slots")

    def _rewards(self, seen: Seen) -> None:
        """One life of a coordinator writes the reward of an award once."""
        if not isinstance(seen.event, fx.Told) or not isinstance(seen.event.message, Concluded):
            return
        known = self._rewarded.setdefault((seen.node.seat.name, seen.node.lives), set())
        for effect in seen.effects:
            if isinstance(effect, fx.Persist) and effect.message is not None and effect.part.startswith(_REWARD):
                if effect.part in known:
                    self._inspector.blame("reward", f"{seen.node.seat.name} counted {effect.part} twice")
                known.add(effect.part)


_REWARD: Final = "reward:"

Cap = tuple[str, Callable[[Any], int], int]


def _of_live(size: Callable[[Live], int]) -> Callable[[Any], int]:
    return lambda state: size(state) if isinstance(state, Live) else 0


_CAPS: Final[dict[str, tuple[Cap, ...]]] = {
    "task": (
        ("answers remembered", lambda state: len(getattr(state, "answers", ())), live.MAX_SHADOW_ANSWERS),
        ("decisions", _of_live(lambda state: len(state.decisions)), live.MAX_DECISIONS),
        ("edits", _of_live(lambda state: len(state.edits)), changing.MAX_EDITS),
        ("begun", _of_live(lambda state: len(state.started)), 2 * awarding.MAX_BEGUN),
    ),
    "agent": (("keys begun", lambda state: len(state.begun), announce.MAX_BEGUN + 1),),
    "ownership": (("documents at the door", lambda state: len(state.knocked), MAX_KNOCKED),),
    "memory": (("ended tasks", lambda state: len(state.ended), memory.MAX_REMEMBERED),),
    "cases": (
        ("cases", lambda state: len(state.cases), MAX_CASES),
        ("spoken", lambda state: len(state.spoken), cases.MAX_SPOKEN),
    ),
    "lookup": (
        ("lookups", lambda state: len(state.jobs), lookup.MAX_JOBS),
        ("vectors", lambda state: len(state.vectors), lookup.MAX_VECTORS),
        ("answers kept", lambda state: len(state.answers), lookup.MAX_ANSWERS),
        ("members", lambda state: len(state.members.presences()), MAX_MEMBERS),
    ),
    "match": (
        ("records kept", lambda state: len(state.kept), learned.MAX_KEPT),
        ("agents watched", lambda state: len(state.watches), learned.MAX_WATCHED),
        ("awards", lambda state: len(state.awards), learned.MAX_AWARDS),
        ("agents' evidence", lambda state: len(state.memory.known), evidence.MAX_AGENTS),
        ("vectors", lambda state: len(state.memory.vectors), evidence.MAX_VECTORS),
        ("tasks waiting", lambda state: len(state.memory.waiting), evidence.MAX_WAITING),
    ),
    "shard": (
        ("questions", lambda state: len(state.work.jobs), shard.MAX_JOBS),
        ("strangers", lambda state: len(state.strangers), shard.MAX_STRANGERS),
        ("agents", lambda state: len(state.catalogue.entries), catalogue.MAX_AGENTS),
    ),
}
"""The bounded tables of every machine, with their caps."""
