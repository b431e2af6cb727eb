"""The letter of a task that was given up: its last subtask, who tried and why it came to nothing, what is left."""

from itertools import chain
from typing import Final

import msgspec

from foa.core import effects as fx
from foa.core.machines.task.live import Context, Live
from foa.wire.codec import MAX_PAYLOAD, encode
from foa.wire.messages import Letter, Result
from foa.wire.records import Attempt, Task, Work

MAX_ATTEMPTS: Final = 64
"""Of more attempts than that the latest are in a letter."""


def tried(work: Work) -> tuple[Attempt, ...]:
    """Return every award of `work` that came to nothing, the latest last."""
    failed = tuple(
        Attempt(seat.agent, seat.attempt, seat.reason[:500], seat.started)
        for seat in work.seats
        if seat.phase == "failed"
    )
    return (*work.tried, *failed)[-MAX_ATTEMPTS:]


def letter(live: Live, result: Result, left: Task, subtask: str, context: Context, life_s: int) -> Letter:
    """Return the letter of a failed task. That of a private one is kept no longer than its result, ``life_s``."""
    works = [live.works[subtask]] if subtask in live.works else list(live.works.values())
    known = {one.id: one.text for one in live.plan.subtasks} if live.plan is not None else {}
    kept = Letter(
        live.task.id,
        result.code or "failed",
        result.reason,
        live.epoch,
        subtask,
        known.get(subtask, live.task.text)[:500],
        tuple(chain.from_iterable(map(tried, works)))[-MAX_ATTEMPTS:],
        left,
        life_s if live.task.private else context.rules.letters_s,
    )
    return kept if len(encode(kept)) <= MAX_PAYLOAD else msgspec.structs.replace(kept, again=None)


def sent(kept: Letter, partition: int, context: Context) -> fx.Publish:
    """Return the frame that keeps a letter at the broker."""
    topic = context.topics.letter(partition, kept.task)
    return fx.Publish(topic, kept, retain=True, expiry_s=max(1, kept.keep_s))
