"""Whose answer stands for the cluster where nobody named a strategy: `foa.core.cluster.strategies` decides."""

from collections.abc import Mapping, Sequence

from foa.core.cluster.answers import Answer, Choice
from foa.core.cluster.strategies import settle
from foa.wire.ids import AgentId

__all__ = ["Answer", "Choice", "represent"]


def represent(answers: Sequence[Answer], reputation: Mapping[AgentId, float], *, members: int = 0) -> Choice | None:
    """Choose among `answers`; None if there are none. ``members`` counts the silent ones too (0: nobody is)."""
    return settle("", answers, reputation, members=members)
