"""From finished subtasks to the task's answer, and where every part of it came from.

Called by the coordinator once the last subtask of a plan is done. This is the deterministic synthesis; an agent that
offers to do it better gets the same outputs as its inputs. Three ways (`Joining`):

*concatenate*: the outputs of the subtasks nobody waits for, side by side. *rebase*: the same, but a JSON object takes
over, key by key, what earlier objects of that name and type said and the later do not speak of; of texts the later one
stands, since it was built on the earlier. *merge*: values of one type that stand side by side become one, nothing of
them lost. What cannot be joined so (bodies by reference, binary, damaged, huge) stands as it would in *concatenate*.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from math import isnan
from typing import NamedTuple

import msgspec

from foa.core.dag import joined
from foa.core.dag.plan import descendants, order, predecessors, sinks
from foa.core.dag.topology import above, measure
from foa.core.dag.topology import joining as fitting
from foa.wire.ids import AgentId
from foa.wire.records import MAX_SUBTASKS, MAX_TEAM, MAX_VALUES, Given, Joining, Part, Plan, Seat, Strategy, Work

_NAME = 64


class Synthesis(NamedTuple):
    """The answer of a task: ``outputs`` joined, and one of ``parts`` for every subtask that was worked on."""

    outputs: tuple[Given, ...]
    parts: tuple[Part, ...]


def synthesize(
    plan: Plan,
    works: Mapping[str, Work],
    *,
    joining: Joining = "",
    disagreed: Collection[str] = (),
    ms: Mapping[str, int] | None = None,
    credit: Mapping[str, Mapping[AgentId, float]] = {},
    strategies: Mapping[str, Strategy] = {},
) -> Synthesis:
    """Return the answer of a valid `plan` from the `works` by subtask id, walked in topological order.

    ``joining`` "" chooses by the plan's shape (`chosen`). Every output names the subtask and the agent it came from
    (of a joined one: the latest); a name that several outputs use is written ``subtask.name``. What was put together
    of several is explained in an output `joined.PROVENANCE`. ``disagreed`` are the subtasks whose cluster ended
    without agreement; ``ms`` what each took; ``credit`` each member's part in it, cut to [0, 1]; ``strategies`` how
    each cluster came to one answer. Subtasks that are not done contribute nothing.
    """
    outputs = _outputs(plan, works, joining or chosen(plan))
    took, before = ms or {}, predecessors(plan)
    parts = [
        msgspec.structs.replace(
            _part(works[one], before[one], agreed=one not in disagreed, ms=took.get(one, 0)),
            strategy=strategies.get(one, ""),
            credit=_bounded(credit.get(one, {})),
        )
        for one in order(plan)
        if one in works and works[one].seats
    ]
    return Synthesis(tuple(_distinct(outputs))[:MAX_VALUES], tuple(parts[:MAX_SUBTASKS]))


def chosen(plan: Plan) -> Joining:
    """Return how the parts of a valid `plan` are joined if nobody says: by its shape and the types it declares."""
    last = sinks(plan)
    at_end = [one.produces for one in plan.subtasks if one.id in last]
    inside = [one.produces for one in plan.subtasks if one.id not in last]
    return fitting(measure(plan), at_end, inside)


def dependents(plan: Plan, works: Mapping[str, Work], refuted: str) -> tuple[str, ...]:
    """Return the finished and running subtasks that fall with `refuted`, in topological order.

    Those are all that wait for it, however far, and have started: what it yielded was among their inputs. Itself, and
    whatever has not started or has ended without a result, is left out; nothing if the plan has no such subtask.
    """
    if all(one.id != refuted for one in plan.subtasks):
        return ()
    return tuple(one for one in descendants(plan, refuted) if one in works and works[one].phase in {"running", "done"})


def _outputs(plan: Plan, works: Mapping[str, Work], joining: Joining) -> list[Given]:
    done = {one: _yielded(works[one]) for one in order(plan) if one in works and works[one].phase == "done"}
    ends = [one for one in sinks(plan) if one in done]
    apart = [given for one in ends for given in done[one]]
    if joining == "rebase":
        ordered = order(plan)
        place, masks = {one: at for at, one in enumerate(ordered)}, above(plan, ordered)
        inner = [given for one in done if one not in ends for given in done[one]]
        return joined.rebased(apart, inner, lambda end, source: bool(masks[place[end]] >> place[source] & 1))
    if joining == "merge":
        return joined.merged(apart, {one.id: one.text for one in plan.subtasks})
    return apart


def _yielded(work: Work) -> list[Given]:
    return [
        msgspec.structs.replace(given, source=work.id, agent=given.agent or _author(work)) for given in work.outputs
    ]


def _bounded(credit: Mapping[AgentId, float]) -> dict[AgentId, float]:
    """Return the first `MAX_TEAM` credits by agent, cut to [0, 1]; what is no number counts as none."""
    return {
        agent: 0.0 if isnan(part) else min(1.0, max(0.0, part)) for agent, part in sorted(credit.items())[:MAX_TEAM]
    }


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
