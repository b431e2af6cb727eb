"""What a member holds of drafts, its own and others': which of its own is the best so far, and how it votes.

Pure; called by the member of a cluster between rounds and when it answers.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Final

from foa.core.cluster.agreement import form, similarity
from foa.core.cluster.answers import UNKNOWN, Answer, bounded
from foa.core.cluster.strategies import CREDITS, WEAK, weak
from foa.wire.ids import AgentId
from foa.wire.messages import Draft
from foa.wire.records import MAX_TEAM, Team

UNSURE: Final = 0.5
"""The confidence of a draft whose author does not say."""


def best(tried: Sequence[Draft], others: Sequence[Draft], trust: Mapping[AgentId, float]) -> Draft:
    """Return the best of a member's own drafts `tried` (at least one, oldest first), held against `others`' last ones.

    A draft's worth is the mean, weighted by trust, of its similarity to every other member's last draft and of its
    author's confidence in it, which counts as one voice among them. All are held against the same drafts, so that
    a revision which loses support against what was there before is not trusted, unless its author is so much surer
    of it. The latest stands among equals.
    """
    forms = [form(draft.outputs) for draft in others]
    weights = [bounded(trust, draft.agent) for draft in others]
    own = bounded(trust, tried[-1].agent) or UNKNOWN

    def worth(draft: Draft) -> float:
        mine = form(draft.outputs)
        support = sum(weight * similarity(mine, one) for weight, one in zip(weights, forms, strict=True))
        sure = UNSURE if draft.confidence is None else draft.confidence
        return (support + own * sure) / (sum(weights) + own)

    return max(reversed(tried), key=lambda draft: round(worth(draft), 9))


def ballot(team: Team, mine: Draft, others: Sequence[Draft], scores: Mapping[AgentId, float]) -> dict[AgentId, float]:
    """Return a member's votes for its own answer and those of its team's other members.

    Strategy *quadratic*: v votes for one answer cost v**2 of `CREDITS`; they are spread in proportion to how much each
    answer is held of, which buys the most of what is wanted (the maximum of sum(s * v) under sum(v**2) = credits).
    That is the author's own score in [0, 1], else the answer's similarity to its own, which is worth its confidence.
    Any other strategy: the author's scores alone.
    """
    members = [draft for draft in others if draft.agent in team.members and draft.agent != mine.agent]
    members = members[: MAX_TEAM - 1]  # with its own there is room for no more
    given = {draft.agent: min(1.0, max(0.0, scores[draft.agent])) for draft in members if draft.agent in scores}
    if team.strategy != "quadratic":
        return given
    own = form(mine.outputs)
    held = {draft.agent: given.get(draft.agent, similarity(own, form(draft.outputs))) for draft in members}
    held[mine.agent] = 1.0 if mine.confidence is None else mine.confidence
    length = sqrt(sum(value * value for value in held.values()))
    if not length:
        return {}
    return {agent: sqrt(CREDITS) * value / length for agent, value in sorted(held.items()) if value > 0.0}


def weaklings(drafts: Sequence[Draft], trust: Mapping[AgentId, float]) -> tuple[AgentId, ...]:
    """Return whose drafts are to be repaired again (*anchor*): held little of by their peers, or by their author."""
    answers = [Answer(draft.agent, draft.outputs, draft.confidence, draft.votes) for draft in drafts]
    unsure = {draft.agent for draft in drafts if draft.confidence is not None and draft.confidence < WEAK}
    return tuple(sorted({*weak(answers, trust), *unsure}))
