"""Edits of a plan while it runs: a subtask replaced by a plan of its own, in the same place of the order.

Called by the coordinator where a subtask is not one agent's job, or nobody could do it. What replaces a subtask waits
for all it waited for, and all that waited for it waits for the ends of what replaced it. Every edit is held against
`foa.core.dag.plan.check_edit` before it is taken.
"""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

import msgspec

from foa.core.dag.plan import check_edit, predecessors, reduced, sinks, successors
from foa.errors import ProposalError
from foa.wire.ids import MAX_SEGMENT, digest_of
from foa.wire.records import MAX_SKILLS, Phase, Plan, Subtask

_TAG: Final = 8
"""Hexadecimal digits that keep an id apart which had to be cut."""


def spliced(plan: Plan, ident: str, part: Plan, phases: Mapping[str, Phase], *, deeper: bool = True) -> Plan:
    """Return `plan` with `part`, a valid plan, in the place of its subtask `ident`.

    The new ids are ``ident.id``. What comes keeps the policies, the consent and together the weight of what goes, and
    its ends yield what that had to. ``deeper``: it is one planning further from the task. Raises ProposalError if the
    result is no plan, or if `ident` has started.
    """
    lead = next((one for one in plan.subtasks if one.id == ident), None)
    if lead is None:
        raise ProposalError(f"subtask {ident[:80]!r} is not in the plan: nothing to put another in the place of")
    names = _names(plan, ident, part)
    ends = frozenset(sinks(part))
    heir = _Heir(lead, sum(one.weight for one in part.subtasks), len(part.subtasks), ends, deeper)
    inner = tuple(_inherited(heir, one, names[one.id]) for one in part.subtasks)
    before, after = predecessors(plan)[ident], successors(plan)[ident]
    heads = [one for one, others in predecessors(part).items() if not others]
    edges = [edge for edge in plan.edges if ident not in edge]
    edges += [(names[one], names[other]) for one, other in part.edges]
    edges += [(one, names[head]) for one in before for head in heads]
    edges += [(names[end], one) for one in after for end in sorted(ends)]
    place = [one.id for one in plan.subtasks].index(ident)
    subtasks = (*plan.subtasks[:place], *inner, *plan.subtasks[place + 1 :])
    edited = msgspec.structs.replace(plan, subtasks=subtasks, edges=tuple(edges))
    fault = check_edit(plan, edited, phases)
    if fault is not None:
        raise ProposalError(fault)
    if phases.get(ident, "waiting") not in {"waiting", "ready"}:
        raise ProposalError(f"subtask {ident!r} has started and may not be replaced: take it back first")
    kept = {edge for edge in plan.edges if ident not in edge}  # a needless one may lead into what has started
    return msgspec.structs.replace(edited, edges=tuple(sorted(kept.union(reduced(edited).edges))))


def _names(plan: Plan, ident: str, part: Plan) -> dict[str, str]:
    """Return the ids that the subtasks of `part` get, none of which `plan` has."""
    taken = {one.id for one in plan.subtasks}
    names: dict[str, str] = {}
    for one in part.subtasks:
        name = f"{ident}.{one.id}"
        if len(name) > MAX_SEGMENT or name in taken:
            tag = digest_of(f"{name} {len(taken)}".encode())[:_TAG]
            name = f"{name[: MAX_SEGMENT - _TAG - 1]}.{tag}"
        taken.add(name)
        names[one.id] = name
    return names


class _Heir(NamedTuple):
    """What is handed down: the subtask that goes; of what comes the weights, the ends, and if it is planned deeper."""

    lead: Subtask
    whole: float
    parts: int
    ends: Collection[str]
    deeper: bool


def _inherited(heir: _Heir, one: Subtask, name: str) -> Subtask:
    lead, whole, parts, ends, deeper = heir
    share = one.weight / whole if whole else 1.0 / parts
    produces = _union(one.produces, lead.produces) if one.id in ends and len(ends) == 1 else one.produces
    return msgspec.structs.replace(
        one,
        id=name,
        policies=_union(lead.policies, one.policies),
        produces=produces,
        consent=lead.consent or one.consent,
        weight=lead.weight * share,
        depth=lead.depth + 1 if deeper else max(lead.depth, one.depth),
    )


def _union(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one + other))[:MAX_SKILLS]
