"""What is learned, as it travels: evidence of finished tasks, moments of the bandit, rewards counted lately."""

from typing import Annotated

import msgspec
from msgspec import Meta

from foa.wire.ids import AgentId, TaskId
from foa.wire.records import MAX_CONTEXT, Amount, Count, Name


class Exemplar(msgspec.Struct, frozen=True, omit_defaults=True):
    """One finished task as evidence of what an agent does well: its vector, and the reward in [0, 1].

    ``vector`` has 4 bits per dimension (`foa.core.learn.evidence_vector`). ``at`` is when it was rewarded, in seconds
    since 1970; of two with one ``award`` the later one counts. ``words`` is how much the rare words of the task were
    the agent's when it was awarded, at most 1.
    """

    award: Name
    vector: Annotated[bytes, Meta(max_length=8192)]
    reward: Annotated[float, Meta(ge=0.0, le=1.0)]
    at: Amount = 0.0
    words: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.0


class Lesson(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one coordinator saw of one agent: raw moments of the bandit, and sums of what was measured.

    ``moments`` is `foa.core.learn.moments.Moments` as bytes; they and the sums are weighed as of the record's
    ``until``: ``good`` of scores, ``ms``, ``cost`` and ``price`` of the real duration, the real bill and the price
    expected, over ``paid`` measured awards. All of them are of awards that ended at or after ``since`` (seconds since
    1970): an agent that was found changed then is judged by what it did since.
    """

    agent: AgentId
    moments: Annotated[bytes, Meta(max_length=16_384)]
    good: Amount = 0.0
    paid: Amount = 0.0
    ms: Amount = 0.0
    cost: Amount = 0.0
    price: Amount = 0.0
    since: Amount = 0.0


class Counted(msgspec.Struct, frozen=True, omit_defaults=True):
    """One reward that was counted lately: an heir must not count it again, and feedback may still correct it.

    ``score`` is what the work was worth, ``reward`` that less its cost and time, which is what is learned. ``change``
    above 0 marks the correction of that number: score and reward are then differences.
    """

    award: Name
    task: TaskId
    agent: AgentId
    context: Annotated[bytes, Meta(max_length=MAX_CONTEXT)]
    score: Annotated[float, Meta(ge=-1.0, le=1.0)]
    reward: Annotated[float, Meta(ge=-16.0, le=16.0)]
    at: Amount
    ms: Amount = 0.0
    cost: Amount = 0.0
    price: Amount = 0.0
    change: Count = 0
