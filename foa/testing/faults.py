"""What goes wrong in a run, drawn from a seed: how the network misbehaves, and blows that fall on nodes and broker."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Final, Literal, NamedTuple

from foa.bus.memory import Faults, Forget

Kind = Literal["kill", "kill-sending", "abort", "cut", "broker"]

STORM_S: Final = 14.0
"""From when the network is well again and whoever fell stands again; the promises are due from then."""

KINDS: Final[tuple[Kind, ...]] = ("kill", "kill-sending", "abort", "cut", "broker")


class Blow(NamedTuple):
    """One thing that happens: at ``at`` to ``node`` (nobody's for the broker), mended after ``lasts`` seconds."""

    at: float
    kind: Kind
    node: str = ""
    lasts: float = 1.0
    frames: int = 1
    forget: Forget = "nothing"


class Plan(NamedTuple):
    """All that goes wrong in one run."""

    faults: Faults
    blows: tuple[Blow, ...]


def draw(rng: Random, nodes: Mapping[str, Sequence[str]], forgets: Sequence[Forget] = ("nothing",)) -> Plan:
    """Return a plan; ``nodes`` are the names by kind. A quarter of all seeds has a healthy network."""
    faults = Faults() if rng.random() < 0.25 else _network(rng)  # noqa: PLR2004 - as said
    blows = [_blow(rng, nodes, forgets) for _ in range(rng.randrange(5))]
    return Plan(faults, tuple(sorted(blows)))


def _network(rng: Random) -> Faults:
    """Return a network in which each kind of fault is there in half of all seeds."""

    def perhaps(most: float) -> float:
        return rng.choice((0.0, rng.uniform(0.0, most)))

    return Faults(
        drop=perhaps(0.02),
        duplicate=perhaps(0.1),
        delay_s=(0.0, rng.choice((0.0, 0.01, 0.2))),
        reorder=perhaps(0.2),
        disconnect=perhaps(0.01),
    )


def _blow(rng: Random, nodes: Mapping[str, Sequence[str]], forgets: Sequence[Forget]) -> Blow:
    kind = rng.choice(KINDS)
    at = rng.uniform(1.0, STORM_S - 2.0)
    if kind == "broker":
        return Blow(at, kind, lasts=rng.uniform(0.1, 2.0), forget=rng.choice(list(forgets)))
    role = rng.choice(("coordinator", "coordinator", *nodes))
    lasts = rng.choice((0.0, rng.uniform(0.0, 1.0), rng.uniform(1.0, 8.0)))
    return Blow(at, kind, rng.choice(list(nodes[role])), lasts, rng.randrange(1, 8))
