"""Is one agent enough? Asked by the coordinator before it looks for planners.

The rule. A text of one clause is atomic: there is nothing to split. A text of several clauses is covered by
an agent that is good enough, within ``margin`` of the best, for the whole text *and* for every clause;
among such agents the best for the whole text is taken, ties to the smallest id. A specialist for one clause
is not within the margin of the specialists for the others, so it does not cover; a generalist that merely
appears everywhere far behind the best does not cover either.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

MARGIN: Final = 0.05
FLOOR: Final = 0.2

Scores = Mapping[str, float]
"""Score by agent, as the index (or the matcher) gave it for one text; higher is better."""


class Cover(NamedTuple):
    """Whether the text goes to one agent whole; ``agent`` is "" if a single clause found nobody yet."""

    atomic: bool
    agent: str
    reason: str


def cover(whole: Scores, parts: Sequence[Scores], *, margin: float = MARGIN, floor: float = FLOOR) -> Cover:
    """Decide from the scores for the whole text and for each of its clauses, in one metric.

    ``floor`` is the least score that counts as being able at all.
    """
    best = min(whole, key=lambda agent: (-whole[agent], agent), default="")
    if len(parts) <= 1:
        return Cover(atomic=True, agent=best, reason="the text is one clause")
    able = [agent for agent in sorted(whole) if all(_able(agent, scores, margin, floor) for scores in (whole, *parts))]
    if not able:
        return Cover(atomic=False, agent="", reason=f"nobody is good enough for all of the {len(parts)} clauses")
    agent = min(able, key=lambda one: (-whole[one], one))
    return Cover(atomic=True, agent=agent, reason=f"{agent} is good enough for all of the {len(parts)} clauses")


def _able(agent: str, scores: Scores, margin: float, floor: float) -> bool:
    score = scores.get(agent)
    return score is not None and score >= floor and score >= max(scores.values()) - margin
