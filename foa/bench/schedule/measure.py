"""All workflows with all numbers of agents beside classical list scheduling, and what a subtask costs by plan size."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from foa.bench.schedule import classical, scaling
from foa.bench.schedule.replay import replay
from foa.bench.schedule.workflows import Workflow, load, synthetic


def measure(
    path: Path | None, agents: Sequence[int], most: int, rounds: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Return the figures; workflows of more than `most` steps are left out, and that is said."""
    given = load(path) if path is not None else synthetic()
    chosen = [one for one in given if len(one.seconds) <= most] if most else given
    if path is None:
        say("no --workflows: a made-up set")
    if len(chosen) < len(given):
        say(f"{len(given) - len(chosen)} workflows of more than {most} steps are left out")
    rows = [_row(workflow, machines, say) for workflow in chosen for machines in agents]
    ratios = sorted(row["ratio"] for row in rows)
    return {
        "source": str(path) if path is not None else "synthetic",
        "left_out": len(given) - len(chosen),
        "workflows": rows,
        "ratio_p50": round(median(ratios), 4) if ratios else None,
        "ratio_max": ratios[-1] if ratios else None,
        "over_1.05": sum(ratio > 1.05 for ratio in ratios),  # noqa: PLR2004 - the aim
        "scaling": scaling.measure(rounds=rounds) if rounds else {},
    }


def _row(workflow: Workflow, machines: int, say: Callable[[str], None]) -> dict[str, Any]:
    yardstick = classical.makespan(workflow, machines)
    ours = replay(workflow, machines)
    row = {
        "id": workflow.id,
        "steps": len(workflow.seconds),
        "agents": machines,
        "makespan_s": round(ours.makespan, 3),
        "list_s": round(yardstick, 3),
        "bound_s": round(classical.bound(workflow, machines), 3),
        "ratio": round(ours.makespan / yardstick, 4),
        "begun": ours.begun,
    }
    say(f"{workflow.id}: {len(workflow.seconds)} steps, {machines} agents: {row['ratio']}")
    return row


def table(found: dict[str, Any]) -> str:
    """Return the figures for people."""
    lines = [f"{'workflow':48} steps agents  makespan s  list sched. s     bound s   ratio"]
    lines += [
        f"{row['id'][-48:]:48} {row['steps']:5} {row['agents']:6} {row['makespan_s']:11.2f} {row['list_s']:14.2f}"
        f" {row['bound_s']:11.2f} {row['ratio']:7.4f}"
        for row in found["workflows"]
    ]
    lines.append(f"ratio: median {found['ratio_p50']}, largest {found['ratio_max']}, over 1.05: {found['over_1.05']}")
    scale = found["scaling"]
    if scale:
        cost = ", ".join(f"{size}: {us}" for size, us in scale.items() if size.isdigit())
        lines.append(f"coordinator, µs of CPU per subtask by plan size: {cost}; ratio {scale['ratio']}")
    return "\n".join(lines)
