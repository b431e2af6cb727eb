"""How sure one may be of an answer: the chance that each group of like answers is right, given who gave it.

The one-coin model of Dawid and Skene (1979) with a prior over answers nobody gave: member i is right with probability
p_i (its trust), else gives one of K wrong answers, each as likely. The right answer x then has

    P(x | answers) ~ product over those who said x of p_i K / (1 - p_i),

and every answer that nobody gave has 1. What an answer looks like makes it likelier or not before anybody is asked:
``plausible`` is added to its log-odds, as learned by `foa.core.cluster.reputation`. Replies of one member in later
rounds are not independent of what it and its peers said before; they count `ECHO` of a first reply.
"""

from collections.abc import Mapping, Sequence
from math import exp, log
from types import MappingProxyType
from typing import Final

ALTERNATIVES: Final = 10
"""K: how many wrong answers are about as likely as each other where nothing better is known."""

ECHO: Final = 0.5
"""What a reply after the first is worth, by weight of evidence (log-odds)."""

LEAST: Final = 0.05
"""The least evidence of an answer: what somebody says is never a reason to believe it less."""

EVEN: Final[Mapping[int, float]] = MappingProxyType({})
"""No answer is likelier than another before anybody is heard."""

SUREST: Final = 0.95
"""Nobody is trusted more than this, or less than its complement."""


def weight(trust: float, alternatives: int = ALTERNATIVES) -> float:
    """Return the evidence (log-odds against an answer nobody gave) of one answer by a member trusted so much."""
    right = min(SUREST, max(1.0 - SUREST, trust))
    return max(LEAST, log(right * alternatives / (1.0 - right)))


def posterior(
    group: Sequence[int],
    weights: Sequence[float],
    alternatives: int = ALTERNATIVES,
    plausible: Mapping[int, float] = EVEN,
) -> dict[int, float]:
    """Return each group's chance to be right; ``group`` and ``weights`` are by answer, group -1 is no answer.

    ``plausible`` is the log-odds of a group (0 where none is given) against an answer that nobody gave, before it was
    given. The chances add up to less than one: the rest is for an answer that nobody gave.
    """
    support: dict[int, float] = {}
    for number, value in zip(group, weights, strict=True):
        if number >= 0:
            support[number] = support.get(number, plausible.get(number, 0.0)) + value
    top = max(support.values(), default=0.0)
    unseen = max(1, alternatives + 1 - len(support)) * exp(-top)
    total = sum(exp(value - top) for value in support.values()) + unseen
    return {number: exp(support[number] - top) / total for number in sorted(support)}
