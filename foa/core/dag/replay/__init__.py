"""A task done again: what is left of it, under which id, and how two submissions of one id are told apart.

Called by the task machine, which writes what is left into results and letters, and by whoever submits it again.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from foa.wire.ids import MAX_SEGMENT, digest_of, stable_hash
from foa.wire.records import Finished, Given, Plan, Seat, Task, Work

_REPLAY: Final = re.compile(r"(.+)\.r([1-9][0-9]{0,5})\Z")
_packed: Final = msgspec.msgpack.Encoder()


def request_of(task: Task) -> str:
    """Return what tells submissions of one id apart: a digest of what is asked, of whom, and for how much.

    How long it may take, who sent it and whether its inputs came inline or by reference makes no difference.
    """
    inputs = [(given.name, given.value.type, _content(given)) for given in task.inputs]
    asked = (task.text, inputs, task.plan, task.skills, task.policies, task.budget, task.team)
    return digest_of(_packed.encode(asked))[:32]


def _content(given: Given) -> str:
    value = given.value
    return value.ref.digest if value.ref is not None else digest_of(value.body or b"")


def remainder(task: Task, plan: Plan | None, works: Mapping[str, Work]) -> Task:
    """Return `task` as a replay submits it: with the plan it was worked on by, where that has several subtasks.

    What was done of that is given along, with its outputs as they are kept.
    """
    replace = msgspec.structs.replace
    if plan is None or len(plan.subtasks) <= 1:
        return replace(task, finished=())
    done = [works[one.id] for one in plan.subtasks if one.id in works and works[one.id].phase == "done"]
    kept = tuple(Finished(work.id, work.outputs, _agents(work)) for work in done)
    return replace(task, plan=plan, finished=kept)


def _agents(work: Work) -> tuple[str, ...]:
    return tuple(dict.fromkeys(seat.agent for seat in work.seats if seat.phase == "done"))


def restored(task: Task, plan: Plan) -> dict[str, Work]:
    """Return the works of `plan` that `task` brings along as finished; nobody is paid or judged for them again."""
    if task.plan is None:
        return {}
    named = {subtask.id for subtask in plan.subtasks}
    return {
        one.subtask: Work(
            one.subtask,
            "done",
            1,
            tuple(Seat(agent, f"kept-{at}", 1, "done", started=True) for at, agent in enumerate(one.agents)),
            outputs=one.outputs,
        )
        for one in task.finished
        if one.subtask in named
    }


def next_id(task: str) -> str:
    """Return the id of the replay of `task`: the same whoever asks, so that two who do get one task."""
    found = _REPLAY.match(task)
    base, number = (found[1], int(found[2])) if found else (task, 0)
    suffix = f".r{number + 1}"
    if len(base) + len(suffix) > MAX_SEGMENT:
        base = f"{base[: MAX_SEGMENT - 24]}-{stable_hash(base):016x}"
    return base + suffix


def replay(left: Task) -> Task:
    """Return the task that does what is `left` of one that came to nothing."""
    return msgspec.structs.replace(left, id=next_id(left.id), origin=left.id, format="msgpack")
