"""Who earned how much of an accepted answer: agent importance by agreement, after DyLAN (arXiv 2310.02170, 3.3).

DyLAN passes importance backward: whoever speaks for the answer in the last round has an equal share, and each hands its
share on to those of the round before, as it rated them. Nobody rates here: agreement does.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from foa.core.cluster.agreement import Form, form, similarity
from foa.core.cluster.answers import MOST, Answer
from foa.wire.ids import AgentId
from foa.wire.records import Given

_FAINT: Final = 2.0
"""Agreement counts by this power: half alike is a quarter of a claim."""


def importance(rounds: Sequence[Sequence[Answer]], accepted: Sequence[Given]) -> dict[AgentId, float]:
    """Return each agent's share in the `accepted` outputs, in [0, 1], by agent; all shares add up to 1 or are all 0.

    A round's answer counts by how near it is to what was accepted; a share goes back to the answers of the round before
    that it agrees with, its author's own among them, and an agent's importance is the mean over the rounds.
    """
    spoken = [answers[:MOST] for answers in rounds if answers]
    found = dict.fromkeys(sorted({answer.agent for answers in spoken for answer in answers}), 0.0)
    target = form(accepted)
    shares: dict[AgentId, float] = {}
    after: list[tuple[AgentId, Form]] = []
    for answers in reversed(spoken):
        now = sorted({answer.agent: form(answer.outputs) for answer in answers}.items())
        near = [similarity(one, target) ** _FAINT for _, one in now]
        shares = _handed(shares, after, now, near) if after else _whole(now, near)
        after = now
        for agent, value in shares.items():
            found[agent] += value / len(spoken)
    return {agent: min(1.0, value) for agent, value in found.items()}


def merit(shares: Mapping[AgentId, float]) -> dict[AgentId, float]:
    """Return what each agent's work was worth, in [0, 1]: its share beside the greatest one.

    Shares fall with the size of a team, a reward must not: who did as much as the best has 1.
    """
    most = max(shares.values(), default=0.0)
    return {agent: value / most if most > 0.0 else 0.0 for agent, value in shares.items()}


def _whole(now: Sequence[tuple[AgentId, Form]], near: Sequence[float]) -> dict[AgentId, float]:
    """Divide one whole among the answers of the last round, by how near each is to what was accepted."""
    total = sum(near)
    shares: dict[AgentId, float] = {}
    for (agent, _), value in zip(now, near, strict=True):
        shares[agent] = shares.get(agent, 0.0) + (value / total if total else 0.0)
    return shares


def _handed(
    shares: Mapping[AgentId, float],
    after: Sequence[tuple[AgentId, Form]],
    now: Sequence[tuple[AgentId, Form]],
    near: Sequence[float],
) -> dict[AgentId, float]:
    """Hand the shares of the round ``after`` back to ``now``; what nobody here agreed with is divided anew."""
    handed: dict[AgentId, float] = {}
    left = 0.0
    for agent, said in after:
        like = [similarity(said, one) ** _FAINT * value for (_, one), value in zip(now, near, strict=True)]
        total, share = sum(like), shares.get(agent, 0.0)
        left += 0.0 if total else share
        for (other, _), value in zip(now, like, strict=True):
            handed[other] = handed.get(other, 0.0) + (share * value / total if total else 0.0)
    for agent, value in _whole(now, near).items():
        handed[agent] = handed.get(agent, 0.0) + left * value
    return handed
