"""Whom to trust: how often each agent was right, learned online from agreement and, later, from verdicts.

A bounded pure record of the owner. Agreement: an agent is judged by the chance that its answer was right, given what
the whole cluster said and how far each was trusted then (one online step of Dawid and Skene's EM, 1979); a lone answer
tells nothing. Verdicts: somebody who knows said how right an answer was. Both are Beta counts: agreement never counts
for more than `SOFT` answers, so verdicts overrule it; a kind of work starts from what the agent is on all kinds.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from foa.core.cluster.answers import MOST, Answer, compare
from foa.core.cluster.belief import posterior, weight
from foa.wire.ids import AgentId

K = TypeVar("K")

PRIOR: Final = 0.5
"""What an agent nobody has seen is expected to be right."""

STRENGTH: Final = 4.0
"""How many answers the prior counts for; and how many of all kinds count for one kind."""

SOFT: Final = 64.0
"""How many answers agreement may count for at most, against verdicts."""

MEMORY: Final = 512.0
"""How many answers are remembered: older ones fade, so that who changes is seen to."""

MAX_AGENTS: Final = 4096
MAX_KINDS: Final = 8192
"""Agents, and pairs of agent and kind, that are remembered; the least recently judged goes first."""


class Standing(msgspec.Struct, frozen=True):
    """Counts of one agent: of ``seen`` answers ``right`` were agreed on; of ``told`` ones ``verified`` were right."""

    seen: float = 0.0
    right: float = 0.0
    told: float = 0.0
    verified: float = 0.0


class Reputation(msgspec.Struct, frozen=True):
    """Standings by agent, and by (agent, kind of work); in the order in which they were last judged."""

    agents: Mapping[AgentId, Standing] = {}
    kinds: Mapping[tuple[AgentId, str], Standing] = {}


def trust(reputation: Reputation, agent: AgentId, kind: str = "") -> float:
    """Return how often `agent` is expected to be right on work of `kind` ("": any), in (0, 1)."""
    found = _expected(reputation.agents.get(agent), PRIOR)
    return _expected(reputation.kinds.get((agent, kind)), found) if kind else found


def known(reputation: Reputation, agent: AgentId, kind: str = "") -> float:
    """Return how many answers of `agent` were judged, by agreement or verdict, on work of `kind` ("": any)."""
    standing = reputation.kinds.get((agent, kind)) if kind else reputation.agents.get(agent)
    return max(standing.seen, standing.told) if standing is not None else 0.0


def learned(reputation: Reputation, answers: Sequence[Answer], kind: str = "") -> Reputation:
    """Return `reputation` after a cluster's first `answers`: each author is judged by what all of them said.

    An agent that is there several times is judged by its first answer, which it gave without having seen the others'.
    """
    first: dict[AgentId, Answer] = {}
    for answer in answers[:MOST]:
        first.setdefault(answer.agent, answer)
    spoken = sorted(first.values(), key=lambda answer: answer.agent)
    if len(spoken) == 1 or not spoken:
        return reputation
    compared = compare(spoken)
    group = [-1 if empty else number for number, empty in zip(compared.group, compared.empty, strict=True)]
    chances = posterior(group, [weight(trust(reputation, answer.agent, kind)) for answer in spoken])
    for answer, number in zip(spoken, group, strict=True):
        reputation = _judged(reputation, answer.agent, kind, chances.get(number, 0.0), verdict=False)
    return reputation


def told(reputation: Reputation, agent: AgentId, right: float, kind: str = "") -> Reputation:
    """Return `reputation` after somebody who knows said how `right`, in [0, 1], an answer of `agent` was."""
    return _judged(reputation, agent, kind, min(1.0, max(0.0, right)) if right == right else 0.0, verdict=True)  # noqa: PLR0124 nan is wrong


def _expected(standing: Standing | None, prior: float) -> float:
    if standing is None:
        return prior
    soft = min(1.0, SOFT / standing.seen) if standing.seen else 0.0
    right = STRENGTH * prior + soft * standing.right + standing.verified
    return right / (STRENGTH + soft * standing.seen + standing.told)


def _judged(reputation: Reputation, agent: AgentId, kind: str, right: float, *, verdict: bool) -> Reputation:
    agents = _put(reputation.agents, agent, _counted(reputation.agents.get(agent), right, verdict=verdict), MAX_AGENTS)
    kinds = reputation.kinds
    if kind:
        place = (agent, kind)
        kinds = _put(kinds, place, _counted(kinds.get(place), right, verdict=verdict), MAX_KINDS)
    return Reputation(agents, kinds)


def _counted(standing: Standing | None, right: float, *, verdict: bool) -> Standing:
    one = standing or Standing()
    if verdict:
        fade = min(1.0, (MEMORY - 1.0) / one.told) if one.told else 1.0
        return Standing(one.seen, one.right, one.told * fade + 1.0, one.verified * fade + right)
    fade = min(1.0, (MEMORY - 1.0) / one.seen) if one.seen else 1.0
    return Standing(one.seen * fade + 1.0, one.right * fade + right, one.told, one.verified)


def _put(held: Mapping[K, Standing], key: K, standing: Standing, most: int) -> dict[K, Standing]:
    found = {place: one for place, one in held.items() if place != key}
    while len(found) >= most:
        del found[next(iter(found))]
    found[key] = standing
    return found
