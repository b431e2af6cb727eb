"""One member's view of its cluster: whose drafts it holds, and whether the round waits, ends or is the last.

The agent's machine adds every `Draft` it hears (its own too), asks `status` after each and when its round
timer goes off, and advances. Every member decides for itself; what ends a cluster early only grows with
further drafts, so members that hear them in another order, or later, come to the same end. Silence costs a
round its time and never more.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple

import msgspec

from foa.core.cluster.agreement import form, similarity
from foa.wire.ids import AgentId
from foa.wire.messages import Draft
from foa.wire.records import Team

ALIKE: Final = 0.9
"""Two answers at least this similar agree."""

Verdict = Literal["wait", "next", "stop"]


class Refining(msgspec.Struct, frozen=True):
    """A cluster as one member sees it in ``round`` (0 is the first drafts). At most one draft a member and round.

    ``silent`` are members that let a round pass: they are not waited for again until they speak.
    """

    team: Team
    round: int = 0
    drafts: tuple[Draft, ...] = ()
    silent: tuple[AgentId, ...] = ()


class Outcome(NamedTuple):
    """What to do now and why: wait for more drafts, go to the next round, or stop (``agreed`` or not)."""

    verdict: Verdict
    reason: str
    agreed: bool = False


def add(refining: Refining, draft: Draft) -> tuple[Refining, str]:
    """Return the view with `draft` in it, or unchanged with the reason why the draft is dropped.

    A draft of a round to come is kept: its author was faster. A second one for the same round is not.
    """
    team = refining.team
    if draft.cluster != team.id or draft.agent not in team.members:
        return refining, f"{draft.agent} is no member of {team.id}"
    if draft.round < refining.round:
        return refining, f"round {draft.round} is over"
    if draft.round > team.rounds:
        return refining, f"round {draft.round} is beyond the last, {team.rounds}"
    if any((held.agent, held.round) == (draft.agent, draft.round) for held in refining.drafts):
        return refining, f"{draft.agent} has spoken in round {draft.round}"
    silent = tuple(agent for agent in refining.silent if agent != draft.agent)
    return msgspec.structs.replace(refining, drafts=(*refining.drafts, draft), silent=silent), ""


def latest(refining: Refining) -> tuple[Draft, ...]:
    """Return each member's last draft up to the current round, in the order of the team's members."""
    found = {
        draft.agent: draft
        for draft in sorted(refining.drafts, key=lambda draft: draft.round)
        if draft.round <= refining.round
    }
    return tuple(found[agent] for agent in refining.team.members if agent in found)


def peers(refining: Refining, me: AgentId) -> tuple[Draft, ...]:
    """Return the others' last drafts: what this member revises its own against."""
    return tuple(draft for draft in latest(refining) if draft.agent != me)


def advance(refining: Refining) -> Refining:
    """Return the view one round on; drafts that nothing can ask for any more are let go."""
    held = latest(refining)
    later = tuple(draft for draft in refining.drafts if draft.round > refining.round)
    spoke = {draft.agent for draft in refining.drafts if draft.round >= refining.round or draft.complete}
    silent = tuple(agent for agent in refining.team.members if agent not in spoke)
    return msgspec.structs.replace(refining, round=refining.round + 1, drafts=(*held, *later), silent=silent)


def status(refining: Refining, *, late: bool = False, alike: float = ALIKE) -> Outcome:
    """Decide the current round. ``late``: its time is out, whoever is silent is not waited for.

    A member that said it is complete need not speak again. Agreement is more than two thirds of *all*
    members, so silence never makes it easier.
    """
    drafts = latest(refining)
    spoken = [draft for draft in drafts if draft.round == refining.round or draft.complete]
    agreed = _agreed(spoken, len(refining.team.members), alike)
    heard = {draft.agent for draft in spoken}
    everyone = bool(spoken) and all(agent in heard or agent in refining.silent for agent in refining.team.members)
    if agreed:
        return Outcome("stop", "more than two thirds agree", agreed=True)
    if not (everyone or late):
        return Outcome("wait", f"{len(spoken)} of {len(refining.team.members)} have spoken")
    if not drafts:
        return Outcome("stop", "nobody has spoken")
    return _ended(refining, drafts)


def _ended(refining: Refining, drafts: tuple[Draft, ...]) -> Outcome:
    """Decide a round that waits for nobody any more."""
    if all(draft.complete for draft in drafts):
        return Outcome("stop", "all who spoke are complete")
    if refining.round >= refining.team.rounds:
        return Outcome("stop", "the rounds are out")
    if refining.round > 0 and not _changed(refining):
        return Outcome("stop", "nothing changed")
    return Outcome("next", f"round {refining.round} is over")


def _agreed(drafts: Sequence[Draft], members: int, alike: float) -> bool:
    forms = [form(draft.outputs) for draft in drafts]
    largest = max((sum(similarity(one, other) >= alike for other in forms) for one in forms), default=0)
    return 3 * largest > 2 * members


def _changed(refining: Refining) -> bool:
    """Tell whether somebody's draft differs from the same member's draft before it."""
    for agent in refining.team.members:
        said = sorted((one for one in refining.drafts if one.agent == agent), key=lambda one: one.round)
        upto = [form(one.outputs).digest for one in said if one.round <= refining.round]
        if any(one != other for one, other in pairwise(upto[-2:])):
            return True
    return False
