"""What is told of a merge afterwards: bounded, because it travels in the task's snapshots, events and result."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

from foa.core.dag.merge.consensus import heard
from foa.core.dag.merge.terms import Proposal, Report
from foa.core.dag.merge.weights import RANGE
from foa.wire.deliberation import Deliberation, Dropped, Kept, Voice

MOST_BYTES: Final = 24 * 1024
"""A record is shortened until its JSON is no longer than this: plans go first, the largest before the others."""

_VOICES: Final = 16
_KEPT: Final = 256
_DROPPED: Final = 64
_NAME: Final = 200
_SHORT: Final = 160
_ID: Final = 64


def recorded(report: Report, proposals: Iterable[Proposal], at_ms: int = 0, subtask: str = "") -> Deliberation:
    """Return how `report` came about of `proposals`; what shape the plan is run in is the caller's to add."""
    found = Deliberation(
        subtask=subtask[:_ID],
        at_ms=max(0, at_ms),
        voices=_voices(report, tuple(proposals)),
        anchor=report.anchor[:_NAME],
        agreed=report.agreed,
        kept=tuple(
            Kept(one.id[:_ID], tuple(planner[:_NAME] for planner, _ in one.members[:_VOICES]))
            for one in report.kept[:_KEPT]
        ),
        dropped=tuple(
            Dropped(one.planner[:_NAME], one.what[:_SHORT], one.reason[:_SHORT]) for one in report.dropped[:_DROPPED]
        ),
    )
    return _fitted(found)


def _voices(report: Report, proposals: tuple[Proposal, ...]) -> tuple[Voice, ...]:
    """Return one voice per planner, those that were heard first; who was not says why."""
    kept = Counter(planner for one in report.kept for planner, _ in one.members)
    faults = {one.planner: one.reason for one in reversed(report.dropped) if one.what == "plan"}
    spoke = {one.planner: one for one in heard(proposals)[0]}
    names = (*report.voices, *sorted({one.planner for one in proposals}.difference(report.voices)))
    return tuple(
        Voice(
            name[:_NAME],
            plan=spoke[name].plan if name in spoke and name in report.voices else None,
            kept=kept[name],
            weight=_told(spoke[name].weight) if name in spoke else 1.0,
            refused="" if name in report.voices else faults.get(name, "")[:_SHORT],
        )
        for name in names[:_VOICES]
    )


def _told(weight: float) -> float:
    return min(max(weight, 0.0), RANGE * 1e3) if weight == weight else 0.0  # noqa: PLR0124 - what is no number


def _fitted(found: Deliberation) -> Deliberation:
    """Shorten what is too long: first the plans, then what was dropped, then what was kept."""
    while len(msgspec.json.encode(found)) > MOST_BYTES:
        plans = {at: len(msgspec.json.encode(one.plan)) for at, one in enumerate(found.voices) if one.plan is not None}
        if plans:
            largest = max(plans, key=lambda at: (plans[at], -at))
            voices = tuple(
                msgspec.structs.replace(one, plan=None) if at == largest else one for at, one in enumerate(found.voices)
            )
            found = msgspec.structs.replace(found, voices=voices)
        elif found.dropped:
            found = msgspec.structs.replace(found, dropped=found.dropped[: len(found.dropped) // 2])
        else:
            found = msgspec.structs.replace(found, kept=found.kept[: len(found.kept) // 2])
    return found
