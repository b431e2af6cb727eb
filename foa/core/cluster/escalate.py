"""How many to ask: one more while that is worth its price, after ACAR (team size by disagreement, cheap probes first).

Called by the owner of a subtask with the answers it has. The chance that the leading answer is right
(`foa.core.cluster.belief`) is what one has; one more answer may change who leads. By the value of information (Howard
1966) a probe is asked while

    worth * (E[chance of the leader after it, and after what is asked then] - chance of the leader now) > prices paid,

looked ahead over the next few members in their order, stopping as soon as that is best (as in a sequential test). Who
was asked is never asked again, only refined: when no further probe is worth its price, one more round among those who
were asked is held to mend the share `Rules.mend` of what is still in doubt.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Final, Literal, NamedTuple

import msgspec

from foa.core.cluster.answers import NOTHING, Answer
from foa.core.cluster.belief import ALTERNATIVES, SUREST, posterior, weight
from foa.core.cluster.strategies import Case, case_of
from foa.wire.ids import AgentId

AHEAD: Final = 3
"""Members that are looked ahead over: what a second and third probe could change counts for the first."""

LEADING: Final = 4
"""Groups of answers that are looked ahead over: the strongest; one more answer will not make another lead."""

PRIOR_ANSWERS: Final = 4.0
"""How many answers a trust is worth before any was judged: its doubt is that of so many more."""

_HARDLY: Final = 1e-9


class Member(NamedTuple):
    """One agent that may be asked: its ``price``, its ``trust`` (how often it is right, [0, 1]), if it was asked.

    ``known`` is how many of its answers were judged: who may be the best, for all that is known, is asked along.
    """

    agent: AgentId
    price: float
    trust: float
    asked: bool = False
    known: float = float("inf")


class Rules(msgspec.Struct, frozen=True):
    """What an answer's being right is ``worth``, in units of price; what may be spent yet (``budget``).

    ``rounds`` of refinement are left; one more is held to mend the share ``mend`` of what is in doubt. For
    ``alternatives`` see `foa.core.cluster.belief`. A member of whom fewer than ``least`` answers were judged is asked
    whatever it adds now, and up to ``trial`` answers as long as it is within ``doubt`` standard errors of the most
    trusted: a bounded price, paid once, for knowing whom to ask first ever after.
    """

    worth: float = 30.0
    budget: float = float("inf")
    rounds: int = 0
    mend: float = 0.25
    alternatives: int = ALTERNATIVES
    ahead: int = AHEAD
    trial: int = 64
    least: int = 16
    doubt: float = 1.0


class Move(NamedTuple):
    """What to do next: accept the leading answer, ask ``agents`` first, or let ``agents`` refine for one round.

    ``confidence`` in [0, 1] is the chance that the leading answer is right.
    """

    kind: Literal["accept", "ask", "refine"]
    agents: tuple[AgentId, ...]
    reason: str
    confidence: float


DEFAULT: Final = Rules()


def next_move(
    answers: Sequence[Answer],
    pool: Sequence[Member],
    rules: Rules = DEFAULT,
    plausible: Mapping[str, float] = NOTHING,
) -> Move:
    """Decide from `answers` (all replies so far, oldest first) whether anybody of `pool` is asked, or all refine.

    ``plausible`` is what answers of each shape have for them, in log-odds (`foa.core.cluster.reputation.plausible`).
    """
    trust = {member.agent: member.trust for member in pool}
    case = case_of(answers, trust, plausible)
    support = _support(case, rules.alternatives)
    sure = max(_chances(support, rules).values(), default=0.0)
    spoken = {answer.agent for answer in answers}
    fresh = [member for member in pool if not member.asked and member.agent not in spoken]
    payable = sorted((one for one in fresh if one.price <= rules.budget), key=lambda one: _alone(one, rules))
    asked = tuple(sorted(member.agent for member in pool if member.asked or member.agent in spoken))
    probe, why = _probe(support, payable, asked, rules, unproven(pool, rules))
    if probe is not None:
        return Move("ask", (probe.agent,), f"{sure:.2f} sure, {why}", sure)
    price = sum(member.price for member in pool if member.agent in asked)
    mended = rules.worth * rules.mend * (1.0 - sure) if rules.rounds > 0 and len(asked) > 1 else 0.0
    if price <= rules.budget and mended > price:
        return Move("refine", asked, f"{sure:.2f} sure, a round may mend it", sure)
    why = "nobody is left" if not fresh else "the budget is out" if not payable else "one more is not worth its price"
    return Move("accept", (), f"{sure:.2f} sure, {why}", sure)


def _alone(member: Member, rules: Rules) -> tuple[float, AgentId]:
    """Return where a probe stands in line: by what it is worth alone, less its price."""
    return member.price - rules.worth * min(1.0, max(0.0, member.trust)), member.agent


def unproven(pool: Sequence[Member], rules: Rules) -> frozenset[AgentId]:
    """Return who of `pool` might yet turn out to be the most trusted, and is asked along to find that out."""
    if not pool:
        return frozenset()
    first = min(pool, key=lambda one: (-_likely(one), one.agent))
    found = [one.agent for one in pool if one.known < min(rules.least, rules.trial)]
    for one in pool:
        error = rules.doubt * sqrt(_variance(one) + _variance(first))
        if one is not first and one.known < rules.trial and _likely(first) - _likely(one) < error:
            found.append(one.agent)
    return frozenset(found)


def _likely(member: Member) -> float:
    return min(1.0, max(0.0, member.trust))


def _variance(member: Member) -> float:
    """Return the variance of a member's trust, that of a mean of as many answers as were judged."""
    return _likely(member) * (1.0 - _likely(member)) / (PRIOR_ANSWERS + max(0.0, member.known))


