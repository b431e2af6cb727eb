"""What was learned, in numbers: the sums of all coordinators, and the model derived from them as coordinators do.

Pure: made of records, of the time, and of the time of forgetting.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from foa.core.learn import kinds
from foa.core.learn.features import NAMES, SCALE, M, prior
from foa.core.learn.moments import Floats, Moments
from foa.core.machines.match.state import Match, Rules, Setup, begin, derive, standing
from foa.wire.lessons import Counted
from foa.wire.messages import Learned
from foa.wire.topics import Topics

OBSERVER: Final = "observer"
CELLS: Final = 24
"""Steps in time that a curve is drawn in."""


class Weight(NamedTuple):
    """A shared weight: by how much the expected reward rises as the feature goes from 0 to 1, and what it began as."""

    feature: str
    prior: float
    now: float

    @property
    def learned(self) -> float:
        """What was learned: the weight less its prior."""
        return self.now - self.prior


class Skill(NamedTuple):
    """One kind of task of an agent: the weight of its rewards there, their mean, and the agent's own effect.

    The effect is the expected reward of a task wholly of this kind beyond what the shared weights expect.
    """

    kind: str
    weight: float
    reward: float
    effect: float


class Step(NamedTuple):
    """The rewards of a stretch of time that begins ``at``: their mean score and how many they are."""

    at: float
    score: float | None
    rewards: int


class Learnt(NamedTuple):
    """What was learned of an agent. ``rewards`` were counted, by now they weigh ``weight``; ``score`` is their mean.

    ``effect`` is the agent's own for tasks of all kinds alike. ``paid`` is the weight of the measured awards, with
    their mean price (USD), the mean price that was expected, and the mean duration (ms). ``kinds`` by falling weight.
    """

    agent: str
    rewards: int
    weight: float
    score: float
    effect: float
    paid: float
    price: float
    expected: float
    ms: float
    kinds: tuple[Skill, ...]
    curve: tuple[Step, ...]


class Survey(NamedTuple):
    """All of it. ``until`` is when the latest record was written, ``left_out`` how many were of other features."""

    features: str
    coordinators: tuple[str, ...]
    until: float
    shared: tuple[Weight, ...]
    agents: tuple[Learnt, ...]
    curve: tuple[Step, ...]
    left_out: int

    @property
    def rewards(self) -> int:
        """How many rewards were counted in all."""
        return sum(agent.rewards for agent in self.agents)

    @property
    def weight(self) -> float:
        """What they weigh by now."""
        return sum(agent.weight for agent in self.agents)


def survey(records: Iterable[tuple[str, Learned]], now: float, tau: float) -> Survey | None:
    """Return what `records` (each with its bucket) say, weighed as of `now` (seconds); None if that is nothing.

    Of several sets of features the one written last counts: a model of embedding that is no longer in use.
    """
    every = list(records)
    if not every:
        return None
    features = max(every, key=lambda one: one[1].until)[1].features
    heard = [one for one in every if one[1].features == features]
    state = _summed(heard, features, now, tau)
    assert state.ledger is not None
    assert state.model is not None
    rewards = scores(learned for _, learned in heard)
    first, last = _span([each for many in rewards.values() for each in many])
    agents = [_learnt(state, agent, steps(rewards.get(agent, ()), first, last)) for agent in state.ledger.agents()]
    known = [agent for agent in agents if agent.weight > 0.0]
    if not known:
        return None
    now_, before = state.model.beta * SCALE, prior() * SCALE
    return Survey(
        features,
        tuple(sorted({learned.node for _, learned in heard})),
        max(learned.until for _, learned in heard),
        tuple(map(Weight, NAMES, before.tolist(), now_.tolist())),
        tuple(sorted(known, key=lambda each: (-each.weight, each.agent))),
        steps([each for many in rewards.values() for each in many], first, last),
        len(every) - len(heard),
    )


def _summed(heard: Sequence[tuple[str, Learned]], features: str, now: float, tau: float) -> Match:
    """Return a matchmaker that heard all of it and owns nothing."""
    state = Match(Setup(topics=Topics("survey"), node=OBSERVER, rules=Rules(tau_s=tau)))
    begin(state, features.rpartition("/")[0], np.zeros((len(kinds.TEXTS), 1)), now)
    assert state.ledger is not None
    for bucket, learned in heard:
        state.ledger.hear(bucket, learned)
    derive(state, now)
    return state


def _learnt(state: Match, agent: str, curve: tuple[Step, ...]) -> Learnt:
    assert state.ledger is not None
    assert state.model is not None
    tally = state.ledger.tally(agent)
    assert tally is not None
    seen, own = standing(state, agent), state.model.own(agent)
    skills = _skills(tally.moments, own, state.scale)
    alike = kinds.features(np.zeros(len(kinds.NAMES)))
    return Learnt(
        agent=agent,
        rewards=tally.moments.count,
        weight=seen.seen,
        score=seen.mean,
        effect=float(own @ alike),
        paid=seen.paid,
        price=seen.cost,
        expected=seen.price,
        ms=seen.ms,
        kinds=skills,
        curve=curve,
    )


def _skills(moments: Moments, own: Floats, scale: float) -> tuple[Skill, ...]:
    """Return what an agent's sums say per kind: x is (1, shares) / sqrt(2), so its products hold weight and reward."""
    gram = moments.gram() * scale
    weights = 2.0 * gram[M, M + 1 : -1]
    rewards = np.sqrt(2.0) * gram[M + 1 : -1, -1]
    found = [
        Skill(name, float(weight), float(reward / weight), float((own[0] + effect) / np.sqrt(2.0)))
        for name, weight, reward, effect in zip(kinds.NAMES, weights, rewards, own[1:], strict=True)
        if weight > 0.0
    ]
    return tuple(sorted(found, key=lambda skill: (-skill.weight, skill.kind)))


# --- over time -----------------------------------------------------------------------------------------------

Scored = tuple[float, float]


def scores(records: Iterable[Learned]) -> dict[str, list[Scored]]:
    """Return per agent (when, score) of the rewards that records still name, each once and as last corrected."""
    named = {(one.award, one.change): one for record in records for one in record.recent}
    awards: dict[tuple[str, str], list[Counted]] = {}
    for one in named.values():
        awards.setdefault((one.agent, one.award), []).append(one)
    found: dict[str, list[Scored]] = {}
    for (agent, _), words in sorted(awards.items()):
        first = next((one for one in words if not one.change), None)
        if first is not None:
            score = sum(one.score for one in words)
            found.setdefault(agent, []).append((first.at, min(1.0, max(0.0, score))))
    return found


def _span(scored: Sequence[Scored]) -> tuple[float, float]:
    instants = [at for at, _ in scored]
    return min(instants, default=0.0), max(instants, default=0.0)


def steps(scored: Sequence[Scored], first: float, last: float, cells: int = CELLS) -> tuple[Step, ...]:
    """Return the mean scores of `cells` equal stretches from `first` to `last`; () where nothing is scored."""
    if not scored:
        return ()
    width = (last - first) / cells
    sums, counts = [0.0] * cells, [0] * cells
    for at, score in scored:
        cell = min(cells - 1, int((at - first) / width)) if width > 0.0 else 0
        sums[cell] += score
        counts[cell] += 1
    means = [total / count if count else None for total, count in zip(sums, counts, strict=True)]
    return tuple(Step(first + width * cell, means[cell], counts[cell]) for cell in range(cells))
