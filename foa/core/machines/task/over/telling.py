"""A result is told until its submitter acknowledges it, ever more rarely, at most while the retained result lives."""

from typing import Final

import msgspec

from foa.core import effects as fx
from foa.core.dag.replay import request_of
from foa.core.effects import Effect
from foa.core.machines.task.live import Context, Ended
from foa.core.machines.task.state import answer_to
from foa.wire.ids import Epoch
from foa.wire.messages import Rejected
from foa.wire.records import Task

REPEAT_S: Final = 2.0
LONGEST_S: Final = 600.0
"""The first and the longest pause before a result that nobody acknowledged is told again; they double in between."""

TIMER: Final = "repeat"


def told(state: Ended, context: Context, now: float) -> tuple[Ended, list[Effect]]:
    """Return `state` with a timer that tells the result again. Strangers do not acknowledge: they are told once."""
    to = state.to
    if to is None or to.task.format != "msgpack" or not to.topic.startswith(context.topics("reply/")):
        return state, []
    pause = min(LONGEST_S, REPEAT_S * 2**state.told)
    if now + pause >= state.until:
        return msgspec.structs.replace(state, to=None), []
    return state, [fx.Wake(TIMER, now + pause)]


def repeated(state: Ended, context: Context, now: float) -> tuple[Ended, list[Effect]]:
    """Tell the result again: the submitter was away, or our word was lost."""
    if state.to is None:
        return state, []
    said = [each._replace(qos=0) for each in answer_to(state.to, state.result, context)]
    after, again = told(msgspec.structs.replace(state, told=state.told + 1), context, now)
    return after, [*said, *again, fx.Measure("foa_results_repeated_total")]


def acknowledged(state: Ended, epoch: Epoch) -> tuple[Ended, list[Effect]]:
    """Say no more. A submitter that took another owner's result than the one that stands is on record."""
    effects: list[Effect] = [fx.Sleep(TIMER)]
    if epoch != state.result.epoch:
        log = fx.Log("result_differs", {"task": state.result.task, "took": f"{epoch.n}/{epoch.node}"}, "warning")
        effects += [fx.Measure("foa_results_differ_total"), log]
    return msgspec.structs.replace(state, to=None), effects


def waits(state: Ended, now: float) -> bool:
    """Tell whether somebody is still to be told, and by us."""
    return not state.heir and state.to is not None and state.to.task.format == "msgpack" and now < state.until


def refused(task: Task, known: str) -> Rejected | None:
    """Return the refusal of a submission whose id belongs to another request, ``known`` (None if it is the same)."""
    if not known or request_of(task) == known:
        return None
    reason = f"the id {task.id} is taken by a task that asks for something else; submit this under another id"
    return Rejected(task.id, "taken", reason)
