"""What a run is made of, as a value: who is there, what is asked, what goes wrong. Drawn from a seed, kept as JSON.

A scenario is apart from the dice of its run, so that one that fails can be cut down piece by piece (`shrinking`),
and kept for ever.
"""

from random import Random
from typing import Final, Literal

import msgspec

from foa.core.vcv.profile import Profile
from foa.errors import ConfigError
from foa.testing import workload
from foa.testing.agents import Temper
from foa.testing.sim import faults
from foa.testing.sim.faults import STORM_S, Storm
from foa.testing.sim.script import Line
from foa.testing.workload import Errand
from foa.wire.ids import node_of

NodeKind = Literal["coordinator", "index", "agent", "client"]

SMALLEST: Final = 5
LARGEST: Final = 9
"""How many nodes a federation has, clients not counted; specialists that a task needs come on top."""

SEALED: Final = 1 / 16
"""The share of seeds in which every frame is sealed; such a seed takes three times as long."""

OFFSETS: Final = 1 << 20
"""Clocks are set apart by multiples of 1,024 s below this many, which keeps their sums exact."""


class Actor(msgspec.Struct, frozen=True, omit_defaults=True):
    """A node: it starts at ``starts_s`` and its clock shows ``offset_s`` more than the world's.

    ``skew_s`` is how far its wall clock is from the truth. Agents have a profile, and a temper or a script.
    """

    kind: NodeKind
    name: str
    starts_s: float = 0.0
    offset_s: float = 0.0
    skew_s: float = 0.0
    profile: Profile | None = None
    temper: Temper | None = None
    script: tuple[Line, ...] | None = None


class Scenario(msgspec.Struct, frozen=True):
    """One run: ``seed`` is that of the dice of nodes and network. ``keep_alive_s``: how soon silence is noticed.

    The storm lasts ``storm_s``; at most ``patience_s`` after it every task must be over. ``sealed``: every frame is
    signed and held against a trust file.
    """

    seed: int
    actors: tuple[Actor, ...]
    errands: tuple[Errand, ...]
    storm: Storm = Storm()
    keep_alive_s: int = 60
    storm_s: float = STORM_S
    patience_s: float = 40.0
    sealed: bool = False

    def names(self, kind: NodeKind) -> list[str]:
        """Return the names of the nodes of a kind."""
        return [actor.name for actor in self.actors if actor.kind == kind]


def draw(seed: int) -> Scenario:
    """Return the scenario of a seed."""
    rng = Random(f"{seed}/plan")
    clients = [f"u{number + 1}" for number in range(rng.randrange(1, 3))]
    errands = workload.errands(rng, clients)
    agents = _agents(rng, errands)
    indexes = rng.randrange(1, 3)
    room = LARGEST - indexes - len(agents)
    coordinators = max(2, min(rng.choice((2, 2, 3, 3, 4)), room), SMALLEST - indexes - len(agents))
    actors = [
        *(Actor("coordinator", f"c{number + 1}") for number in range(coordinators)),
        *(Actor("index", f"i{number + 1}") for number in range(indexes)),
        *agents,
        *(Actor("client", name) for name in clients),
    ]
    actors = [_placed(rng, actor) for actor in actors]
    kinds: tuple[NodeKind, ...] = ("coordinator", "index", "agent", "client")
    names: dict[str, list[str]] = {kind: [one.name for one in actors if one.kind == kind] for kind in kinds}
    storm = faults.draw(rng, names)
    keep_alive_s = rng.choice((60, 60, 2)) if any(blow.kind in _SILENT for blow in storm.blows) else 60
    sealed = Random(f"{seed}/sealed").random() < SEALED
    return Scenario(seed, tuple(actors), tuple(errands), storm, keep_alive_s, sealed=sealed)


_SILENT: Final = frozenset({"cut", "freeze"})


def _agents(rng: Random, errands: list[Errand]) -> list[Actor]:
    found = workload.agents(rng, errands)
    return [Actor("agent", node_of(profile.agent), profile=profile, temper=temper) for profile, temper in found]


def _placed(rng: Random, actor: Actor) -> Actor:
    """Return `actor` with a clock of its own; one in twelve joins late, but for the first of each kind."""
    first = actor.name in {"c1", "i1", "u1", "u2"}
    late = rng.uniform(1.0, 8.0) if not first and rng.random() < 1 / 12 else 0.0
    offset = 1024.0 * rng.randrange(OFFSETS // 1024)
    skew = rng.choice((0.0, 0.0, rng.uniform(-30.0, 30.0)))
    return msgspec.structs.replace(actor, starts_s=late, offset_s=offset, skew_s=skew)


def write(scenario: Scenario) -> bytes:
    """Return a scenario as JSON."""
    return msgspec.json.encode(scenario)


def read(text: bytes, name: str) -> Scenario:
    """Return the scenario in JSON `text`; ConfigError if there is none, naming the file `name`."""
    try:
        return msgspec.json.decode(text, type=Scenario)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{name}: {error}; give a file that 'foa sim --keep' or 'foa record' wrote") from error
