"""How a cluster comes to one answer: five strategies, each with a criterion of its own, all keeping the best so far.

majority   the answer most members gave
weighted   the answer most likely right, members weighed by trust (`foa.core.cluster.belief`)
medoid     the text nearest to all others, weighed by trust
quadratic  members buy votes: v votes for one answer cost v**2 of a budget that trust sets
anchor     the draft its peers hold most of, after each was repaired once and the weak ones again

An agent's answer after the first is worth less than its first (it has seen the others'), and what was best is kept
unless something is better by the same criterion and on the same evidence. Ties go to who is trusted more, then to the
lower agent id, then to the earlier answer, so everybody with the same answers chooses the same.
"""

from collections.abc import Mapping, Sequence
from math import isfinite, sqrt
from typing import Final, NamedTuple, TypeVar

from foa.core.cluster.answers import ALIKE, MOST, NOTHING, Answer, Choice, Compared, bounded, compare, looks
from foa.core.cluster.belief import ECHO, posterior, weight
from foa.wire.ids import AgentId
from foa.wire.records import Strategy

CREDITS: Final = 100.0
"""What a fully trusted member may spend on votes in one cluster."""

WEAK: Final = 0.5
"""An answer with less of its peers' regard than this is repaired again (strategy *anchor*)."""

_MOST_VOTES: Final = 1e9

Key = TypeVar("Key")


class Kept(NamedTuple):
    """The best so far: ``choice`` with its place within the answers of ``round`` (0 is the first)."""

    round: int
    choice: Choice


class Case(NamedTuple):
    """Answers under judgement: compared, with each one's ``echo`` in (0, 1] and its author's ``trust`` in [0, 1].

    ``looks`` is, by group, the log-odds for what its answers look like.
    """

    answers: Sequence[Answer]
    compared: Compared
    echo: Sequence[float]
    trust: Sequence[float]
    looks: Mapping[int, float]


def settle(
    strategy: Strategy, answers: Sequence[Answer], trust: Mapping[AgentId, float], *, members: int = 0
) -> Choice | None:
    """Choose among `answers` of one round; None if there are none.

    ``trust`` is how often each agent is expected to be right, in [0, 1]. ``members`` counts the silent ones too (0:
    nobody is). Strategy "" chooses by what the answers are: where like answers exist and are short, or more than half,
    *weighted*; else *medoid*.
    """
    kept = best_so_far([answers], trust, strategy=strategy, members=members)
    return None if kept is None else kept.choice


def best_so_far(
    history: Sequence[Sequence[Answer]],
    trust: Mapping[AgentId, float],
    *,
    strategy: Strategy = "",
    members: int = 0,
    plausible: Mapping[str, float] = NOTHING,
) -> Kept | None:
    """Choose among all rounds' answers; None if there are none.

    ``plausible`` is what answers of each shape have for them, in log-odds (`foa.core.cluster.reputation.plausible`).
    The score of an answer counts every reply up to the last round, so the choice is never worse, by that score, than
    what was chosen before; what was chosen before stays unless something is better.
    """
    places = [(number, at) for number, answers in enumerate(history) for at in range(len(answers))][:MOST]
    if not places:
        return None
    answers = [history[number][at] for number, at in places]
    case = case_of(answers, trust, plausible)
    chosen = strategy or named(case.compared)
    scores = standings(chosen, case)
    empty = case.compared.empty
    best = min(
        range(len(answers)),
        key=lambda at: (-round(scores[at], 9), empty[at], places[at][0], -case.trust[at], answers[at].agent, at),
    )
    return Kept(places[best][0], _choice(chosen, case, best, places[best][1], scores[best], members))


def case_of(
    answers: Sequence[Answer], trust: Mapping[AgentId, float], plausible: Mapping[str, float] = NOTHING
) -> Case:
    """Return `answers`, in the order they were given, ready for judgement."""
    seen: set[AgentId] = set()
    echo: list[float] = []
    for answer in answers[:MOST]:
        echo.append(ECHO if answer.agent in seen else 1.0)
        seen.add(answer.agent)
    compared, known = compare(answers), [bounded(trust, answer.agent) for answer in answers[:MOST]]
    return Case(answers[:MOST], compared, echo, known, looks(compared, plausible))


def named(compared: Compared) -> Strategy:
    """Return the strategy that suits the answers: *weighted* where like answers decide, *medoid* where none are."""
    most = max((compared.group.count(number) for number in compared.group), default=0)
    decides = most > 1 and (2 * most > len(compared.group) or all(one.short for one in compared.forms))
    return "weighted" if decides else "medoid"


