"""The regret of every policy as a picture, one panel per λ, and the recovery from a break."""

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
    entries = found.get("lambdas", [found])
    figure = Figure(figsize=(6.5 * len(entries), 5), layout="constrained")
    FigureCanvasAgg(figure)
    for panel, entry in zip(figure.subplots(1, len(entries), squeeze=False)[0], entries, strict=True):
        regret = entry["regret"]
        last = {name: curve[-1] for name, curve in regret["curves"].items()}
        for name in sorted(last, key=lambda name: -last[name]):
            if name not in {"oracle", "best-single"}:
                width = 2.5 if name == "linucb" else 1.2
                panel.plot(regret["queries"], regret["curves"][name], label=name, linewidth=width)
        panel.axhline(0.0, color="grey", linestyle="--", linewidth=1.0, label="best-single")
        panel.set(title=f"λ = {entry['lambda']:g}, {found['seeds']} seeds", xlabel="queries")
        panel.set_ylabel("cumulative regret against the best single agent")
        panel.legend(fontsize="small")
    try:
        figure.savefig(path, format="png", dpi=120)
    except OSError as error:
        raise ConfigError(f"--plot {path}: {error}; give a file that can be written") from error
