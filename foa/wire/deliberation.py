"""How a plan came about and how it changed: records of what planners said, what was kept, what was edited.

Written by the owner of a task when it decided, never computed again; they travel in its snapshots, events and result.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from foa.wire.records import Count, Name, Names, Plan, Short

EditKind = Literal["expand", "reroute", "replan", "bridge", "withdraw", "grow", "input", "approve", "escalate"]
"""What was done to a running plan: a subtask planned in its turn, done by a detour over types, planned anew, given a
missing type, taken back with what was built on it, given more agents, waiting for a person's words or consent, or
handed to a person because the federation knows no further."""

Topology = Literal["single", "sequential", "parallel", "hierarchical", "mixed"]
"""The shape a plan is run in (after AdaptOrch)."""


class Voice(msgspec.Struct, frozen=True, omit_defaults=True):
    """One planner's part: the plan it proposed (None: refused for ``refused``), how much of it was kept, its weight."""

    planner: Annotated[str, Meta(max_length=200)]
    plan: Plan | None = None
    kept: Count = 0
    weight: Annotated[float, Meta(ge=0.0, le=1e6)] = 1.0
    refused: Short = ""


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """One subtask of the plan and who proposed it."""

    id: Name
    planners: Annotated[tuple[Short, ...], Meta(max_length=16)]


class Dropped(msgspec.Struct, frozen=True, omit_defaults=True):
    """What did not come in: a subtask's id, or "a -> b", of a planner ("" for edges of the merged plan), and why."""

    planner: Annotated[str, Meta(max_length=200)]
    what: Short
    reason: Short


class Deliberation(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the task, or one of its subtasks (``subtask`` not ""), was planned.

    ``anchor`` is the planner nearest to the others; ``agreed`` whether the plan is a consensus or the anchor's own.
    ``shape`` is the topology it is run in, with ``width``, ``depth`` and ``coupling`` in [0, 1] that decided it.
    """

    subtask: Annotated[str, Meta(max_length=64)] = ""
    at_ms: Count = 0
    voices: Annotated[tuple[Voice, ...], Meta(max_length=16)] = ()
    anchor: Annotated[str, Meta(max_length=200)] = ""
    agreed: bool = True
    kept: Annotated[tuple[Kept, ...], Meta(max_length=256)] = ()
    dropped: Annotated[tuple[Dropped, ...], Meta(max_length=64)] = ()
    shape: Topology = "single"
    width: Count = 1
    depth: Count = 1
    coupling: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.0


class Edit(msgspec.Struct, frozen=True, omit_defaults=True):
    """One change of a running plan: why, which subtasks came (``added``) and went (``removed``), by whom.

    ``agent`` is who caused it ("": the owner).
    """

    kind: EditKind
    subtask: Annotated[str, Meta(max_length=64)]
    at_ms: Count = 0
    reason: Short = ""
    added: Names = ()
    removed: Names = ()
    agent: Annotated[str, Meta(max_length=200)] = ""
