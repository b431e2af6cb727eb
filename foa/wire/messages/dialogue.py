"""Messages between a task and people: an agent asks, the submitter is told, somebody answers or judges.

Part of the closed union of `foa.wire.messages`; nobody else imports them from here.
"""

from typing import Annotated

from msgspec import Meta

from foa.wire.ids import AgentId, Epoch, TaskId
from foa.wire.messages.base import Message
from foa.wire.records import MAX_VALUES, Given, Name, Question, Short, Text

Options = Annotated[tuple[Short, ...], Meta(max_length=16)]
SubtaskId = Annotated[str, Meta(max_length=64)]
"""A subtask, or "" for the task as a whole."""


class Asking(Message, frozen=True, tag="asking.1"):
    """The agent needs to know something from a person before it can do its award, which ends with this.

    Once answered, the subtask is awarded to the same agent again, the answer among its inputs.
    """

    award: Name
    task: TaskId
    agent: AgentId
    question: Question
    options: Options = ()


class Required(Message, frozen=True, tag="required.1"):
    """The owner to the submitter: a person is asked; the task waits there, within its deadline. A2A: input required.

    ``agent`` is who asks, "" for the federation itself: an approval, or what to do where it knows no further.
    """

    task: TaskId
    subtask: SubtaskId
    question: Question
    epoch: Epoch
    options: Options = ()
    agent: Annotated[str, Meta(max_length=200)] = ""


class Input(Message, frozen=True, tag="input.1"):
    """A person to the owner: the answer to what a task asked (``subtask`` "": whichever it asked first).

    ``approve`` answers an approval step; ``refute`` says that the finished subtask is wrong and why (``text``): it
    and what was built on it are done again.
    """

    task: TaskId
    subtask: SubtaskId = ""
    text: Text = ""
    inputs: Annotated[tuple[Given, ...], Meta(max_length=MAX_VALUES)] = ()
    approve: bool | None = None
    refute: bool = False
    submitter: Annotated[str, Meta(max_length=200)] = ""


class Feedback(Message, frozen=True, tag="feedback.1"):
    """A person's own score in [0, 1] for a finished task, or for one of its subtasks; the last word counts."""

    task: TaskId
    score: Annotated[float, Meta(ge=0.0, le=1.0)]
    subtask: SubtaskId = ""
    comment: Short = ""
    submitter: Annotated[str, Meta(max_length=200)] = ""
