"""Policies that are compared: the production's strategies and escalation, and the baselines they are held against.

All learn only from problems before this one and only from replies they bought, except the *informed* teams, which
learn from all replies without paying for them: the most a team of that size could have from such trust.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import msgspec

from foa.bench.refine.desk import Desk, Pick
from foa.core.cluster import reputation
from foa.core.cluster.answers import Answer, compare
from foa.core.cluster.escalate import Member, Rules, next_move
from foa.core.cluster.reputation import Reputation
from foa.core.cluster.strategies import best_so_far, weak
from foa.wire.records import Strategy


class Policy(Protocol):
    """Buys replies at a desk and picks one. ``verdicts``: it is told, later, if first replies it bought were right.

    ``informed``: it learns from all first replies, without buying them.
    """

    verdicts: bool
    informed: bool

    def play(self, desk: Desk) -> Pick | None:
        """Return the answer this policy stands by; None if it has none."""

    def told(self, answer: Answer, right: float, kinds: Sequence[str]) -> None:
        """Hear whether an earlier answer was right."""

    def seen(self, answers: Sequence[Answer], kinds: Sequence[str]) -> None:
        """Hear the first replies to a problem that is over."""


class Learner:
    """What learning policies share: a reputation, learned from agreement, and from verdicts where they come."""

    def __init__(self, *, verdicts: bool = False, informed: bool = False) -> None:
        self.verdicts = verdicts
        self.informed = informed
        self.reputation = Reputation()

    def told(self, answer: Answer, right: float, kinds: Sequence[str]) -> None:
        """Count a verdict."""
        self.reputation = reputation.told(self.reputation, answer.agent, right, kinds, answer)

    def seen(self, answers: Sequence[Answer], kinds: Sequence[str]) -> None:
        """Count agreement."""
        self.reputation = reputation.learned(self.reputation, answers, kinds)

    def trust(self, desk: Desk) -> dict[str, float]:
        """Return the trust in everybody at the desk."""
        return {agent: reputation.trust(self.reputation, agent, desk.kinds) for agent in desk.agents}

    def best(self, desk: Desk, strategy: Strategy) -> Pick | None:
        """Return what `strategy` makes of all that was bought."""
        plausible = reputation.plausible(self.reputation)
        kept = best_so_far(
            desk.history, self.trust(desk), strategy=strategy, members=len(desk.agents), plausible=plausible
        )
        return None if kept is None else (kept.round, kept.choice.agent)


class Settling(Learner):
    """All members, round after round until more than two thirds agree, settled by one strategy."""

    def __init__(self, strategy: Strategy, *, verdicts: bool = False) -> None:
        super().__init__(verdicts=verdicts)
        self.strategy = strategy

    def play(self, desk: Desk) -> Pick | None:
        """Ask everybody; *anchor* has each repaired once and the weak ones again, the others go on until agreement."""
        for agent in desk.agents:
            desk.ask(agent)
        trust = self.trust(desk)
        for number in range(desk.left):
            kept = best_so_far(desk.history, trust, strategy=self.strategy, members=len(desk.agents))
            if (kept is not None and kept.choice.agreed) or not desk.left:
                break
            again = weak(desk.history[-1], trust) if self.strategy == "anchor" and number else desk.agents
            if not again:
                break
            desk.refine(again)
        return self.best(desk, self.strategy)


class Escalating(Learner):
    """The production's escalation: one more while it is worth its price. A call costs 1, being right is ``worth``."""

    def __init__(self, rules: Rules, *, verdicts: bool = False) -> None:
        super().__init__(verdicts=verdicts)
        self.rules = rules

    def play(self, desk: Desk) -> Pick | None:
        """Move as `next_move` says until it accepts."""
        trust = self.trust(desk)
        known = {agent: reputation.known(self.reputation, agent) for agent in desk.agents}
        plausible = reputation.plausible(self.reputation)
        while True:
            answers = [answer for answers in desk.history for answer in answers]
            asked = set(desk.bought[0]) if desk.bought else set()
            pool = [Member(agent, 1.0, trust[agent], agent in asked, known[agent]) for agent in desk.agents]
            move = next_move(answers, pool, msgspec.structs.replace(self.rules, rounds=desk.left), plausible)
            if move.kind == "accept":
                return self.best(desk, "weighted")
            if move.kind == "refine":
                desk.refine(move.agents)
            else:
                desk.ask(move.agents[0])


class Team(Learner):
    """A team of a fixed size: the most trusted members, first replies only, weighed by trust."""

    def __init__(self, size: int, *, verdicts: bool = False, informed: bool = False) -> None:
        super().__init__(verdicts=verdicts, informed=informed)
        self.size = size

    def play(self, desk: Desk) -> Pick | None:
        """Ask the most trusted; equals in the order they sit in."""
        trust = self.trust(desk)
        for agent in sorted(desk.agents, key=lambda agent: -trust[agent])[: self.size]:
            desk.ask(agent)
        return self.best(desk, "weighted")


class Voting:
    """A plain vote: ``size`` random members (0: all), so many ``rounds`` (0: all), over the last or ``all`` replies.

    Equal numbers of votes: whoever sits first.
    """

    verdicts = informed = False

    def __init__(self, size: int = 0, rounds: int = 1, *, every: bool = False) -> None:
        self.size = size
        self.rounds = rounds
        self.every = every

    def play(self, desk: Desk) -> Pick | None:
        """Ask and count."""
        for agent in desk.agents[: self.size or None]:
            desk.ask(agent)
        while desk.left and (not self.rounds or len(desk.bought) < self.rounds):
            desk.refine()
        last = {agent: number for number, answers in enumerate(desk.bought) for agent in answers}
        picks = [
            (number, agent)
            for number, answers in enumerate(desk.bought)
            for agent in answers
            if self.every or last[agent] == number
        ]
        group = compare([desk.bought[number][agent] for number, agent in picks]).group
        votes = Counter(group)
        return picks[max(range(len(picks)), key=lambda at: (votes[group[at]], -at))]

    def told(self, answer: Answer, right: float, kinds: Sequence[str]) -> None:
        """Learn nothing."""

    def seen(self, answers: Sequence[Answer], kinds: Sequence[str]) -> None:
        """Learn nothing."""


class Single(Voting):
    """One named order of preference among agents: the first that sits here."""

    def __init__(self, order: Sequence[str]) -> None:
        super().__init__()
        self.order = tuple(order)

    def play(self, desk: Desk) -> Pick | None:
        """Ask the most preferred agent."""
        agent = next((agent for agent in self.order if agent in desk.agents), None)
        if agent is None:
            return None
        desk.ask(agent)
        return 0, agent