def standings(strategy: Strategy, case: Case) -> list[float]:
    """Return each answer's score in [0, 1] by the criterion of `strategy`; an empty answer has 0."""
    match strategy:
        case "majority":
            found = _shares(case, case.echo)
        case "weighted":
            found = _chances(case)
        case "quadratic":
            found = _bought(case)
        case "anchor":
            found = _regard(case)
        case _:
            found = _nearness(case)
    return [
        0.0 if empty else min(1.0, max(0.0, value)) for value, empty in zip(found, case.compared.empty, strict=True)
    ]


def weak(answers: Sequence[Answer], trust: Mapping[AgentId, float], *, below: float = WEAK) -> tuple[AgentId, ...]:
    """Return whose answers have less of their peers' regard than ``below``: those repair again (*anchor*)."""
    scores = standings("anchor", case_of(answers, trust))
    return tuple(sorted({one.agent for one, score in zip(answers, scores, strict=False) if score < below}))


def spent(votes: Mapping[Key, float], budget: float) -> dict[Key, float]:
    """Return `votes` as they count: v votes cost v**2, and who overspends has all its votes cut by one factor."""
    whole = {key: min(value, _MOST_VOTES) for key, value in votes.items() if isfinite(value) and value > 0.0}
    cost = sum(value**2 for value in whole.values())
    factor = sqrt(budget / cost) if cost > budget else 1.0
    return {key: value * factor for key, value in whole.items()}


def _shares(case: Case, weights: Sequence[float]) -> list[float]:
    """Return the share of all weight that is on each answer's group."""
    support: dict[int, float] = {}
    for number, empty, value in zip(case.compared.group, case.compared.empty, weights, strict=True):
        support[number] = support.get(number, 0.0) + (0.0 if empty else value)
    total = sum(weights) or 1.0
    return [support[number] / total for number in case.compared.group]


def _chances(case: Case) -> list[float]:
    weights = [weight(trust) * echo for trust, echo in zip(case.trust, case.echo, strict=True)]
    group = [-1 if empty else number for number, empty in zip(case.compared.group, case.compared.empty, strict=True)]
    found = posterior(group, weights, plausible=case.looks)
    return [found.get(number, 0.0) for number in group]


def _nearness(case: Case) -> list[float]:
    weights = [trust * echo for trust, echo in zip(case.trust, case.echo, strict=True)]
    total = sum(weights) or 1.0
    return [sum(value * near for value, near in zip(weights, row, strict=True)) / total for row in case.compared.near]


def _bought(case: Case) -> list[float]:
    """Tally the votes bought for each group of like answers: however many gave one answer, it is one candidate."""
    held = {answer.agent: number for answer, number in zip(case.answers, case.compared.group, strict=True)}
    tally: dict[int, float] = {}
    for at, answer in enumerate(case.answers):
        for number, value in spent(_wanted(answer, at, case, held), CREDITS * case.trust[at]).items():
            tally[number] = tally.get(number, 0.0) + value * case.echo[at]
    total = sum(tally.values()) or 1.0
    return [tally.get(number, 0.0) / total for number in case.compared.group]


def _wanted(answer: Answer, at: int, case: Case, held: Mapping[AgentId, int]) -> dict[int, float]:
    """Return the votes one author wants to give, by group; who names nobody puts all it has on its own answer."""
    votes: dict[int, float] = {}
    for agent, value in sorted(answer.votes.items())[:MOST]:
        if agent in held and isfinite(value) and value > 0.0:
            votes[held[agent]] = votes.get(held[agent], 0.0) + min(value, _MOST_VOTES)
    if votes or case.compared.empty[at]:
        return votes
    sure = 1.0 if answer.confidence is None else min(1.0, max(0.0, answer.confidence))
    return {case.compared.group[at]: sqrt(CREDITS * case.trust[at] * sure)}


def _regard(case: Case) -> list[float]:
    """Return what its peers hold of each answer: their vote for its author, else how near theirs are to it."""
    found = []
    for at, answer in enumerate(case.answers):
        total = value = 0.0
        for other, peer in enumerate(case.answers):
            if peer.agent == answer.agent:
                continue
            worth = case.trust[other] * case.echo[other]
            vote = peer.votes.get(answer.agent)
            near = case.compared.near[at][other]
            total += worth
            value += worth * (near if vote is None or not isfinite(vote) else min(1.0, max(0.0, vote)))
        found.append(value / total if total else case.trust[at])
    return found


def _choice(how: Strategy, case: Case, best: int, place: int, score: float, members: int) -> Choice:
    latest: dict[AgentId, int] = {answer.agent: at for at, answer in enumerate(case.answers)}
    near = case.compared.near[best]
    supporters = sum(near[at] >= ALIKE for at in latest.values())
    voters = max(members, len(latest))
    return Choice(
        place=place,
        agent=case.answers[best].agent,
        agreed=3 * supporters > 2 * voters,
        share=supporters / voters,
        how=how,
        credit={agent: near[at] for agent, at in sorted(latest.items())},
        score=score,
    )
