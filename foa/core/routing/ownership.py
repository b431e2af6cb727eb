"""What the ownership machine of a coordinator tells the tasks of its node (never on the wire)."""

from typing import NamedTuple

from foa.core.effects import Received
from foa.wire.ids import Epoch


class Holds(NamedTuple):
    """This node owns `partition` from now on, under `epoch`."""

    partition: int
    epoch: Epoch


class Lost(NamedTuple):
    """Somebody else owns `partition` from now on."""

    partition: int


class Opened(NamedTuple):
    """A frame for a task not known here; ``epoch`` is ours if we own its partition, None if we are its heir."""

    partition: int
    epoch: Epoch | None
    received: Received


class Over(NamedTuple):
    """A task to the memory of its node: it ended; forget it after `seconds`."""

    seconds: float


class Forget(NamedTuple):
    """The memory to a task that ended: it is time."""


class Anew(NamedTuple):
    """The bus was away: every task says again what it holds, results too if the broker ``lost`` our session."""

    lost: bool
