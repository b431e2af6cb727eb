"""A cluster's answers side by side: which of them claim the same, and what a choice among them is.

Everything the owner of a subtask decides about a cluster (whose answer stands, whether to ask one more, who is
trusted, who earned what) starts from this comparison.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from foa.core.cluster.agreement import Form, form, shape, similarity
from foa.wire.ids import AgentId
from foa.wire.records import Given, Strategy

ALIKE: Final = 0.9
"""Two answers at least this similar agree."""

UNKNOWN: Final = 0.5
"""The trust in an agent nobody has seen work."""

MOST: Final = 256
"""Answers beyond so many are not looked at: a team has at most 16 members, over at most 9 rounds."""

NOBODY: Final[Mapping[AgentId, float]] = MappingProxyType({})

NOTHING: Final[Mapping[str, float]] = MappingProxyType({})
"""Nothing is known of how plausible answers are by what they look like."""


class Answer(NamedTuple):
    """One member's outputs, how sure it is of them in [0, 1], and the votes it gives to other members' answers."""

    agent: AgentId
    outputs: tuple[Given, ...]
    confidence: float | None = None
    votes: Mapping[AgentId, float] = NOBODY


class Choice(NamedTuple):
    """The chosen answer by its ``place`` and ``agent``; ``share`` of all members are alike, more than 2/3: ``agreed``.

    ``how`` is the strategy that chose; ``score`` in [0, 1] is the choice by that strategy's own criterion; ``credit``
    is each agent's similarity to the chosen answer: what flows back into reputation.
    """

    place: int
    agent: AgentId
    agreed: bool
    share: float
    how: Strategy
    credit: Mapping[AgentId, float]
    score: float = 0.0


class Compared(NamedTuple):
    """Answers compared pairwise: ``near`` is the matrix of similarities, ``group`` each one's group of like answers.

    Groups are the components of "alike" (similarity >= `ALIKE`), numbered by their first member, so who is with whom
    does not depend on the order. ``empty`` answers claim nothing and support nothing.
    """

    forms: tuple[Form, ...]
    near: tuple[tuple[float, ...], ...]
    group: tuple[int, ...]
    empty: tuple[bool, ...]


def compare(answers: Sequence[Answer]) -> Compared:
    """Compare the first `MOST` of `answers` with each other; never raises on what they contain."""
    forms = tuple(form(answer.outputs) for answer in answers[:MOST])
    near = [[1.0] * len(forms) for _ in forms]
    group = list(range(len(forms)))
    for one in range(len(forms)):
        for other in range(one):
            near[one][other] = near[other][one] = similarity(forms[one], forms[other])
            if near[one][other] >= ALIKE and group[one] != group[other]:
                kept, gone = sorted((group[one], group[other]))
                group = [kept if found == gone else found for found in group]
    empty = tuple(not one.words and not one.numbers for one in forms)
    return Compared(forms, tuple(map(tuple, near)), tuple(group), empty)


def looks(compared: Compared, plausible: Mapping[str, float]) -> dict[int, float]:
    """Return, by group, the log-odds for what its answers look like: of the most plausible of them, if they differ."""
    found: dict[int, float] = {}
    if not plausible:
        return found
    for number, one in zip(compared.group, compared.forms, strict=True):
        odds = plausible.get(shape(one), 0.0)
        found[number] = max(odds, found.get(number, odds))
    return found


def bounded(trust: Mapping[AgentId, float], agent: AgentId) -> float:
    """Return the trust in `agent` within [0, 1]; `UNKNOWN` if there is none or it is no number."""
    value = trust.get(agent, UNKNOWN)
    return min(1.0, max(0.0, value)) if value == value else UNKNOWN  # noqa: PLR0124 nan is not equal to itself
