"""What an agent's author declares, as a plain record: the source of its card and of its capability vector."""

import msgspec

from foa.wire.ids import AgentId
from foa.wire.records import Effects, Port, Resources


class Skill(msgspec.Struct, frozen=True):
    """One thing an agent can do; ``examples`` are requests it would take."""

    id: str
    name: str
    description: str
    tags: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()


class Spec(msgspec.Struct, frozen=True):
    """How an agent works: the source of the vector ``e`` (arXiv 2509.20175, section 3.1)."""

    goals: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    dos: tuple[str, ...] = ()
    donts: tuple[str, ...] = ()


class Profile(msgspec.Struct, frozen=True):
    """A declared agent. ``holds`` are policy labels it satisfies, ``requires`` those a task must name.

    ``refines``: its answers gain from peers, so it may be put on a team. ``instance`` tells replicas apart.
    """

    agent: AgentId
    name: str
    description: str
    version: str = "1.0.0"
    skills: tuple[Skill, ...] = ()
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    resources: Resources = Resources()
    holds: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    effects: Effects = "idempotent"
    refines: bool = False
    spec: Spec = Spec()
