"""What is learned, as it travels: evidence of finished tasks, moments of the bandit, rewards counted lately."""

from typing import Annotated

import msgspec
from msgspec import Meta

from foa.wire.ids import AgentId, TaskId
from foa.wire.records import MAX_CONTEXT, Amount, Count, Finite, Name


class Exemplar(msgspec.Struct, frozen=True, omit_defaults=True):
    """One finished task as evidence of what an agent does well: its vector, and the reward in [0, 1].

    ``at`` is when it was rewarded, in seconds since 1970; of two with one ``award`` the later one counts.
    """

    award: Name
    vector: Annotated[bytes, Meta(max_length=8192)]
    reward: Annotated[float, Meta(ge=0.0, le=1.0)]
    at: Amount = 0.0


class Lesson(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one coordinator saw of one agent: raw moments of the bandit, and sums of what was measured.

    ``moments`` is `foa.core.learn.moments.Moments` as bytes, weighed as of the record's ``until``; ``count`` awards
    were rewarded, ``good`` is the sum of their scores; ``ms``, ``cost`` and ``price`` are sums of the real duration,
    the real bill and the declared price over ``paid`` finished ones.
    """

    agent: AgentId
    moments: Annotated[bytes, Meta(max_length=16_384)]
    count: Count = 0
    good: Finite = 0.0
    paid: Count = 0
    ms: Amount = 0.0
    cost: Amount = 0.0
    price: Amount = 0.0


class Counted(msgspec.Struct, frozen=True, omit_defaults=True):
    """One reward that was counted lately: an heir must not count it again, and feedback may still correct it.

    ``change`` > 0 marks the correction of that number: only the reward differs, by ``reward``, which may be negative.
    """

    award: Name
    task: TaskId
    agent: AgentId
    context: Annotated[bytes, Meta(max_length=MAX_CONTEXT)]
    reward: Annotated[float, Meta(ge=-1.0, le=1.0)]
    at: Amount
    change: Count = 0
