"""Messages of what is learned, retained; part of the closed union of `foa.wire.messages`."""

from typing import Annotated

from msgspec import Meta

from foa.wire.ids import AgentId, NodeId
from foa.wire.lessons import Counted, Exemplar, Lesson
from foa.wire.messages.base import Message
from foa.wire.records import Amount, Count, Short


class Learned(Message, frozen=True, tag="learned.1"):
    """What one coordinator counted of the agents in one bucket; the model is the sum over coordinators.

    ``features`` names what contexts are made of: records of others do not add. ``until`` is when it was written, in
    seconds since 1970 by that coordinator's clock: every award it ended before then is counted here. ``recent`` names
    the latest of them. Of two of one node and bucket the higher ``seq`` stands.
    """

    node: NodeId
    seq: Count
    features: Short
    until: Amount
    lessons: Annotated[tuple[Lesson, ...], Meta(max_length=256)] = ()
    recent: Annotated[tuple[Counted, ...], Meta(max_length=256)] = ()


class Evidence(Message, frozen=True, tag="evidence.1"):
    """What an agent was seen to do: vectors of finished tasks with their rewards, beside its own capability vector.

    Any coordinator may write it; two are merged by `foa.core.learn.evidence`, whose order does not matter.
    """

    agent: AgentId
    model: Short
    exemplars: Annotated[tuple[Exemplar, ...], Meta(max_length=256)] = ()
