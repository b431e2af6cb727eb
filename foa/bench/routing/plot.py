"""The figures as a picture: bars beside the baselines, and the curve of learning."""

from pathlib import Path
from typing import Any

from foa.errors import ConfigError


def draw(found: dict[str, Any], path: Path) -> None:
    """Write a PNG; ConfigError if matplotlib is not there or the file cannot be written."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("--plot needs matplotlib: pip install 'federation-of-agents[bench]'") from error
    learned = found.get("online")
    figure = Figure(figsize=(11 if learned else 6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2 if learned else 1, squeeze=False)[0]
    names = list(found["ci95"])
    rows = {"foa": found, **found.get("baselines", {})}
    width = 0.8 / len(rows)
    for at, (label, row) in enumerate(rows.items()):
        errors = [row["ci95"][name][1] - row[name] for name in names]
        places = [x + at * width for x in range(len(names))]
        panels[0].bar(places, [row[name] for name in names], width, yerr=errors, label=label)
    panels[0].set_xticks([x + 0.4 - width / 2 for x in range(len(names))], names)
    panels[0].set_title(f"{found['queries']} queries to {found['agents']} agents")
    panels[0].legend()
    if learned:
        curve = learned["curve"]
        panels[1].plot([(at + 0.5) / len(curve) for at in range(len(curve))], curve, marker="o", label="learning")
        panels[1].axhline(found["hit@1"], linestyle="--", color="grey", label="without")
        title = f"hit@1 while profiles learn: up to {learned['attempts']} tried, told of the {learned['told']}"
        panels[1].set(title=title, xlabel="share of the queries", ylim=(0, 1))
        panels[1].legend()
    try:
        figure.savefig(path, format="png", dpi=120)
    except OSError as error:
        raise ConfigError(f"--plot {path}: {error}; give a file that can be written") from error
