"""Whom to trust: how often each agent was right, learned online from agreement and, later, from verdicts.

A bounded pure record of the owner. Agreement: an agent is judged by the chance that its answer was right, given what
the whole cluster said and how far each was trusted then (one online step of Dawid and Skene's EM, 1979); a lone answer
tells nothing. Verdicts: somebody who knows said how right an answer was. Both are Beta counts: agreement never counts
for more than `SOFT` answers, so verdicts overrule it. Work may have kinds, and an agent's trust in one starts from what
it is on all work. The `company` it sits in is such a kind: who is sent for to hard work is right less often wherever
that is known, and no worse than others elsewhere; only beside the same others can two agents be compared.

Answers are judged by what they look like, too: where fractions or whole sentences turn out wrong more often than their
authors do, the next one is believed less before anybody else is asked.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from math import exp, log
from typing import Final, TypeVar

import msgspec

from foa.core.cluster.agreement import form, shape
from foa.core.cluster.answers import MOST, Answer, compare, looks
from foa.core.cluster.belief import posterior, weight
from foa.wire.ids import AgentId

K = TypeVar("K")

_CERTAIN: Final = 0.98
"""No share counts as more certain than this, or less than its complement, when it is made log-odds."""

PRIOR: Final = 0.5
"""What an agent nobody has seen is expected to be right."""

STRENGTH: Final = 4.0
"""How many answers the prior counts for."""

KIN: Final = 16.0
"""How many answers of all kinds count for one kind."""

MILD: Final = 8.0
"""How many answers of a shape count as its authors' others do."""

SUREST_ODDS: Final = 4.0
"""No shape has more log-odds for it, or against it."""

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


class Look(msgspec.Struct, frozen=True):
    """Counts of one shape: of ``seen`` answers ``right`` were right, ``expected`` by their authors' trust."""

    seen: float = 0.0
    right: float = 0.0
    expected: float = 0.0


class Reputation(msgspec.Struct, frozen=True):
    """Standings by agent, and by (agent, kind of work), in the order in which they were last judged; looks by shape."""

    agents: Mapping[AgentId, Standing] = {}
    kinds: Mapping[tuple[AgentId, str], Standing] = {}
    shapes: Mapping[str, Look] = {}


def company(agents: Sequence[AgentId]) -> str:
    """Return the kind of work that is given to these `agents`, in whatever order."""
    return "with " + blake2b("\n".join(sorted(set(agents))).encode(errors="replace"), digest_size=8).hexdigest()


def trust(reputation: Reputation, agent: AgentId, kinds: Sequence[str] = ()) -> float:
    """Return how often `agent` is expected to be right on work that is of all these `kinds`, in (0, 1).

    What each kind does to its log-odds adds up, as if kinds were independent.
    """
    found = _expected(reputation.agents.get(agent), PRIOR, STRENGTH)
    odds = usual = _log_odds(found)
    for kind in kinds:
        odds += _log_odds(_expected(reputation.kinds.get((agent, kind)), found, KIN)) - usual
    return 1.0 / (1.0 + exp(-odds)) if kinds else found


def known(reputation: Reputation, agent: AgentId) -> float:
    """Return how many answers of `agent` were judged, by agreement or verdict."""
    standing = reputation.agents.get(agent)
    return max(standing.seen, standing.told) if standing is not None else 0.0


def plausible(reputation: Reputation) -> dict[str, float]:
    """Return what answers of each shape have for them, in log-odds: how much likelier right than their authors are."""
    found = {}
    for name, look in sorted(reputation.shapes.items()):
        usual = look.expected / look.seen
        odds = _log_odds((look.right + MILD * usual) / (look.seen + MILD)) - _log_odds(usual)
        found[name] = min(SUREST_ODDS, max(-SUREST_ODDS, odds))
    return found


def learned(reputation: Reputation, answers: Sequence[Answer], kinds: Sequence[str] = ()) -> Reputation:
    """Return `reputation` after a cluster's first `answers`: each author is judged by what all of them said.

    ``kinds`` are those of the work, and of whom it was given to (`company`), asked or not.

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
    trusted = [trust(reputation, answer.agent, kinds) for answer in spoken]
    weights = [weight(value) for value in trusted]
    chances = posterior(group, weights, plausible=looks(compared, plausible(reputation)))
    alone = posterior(group, weights)  # a shape is judged by who agreed, not by what was thought of it already
    for answer, number in zip(spoken, group, strict=True):
        reputation = _judged(reputation, answer.agent, kinds, chances.get(number, 0.0), verdict=False)
    shapes = reputation.shapes
    for one, number, value in zip(compared.forms, group, trusted, strict=True):
        shapes = _looked(shapes, shape(one), alone.get(number, 0.0), value)
    return msgspec.structs.replace(reputation, shapes=shapes)


def told(
    reputation: Reputation, agent: AgentId, right: float, kinds: Sequence[str] = (), answer: Answer | None = None
) -> Reputation:
    """Return `reputation` after somebody who knows said how `right`, in [0, 1], an answer of `agent` was.

    What the ``answer`` looked like is learned from, too, where it is still there.
    """
    value = min(1.0, max(0.0, right)) if right == right else 0.0  # noqa: PLR0124 nan is wrong
    if answer is not None:
        shapes = _looked(reputation.shapes, shape(form(answer.outputs)), value, trust(reputation, agent, kinds))
        reputation = msgspec.structs.replace(reputation, shapes=shapes)
    return _judged(reputation, agent, kinds, value, verdict=True)


def _log_odds(chance: float) -> float:
    bounded = min(_CERTAIN, max(1.0 - _CERTAIN, chance))
    return log(bounded / (1.0 - bounded))


def _looked(shapes: Mapping[str, Look], name: str, right: float, expected: float) -> dict[str, Look]:
    one = shapes.get(name, Look())
    fade = min(1.0, (MEMORY - 1.0) / one.seen) if one.seen else 1.0
    return {**shapes, name: Look(one.seen * fade + 1.0, one.right * fade + right, one.expected * fade + expected)}


def _expected(standing: Standing | None, prior: float, strength: float) -> float:
    if standing is None:
        return prior
    soft = min(1.0, SOFT / standing.seen) if standing.seen else 0.0
    right = strength * prior + soft * standing.right + standing.verified
    return right / (strength + soft * standing.seen + standing.told)


def _judged(
    reputation: Reputation, agent: AgentId, labels: Sequence[str], right: float, *, verdict: bool
) -> Reputation:
    agents = _put(reputation.agents, agent, _counted(reputation.agents.get(agent), right, verdict=verdict), MAX_AGENTS)
    kinds = reputation.kinds
    for kind in labels:
        place = (agent, kind)
        kinds = _put(kinds, place, _counted(kinds.get(place), right, verdict=verdict), MAX_KINDS)
    return Reputation(agents, kinds, reputation.shapes)


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
