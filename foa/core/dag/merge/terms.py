"""What goes into a merge and what comes out of it."""

from typing import NamedTuple

import msgspec

from foa.wire.records import Plan


class Proposal(NamedTuple):
    """One planner's plan, as it came: not checked yet. ``weight`` is what its voice is worth beside the others'.

    Who does not lead has no say in the order of two subtasks that a leading planner has both.
    """

    planner: str
    plan: Plan
    weight: float = 1.0
    leads: bool = True


class MergeRules(msgspec.Struct, frozen=True):
    """When subtasks are one, what has support, and how much is looked at.

    ``alike``: cosine from which two subtasks are one; ``overlap``: the same for the part of words they share,
    where there are no vectors. ``quorum``: part of the voices (by weight) that must have a subtask; exactly so
    much is enough only with the anchor among them. ``cover``: less of the anchor's plan kept than this part
    is no consensus. ``cap`` bounds the merged plan, ``voices`` the planners heard, ``size`` and ``chars`` a proposal:
    its subtasks, and the characters of all their texts.
    """

    alike: float = 0.75
    overlap: float = 0.5
    quorum: float = 0.5
    cover: float = 0.5
    cap: int = 128
    voices: int = 8
    size: int = 128
    chars: int = 262_144


class Kept(NamedTuple):
    """A subtask of the merged plan and who proposed it: (planner, id there)."""

    id: str
    members: tuple[tuple[str, str], ...]


class Dropped(NamedTuple):
    """What did not come in: ``what`` is "plan", a subtask's id, or "a -> b" for an edge of the merged plan."""

    planner: str
    what: str
    reason: str


class Report(NamedTuple):
    """How the merged plan came about. ``anchor`` is the planner nearest to the others; ``agreed``: by vote."""

    voices: tuple[str, ...]
    anchor: str
    agreed: bool
    kept: tuple[Kept, ...]
    dropped: tuple[Dropped, ...]
