"""Messages about what went wrong or was heard: dead letters, letters of the queue, acknowledgements of results.

Part of the closed union of `foa.wire.messages`.
"""

from typing import Annotated

from msgspec import Meta

from foa.wire.ids import Epoch, NodeId, TaskId
from foa.wire.messages.base import Message
from foa.wire.records import Attempt, Count, Name, Short, Task


class Dead(Message, frozen=True, tag="dead.1"):
    """What was refused: the reason, where it came from, and the head of its bytes."""

    reason: Name
    detail: Short
    topic: Short
    node: NodeId
    body: Annotated[bytes, Meta(max_length=1024)] = b""


class Letter(Message, frozen=True, tag="letter.1"):
    """A task that was accepted and is given up, kept for an operator to look at, replay or drop.

    ``subtask`` is the one that ended it ("": the task as a whole), ``attempts`` who tried it and what came of each.
    ``again`` is the task as a replay submits it, what had finished included (None: too large to travel). The letter is
    kept ``keep_s`` seconds; how old it is shows in what the broker says is left of that.
    """

    task: TaskId
    code: Name
    reason: Short
    epoch: Epoch
    subtask: Annotated[str, Meta(max_length=64)] = ""
    text: Short = ""
    attempts: Annotated[tuple[Attempt, ...], Meta(max_length=64)] = ()
    again: Task | None = None
    keep_s: Count = 0


class Acknowledged(Message, frozen=True, tag="acknowledged.1"):
    """The submitter to the owner: I have the result that was written under ``epoch``; do not say it again."""

    task: TaskId
    epoch: Epoch
