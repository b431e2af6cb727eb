"""What a client's machines are told by its program, what they tell it, and the states of a submission."""

from typing import Any, Final, Literal, NamedTuple

import msgspec

from foa.core.effects import Key, Publish
from foa.core.routing.exchange import Asked
from foa.wire.ids import Digest, Epoch
from foa.wire.messages import Blob, Control, Feedback, Input, Result
from foa.wire.records import Task
from foa.wire.topics import Topics

DESK: Final = Key("desk")
ORDER_S: Final = 10
"""Seconds for which an operator's word waits for a node that is away: it must not obey when it comes back."""

RETRY_S: Final = 2.0
LOOK_S: Final = 3.0
MAX_PAUSE_S: Final = 60.0
MAX_DOUBLED: Final = 16
"""How long, and how often twice as long, who is told to come back waits before it does."""

BODY_S: Final = 86_400
"""How long what is large in a person's answer is kept for those who need it."""

ReportKind = Literal[
    "accepted", "deferred", "rejected", "required", "events", "result", "answer", "retained", "rated", "heard"
]


class Report(NamedTuple):
    """What the program hears: for a task, or for a question under its ``token``."""

    kind: ReportKind
    id: str
    value: Any


class Submission(NamedTuple):
    """The program to the machine of a new task: see it through. ``trace`` is a W3C traceparent or ""."""

    task: Task
    watch: bool
    trace: str = ""


class Follow(NamedTuple):
    """The program to the machine of a task somebody submitted: tell me its events and result."""

    watch: bool


class Abandon(NamedTuple):
    """The program to the machine of a task: end it (``cancel``), or only stop listening."""

    cancel: bool
    reason: str = ""


class Back(NamedTuple):
    """The desk to every submission: the bus is there again, and the broker may have forgotten what it had."""


class Question(NamedTuple):
    """The program to the desk: ask the index."""

    asked: Asked


class Collect(NamedTuple):
    """The program to the desk: report whatever comes on these filters until `Enough`."""

    token: str
    patterns: tuple[str, ...]


class Enough(NamedTuple):
    """The program to the desk: that was all I wanted."""

    token: str


class Rate(NamedTuple):
    """The program to the desk: tell the owner of a finished task how good it was; `Report` "rated" has the answer."""

    feedback: Feedback


class Say(NamedTuple):
    """The program to the desk: tell a task's owner what a person said; `Report` "heard" of ``token`` has its word."""

    said: Input
    token: str


class Clear(NamedTuple):
    """The program to the desk: take away the letter of a failed task."""

    task: str


class Order(NamedTuple):
    """The program to the desk: publish an operator's word; who obeys may answer on ``reply_to``."""

    word: Control
    reply_to: str = ""


class Context(msgspec.Struct, frozen=True):
    """What is the same for all submissions of a node."""

    topics: Topics
    node: str
    inline_bytes: int = 4096
    chunk_bytes: int = 128 * 1024


class Idle(msgspec.Struct, frozen=True):
    """Nothing asked yet."""

    id: str


class Sending(msgspec.Struct, frozen=True):
    """Not accepted yet: sent again until it is. ``parts`` is how many bodies are kept in the outbox with it.

    ``bodies`` are those of an earlier life, read back, until the manifest that names them was. ``large`` is what was
    sent by reference, to be said again should the broker have lost it.
    """

    id: str
    submission: Submission
    tries: int = 0
    listening: bool = False
    parts: int = 0
    bodies: dict[Digest, Blob] = {}
    large: tuple[Publish, ...] = ()


class Pending(msgspec.Struct, frozen=True):
    """Accepted, or somebody else's: the result will come. ``mine``: we submitted it, and acknowledge the result.

    ``heard`` are the epochs under which owners spoke of it: while there is one, its first result is the only one.
    ``large`` is as in `Sending`: owners know digests alone, and only who submitted can say the bodies again.
    """

    id: str
    watch: bool
    listening: bool
    mine: bool = False
    heard: frozenset[Epoch] = frozenset()
    large: tuple[Publish, ...] = ()


class Checking(msgspec.Struct, frozen=True):
    """A result is here, and more than one owner spoke: what the broker keeps, ``kept``, is the one that counts."""

    id: str
    watch: bool
    listening: bool
    mine: bool
    result: Result
    kept: Result | None = None
    looks: int = 0


class Fetching(msgspec.Struct, frozen=True):
    """The result is here, its bodies are not all."""

    id: str
    result: Result


TaskState = Idle | Sending | Pending | Checking | Fetching
