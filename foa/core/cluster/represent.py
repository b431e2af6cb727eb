"""Whose answer stands for the cluster: a majority where answers are equal, else the one nearest to all.

Called by the coordinator with the last answers of a team. The medoid is weighted by reputation; both rules
break ties by reputation and then by the agent's id, so everybody with the same answers chooses the same.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from foa.core.cluster.agreement import form, similarity
from foa.core.cluster.rounds import ALIKE
from foa.wire.ids import AgentId
from foa.wire.records import Given

_UNKNOWN: Final = 0.5
"""The reputation of an agent nobody has seen work."""


class Answer(NamedTuple):
    """One member's outputs."""

    agent: AgentId
    outputs: tuple[Given, ...]


class Choice(NamedTuple):
    """The chosen answer by its ``place`` and ``agent``; ``share`` of all answers are alike, more than 2/3: ``agreed``.

    ``credit`` is each agent's similarity to the chosen answer: what flows back into reputation.
    """

    place: int
    agent: AgentId
    agreed: bool
    share: float
    how: str
    credit: Mapping[AgentId, float]


def represent(
    answers: Sequence[Answer], reputation: Mapping[AgentId, float], *, members: int = 0, alike: float = ALIKE
) -> Choice | None:
    """Choose among `answers`; None if there are none. ``members`` counts the silent ones too (0: nobody is)."""
    if not answers:
        return None
    forms = [form(answer.outputs) for answer in answers]
    alikeness = [[similarity(one, other) for other in forms] for one in forms]
    trust = [reputation.get(answer.agent, _UNKNOWN) for answer in answers]
    counts = Counter(one.digest for one in forms)
    most = max(counts.values())
    majority = most > 1 and (2 * most > len(forms) or all(one.short for one in forms))
    if majority:
        best = [most if counts[one.digest] == most else 0.0 for one in forms]
    else:
        best = [sum(weight * near for weight, near in zip(trust, row, strict=True)) for row in alikeness]
    place = min(range(len(answers)), key=lambda at: (-round(best[at], 9), -trust[at], answers[at].agent, at))
    near = alikeness[place]
    supporters, voters = sum(one >= alike for one in near), max(members, len(answers))
    return Choice(
        place=place,
        agent=answers[place].agent,
        agreed=3 * supporters > 2 * voters,
        share=supporters / voters,
        how="majority" if majority else "medoid",
        credit={answer.agent: value for answer, value in zip(answers, near, strict=True)},
    )
