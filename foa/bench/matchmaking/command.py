"""The commands ``foa bench matchmaking`` and ``foa bench bandit``; `foa.bench.main` registers them."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from foa.adapters.embed import MODEL, embedder
from foa.bench.matchmaking import measure, plot, speed, world
from foa.errors import ConfigError

EXAMPLES = """\b
Examples:
  foa bench matchmaking --agents agents.jsonl.gz --outcomes outcomes.jsonl.gz
  foa bench matchmaking --agents agents.jsonl.gz --outcomes outcomes.jsonl.gz --lambda 0 --lambda 0.3 --json
  foa bench matchmaking --agents agents.jsonl.gz --outcomes outcomes.jsonl.gz --drift best@0.5 --plot regret.png
"""

BANDIT_EXAMPLES = """\b
Examples:
  foa bench bandit
  foa bench bandit --arms 1000 --json
"""

CACHE = Path(".foa") / "bench-embeddings.sqlite"
MOST = 100.0


def matchmaking_command(
    *,
    agents: Annotated[Path, typer.Option(help="agents as JSON lines: id, name, description, prices")],
    outcomes: Annotated[Path, typer.Option(help="outcomes as JSON lines: id, query, score and cost per agent")],
    drift: Annotated[str, typer.Option(help="who breaks, and after which share of the queries: best@0.5")] = "",
    weights: Annotated[
        list[float] | None,
        typer.Option(
            "--lambda", help="reward = score - LAMBDA x cost / the dearest agent's mean cost; may be repeated"
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(help="runs, each with orders of its own", min=2, max=1000)] = 20,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="our policy with one thing changed each, instead")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the figures as JSON")] = False,
    picture: Annotated[Path | None, typer.Option("--plot", help="write the regret curves (PNG)")] = None,
    model: Annotated[str, typer.Option(help="embedding model; hash needs none")] = MODEL,
    cache: Annotated[Path, typer.Option(help="file of computed embeddings")] = CACHE,
    processes: Annotated[int, typer.Option(help="processes to run seeds in", min=1, max=64)] = 2,
) -> None:
    """Measure who learns fastest which agent to ask: each query once, only the chosen agent's outcome revealed."""
    chosen = tuple(weights or (0.0,))
    if any(not 0.0 <= weight <= MOST for weight in chosen):
        raise ConfigError(f"--lambda must be in [0, {MOST:g}]")

    def say(line: str) -> None:
        typer.echo(line, err=True)

    plan = measure.Plan(chosen, seeds, drift, ablation, processes)
    given = world.load(agents, outcomes, embedder(model, cache=cache), say)
    found = measure.measure(given, plan, say)
    if picture is not None:
        plot.draw(found, picture)
    typer.echo(json.dumps(found, indent=2) if as_json else table(found))


def table(found: dict[str, Any]) -> str:
    """Return the figures for people."""
    lines = [f"{found['queries']} queries, {found['agents']} agents, {found['seeds']} seeds"]
    for entry in found.get("lambdas", [found]):
        lines += ["", f"lambda {entry['lambda']:g}    reward  95 %              score   cost    linucb minus it, 95 %"]
        for name, row in sorted(entry["policies"].items(), key=lambda item: -item[1]["reward"]):
            low, high = row["ci95"]
            less = entry["linucb_minus"].get(name)
            apart = f"{less['difference']:+.4f} [{less['ci95'][0]:+.4f}, {less['ci95'][1]:+.4f}]" if less else ""
            shown = f"{row['reward']:.4f}  [{low:.4f}, {high:.4f}]  {row['score']:.4f}  {row['cost']:.4f}  {apart}"
            lines.append(f"{name:<26}  {shown}")
        lines += _drift_lines(entry.get("drift"))
    return "\n".join(lines)


def _drift_lines(drifted: dict[str, Any] | None) -> list[str]:
    if drifted is None:
        return []
    least = drifted["share"] * drifted["baseline"]
    broke = f"{drifted['agent']} breaks at {drifted['at']:g}; found out after {drifted['found_out_after']} tasks"
    lines = ["", f"{broke}; back: the mean of {drifted['window']} tasks is at least {least:.3f}"]
    for name, row in drifted["learners"].items():
        first = ", ".join(f"{count}: {value:.3f}" for count, value in row["mean_reward_first"].items())
        lines.append(f"{name:<26}  back after {row['recovered_after']}; mean reward of the first {first}")
    return lines


def bandit_command(
    arms: Annotated[int, typer.Option(help="agents to choose among", min=1, max=10_000)] = 100,
    dim: Annotated[int, typer.Option(help="features of a task", min=1, max=128)] = 32,
    shared: Annotated[int, typer.Option(help="shared features of an agent", min=1, max=64)] = 12,
    rounds: Annotated[int, typer.Option(help="rounds; the medians over them are reported", min=1)] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="print the figures as JSON")] = False,
) -> None:
    """Time choosing among agents and learning one reward: hybrid LinUCB beside mabwiser's, in one run."""
    found = speed.measure(arms, dim, shared, rounds)
    typer.echo(json.dumps(found, indent=2) if as_json else speed.table(found))
