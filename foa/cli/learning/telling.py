"""What was learned, for people: tables with bars and curves, and the same as data."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from foa.cli.charts import WIDE, bar, short, sparkline
from foa.cli.learning.survey import Learnt, Step, Survey

if TYPE_CHECKING:
    from foa.cli.agents import Seen

AGENT_WIDTH: Final = 30
_NARROW: Final = 22
FEW: Final = 3
"""Kinds of task that are named of an agent among others."""
KINDS: Final = 15
"""Kinds of task that are listed of one agent."""
_LEAST: Final = 0.5
"""So much weight a kind has in an agent's rewards before it is named."""
_UNITS: Final = (("d", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))
_DIGITS: Final = 6
Row = dict[str, Any]


class Declared(NamedTuple):
    """What an agent's card says: USD a call, and its typical latency in ms."""

    price: float
    latency_ms: float


def declared(seen: "Sequence[Seen]") -> dict[str, Declared]:
    """Return what cards declare, by agent."""
    costs = {each.profile.agent: each.profile.resources for each in seen}
    return {agent: Declared(cost.price_call, cost.latency_ms) for agent, cost in costs.items()}


def ago(seconds: float) -> str:
    """Return a stretch of time in one number: ``3.2 h``."""
    unit, length = next(((unit, length) for unit, length in _UNITS if seconds >= length), _UNITS[-1])
    return f"{max(0.0, seconds) / length:.3g} {unit}"


def head(found: Survey, now: float) -> Iterator[str]:
    """Yield what this is the sum of."""
    nodes = found.coordinators
    names = ", ".join(nodes[:FEW]) + (" …" if len(nodes) > FEW else "")
    who = f"{len(nodes)} coordinator{'' if len(nodes) == 1 else 's'} ({names})"
    whom = f"{len(found.agents)} agents" if len(found.agents) > 1 else found.agents[0].agent
    yield f"{who} counted {found.rewards} rewards of {whom};"
    yield (
        f"by now they weigh {found.weight:.4g}; features {short(found.features, 40)}; "
        f"last written {ago(now - found.until)} ago"
    )
    if found.left_out:
        yield f"{found.left_out} records of other features (another model, another version) are left out"


def shared(found: Survey) -> list[Row]:
    """Return the shared weights, what was learned of each as a bar."""
    most = max((abs(weight.learned) for weight in found.shared), default=0.0)
    return [
        {
            "feature": weight.feature,
            "prior": f"{weight.prior:g}",
            "learned": f"{weight.learned:+.4f}",
            "": bar(weight.learned, most),
        }
        for weight in found.shared
    ]


SHARED: Final = ("feature", "prior", "learned", "")


def agents(found: Sequence[Learnt]) -> list[Row]:
    """Return how well agents did, and how that went over time."""
    return [
        {
            "agent": short(each.agent, AGENT_WIDTH),
            "rewards": each.rewards,
            "weight": f"{each.weight:.1f}",
            "mean score": f"{each.score:.3f}",
            "own effect": f"{each.effect:+.3f}",
            "scores over time": curve(each.curve),
        }
        for each in found
    ]


AGENTS: Final = ("agent", "rewards", "weight", "mean score", "own effect", "scores over time")


def curve(steps: Sequence[Step]) -> str:
    """Return a curve of scores from 0 to 1; a middle dot where nothing was scored."""
    return sparkline([step.score for step in steps]).replace(" ", "·")


def costs(found: Sequence[Learnt], cards: Mapping[str, Declared]) -> list[Row]:
    """Return what agents measured beside what they declare; those of which nothing was measured are left out."""
    rows = []
    for each in found:
        if each.paid <= 0.0:
            continue
        card = cards.get(each.agent)
        rows.append(
            {
                "agent": short(each.agent, _NARROW),
                "awards": f"{each.paid:.1f}",
                "USD measured": f"{each.price:.4g}",
                "expected": f"{each.expected:.4g}",
                "declared": f"{card.price:.4g}" if card else "no card",
                "latency measured": f"{each.ms:.0f} ms",
                "declared ": f"{card.latency_ms:.6g} ms" if card else "",
            }
        )
    return rows


COSTS: Final = ("agent", "awards", "USD measured", "expected", "declared", "latency measured", "declared ")


def strengths(each: Learnt) -> str:
    """Return a text of the kinds of task an agent stands out in, for better and for worse, by its own effect."""
    named = [skill for skill in each.kinds if skill.weight >= _LEAST]
    best = sorted(named, key=lambda skill: (-skill.effect, skill.kind))
    shown = best if len(best) <= 2 * FEW else [*best[:FEW], *best[-FEW:]]
    said = ", ".join(f"{skill.kind} {skill.effect:+.2f}" for skill in shown) or "too little is known"
    line = f"{short(each.agent, AGENT_WIDTH):<{AGENT_WIDTH}}  {said}"
    return textwrap.fill(line, WIDE, initial_indent="  ", subsequent_indent=" " * (AGENT_WIDTH + 4))


def skills(each: Learnt) -> list[Row]:
    """Return the kinds of task an agent had most rewards for, its own effect there as a bar."""
    shown = each.kinds[:KINDS]
    most = max((abs(skill.effect) for skill in shown), default=0.0)
    return [
        {
            "kind of task": skill.kind,
            "weight": f"{skill.weight:.2f}",
            "mean reward": f"{skill.reward:.3f}",
            "own effect": f"{skill.effect:+.3f}",
            "": bar(skill.effect, most),
        }
        for skill in shown
    ]


SKILLS: Final = ("kind of task", "weight", "mean reward", "own effect", "")


def data(found: Survey | None, cards: Mapping[str, Declared]) -> Row:
    """Return all of it as ``--json`` prints it; nothing learned is the same document with empty lists."""
    if found is None:
        return {"features": "", "coordinators": [], "rewards": 0, "shared": [], "agents": [], "curve": []}
    return {
        "features": found.features,
        "coordinators": found.coordinators,
        "until": found.until,
        "rewards": found.rewards,
        "weight": _round(found.weight),
        "left_out": found.left_out,
        "shared": [_rounded({**weight._asdict(), "learned": weight.learned}) for weight in found.shared],
        "agents": [_agent(each, cards.get(each.agent)) for each in found.agents],
        "curve": _steps(found.curve),
    }


def _agent(each: Learnt, card: Declared | None) -> Row:
    return {
        **_rounded(each._asdict()),
        "kinds": [_rounded(skill._asdict()) for skill in each.kinds],
        "curve": _steps(each.curve),
        "declared": card._asdict() if card else None,
    }


def _steps(curve: Sequence[Step]) -> list[Row]:
    return [_rounded(step._asdict()) for step in curve if step.rewards]


def _rounded(row: Row) -> Row:
    return {key: _round(value) for key, value in row.items()}


def _round(value: Any) -> Any:
    return round(value, _DIGITS) if isinstance(value, float) else value
