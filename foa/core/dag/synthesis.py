"""From finished subtasks to the task's answer: the outputs of the sinks, and where every part came from.

Called by the coordinator once the last subtask of a plan is done. This is the deterministic synthesis; an
agent that offers to do it better gets the same outputs as its inputs.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec

from foa.core.dag.plan import order, predecessors, sinks
from foa.wire.records import MAX_SUBTASKS, MAX_VALUES, Given, Part, Plan, Seat, Work

_NAME = 64


class Synthesis(NamedTuple):
    """The answer of a task: ``outputs`` of the sinks, one of ``parts`` for every subtask that was worked on."""

    outputs: tuple[Given, ...]
    parts: tuple[Part, ...]


def synthesize(
    plan: Plan,
    works: Mapping[str, Work],
    *,
    disagreed: Collection[str] = (),
    ms: Mapping[str, int] | None = None,
) -> Synthesis:
    """Return the answer of a valid `plan` from the `works` by subtask id, walked in topological order.

    Every output names the subtask and the agent it came from. A name that two sinks use is written
    ``subtask.name``. ``disagreed`` are the subtasks whose cluster ended without agreement; ``ms`` what
    each took. Sinks that are not done contribute nothing.
    """
    took = ms or {}
    before = predecessors(plan)
    outputs = [
        msgspec.structs.replace(given, source=one, agent=given.agent or _author(works[one]))
        for one in sinks(plan)
        if one in works and works[one].phase == "done"
        for given in works[one].outputs
    ]
    parts = [
        _part(works[one], before[one], agreed=one not in disagreed, ms=took.get(one, 0))
        for one in order(plan)
        if one in works and works[one].seats
    ]
    return Synthesis(tuple(_distinct(outputs))[:MAX_VALUES], tuple(parts[:MAX_SUBTASKS]))


def _part(work: Work, inputs: tuple[str, ...], *, agreed: bool, ms: int) -> Part:
    seats = _done(work)
    return Part(
        subtask=work.id,
        agents=tuple(dict.fromkeys(seat.agent for seat in seats)),
        inputs=inputs[:MAX_VALUES],
        attempt=work.attempt,
        rounds=max((seat.rounds for seat in seats), default=0),
        agreed=agreed,
        cost=sum(seat.price for seat in work.seats if seat.started or seat.phase == "done"),
        ms=ms,
    )


def _done(work: Work) -> tuple[Seat, ...]:
    return tuple(seat for seat in work.seats if seat.phase == "done")


def _author(work: Work) -> str:
    """Return the one agent that yielded these outputs: the only seat, or the seat that has the very same."""
    seats = [seat for seat in _done(work) if seat.outputs == work.outputs] or _done(work)
    return seats[0].agent if seats else ""


def _distinct(outputs: Iterable[Given]) -> Iterable[Given]:
    listed = list(outputs)
    uses = Counter(given.name for given in listed)
    taken: set[str] = set()
    for given in listed:
        name = given.name if uses[given.name] == 1 else f"{given.source}.{given.name}"[-_NAME:]
        number = 2
        while name in taken:
            name = f"{name[: _NAME - 4]}.{number}"
            number += 1
        taken.add(name)
        yield msgspec.structs.replace(given, name=name)
