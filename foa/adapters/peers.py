"""What an author's functions are given of others, and give: typed records of a cluster, a plan and a synthesis.

`foa.adapters.handlers` says which function takes which; runners fill them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from foa.core.dag import planfile
from foa.wire.records import Plan

T = TypeVar("T")


@dataclass(frozen=True)
class Peer(Generic[T]):
    """Another member's last draft. ``outputs`` are as this agent's own function returns them.

    ``critique`` is what it said of this agent's last draft; ``confidence`` in [0, 1] is its own, None if it does not
    say. A ``guest`` works on another subtask close to this one.
    """

    agent: str
    outputs: T
    critique: str = ""
    confidence: float | None = None
    guest: bool = False


@dataclass(frozen=True)
class Critique:
    """What is said of one peer's draft; ``score`` in [0, 1] is how good it is, None to leave that open."""

    agent: str
    text: str = ""
    score: float | None = None


@dataclass(frozen=True)
class Part:
    """One finished part of an answer that is to be made one: subtask ``source``, done by ``agent``.

    ``value`` is text, bytes, or what its JSON says.
    """

    source: str
    agent: str
    name: str
    type: str
    value: Any


@dataclass(frozen=True)
class Proposal:
    """A plan proposed: a plan document (``{"subtask": […]}``), its subtasks alone, or a `Plan`."""

    plan: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Plan

    def document(self) -> dict[str, Any]:
        """Return it in the form of a plan file."""
        if isinstance(self.plan, Plan):
            return planfile.write(self.plan)
        if isinstance(self.plan, Mapping):
            return dict(self.plan)
        return {"subtask": [dict(each) for each in self.plan]}
