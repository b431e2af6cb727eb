"""The state of the matchmaker: the ledger, the model derived from it, loads, and what waits. Tables are mutable."""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec
import numpy as np

from foa.core.cluster.reputation import Reputation
from foa.core.effects import Effect
from foa.core.learn.features import M, Standing, prior
from foa.core.learn.kinds import VERSION, D
from foa.core.learn.ledger import Ledger
from foa.core.learn.linucb import Hybrid, waning_factor
from foa.core.learn.moments import Floats, Moments
from foa.core.learn.policies.change import Watch
from foa.core.routing.exchange import Concluded
from foa.core.turns import Queue
from foa.wire.lessons import Exemplar
from foa.wire.messages import Learned
from foa.wire.topics import Topics

MAX_KEPT: Final = 100_000
"""Records of an earlier life that wait until it is known which features are learned with."""

MAX_WATCHED: Final = 4_096
"""Agents that are watched for change; whoever earned nothing for longest goes first."""

MAX_AWARDS: Final = 100_000
"""Awards in flight that are counted as load; the oldest is forgotten first."""


class Rules(msgspec.Struct, frozen=True):
    """The knobs of learning.

    ``explore`` is the α of LinUCB's width, which wanes over ``patience`` rewards, ``second`` that of a second look at
    who had bad luck (`foa.core.learn.linucb`), ``ridge`` the λ, ``tau_s`` the time of forgetting.

    ``probe`` is the share of decisions, at most, in which a newcomer (of less than ``tried`` rewards) goes first whose
    alpha reaches ``near`` of the best. ``doubt``: so many measured awards weigh as much as what an agent declares.
    ``cost`` and ``latency`` are what a reward loses where the whole price, or the whole time left, was used.
    ``shares``: so many times the turns of another a submitter gets where both wait; 1 if not named.
    """

    on: bool = True
    explore: float = 1.0
    patience: float = 300.0
    second: float = 0.2
    ridge: float = 1.0
    shared_ridge: float = 1.0
    tau_s: float = 7 * 86_400.0
    publish_s: float = 2.0
    derive_s: float = 1.0
    probe: float = 0.05
    tried: float = 3.0
    near: float = 0.8
    doubt: float = 5.0
    cost: float = 0.1
    latency: float = 0.05
    evidence: bool = True
    shares: Mapping[str, float] = {}


STALE: Final = 0.05
"""The model is derived anew for everybody once decay has taken so much: rewards of now weigh 1, whenever that is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What the shell gives; ``wall`` added to the node's clock gives seconds since 1970."""

    topics: Topics
    node: str
    wall: float = 0.0
    rules: Rules = field(default_factory=Rules)


@dataclass(slots=True)
class Known:
    """One agent's evidence as we know it, ``fresh`` still to be merged; ``ahead``: the broker may lack some of it.

    ``texts`` are digests of what it did lately, with the rewards: the same again is no news.
    """

    exemplars: tuple[Exemplar, ...] = ()
    fresh: list[Exemplar] = field(default_factory=list)
    texts: dict[bytes, float] = field(default_factory=dict)
    ahead: bool = False


@dataclass(slots=True)
class Memory:
    """Evidence by agent, vectors by text (``short``: as evidence has them), finished tasks whose vector is asked for.

    All bounded, oldest out first. A text's digest stands for it.
    """

    model: str = ""
    known: OrderedDict[str, Known] = field(default_factory=OrderedDict)
    vectors: OrderedDict[bytes, bytes] = field(default_factory=OrderedDict)
    short: OrderedDict[bytes, bytes] = field(default_factory=OrderedDict)
    waiting: OrderedDict[str, Concluded] = field(default_factory=OrderedDict)
    due: bool = False


class Strikes(NamedTuple):
    """What speaks against an agent: how often, held until when, of which task and what the last was.

    ``tried``: it was asked again since, and nothing came of it yet.
    """

    number: float
    until: float
    task: str
    fault: str
    tried: bool = False


@dataclass(slots=True)
class Room:
    """Who waits for whom: queues by agent, with its slots (``size``); the agents that each subtask waits for.

    ``tasks`` are the subtasks in the queues by task. ``slots`` are kept for a subtask: whose, and until when; ``kept``
    counts them by agent.
    """

    queues: dict[str, Queue[tuple[str, str]]] = field(default_factory=dict)
    size: dict[str, int] = field(default_factory=dict)
    where: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    tasks: dict[str, set[str]] = field(default_factory=dict)
    slots: dict[tuple[str, str], tuple[str, float]] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    awake: bool = False


