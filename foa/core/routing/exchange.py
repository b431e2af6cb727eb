"""What machines of one node say to each other about lookups and ownership (never on the wire).

`Asked` goes to the machine under ``Key("lookup")``, which answers its sender with an `Answer` of the same
token. `Holds` and `Lost` go from the ownership machine to every task; `Opened` brings a frame to a task that
this node did not know yet.
"""

from typing import NamedTuple

from foa.core.effects import Received
from foa.wire.ids import Epoch
from foa.wire.messages import Ask, Embed, Found, Vectors


class Asked(NamedTuple):
    """A question to the index, whoever holds it."""

    token: str
    ask: Ask | Embed


class Answer(NamedTuple):
    """What came of an `Asked`; ``error`` is empty or one line, and then ``found`` is None."""

    token: str
    found: Found | Vectors | None
    error: str = ""


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
