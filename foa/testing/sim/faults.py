"""What goes wrong in a run, drawn from a seed: how the network misbehaves, and blows that fall on nodes and broker."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Final, Literal, NamedTuple

import msgspec

from foa.bus.memory import Faults, Loss, Way
from foa.testing.mortal import COMMIT, Fuse

Kind = Literal[
    "kill", "kill-sending", "kill-step", "kill-commit", "abort", "cut", "lapse", "freeze", "ghost", "flap", "drain",
    "broker", "amnesia", "autosave",
]  # fmt: skip
"""What may happen.

``kill``: ``kill -9``; ``kill-sending``: in the middle of what it sends; ``kill-step``, ``kill-commit``: at a chosen
step of a machine, or commit of its journal. ``abort``: the link breaks. ``cut``: a set of nodes hears or says nothing
for a time; ``lapse``: and the broker gives them up. ``freeze``: SIGSTOP; ``ghost``: and the broker gives it up.
``flap``: killed and started several times. ``drain``: leaves in good order and comes back. ``broker``: killed, all is
kept; ``amnesia``: killed, a part is lost; ``autosave``: killed, and what it retains is as it was some seconds ago.
"""

STORM_S: Final = 14.0
"""From when the network is well again and whoever fell stands again; the promises are due from then."""

NODE_KINDS: Final[tuple[Kind, ...]] = (
    "kill", "kill", "kill-sending", "kill-step", "kill-commit", "abort", "cut", "lapse", "freeze", "ghost", "flap",
    "drain",
)  # fmt: skip
AMNESIA: Final = 1 / 3
"""The share of seeds in which a broker that is killed has forgotten something."""

STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "coordinator": ("task", "task", "task", "ownership", "match", "lookup", "memory"),
    "index": ("shard",),
    "agent": ("agent", "award", "award"),
    "client": ("client",),
}
"""The machines at whose steps a node of a kind is killed."""


MOMENT_S: Final = 2.0
"""So long after it is back a node still finds its way."""


class Blow(NamedTuple):
    """One thing that happens: at ``at`` to ``nodes`` (nobody's for the broker), mended after ``lasts`` seconds.

    ``times``: how many frames still leave, or how often it flaps. ``fuse``: at which step it dies. ``way``: which way a
    link is cut. ``loss``: what the broker forgets, ``age`` how old its autosave is, in seconds.
    """

    at: float
    kind: Kind
    nodes: tuple[str, ...] = ()
    lasts: float = 1.0
    times: int = 1
    fuse: Fuse = Fuse("", 1, before=True)
    way: Way = "both"
    loss: Loss = Loss()
    age: float = 0.0


class Storm(msgspec.Struct, frozen=True):
    """All that goes wrong in one run. ``hostile``: the share of frames that a stranger repeats in a mutilated form."""

    faults: Faults = Faults()
    blows: tuple[Blow, ...] = ()
    hostile: float = 0.0


def draw(rng: Random, nodes: Mapping[str, Sequence[str]]) -> Storm:
    """Return a storm; ``nodes`` are the names by kind. A quarter of all seeds has a healthy network."""
    faults = Faults() if rng.random() < 0.25 else _network(rng)  # noqa: PLR2004 - as said
    forgets = rng.random() < AMNESIA
    blows = [_blow(rng, nodes, forgets=forgets) for _ in range(rng.randrange(6))]
    if forgets and not any(blow.kind in {"amnesia", "autosave"} for blow in blows):
        blows.append(_broker(rng, rng.uniform(1.0, STORM_S - 2.0), forgets=True))
    hostile = rng.choice((0.0, 0.0, 0.0, 0.02))
    return Storm(faults, tuple(sorted(blows, key=lambda blow: blow.at)), hostile)


def one(rng: Random, nodes: Mapping[str, Sequence[str]], at: float) -> Blow:
    """Return a single blow that falls at `at`."""
    return _blow(rng, nodes, forgets=rng.random() < AMNESIA)._replace(at=at)


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


def _blow(rng: Random, nodes: Mapping[str, Sequence[str]], *, forgets: bool) -> Blow:
    at = rng.uniform(1.0, STORM_S - 2.0)
    if rng.random() < 0.2:  # noqa: PLR2004 - a fifth of all blows
        return _broker(rng, at, forgets=forgets)
    kind = rng.choice(NODE_KINDS)
    role = rng.choice(("coordinator", "coordinator", *nodes))
    struck: tuple[str, ...] = (rng.choice(list(nodes[role])),)
    lasts = rng.choice((0.0, rng.uniform(0.0, 1.0), rng.uniform(1.0, 8.0)))
    if kind in {"cut", "lapse"}:
        everybody = sorted({name for names in nodes.values() for name in names} - set(struck))
        struck += tuple(rng.sample(everybody, min(len(everybody), rng.choice((0, 0, 1, 3)))))
    fuse = Fuse("", 1, before=True)
    if kind in {"kill-step", "kill-commit"}:
        machine = rng.choice(STEPS[role]) if kind == "kill-step" else COMMIT
        fuse = Fuse(machine, rng.randrange(1, 12), before=rng.random() < 0.5)  # noqa: PLR2004 - as often
    way: Way = rng.choice(("both", "up", "down"))
    return Blow(at, kind, struck, lasts, rng.randrange(1, 8), fuse, way)


def _broker(rng: Random, at: float, *, forgets: bool) -> Blow:
    """Kill the broker; where it forgets, all of it, sessions only, a share of what is retained, or the latest."""
    lasts = rng.uniform(0.1, 2.0)
    if not forgets:
        return Blow(at, "broker", lasts=lasts)
    if rng.random() < 0.3:  # noqa: PLR2004 - about as often as each of the others
        return Blow(at, "autosave", lasts=lasts, age=rng.uniform(0.2, 4.0))
    loss = rng.choice(
        (
            Loss(sessions="all"),
            Loss(retained=1.0),
            Loss(sessions="all", retained=1.0),
            Loss(retained=rng.random()),
            Loss(sessions="all", retained=rng.random()),
            Loss(since=max(0.0, at - rng.uniform(0.1, 3.0))),
        )
    )
    return Blow(at, "amnesia", lasts=lasts, loss=loss)


def torn(storm: Storm, coordinators: frozenset[str]) -> tuple[float, ...]:
    """Return when the broker forgets what it retained while a coordinator is down, or has come back a moment before."""
    hurt = [(blow.at, blow.at + blow.lasts + MOMENT_S) for blow in storm.blows if coordinators & set(blow.nodes)]
    return tuple(
        blow.at
        for blow in storm.blows
        if not blow.nodes and (blow.loss != Loss() or blow.age > 0.0) and any(a <= blow.at <= b for a, b in hurt)
    )
