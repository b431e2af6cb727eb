"""What the ownership machine of a coordinator tells the tasks of its node (never on the wire)."""

from typing import NamedTuple

from foa.core.effects import Received
from foa.wire.ids import AgentId, Epoch


class Holds(NamedTuple):
    """This node owns `partition` from now on, under `epoch`; ``handed``: its last owner lives and says a last word."""

    partition: int
    epoch: Epoch
    handed: bool = False


class Lost(NamedTuple):
    """Somebody else owns `partition` from now on."""

    partition: int


class Left(NamedTuple):
    """This node no longer stands by for `partition`: what it remembers of the tasks there grows old unheard."""

    partition: int


class Opened(NamedTuple):
    """A frame for a task not known here; ``epoch`` is ours if we own its partition, None if we are its heir."""

    partition: int
    epoch: Epoch | None
    received: Received


class Over(NamedTuple):
    """A task to the memory of its node: it ended; forget it after `seconds`, and know its id for ``life_s``."""

    seconds: float
    life_s: float = 0.0


class Forget(NamedTuple):
    """The memory to a task that ended: it is time; ``full``: there is no room, whoever may still wait."""

    full: bool = False


class Anew(NamedTuple):
    """The bus was away: every task says again what it holds, results too if the broker ``lost`` our session."""

    lost: bool


class Unshown(NamedTuple):
    """The broker had its time to show what it keeps: who remembers more than it showed says so.

    ``ours`` are the partitions that this node owns or stands by for; of others nothing is remembered longer.
    """

    ours: frozenset[int] = frozenset()


class Follow(NamedTuple):
    """A task to ``Key("vigil")``: `agent` works for it; tell if it dies."""

    agent: AgentId


class Gone(NamedTuple):
    """The vigil to every task: `agent` died (its will stands) and has not come back."""

    agent: AgentId
