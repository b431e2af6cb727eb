"""What holds in every step of a task that is worked on, whatever is done to its plan: looked at from outside.

Called by the simulator's inspector and by tests of the task machine alone. One `Book` follows one task at one owner.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from foa.core import effects as fx
from foa.core.dag.plan import check, check_edit, predecessors
from foa.core.effects import Effect, Event
from foa.core.machines.task.changing import MAX_EDITS
from foa.core.machines.task.pending import JOINING, is_pseudo, planning
from foa.core.machines.task.state import Ended, Live, active
from foa.wire.deliberation import Edit
from foa.wire.messages import Asking, Award, Declined, Done, Events, Failed, Withdrawn

CENT: Final = 1e-9
CHANGING: Final = frozenset({"expand", "reroute", "replan"})


class Fault(NamedTuple):
    """A law that was broken: its word, and how."""

    word: str
    detail: str


class Book:
    """What must be remembered of a task to judge its next step: which awards were taken back, what began for good."""

    def __init__(self) -> None:
        self._withdrawn: set[str] = set()
        self._begun: dict[str, str] = {}
        self._paid: set[str] = set()

    def step(self, before: Any, event: Event, after: Any, effects: list[Effect]) -> list[Fault]:
        """Return which laws one step broke."""
        sent = [effect.message for effect in effects if isinstance(effect, fx.Publish)]
        self._withdrawn |= {message.award for message in sent if isinstance(message, Withdrawn)}
        found: list[Fault] = []
        if not isinstance(before, Live):  # another life: what began in between is not known here
            self._begun = {}
        else:
            found += self._left(before, event, after)
            found += _recorded(before, after, effects)
            found += self._spent(before, event, after)
        if isinstance(after, Live):
            if not isinstance(before, Live) or before.plan is not after.plan or before.works is not after.works:
                found += [*_lawful(after), *_asked(after)]
            if isinstance(before, Live) and before.plan is not None and before.plan is not after.plan:
                found += self._edited(before, after)
            found += self._awarded(after, [message for message in sent if isinstance(message, Award)])
            found += _solvent(after)
            self._note(after, event)
        return found

    def _left(self, before: Live, event: Event, after: Any) -> list[Fault]:
        """Return awards that ran and run no longer, though nobody said so to their agents."""
        if not isinstance(after, Live | Ended):
            return []  # another owner goes on with them
        runs = _running(after) if isinstance(after, Live) else frozenset()
        said = event.message.award if isinstance(event, fx.Received) and isinstance(event.message, _FINAL) else ""
        gone = [award for award in _running(before) - runs if award != said and award not in self._withdrawn]
        return [Fault("left-active", f"{before.task.id}: {award} was never withdrawn") for award in sorted(gone)]

    def _spent(self, before: Live, event: Event, after: Any) -> list[Fault]:
        """Return an award that was paid a second time: a repeated answer costs nothing."""
        paid = isinstance(after, Live) and after.spent > before.spent
        if not paid or not isinstance(event, fx.Received) or not isinstance(event.message, Done | Failed):
            return []
        award = event.message.award
        if award in self._paid:
            return [Fault("paid-twice", f"{before.task.id}: {award} was paid again")]
        self._paid.add(award)
        return []

    def _edited(self, before: Live, after: Live) -> list[Fault]:
        """Hold the plan after an edit against the one before: what has started stays as it was, and stands once."""
        assert before.plan is not None
        assert after.plan is not None
        name, found = before.task.id, []
        if fault := check_edit(before.plan, after.plan, before.phases()):
            found.append(Fault("edit", f"{name}: {fault}"))
        if not any(edit.kind in CHANGING for edit in _new(before.edits, after.edits)):
            found.append(Fault("silent-edit", f"{name}: the plan changed and no edit says so"))
        kept = {one.id for one in after.plan.subtasks}
        lost = [one.id for one in before.plan.subtasks if one.id in self._begun.keys() - kept and not one.consent]
        found += [Fault("once", f"{name}/{ident} had begun and is done in another way now") for ident in lost]
        return found

    def _awarded(self, live: Live, awards: list[Award]) -> list[Fault]:
        found: list[Fault] = []
        waits_for = predecessors(live.plan) if live.plan is not None and awards else {}
        for award in awards:
            ident, name = award.subtask.id, f"{live.task.id}/{award.subtask.id}"
            if is_pseudo(ident):
                continue
            work = live.works.get(ident)
            if work is None or award.award not in {seat.award for seat in work.seats if seat.phase == "running"}:
                found.append(Fault("award", f"{name}: {award.award} was sent and does not run"))
                continue
            if work.question or (award.subtask.approve and not work.approved):
                found.append(Fault("consent", f"{name} was awarded while it waits for a person"))
            open_ = [one for one in waits_for[ident] if live.works[one].phase != "done"]
            if open_:
                found.append(Fault("order", f"{name} was awarded before {open_} were done"))
            begun = self._begun.get(ident, award.award)
            if begun != award.award and not award.subtask.consent:
                found.append(Fault("once", f"{name}: {begun} had begun, {award.award} begins it again"))
        return found

    def _note(self, live: Live, event: Event) -> None:
        """Remember what began whose effects happen once; an agent that asks, or declines, has not begun."""
        message = event.message if isinstance(event, fx.Received) else None
        undone = message.award if isinstance(message, Asking | Declined) else ""
        self._begun = {ident: award for ident, award in self._begun.items() if award != undone}
        for work in live.works.values() if len(live.works) <= _MANY else ():
            for seat in work.seats:
                if seat.effects == "once" and seat.started and seat.award != undone and not is_pseudo(work.id):
                    self._begun.setdefault(work.id, seat.award)


_MANY: Final = 256
"""Subtasks of a plan that is looked through in every step; larger ones have none whose effects happen once."""

_FINAL: Final = (Done, Failed, Declined, Asking)


def _running(live: Live) -> frozenset[str]:
    return frozenset(seat.award for work in active(live) for seat in work.seats if seat.phase == "running")


def _new(before: tuple[Edit, ...], after: tuple[Edit, ...]) -> tuple[Edit, ...]:
    """Return the edits that were added; all, where the old ones are no longer at the front."""
    if len(after) < MAX_EDITS:
        return after[len(before) :] if after[: len(before)] == before else after
    return tuple(edit for edit in after if edit not in before)


def _recorded(before: Live, after: Any, effects: list[Effect]) -> list[Fault]:
    """Edits only grow, and watchers are told of each."""
    if not isinstance(after, Live):
        return []
    name, found = before.task.id, []
    if len(before.edits) < MAX_EDITS and after.edits[: len(before.edits)] != before.edits:
        found.append(Fault("edits-lost", f"{name}: {before.edits} became {after.edits}"))
    told = list(after.untold.edits) if after.untold is not None else []
    for effect in effects:
        if isinstance(effect, fx.Publish) and isinstance(effect.message, Events):
            told += effect.message.edits
    untold = [edit.kind for edit in _new(before.edits, after.edits) if edit not in told]
    return found + [Fault("untold", f"{name}: nobody was told of the edit {kind}") for kind in untold]


def _lawful(live: Live) -> Iterable[Fault]:
    """Hold the plan against its laws, and the works against it and what stands for planning and joining."""
    if live.plan is None:
        return
    name = live.task.id
    if fault := check(live.plan):
        yield Fault("plan", f"{name}: {fault}")
    subtasks = {one.id for one in live.plan.subtasks}
    works = {ident for ident in live.works if not is_pseudo(ident)}
    if works != subtasks:
        yield Fault("works", f"{name}: {sorted(works ^ subtasks)[:6]}")
    known = {JOINING, *(planning(target) for target in live.sessions)}
    if stray := [ident for ident in live.works if is_pseudo(ident) and ident not in known]:
        yield Fault("works", f"{name}: {stray} stand for nothing")
    for work in live.works.values():
        awards = [seat.award for seat in work.seats]
        if len(awards) != len(set(awards)):
            yield Fault("two-awards", f"{name}/{work.id}: {awards}")


def _asked(live: Live) -> Iterable[Fault]:
    for work in live.works.values():
        if work.question and (work.phase != "waiting" or work.seats):
            yield Fault("question", f"{live.task.id}/{work.id} waits for a person and is {work.phase}")


def _solvent(live: Live) -> list[Fault]:
    budget = live.task.budget
    if budget is None:
        return []
    running = sum(seat.price for work in active(live) for seat in work.seats if seat.phase == "running")
    if live.spent + running <= budget + CENT:
        return []
    return [Fault("budget", f"{live.task.id}: {live.spent} spent, {running} promised, {budget} given")]
