"""One award as a member of a cluster: says a draft a round, hears the others', revises, answers with its best.

Each round is one frame a member, retained for as long as the cluster may last, so that who subscribes late has the
others' last drafts; nothing is said twice. Strategy *anchor* with two rounds or more: round 1 is for critiques alone,
in round 2 each draft is repaired by them, in round 3 the weak ones are once more. Otherwise a member critiques
and revises in the same round. A revision that fails lets the draft stand.
"""

import msgspec

from foa.core import effects as fx
from foa.core.cluster.rounds import Outcome, Refining, add, advance, caught_up, critical, latest, peers, status
from foa.core.effects import Effect, Event
from foa.core.machines.agent.regard import ballot, best, weaklings
from foa.core.machines.agent.reply import Made, Stepped, answer, charged, send, watch
from foa.core.machines.agent.state import Charged, Context, Job, Joined, Running, Stumbled, Yielded
from foa.wire.messages import Award, Draft, Progress


def cluster_of(award: Award) -> Refining | None:
    """Return the empty view of the cluster an award belongs to; None if it belongs to none, or is alone in it."""
    team = award.team
    if team is None or (len(team.members) < 2 and not team.guests):  # noqa: PLR2004 - a pair is the least
        return None
    return Refining(team, subtask=award.subtask.id)


def overheard(refining: Refining | None, context: Context, draft: Draft) -> Refining | None:
    """Take a draft heard before this member has one of its own; its own of an earlier life is none."""
    if refining is None or draft.agent == context.profile.agent:
        return refining
    return add(refining, draft)[0]


def join(context: Context, state: Running, refining: Refining, made: Yielded, now: float) -> Stepped:
    """Say the first draft, in the round that most others have reached."""
    joined = Joined(
        state.award, state.began, state.ends, refining, (), state.inputs, asked=state.began, bill=state.bill
    )
    return _spoken(context, joined, made, now)


def joined(context: Context, state: Joined, event: Event, now: float) -> Stepped | None:
    """Take an event that is the cluster's; None if it is not."""
    match event:
        case fx.Told(_, Draft() as draft):
            return _heard(context, state, draft, now)
        case fx.Returned("revised", Yielded() as made, ""):
            return _spoken(context, state, made, now)
        case fx.Returned("revised", Stumbled(kind="failed" | "declined", refutes=""), _):
            return _stands(context, state, now)
        case fx.Returned("revised", None, error) if error:
            return _stands(context, state, now)
        case fx.Elapsed("hung") if state.busy and state.tried:
            after, effects = _stands(context, state, now)
            return after, [fx.Request("cancel", "", state.award.award), *effects]
        case fx.Elapsed("round") if not state.busy:
            return consider(context, state, now, late=True)
        case _:
            return None


def give_best(context: Context, state: Joined, now: float, *, agreed: bool) -> Stepped:
    """Answer with the best of its own drafts, as held against what the others said last."""
    others = _others(context, state)
    mine = best(state.tried, others, state.refining.team.trust)
    votes = ballot(state.refining.team, mine, others, state.scores)
    return answer(context, state, Made.of(mine, agreed=agreed, votes=votes), now)


def consider(context: Context, state: Joined, now: float, *, late: bool) -> Stepped:
    """Ask the rounds what to do: wait, go on, or answer."""
    if state.busy:
        return state, []
    outcome = _bounded(state, status(state.refining, late=late), now)
    if outcome.verdict == "wait":
        return state, []
    if outcome.verdict == "stop":
        return give_best(context, state, now, agreed=outcome.agreed)
    return _on(context, state, now)


def _bounded(state: Joined, outcome: Outcome, now: float) -> Outcome:
    """Hold another round against what is left of time and money, judged by what a round took so far."""
    if outcome.verdict != "next" or state.resting:
        return outcome
    budget, spent = state.award.budget, 0.0 if state.bill is None else state.bill.cost
    if budget is not None and spent + spent / state.jobs > budget:
        return Outcome("stop", "the budget is out")
    if now + state.longest >= state.ends:
        return Outcome("stop", "the time is out")
    return outcome


