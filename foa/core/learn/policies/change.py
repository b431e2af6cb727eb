"""Noticing that an agent is not what it was: a cumulative sum of disappointments (Page, Biometrika 41, 1954).

Decay forgets slowly, at the price of forgetting what still holds; an agent that broke must be dropped within a dozen
tasks. So each reward is compared with what the model expected of it: ``g = max(0, g + expected - reward - slack)``.
An agent that is as good as ever has g near 0; one that fails drives it up by almost its whole expected reward a task.
When g passes the limit, what happened since g last was 0 is the agent's present, and what was before is void.
"""

from typing import Final

SLACK: Final = 0.25
LIMIT: Final = 4.0
"""For rewards that span about 1: an agent worth .6 that now earns 0 is found out after a dozen of its tasks.

Who is chosen is chosen for being overrated, a little: the slack has to cover that beside the noise, or half of all
long runs have a false alarm.
"""


class Watch:
    """One agent's disappointments: ``g``, and how many rewards came since g last was 0."""

    __slots__ = ("g", "length")

    def __init__(self) -> None:
        self.g = 0.0
        self.length = 0

    def saw(self, reward: float, expected: float) -> bool:
        """Take one reward; True if the agent changed: only its latest ``length`` rewards say what it is now."""
        self.g = max(0.0, self.g + expected - reward - SLACK)
        self.length = self.length + 1 if self.g > 0.0 else 0
        return self.g > LIMIT
