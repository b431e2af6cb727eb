"""One measurement: a file of debates in, accuracy and calls of every policy out, under the keys that scripts read."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple, get_args

import msgspec
import numpy as np

from foa.bench.refine.data import Debate, debates
from foa.bench.refine.policies import Escalating, Policy, Settling, Single, Team, Voting
from foa.bench.refine.replay import Score, figures, interval, replay
from foa.bench.refine.speed import speed
from foa.core.cluster.escalate import Rules
from foa.wire.records import Strategy

STRATEGIES: Final = tuple(name for name in get_args(Strategy) if name)
WORTHS: Final = (4.0, 8.0, 12.0, 16.0, 20.0, 40.0, 60.0, 100.0, 400.0)
"""What being right is worth, in calls: one point of the frontier each. The default of `Rules` is the entry itself."""
MOST_SINGLES: Final = 16
"""Agents whose own accuracy is listed: the best ones, in hindsight."""

Say = Callable[[str], None]


class Plan(NamedTuple):
    """What is measured: a file, how many shuffled runs, how many of its debates (0: all)."""

    path: Path
    seeds: int = 5
    limit: int = 0


def measure(plan: Plan, say: Say) -> dict[str, Any]:
    """Return the figures of `plan`; ConfigError names what is wrong with the file."""
    rows = debates(plan.path)
    if 0 < plan.limit < len(rows):
        rows = tuple(Random(0).sample(rows, plan.limit))
    scores: dict[str, Score] = {}
    for name, make in policies(rows).items():
        say(f"replaying {name}")
        scores[name] = replay(rows, make, plan.seeds)
    first = scores["vote_first"]
    found: dict[str, Any] = {"debates": len(rows), "agents": max(len(row.agents) for row in rows), "seeds": plan.seeds}
    entries = {name: figures(score) for name, score in scores.items()}
    for name in (*STRATEGIES, "escalating", "escalating_agreement"):
        found[name] = entries[name] | {"above_vote_first": _above(scores[name], first)}
    tops = {*STRATEGIES, "escalating", "escalating_agreement"}
    found["baselines"] = {name: row for name, row in entries.items() if name not in tops and "@" not in name}
    found["baselines"]["oracle"] = {"accuracy": oracle(rows), "calls": _calls(rows)}
    frontier = [{"policy": name, "accuracy": row["accuracy"], "calls": row["calls"]} for name, row in entries.items()]
    found["frontier"] = sorted(frontier, key=lambda row: (row["calls"], -row["accuracy"], row["policy"]))
    found["dominance"] = dominance(scores)
    found["us_per_decision"] = speed(rows)
    return found


def policies(rows: Sequence[Debate]) -> dict[str, Callable[[], Policy]]:
    """Return how to make each policy, by name; only the hindsight ones have seen the verdicts of `rows`."""
    size, rounds = max(len(row.agents) for row in rows), max(len(row.answers) for row in rows)
    found: dict[str, Callable[[], Policy]] = {name: partial(Settling, name, verdicts=True) for name in STRATEGIES}
    found["weighted_agreement"] = partial(Settling, "weighted")
    for label, verdicts in (("escalating", True), ("escalating_agreement", False)):
        found[label] = partial(Escalating, Rules(), verdicts=verdicts)
        for worth in WORTHS:
            rules = msgspec.structs.replace(Rules(), worth=worth)
            found[f"{label}@{worth:g}"] = partial(Escalating, rules, verdicts=verdicts)
    for count in range(1, size + 1):
        found[f"team_random_{count}"] = partial(Voting, count)
        found[f"team_trusted_{count}"] = partial(Team, count)
        found[f"team_trusted_feedback_{count}"] = partial(Team, count, verdicts=True)
        found[f"team_informed_{count}"] = partial(Team, count, informed=True)
    found["vote_first"] = Voting
    for count in range(2, rounds):
        found[f"vote_round_{count}"] = partial(Voting, rounds=count)
    found["vote_last"] = partial(Voting, rounds=0)
    found["vote_all"] = partial(Voting, rounds=0, every=True)
    names = sorted({agent for row in rows for agent in row.agents}, key=lambda agent: (-_rate(rows, agent), agent))
    found["single_best"] = partial(Single, names)
    for agent in names[:MOST_SINGLES]:
        found[f"single:{agent}"] = partial(Single, [agent])
    return found


def oracle(rows: Sequence[Debate]) -> float:
    """Return how often anybody's answer in any round is right."""
    return round(float(np.mean([any(value for one in row.right for value in one.values()) for row in rows])), 4)