def _on(context: Context, state: Joined, now: float) -> Stepped:
    """Go one round on: ask the handler, or, with nothing more to say, listen."""
    weak: tuple[str, ...] = ()
    team = state.refining.team
    if team.strategy == "anchor" and state.mended:
        weak = weaklings(latest(state.refining), team.trust)
        if context.profile.agent not in weak or state.mended > 1:
            return give_best(context, state, now, agreed=False)
    refining = advance(state.refining)
    if weak:  # whose draft stands has answered by now
        strong = (agent for agent in team.members if agent not in weak)
        refining = msgspec.structs.replace(refining, silent=tuple(dict.fromkeys((*refining.silent, *strong))))
    state = msgspec.structs.replace(state, refining=refining)
    if state.resting:
        timer = fx.Wake("round", now + team.round_ms / 1000)
        after, effects = consider(context, state, now, late=False)
        return after, [timer, *effects]
    others = peers(refining, context.profile.agent)
    only = critical(team) and refining.round == 1
    mine = best(state.tried, _others(context, state), team.trust)
    left = max(1, int((state.ends - now) * 1000))
    job = Job(state.award, state.inputs, left, refining.round, mine.outputs, others, only)
    state = msgspec.structs.replace(state, busy=True, asked=now, jobs=state.jobs + 1, mended=state.mended + (not only))
    return state, [fx.Sleep("round"), *watch(context, now), fx.Request("handler", "revised", job)]


def _spoken(context: Context, state: Joined, made: Yielded, now: float, *, complete: bool = False) -> Stepped:
    """Say this member's draft and all it has to say of the others', and see whether the round is over."""
    me, award = context.profile.agent, state.award
    refining = caught_up(state.refining, me)
    team = refining.team
    bill = charged(state.bill, Charged(made.cost)) if made.cost else state.bill
    members = {agent for agent in team.members if agent != me}
    before = best(state.tried, _others(context, state), team.trust) if state.tried else None
    outputs = made.outputs if made.outputs is not None else before.outputs if before else ()
    sure = made.confidence
    if made.outputs is None and sure is None and before is not None:
        sure = before.confidence
    draft = Draft(
        award.award, award.task, team.id, me, refining.round, outputs, complete or refining.round >= team.rounds,
        award.subtask.id, {agent: words[:500] for agent, words in sorted(made.critiques.items()) if agent in members},
        confidence=sure,
    )  # fmt: skip
    scores = {**state.scores, **{agent: score for agent, score in made.scores.items() if agent in members}}
    draft = msgspec.structs.replace(draft, votes=ballot(team, draft, peers(refining, me), scores))
    refining, _ = add(refining, draft)
    state = msgspec.structs.replace(
        state,
        refining=refining,
        tried=(*state.tried, draft),
        busy=False,
        longest=max(state.longest, now - state.asked),
        resting=draft.complete,
        scores=scores,
        bill=bill,
    )
    effects: list[Effect] = [_published(context, state, draft, now), fx.Wake("round", now + team.round_ms / 1000)]
    effects.append(fx.Sleep("hung"))
    if refining.round:
        what = "critiqued" if critical(team) and refining.round == 1 else "revised"
        said = Progress(award.award, award.task, me, text=what, round=refining.round)
        effects.append(send(context, award, said))
    after, more = consider(context, state, now, late=False)
    return after, [*effects, *more]


def _stands(context: Context, state: Joined, now: float) -> Stepped:
    """Let the draft stand for good: its revision failed, and asking again is not worth another failure."""
    after, effects = _spoken(context, state, Yielded(None), now, complete=True)
    return after, [fx.Measure("foa_revisions_failed_total"), *effects]


def _published(context: Context, state: Joined, draft: Draft, now: float) -> Effect:
    """Publish a draft, kept for who subscribes late for as long as the cluster may last."""
    team = draft.cluster
    topic = context.topics.channel(state.award.task, team, context.profile.agent)
    rounds_s = (state.refining.team.rounds + 1) * state.refining.team.round_ms / 1000
    expiry_s = max(1, int(min(rounds_s, state.ends - now)) + 1)
    return fx.Publish(topic, draft, retain=True, expiry_s=expiry_s)


def _heard(context: Context, state: Joined, draft: Draft, now: float) -> Stepped:
    """Take a peer's draft."""
    if draft.agent == context.profile.agent:  # retained from an earlier life
        return state, []
    refining, refused = add(state.refining, draft)
    if refused:
        return state, [fx.Measure("foa_drafts_refused_total")]
    return consider(context, msgspec.structs.replace(state, refining=refining), now, late=False)


def _others(context: Context, state: Joined) -> tuple[Draft, ...]:
    """Return what the other members of the team said last."""
    members = state.refining.team.members
    return tuple(
        draft for draft in peers(state.refining, context.profile.agent) if draft.agent in members
        and draft.subtask in ("", state.award.subtask.id)
    )  # fmt: skip