def _probe(
    support: Mapping[int, float],
    payable: Sequence[Member],
    asked: Sequence[AgentId],
    rules: Rules,
    tried: frozenset[AgentId],
) -> tuple[Member | None, str]:
    """Return who of `payable` is asked next, if anybody, and why."""
    strange = [member for member in payable if member.agent in tried]
    if strange and asked:
        return strange[0], f"{strange[0].agent} is not known yet"
    leading = sorted(support, key=lambda number: (-support[number], number))[:LEADING]
    support = {number: support[number] for number in leading}
    chances = _chances(support, rules)
    worth = {
        at: _asked(support, chances, _line(payable, at, rules), rules) for at in range(min(len(payable), rules.ahead))
    }
    best = max(worth, key=lambda at: (round(worth[at], 9), -at), default=None)
    if best is None:
        return None, ""
    stop = rules.worth * max(chances.values(), default=0.0)
    return (payable[best], "one more is worth its price") if not asked or worth[best] > stop + _HARDLY else (None, "")


def _line(payable: Sequence[Member], first: int, rules: Rules) -> list[Member]:
    """Return the members that are looked ahead over, the one at ``first`` first."""
    return [payable[first], *payable[:first], *payable[first + 1 :]][: max(1, rules.ahead)]


def _chances(support: Mapping[int, float], rules: Rules) -> dict[int, float]:
    return posterior(list(support), list(support.values()), rules.alternatives)


def _support(case: Case, alternatives: int) -> dict[int, float]:
    """Return the evidence for each group of like answers."""
    found: dict[int, float] = {}
    for at, number in enumerate(case.compared.group):
        if not case.compared.empty[at]:
            before = found.get(number, case.looks.get(number, 0.0))
            found[number] = before + weight(case.trust[at], alternatives) * case.echo[at]
    return found


def _value(support: Mapping[int, float], fresh: Sequence[Member], rules: Rules) -> float:
    """Return the expected worth, less prices, of going on as is best with the members `fresh` in their order."""
    chances = _chances(support, rules)
    stop = rules.worth * max(chances.values(), default=0.0)
    return max(stop, _asked(support, chances, fresh, rules)) if fresh else stop


def _asked(support: Mapping[int, float], chances: Mapping[int, float], fresh: Sequence[Member], rules: Rules) -> float:
    """Return the expected worth of asking the first of `fresh` and going on as is best.

    It says what is right with its trust; what is wrong, each of the alternatives as likely, the groups among them.
    """
    member, later = fresh[0], fresh[1:]
    right = min(SUREST, max(1.0 - SUREST, member.trust))
    more = weight(member.trust, rules.alternatives)
    found, new = -member.price, 1.0
    for number, chance in chances.items():
        says = right * chance + (1.0 - right) * (1.0 - chance) / rules.alternatives
        new -= says
        found += says * _value({**support, number: support[number] + more}, later, rules)
    another = 1 + max(support, default=0)
    return found + max(0.0, new) * _value({**support, another: more}, later, rules)
