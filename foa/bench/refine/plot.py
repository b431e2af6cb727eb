"""The figures as a picture: accuracy against calls, every policy a point, escalation a line."""

from pathlib import Path
from typing import Any

from foa.errors import ConfigError


def draw(found: dict[str, Any], path: Path) -> None:
    """Write a PNG or SVG; ConfigError if matplotlib is not there or the file cannot be written."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("--plot needs matplotlib: pip install 'federation-of-agents[bench]'") from error
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for label, marker in (("escalating", "o"), ("escalating_agreement", "s")):
        line = [row for row in found["frontier"] if row["policy"].split("@")[0] == label]
        axes.plot([row["calls"] for row in line], [row["accuracy"] for row in line], marker=marker, label=label)
    for label in ("team_random", "team_trusted", "team_informed", "vote", "single"):
        points = [row for row in found["frontier"] if row["policy"].startswith(label)]
        axes.scatter([row["calls"] for row in points], [row["accuracy"] for row in points], label=label, s=18)
    for row in found["frontier"]:
        if row["policy"] in found and not row["policy"].startswith("escalating"):
            axes.scatter(row["calls"], row["accuracy"], marker="x", color="black")
            axes.annotate(row["policy"], (row["calls"], row["accuracy"]), fontsize=7)
    title = f"{found['debates']} debates of up to {found['agents']} agents, {found['seeds']} runs"
    axes.set(title=title, xlabel="calls per problem", ylabel="accuracy")
    axes.legend(fontsize=8)
    try:
        figure.savefig(path, format=path.suffix.removeprefix(".") or "png", dpi=120)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--plot {path}: {error}; give a .png or .svg file that can be written") from error
