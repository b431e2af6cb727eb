"""What may happen to a machine (events) and what it may want (effects).

Every machine has the one shape ``step(state, event, now, rng) -> (state, effects)``: synchronous, total,
never raising on what a peer sent. The shell (`foa.nodes.driver`) feeds events and performs effects in
order; the simulator does the same with virtual time. Times are monotonic seconds of the node's own clock.

A node runs many machines, each under a `Key` (kind, id). Effects of one step are performed in order; what is
to be persisted is durable before the frame that caused it is acknowledged to the broker, and before any
`Publish` that is a promise leaves.
"""

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple, TypeVar

from foa.wire.envelope import EMPTY, Envelope
from foa.wire.messages import AnyMessage
from foa.wire.topics import Topic


class Key(NamedTuple):
    """Which machine of a node: its kind, and the id it is kept under ("" where there is one of a kind)."""

    kind: str
    id: str = ""


# --- events -----------------------------------------------------------------------------------------------


class Started(NamedTuple):
    """The node starts; nothing is connected yet."""


class Online(NamedTuple):
    """The bus is connected (again)."""

    resumed: bool


class Offline(NamedTuple):
    """The bus lost its connection and tries again."""


class Received(NamedTuple):
    """A message arrived. ``retained``: it was stored, sent because we subscribed.

    What is JSON on the wire (cards, the door) arrives as a `Blob` of its bytes, still to be parsed. ``expiry_s`` is
    what the broker says is left of the message's life: how old a retained one is shows in that.
    """

    topic: Topic
    message: AnyMessage
    envelope: Envelope = EMPTY
    retained: bool = False
    reply_to: str = ""
    correlation: bytes = b""
    expiry_s: int | None = None


class Cleared(NamedTuple):
    """A retained topic was emptied by its writer."""

    topic: Topic


class Told(NamedTuple):
    """Another machine of the same node says something."""

    sender: Key
    message: Any


class Elapsed(NamedTuple):
    """A timer set by `Wake` went off."""

    timer: str


class Returned(NamedTuple):
    """A service answered a `Request`; ``error`` is empty or one line."""

    token: str
    value: Any = None
    error: str = ""


class Delivered(NamedTuple):
    """The broker's receipt for a `Publish` that had a ``token``; ``code`` >= 0x80 means refused."""

    token: str
    code: int


class Restored(NamedTuple):
    """What this machine had persisted, read back at start-up; ``age_s``: how long ago that was."""

    message: AnyMessage
    age_s: float = 0.0


Event = Started | Online | Offline | Received | Cleared | Told | Elapsed | Returned | Delivered | Restored


# --- effects ----------------------------------------------------------------------------------------------


class Publish(NamedTuple):
    """Send `message` to `topic`; None empties a retained topic, bytes go as they are (cards are JSON).

    ``token`` asks for `Delivered`. A ``promise`` leaves only when all that was persisted before is durable.
    """

    topic: str
    message: AnyMessage | bytes | None
    envelope: Envelope = EMPTY
    qos: int = 1
    retain: bool = False
    expiry_s: int | None = None
    reply_to: str = ""
    correlation: bytes = b""
    token: str = ""
    promise: bool = False


class Subscribe(NamedTuple):
    """Ask for frames matching `patterns`."""

    patterns: tuple[str, ...]
    no_local: bool = False
    qos: int = 1


class Unsubscribe(NamedTuple):
    """Give up `patterns`."""

    patterns: tuple[str, ...]


class Wake(NamedTuple):
    """Send `Elapsed(timer)` at ``at``; replaces an earlier one of the same name."""

    timer: str
    at: float


class Sleep(NamedTuple):
    """Call a timer off."""

    timer: str


class Persist(NamedTuple):
    """Keep `message` for this machine over restarts; None forgets it. A machine may keep several, each a ``part``."""

    message: AnyMessage | None
    part: str = ""


class Tell(NamedTuple):
    """Say something to another machine of this node."""

    to: Key
    message: Any


class TellAll(NamedTuple):
    """Say something to every machine of one kind."""

    kind: str
    message: Any


class Request(NamedTuple):
    """Ask a service of the shell (index, embedder, handler …); answered by `Returned`, unless token is ""."""

    service: str
    token: str
    argument: Any


class Log(NamedTuple):
    """Something worth a line: ``name`` is fixed, the fields are not."""

    name: str
    fields: dict[str, Any]
    level: str = "info"


class Measure(NamedTuple):
    """Add to a counter (``amount``), or observe a duration (``seconds``); labels never carry ids."""

    name: str
    amount: float = 1.0
    seconds: float | None = None
    label: str = ""


class Retire(NamedTuple):
    """This machine is done; its state is dropped."""


class Stop(NamedTuple):
    """The node must end, and why."""

    reason: str


Effect = (
    Publish
    | Subscribe
    | Unsubscribe
    | Wake
    | Sleep
    | Persist
    | Tell
    | TellAll
    | Request
    | Log
    | Measure
    | Retire
    | Stop
)

S = TypeVar("S")
Step = Callable[[S, Event, float, Random], tuple[S, list[Effect]]]
