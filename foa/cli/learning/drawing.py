"""What was learned as a picture in a file, drawn by matplotlib, which the extra ``bench`` brings along."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from foa.errors import ConfigError

if TYPE_CHECKING:
    from foa.cli.learning.survey import Step, Survey

_CURVES: Final = 8
"""Agents that have a curve of their own in the picture: those with most rewards."""
_KINDS: Final = 25
_HOUR: Final = 3600.0
MEND: Final = "pip install 'federation-of-agents[bench]'"


def figure_of(path: Path) -> Any:
    """Return matplotlib's class of figures, for `path`; ConfigError tells how to get it."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(f"--png {path}: needs matplotlib, which is not installed; {MEND}") from error
    return Figure


def draw(found: "Survey", figure_class: Any, agent: str = "") -> bytes:
    """Return a PNG of the shared weights (of `agent`: its own effects by kind of task) beside the curves of scores."""
    figure = figure_class(figsize=(12, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    bars = _effects(found, agent) if agent else [(weight.feature, weight.learned) for weight in found.shared]
    names, values = [name for name, _ in bars], [value for _, value in bars]
    left.barh(names[::-1], values[::-1], color=["tab:red" if value < 0.0 else "tab:blue" for value in values[::-1]])
    left.axvline(0.0, color="black", linewidth=0.8)
    left.set_xlabel("expected reward")
    left.set_title(f"{agent}: own effect by kind of task" if agent else "Shared weights: learned less prior")
    _curves(right, found, agent)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def _effects(found: "Survey", agent: str) -> list[tuple[str, float]]:
    (learnt,) = (each for each in found.agents if each.agent == agent)
    return [(skill.kind, skill.effect) for skill in sorted(learnt.kinds[:_KINDS], key=lambda skill: -skill.effect)]


def _curves(axes: Any, found: "Survey", agent: str) -> None:
    for each in found.agents[:_CURVES]:
        if not agent or each.agent == agent:
            axes.plot(*_points(each.curve, found.until), marker="o", markersize=3, label=each.agent)
    axes.plot(*_points(found.curve, found.until), color="black", linewidth=2, label="all agents")
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("hours before the latest record")
    axes.set_ylabel("mean score")
    axes.set_title(f"Scores over time ({found.features})")
    axes.legend(fontsize="small")


def _points(curve: "tuple[Step, ...]", until: float) -> tuple[list[float], list[float]]:
    known = [(step.at, step.score) for step in curve if step.score is not None]
    return [(at - until) / _HOUR for at, _ in known], [score for _, score in known]
