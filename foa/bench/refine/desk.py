"""Where a policy buys replies: it sees what it paid for and nothing else, least of all what is right.

A *call* is one agent's reply in one round, the first round too. A recorded reply of a later round was given in sight of
everybody's reply before it, so it can be bought only when those were.
"""

from collections.abc import Sequence

from foa.bench.refine.data import Debate
from foa.core.cluster.answers import Answer
from foa.core.cluster.reputation import company

Pick = tuple[int, str]
"""An answer by its round and its agent."""


def kinds(debate: Debate) -> tuple[str, ...]:
    """Return what is known of a problem before anybody is asked: who sits in front of it.

    The kind a file gives adds nothing to that on the sets that were measured (docs/decisions/0019).
    """
    return (company(debate.agents),)


class Desk:
    """One problem in front of one policy; ``agents`` in the order in which they sit this time."""

    def __init__(self, debate: Debate, agents: Sequence[str]) -> None:
        self.agents = tuple(agents)
        self.kinds = kinds(debate)
        self.bought: list[dict[str, Answer]] = []
        self._debate = debate

    @property
    def calls(self) -> int:
        """Count the replies that were bought."""
        return sum(map(len, self.bought))

    @property
    def history(self) -> list[list[Answer]]:
        """Return what was bought, by round, oldest first."""
        return [list(answers.values()) for answers in self.bought]

    @property
    def left(self) -> int:
        """Count the rounds that can still be bought: none before everybody's last replies are there."""
        if not self.bought or len(self.bought[-1]) < len(self._debate.answers[len(self.bought) - 1]):
            return 0
        return len(self._debate.answers) - len(self.bought)

    def ask(self, agent: str) -> Answer:
        """Buy `agent`'s first reply."""
        if not self.bought:
            self.bought.append({})
        return self.bought[0].setdefault(agent, self._debate.answers[0][agent])

    def refine(self, agents: Sequence[str] = ()) -> None:
        """Buy one more round of `agents` (none named: of all); those who said nothing more are not paid."""
        assert self.left > 0, "a round is not recorded without the whole round before it"
        found = self._debate.answers[len(self.bought)]
        self.bought.append({agent: found[agent] for agent in agents or self.agents if agent in found})
