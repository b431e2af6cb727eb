"""What watchers hear, gathered: one frame for all that happened in a moment, not one per happening.

The other modules publish an `Events` for each thing worth telling; `gathered` takes those out of a step's
effects and keeps them until the moment (`Rules.event_s`) is over or the task is.
"""

import msgspec

from foa.core import effects as fx
from foa.core.effects import Effect
from foa.core.machines.task.state import Context, Live, TaskState
from foa.wire.messages import Events

MAX_NOTES = 256
MAX_DELIBERATIONS = 8  # in one frame; each is a few kilobytes


def gathered(
    context: Context, before: Live | None, state: TaskState, effects: list[Effect], now: float
) -> tuple[TaskState, list[Effect]]:
    """Return the step with its `Events` kept for later; with all that was kept if the task is no longer live."""
    told: list[Events] = []
    rest: list[Effect] = []
    for each in effects:
        if isinstance(each, fx.Publish) and isinstance(each.message, Events):
            told.append(each.message)
        else:
            rest.append(each)
    kept = before.untold if before is not None else None
    if not told and (kept is None or isinstance(state, Live)):
        return state, effects
    events = merged(kept, told)
    if isinstance(state, Live):
        if kept is None:
            rest.append(fx.Wake("events", now + context.rules.event_s))
        return msgspec.structs.replace(state, untold=events), rest
    return state, [*_publish(context, state.partition, events), *rest]  # before the result: watchers leave with it


def merged(kept: Events | None, told: list[Events]) -> Events:
    """Return one message for several: all notes and records, the last plan."""
    every = ([kept] if kept is not None else []) + told
    notes = tuple(note for one in every for note in one.notes)
    plans = [one.plan for one in every if one.plan is not None]
    return Events(
        every[0].task,
        notes[-MAX_NOTES:],
        plans[-1] if plans else None,
        deliberations=tuple(each for one in every for each in one.deliberations)[-MAX_DELIBERATIONS:],
        edits=tuple(each for one in every for each in one.edits)[-MAX_NOTES:],
    )


def show(context: Context, state: Live) -> tuple[Live, list[Effect]]:
    """Publish what was kept."""
    if state.untold is None:
        return state, []
    return msgspec.structs.replace(state, untold=None), _publish(context, state.partition, state.untold)


def _publish(context: Context, partition: int, events: Events) -> list[Effect]:
    return [fx.Publish(context.topics.task(partition, events.task, "event"), events, qos=0)]