@dataclass(slots=True)
class Match:
    """What a coordinator learned. ``basis`` is None until the kinds of work were embedded: nothing is learned before.

    ``watches`` are, per agent, the sum of its disappointments and since when there are any. ``scale`` weighs the
    ledger's sums as of the latest derivation. ``owned`` are our partitions: who may take feedback.
    ``reputation`` is whom to believe in a team. ``strikes`` are agents that did nothing with their awards, ``room`` is
    who waits for agents at work.
    ``unseen`` are shelves, by node and bucket, that the broker has not shown since we connected.
    """

    setup: Setup
    ledger: Ledger | None = None
    model: Hybrid | None = None
    basis: Floats | None = None
    kept: list[tuple[str, Learned]] = field(default_factory=list)
    standings: dict[str, Standing] = field(default_factory=dict)
    watches: OrderedDict[str, tuple[Watch, float]] = field(default_factory=OrderedDict)
    loads: Counter[str] = field(default_factory=Counter)
    awards: dict[str, str] = field(default_factory=dict)
    owned: set[int] = field(default_factory=set)
    unseen: set[tuple[str, str]] = field(default_factory=set)
    scale: float = 1.0
    credit: float = 0.0
    memory: Memory = field(default_factory=Memory)
    publishing: bool = False
    deriving: bool = False
    reputation: Reputation = field(default_factory=Reputation)
    keeping: bool = False
    strikes: OrderedDict[str, Strikes] = field(default_factory=OrderedDict)
    room: Room = field(default_factory=Room)


Stepped = tuple[Match, list[Effect]]


def begin(state: Match, model: str, basis: Floats, now: float) -> None:
    """Begin to learn, with texts embedded by `model`; what an earlier life kept is taken back."""
    rules = state.setup.rules
    at = now + state.setup.wall
    state.basis = basis
    state.memory.model = model
    state.ledger = Ledger(state.setup.node, f"{model}/{VERSION}"[:512], M, D, rules.tau_s, at)
    for bucket, learned in state.kept:
        if learned.node == state.setup.node:
            state.ledger.restore(bucket, learned)
    for bucket, learned in state.kept:
        state.ledger.hear(bucket, learned)
    state.kept.clear()
    derive(state, now)


def derive(state: Match, now: float) -> None:
    """Derive those anew whose sums changed beneath the model; everybody, once decay has moved far enough to matter."""
    if state.ledger is None:
        return
    ledger, model = state.ledger, state.model
    at = now + state.setup.wall
    ledger.rebase(at)
    scale = ledger.scale(at)
    if model is None or abs(scale / state.scale - 1.0) > STALE:
        rules = state.setup.rules
        model = state.model = Hybrid(M, D, prior(), rules.ridge, rules.shared_ridge)
        state.scale = scale
        state.standings.clear()
        changed: Iterable[str] = ledger.agents()
    else:
        changed = ledger.changed
    none = Moments(M, D)
    model.replace({agent: t.moments if (t := ledger.tally(agent)) else none for agent in changed}, state.scale)
    for agent in ledger.changed:
        state.standings.pop(agent, None)
    ledger.changed.clear()


def standing(state: Match, agent: str) -> Standing:
    """Return what was measured of an agent by all coordinators, weighed as of the latest derivation."""
    known = state.standings.get(agent)
    if known is None:
        known = state.standings[agent] = _standing(state, agent)
    return known


def _standing(state: Match, agent: str) -> Standing:
    found = state.ledger.sums(agent) if state.ledger is not None else None
    if found is None or found[0] <= 0.0:
        return Standing()
    weight, sums = found
    good, paid, ms, cost, price = np.maximum(sums, 0.0).tolist()  # taken back, a sum may be less by rounding
    seen = weight * state.scale
    mean = min(1.0, good / weight)
    if paid <= 0.0:
        return Standing(seen, mean)
    return Standing(seen, mean, state.scale * paid, ms / paid, cost / paid, price / paid)


def factor(state: Match) -> float:
    """Return what standard widths are taken times: wide at first, then ever less."""
    weight = state.model.weight if state.model is not None else 0.0
    return waning_factor(weight, alpha=state.setup.rules.explore, patience=state.setup.rules.patience)
