"""Edits of the plan of a running task: held against the three invariants, logged, told; and what is taken back.

The invariants, after every edit: one active award per subtask and seat; acyclic; only what has not started may
change. One step of the machine applies one edit to the plan as it then is, so that edits queue by themselves: what
was decided upon an older plan is checked against the newer, and refused if its subtask has moved on.
"""

from typing import Final

import msgspec

from foa.core import effects as fx
from foa.core.dag.plan import check_edit, descendants
from foa.core.dag.synthesis import dependents
from foa.core.effects import Effect
from foa.core.machines.task.finish import withdrawals
from foa.core.machines.task.pending import JOINING
from foa.core.machines.task.state import Context, Live, note, put, save, tell
from foa.core.machines.task.state import changed as replanned
from foa.core.machines.task.verdict import dropped
from foa.wire.deliberation import Edit, EditKind
from foa.wire.messages import Events
from foa.wire.records import MAX_SKILLS, Plan, Work

MAX_EDITS: Final = 128


def logged(
    live: Live, now: float, kind: EditKind, subtask: str, reason: str, *, after: Plan | None = None, agent: str = ""
) -> Edit:
    """Return the record of an edit; with the plan `after` it, which subtasks came and went."""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    if after is not None and live.plan is not None:
        old, new = {one.id for one in live.plan.subtasks}, {one.id for one in after.subtasks}
        added = tuple(one.id for one in after.subtasks if one.id not in old)[:MAX_SKILLS]
        removed = tuple(one.id for one in live.plan.subtasks if one.id not in new)[:MAX_SKILLS]
    at = max(0, int((now - live.began) * 1000))
    return Edit(kind, subtask[:64], at, reason[:500], added, removed, agent)


def noted(live: Live, edit: Edit, context: Context, now: float) -> tuple[Live, fx.Publish]:
    """Keep the record of an edit, and tell watchers: nothing is changed silently."""
    live = msgspec.structs.replace(live, edits=(*live.edits, edit)[-MAX_EDITS:])
    frame = tell(live, context, note(live, now, "edited", edit.subtask, edit.agent, f"{edit.kind}: {edit.reason}"))
    assert isinstance(frame.message, Events)
    return live, frame._replace(message=msgspec.structs.replace(frame.message, edits=(edit,)))


def changed(live: Live, after: Plan, edit: Edit, context: Context, now: float) -> tuple[Live, list[Effect]]:
    """Return `live` with the plan `after`, which `foa.core.dag.edit` made of its own; durable, and told."""
    assert live.plan is not None
    assert check_edit(live.plan, after, live.phases()) is None, "an edit is checked where it is made"
    kept = {one.id for one in after.subtasks}
    unplaced = {ident: since for ident, since in live.unplaced.items() if ident in kept}
    gone = live.works.get(edit.subtask)
    live = replanned(msgspec.structs.replace(live, unplaced=unplaced), after)
    if gone is not None and gone.failed + gone.barred + gone.heard:
        # who failed the whole is not asked first for its parts; what a person said of it is said of them
        known = {"failed": gone.failed, "barred": gone.barred, "heard": gone.heard}
        for ident in edit.added:
            live = put(live, msgspec.structs.replace(live.works[ident], **known))
    live, said = noted(live, edit, context, now)
    assert isinstance(said.message, Events)
    said = said._replace(message=msgspec.structs.replace(said.message, plan=after))
    live, saved = save(live, context, now)
    return live, [*saved, said]


def unrepeatable(live: Live, ident: str) -> str:
    """Return why subtask `ident` may not be taken back, or "".

    It, or what was built on it, has begun or may have: with ``effects = once`` that is not done again without consent.
    """
    assert live.plan is not None
    for one in (ident, *dependents(live.plan, live.works, ident)):
        for seat in live.works[one].seats if not live.subtask(one).consent else ():
            begun = seat.started or (seat.phase == "running" and seat.award not in live.unsent)
            if seat.effects == "once" and begun:
                return (
                    f"subtask {one} would be done again by {seat.agent}, whose effects happen once; it has no consent"
                )
    return ""


def taken_back(
    live: Live, ident: str, reason: str, agent: str, context: Context, now: float
) -> tuple[Live, list[Effect]]:
    """Withdraw what subtask `ident` yielded and all that was built on it; only that is done again.

    Who yielded it is asked again only if there is nobody else. Running awards that used it are taken back.
    """
    assert live.plan is not None
    fallen = (ident, *dependents(live.plan, live.works, ident))
    fallen += (JOINING,) if JOINING in live.works else ()  # whoever joins the parts has one that no longer stands
    works = [live.works[one] for one in fallen]
    effects: list[Effect] = withdrawals(live, context, works, f"{ident} was withdrawn: {reason}"[:400])
    effects += [fx.Sleep(f"lease:{seat.award}") for work in works for seat in work.seats if seat.phase == "running"]
    effects += dropped(live, works, None, context, now)
    replaced = {work.id: _waiting(work, reason if work.id == ident else "") for work in works if work.id != JOINING}
    below = {ident, *descendants(live.plan, ident)}
    live = msgspec.structs.replace(
        live,
        works={one: work for one, work in {**live.works, **replaced}.items() if one != JOINING},
        pools={one: pool for one, pool in live.pools.items() if one not in replaced},
        unplaced={one: since for one, since in live.unplaced.items() if one not in below},
        disagreed=tuple(one for one in live.disagreed if one not in replaced),
    )
    live, said = noted(live, logged(live, now, "withdraw", ident, reason, agent=agent), context, now)
    live, saved = save(live, context, now)
    return live, [*effects, said, *saved]


def _waiting(work: Work, reason: str) -> Work:
    """Return `work` as not done; the author of what was withdrawn counts as having failed it."""
    authors = tuple(seat.agent for seat in work.seats if seat.phase == "done") if reason else ()
    failed = tuple(dict.fromkeys(work.failed + authors))[-64:]
    said = f"withdrawn: {reason}"[:400] if reason else work.reason
    return msgspec.structs.replace(work, phase="waiting", seats=(), outputs=(), failed=failed, reason=said)
