"""One member's view of its cluster: whose drafts it holds, and whether the round waits, ends or is the last.

The agent's machine adds every `Draft` it hears (its own too), asks `status` after each and when its round
timer goes off, and advances. Every member decides for itself; what ends a cluster early only grows with
further drafts, so members that hear them in another order, or later, come to the same end. Silence costs a
round its time and never more; who is slow catches up with the round that most others are in. A member speaks
once a round at most, so a cluster of n members and k rounds carries at most k * n + n drafts.
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

    ``silent`` are members that let a round pass: they are not waited for again until they keep up. ``guests`` are the
    last drafts of those who work on other subtasks: shown, never counted. ``subtask`` "" takes drafts for any.
    """

    team: Team
    round: int = 0
    drafts: tuple[Draft, ...] = ()
    silent: tuple[AgentId, ...] = ()
    guests: tuple[Draft, ...] = ()
    subtask: str = ""


class Outcome(NamedTuple):
    """What to do now and why: wait for more drafts, go to the next round, or stop (``agreed`` or not)."""

    verdict: Verdict
    reason: str
    agreed: bool = False


def add(refining: Refining, draft: Draft) -> tuple[Refining, str]:
    """Return the view with `draft` in it, or unchanged with the reason why the draft is dropped.

    A draft of a round to come is kept: its author was faster; one of a round that is over too, unless its author has
    said more since. A second one for the same round is not. Under another award its author begins anew.
    """
    team = refining.team
    ours = not refining.subtask or draft.subtask in ("", refining.subtask)
    if draft.cluster == team.id and draft.agent in team.guests and not (ours and draft.agent in team.members):
        others = tuple(one for one in refining.guests if one.agent != draft.agent)
        return msgspec.structs.replace(refining, guests=(*others, draft)), ""
    if draft.cluster != team.id or draft.agent not in team.members or not ours:
        return refining, f"{draft.agent} is no member of {team.id}"
    if draft.round > team.rounds:
        return refining, f"round {draft.round} is beyond the last, {team.rounds}"
    drafts = tuple(one for one in refining.drafts if one.agent != draft.agent or one.award == draft.award)
    said = [one.round for one in drafts if one.agent == draft.agent]
    if any(number > draft.round for number in said):
        return refining, f"round {draft.round} of {draft.agent} is over"
    if draft.round in said:
        return refining, f"{draft.agent} has spoken in round {draft.round}"
    keeps_up = draft.round >= refining.round
    silent = tuple(agent for agent in refining.silent if agent != draft.agent or not keeps_up)
    return msgspec.structs.replace(refining, drafts=(*drafts, draft), silent=silent), ""


def latest(refining: Refining) -> tuple[Draft, ...]:
    """Return each member's draft of the current round, in the order of the team's members.

    Who is ahead counts with its first draft from this round on, who is behind with its last one.
    """
    found: dict[AgentId, Draft] = {}
    for draft in sorted(refining.drafts, key=lambda draft: draft.round):
        held = found.get(draft.agent)
        if held is None or held.round < refining.round:
            found[draft.agent] = draft
    return tuple(found[agent] for agent in refining.team.members if agent in found)


def peers(refining: Refining, me: AgentId) -> tuple[Draft, ...]:
    """Return the others' last drafts, members first, then guests: what this member revises its own against."""
    guests = tuple(sorted(refining.guests, key=lambda draft: draft.agent))
    return (*(draft for draft in latest(refining) if draft.agent != me), *guests)


def advance(refining: Refining) -> Refining:
    """Return the view one round on; drafts that nothing can ask for any more are let go."""
    spoke = {draft.agent for draft in refining.drafts if draft.round >= refining.round or draft.complete}
    silent = tuple(agent for agent in refining.team.members if agent not in spoke)
    return _at(refining, refining.round + 1, silent)


def caught_up(refining: Refining, me: AgentId) -> Refining:
    """Return the view in the round that more than half of the others have reached, if that is further.

    More than half, so that a single member cannot hurry its cluster to its last round.
    """
    reached = dict.fromkeys((agent for agent in refining.team.members if agent != me), 0)
    for draft in refining.drafts:
        if draft.agent in reached:
            reached[draft.agent] = max(reached[draft.agent], draft.round)
    paces = sorted(reached.values(), reverse=True)
    pace = paces[len(paces) // 2] if paces else 0
    return refining if pace <= refining.round else _at(refining, pace, refining.silent)


def _at(refining: Refining, number: int, silent: tuple[AgentId, ...]) -> Refining:
    """Return the view in round `number`: of what was said before it only each member's last word is kept."""
    last = {draft.agent: draft.round for draft in sorted(refining.drafts, key=lambda one: one.round) if
            draft.round < number}  # fmt: skip
    kept = tuple(one for one in refining.drafts if one.round >= number or last[one.agent] == one.round)
    return msgspec.structs.replace(refining, round=number, drafts=kept, silent=silent)


def status(refining: Refining, *, late: bool = False, alike: float = ALIKE) -> Outcome:
    """Decide the current round. ``late``: its time is out, whoever is silent is not waited for.

    A member that said it is complete need not speak again. Agreement is more than two thirds of *all*
    members, so silence never makes it easier. One member alone has nobody to agree with: it looks at its guests once.
    """
    drafts = latest(refining)
    members = refining.team.members
    spoken = [draft for draft in drafts if draft.round >= refining.round or draft.complete]
    if len(members) == 1 and spoken and refining.guests and refining.round == 0 and refining.team.rounds:
        return Outcome("next", "guests have spoken")
    if _agreed(spoken, len(members), alike):
        return Outcome("stop", "more than two thirds agree", agreed=True)
    heard = {draft.agent for draft in spoken}
    everyone = bool(spoken) and all(agent in heard or agent in refining.silent for agent in members)
    if not (everyone or late):
        return Outcome("wait", f"{len(spoken)} of {len(members)} have spoken")
    if not drafts:
        return Outcome("stop", "nobody has spoken")
    return _ended(refining, drafts)


def critical(team: Team) -> bool:
    """Tell whether round 1 is for critiques alone: strategy *anchor*, if a round is left to repair by them."""
    return team.strategy == "anchor" and team.rounds > 1


def _ended(refining: Refining, drafts: tuple[Draft, ...]) -> Outcome:
    """Decide a round that waits for nobody any more."""
    if all(draft.complete for draft in drafts):
        return Outcome("stop", "all who spoke are complete")
    if refining.round >= refining.team.rounds:
        return Outcome("stop", "the rounds are out")
    if refining.round > int(critical(refining.team)) and not _changed(refining):
        return Outcome("stop", "nothing changed")
    return Outcome("next", f"round {refining.round} is over")


def _agreed(drafts: Sequence[Draft], members: int, alike: float) -> bool:
    forms = [form(draft.outputs) for draft in drafts]
    largest = max((sum(similarity(one, other) >= alike for other in forms) for one in forms), default=0)
    return 3 * largest > 2 * members


def _changed(refining: Refining) -> bool:
    """Tell whether somebody's draft differs from the same member's before it, or is its first with critiques."""
    for agent in refining.team.members:
        said = sorted((one for one in refining.drafts if one.agent == agent), key=lambda one: one.round)
        upto = [one for one in said if one.round <= refining.round]
        for before, after in pairwise(upto[-2:]):
            if after.critiques and not before.critiques:
                return True
            if form(before.outputs).digest != form(after.outputs).digest:
                return True
    return False