def dominance(scores: dict[str, Score]) -> dict[str, Any]:
    """Return, for each policy of a fixed team, the escalation that is best at no more calls, and the difference.

    ``at`` is the best point of `escalating` with at most the policy's calls and what trials cost (`trial_calls`: what
    the cheapest point pays beyond one call to know its agents); ``accuracy`` and ``calls`` are escalation's minus the
    policy's, paired by debate, with the 95 % interval of the accuracy.
    """
    fixed = [name for name in scores if name.startswith(("team_", "vote_", "single_best"))]
    found: dict[str, Any] = {}
    for label in ("escalating", "escalating_agreement"):
        points = [name for name in scores if name == label or name.startswith(f"{label}@")]
        trial = max(0.0, min(float(np.nanmean(scores[name].calls)) for name in points) - 1.0)
        rows = {}
        for name in fixed:
            most = float(np.nanmean(scores[name].calls)) + trial + 1e-9
            within = [point for point in points if float(np.nanmean(scores[point].calls)) <= most]
            best = max(within, key=lambda point: float(np.nanmean(scores[point].right)))
            gain = scores[best].right - scores[name].right
            rows[name] = {
                "at": best,
                "accuracy": round(float(np.nanmean(gain)), 4),
                "ci95": interval(gain),
                "calls": round(float(np.nanmean(scores[best].calls) - np.nanmean(scores[name].calls)), 4),
            }
        found[label] = {"trial_calls": round(trial, 4), "over": rows}
    return found


def table(found: dict[str, Any]) -> str:
    """Return the figures for people."""
    lines = [f"{found['debates']} debates of up to {found['agents']} agents, {found['seeds']} shuffled runs", ""]
    lines.append(f"{'policy':28}{'accuracy':>10}{'95 % interval':>20}{'calls':>9}")
    tops = [name for name in (*STRATEGIES, "escalating", "escalating_agreement") if name in found]
    for name, row in [*((name, found[name]) for name in tops), ("", None), *found["baselines"].items()]:
        if row is None:
            lines.append("")
            continue
        span = "[{:.3f}, {:.3f}]".format(*row["ci95"]["accuracy"]) if "ci95" in row else ""
        lines.append(f"{name:28}{row['accuracy']:>10.4f}{span:>20}{row['calls']:>9.3f}")
    lines += ["", "escalation by what being right is worth, in calls:"]
    for row in found["frontier"]:
        if "@" in row["policy"]:
            lines.append(f"{row['policy']:28}{row['accuracy']:>10.4f}{'':>20}{row['calls']:>9.3f}")
    lines += ["", "microseconds per decision: " + ", ".join(f"{k} {v}" for k, v in found["us_per_decision"].items())]
    return "\n".join(lines)


def _rate(rows: Sequence[Debate], agent: str) -> float:
    return float(np.mean([row.right[0][agent] for row in rows if agent in row.right[0]]))


def _calls(rows: Sequence[Debate]) -> float:
    return round(float(np.mean([sum(map(len, row.answers)) for row in rows])), 4)


def _above(score: Score, first: Score) -> dict[str, Any]:
    gain = score.right - first.right
    return {"accuracy": round(float(np.nanmean(gain)), 4), "ci95": interval(gain)}
