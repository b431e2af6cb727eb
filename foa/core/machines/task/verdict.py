"""What an award was worth, told to the matchmaker in the step that concludes it: one transaction, one reward.

The verdict stays on the seat, in the snapshot, so that an heir can pass on what a dead owner may not have
counted durably (`inherited`); who counted what is settled by `foa.core.learn.ledger`.
"""

import msgspec

from foa.core import effects as fx
from foa.core.effects import Effect, Key
from foa.core.machines.task.pending import is_pseudo
from foa.core.machines.task.state import Context, Live
from foa.core.routing.exchange import Awarded, Concluded
from foa.core.routing.ownership import Follow
from foa.wire.messages import Result, State
from foa.wire.records import Seat, Work

MATCH = Key("match")
LEASE_LOST = "the lease ended without a sign of life"
NEVER_SENT = "the award was never sent: the broker did not confirm its record in time"
EXCUSED = ("busy", "draining", "poison", "loop", "deadline")
"""Codes of refusals that say nothing against the agent."""


def followed(agent: str) -> fx.Tell:
    """Have the vigil follow an agent that works for us, to hear if it dies."""
    return fx.Tell(Key("vigil"), Follow(agent))


def begun(seat: Seat, context: Context, ident: str = "") -> list[Effect]:
    """Tell the matchmaker that an award is in flight: load of its agent; subtask `ident` waits no longer."""
    return [fx.Tell(MATCH, Awarded(seat.award, seat.agent, ident))] if context.rules.learning else []


def _fault(seat: Seat) -> str:
    """Return the word for what an agent did instead of its work, as its seat tells; "" if it is not to blame."""
    if seat.phase != "failed" or seat.reason == NEVER_SENT:
        return ""
    if seat.reason == LEASE_LOST:
        return "silent"
    word, _, more = seat.reason.partition(":")
    return "" if word == "declined" and more.strip().startswith(EXCUSED) else word


def concluded(
    live: Live, work: Work, seat: Seat, score: float | None, context: Context, now: float
) -> tuple[Seat, list[fx.Tell]]:
    """Return `seat` with its verdict, and what tells the matchmaker; a score of None is no verdict.

    Time and bill are measured where work was done: a failure says nothing about what success takes.
    """
    if not context.rules.learning or is_pseudo(work.id):
        return seat, []
    ended = now + context.wall
    began = live.started.get(work.id)
    took = now - began if began is not None and seat.phase == "done" else 0.0
    told = Concluded(
        seat.award,
        live.task.id,
        seat.agent,
        seat.context,
        score,
        ended,
        live.epoch.node,
        ms=took * 1000,
        cost=seat.price if took else 0.0,
        price=seat.expected if took else 0.0,
        used=min(1.0, took / max(took, live.ends - now + took)) if took else 0.0,
        text="" if live.task.private else live.subtask(work.id).text,
        done=seat.phase == "done",
        fault=_fault(seat),
    )
    return msgspec.structs.replace(seat, score=score, ended=ended), [fx.Tell(MATCH, told)]


def dropped(live: Live, works: list[Work], score: float | None, context: Context, now: float) -> list[Effect]:
    """Tell the matchmaker of every award of `works` that was never judged and will not be.

    One that was done has no verdict while its team worked on; one that is taken back gets `score`.
    """
    effects: list[Effect] = []
    for work in works:
        for seat in work.seats:
            if seat.phase in {"running", "done"} and not seat.ended:
                verdict = score if seat.phase == "running" else None
                effects += concluded(live, work, seat, verdict, context, now)[1]
    return effects


def witnessed(live: Live, result: Result, context: Context, now: float) -> list[Effect]:
    """Pass on what another owner's result says of awards that run here: it may have died before it counted them.

    Should it live, both count, see that of each other, and one takes it out.
    """
    agents = {part.subtask: part.agents for part in result.parts} if result.status == "done" else {}
    effects: list[Effect] = []
    for work in live.works.values():
        for seat in work.seats:
            if seat.phase == "running" and seat.context and seat.agent in agents.get(work.id, ()):
                _, told = concluded(live, work, seat, 1.0, context, now)
                effects += [one._replace(message=one.message._replace(owner=result.epoch.node)) for one in told]
    return effects


def inherited(live: Live, seen: State, context: Context) -> list[Effect]:
    """Pass on the verdicts in a former owner's snapshot, and take over the load of what still runs."""
    if not context.rules.learning:
        return []
    effects: list[Effect] = []
    for work in live.works.values():
        for seat in work.seats:
            if seat.phase == "running":
                effects += begun(seat, context, work.id)
            elif seat.score is not None and seat.context:
                text = "" if live.task.private else live.subtask(work.id).text
                told = Concluded(
                    seat.award,
                    live.task.id,
                    seat.agent,
                    seat.context,
                    seat.score,
                    seat.ended,
                    seen.epoch.node,
                    text=text,
                )
                effects.append(fx.Tell(MATCH, told))
    return effects
