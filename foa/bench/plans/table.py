"""The figures of ``foa bench plans`` for people."""

from collections.abc import Mapping
from io import StringIO
from typing import Any, Final

MARGIN: Final = 36
CELL: Final = 16


def table(found: Mapping[str, Any]) -> str:
    """Return the figures as tables: planners by what they were told, sources, noise."""
    from rich.console import Console
    from rich.table import Table

    out = StringIO()
    console = Console(file=out, width=MARGIN + CELL * (len(planners(found)) + 1), highlight=False, color_system=None)
    console.print(f"{found['items']} plans, seed {found['seed']}, texts compared by {found['model']}")
    if found["skipped"]:
        console.print(f"{found['skipped']} rows skipped: their edges are none")
    for told in (found["given"], *(["steps"] if "steps" in found else [])):
        part = found if told == found["given"] else found[told]
        made = Table(title=f"planners see the {told}; one merge takes {part['row_ms']} ms", title_justify="left")
        names = tuple(name for name in planners(part) if part["refused"].get(name) != 1.0)
        for column in ("source", "plans", *names):
            made.add_column(column, justify="left" if column == "source" else "right")
        for source, row in part["by_source"].items():
            made.add_row(source or "-", str(row["items"]), *(_cell(row.get(name)) for name in names))
        made.add_section()
        made.add_row("all", str(found["items"]), *(_cell(part[name]) for name in names))
        made.add_row(
            "refused", "", *(f"{part['refused'][name]:.3f}" if name in part["refused"] else "" for name in names)
        )
        made.add_row("consensus without it", "", *(_cell(part["ablation"].get(name)) for name in names))
        console.print(made)
        silent = [name for name, share in part["refused"].items() if share == 1.0]
        if silent:
            console.print(f"always refused: {', '.join(silent)}")
    if found["noise"]:
        made = Table(title="consensus of four spoilt copies of the given plans", title_justify="left")
        for column in ("rate", "single", "union", "consensus"):
            made.add_column(column, justify="right")
        for rate, row in found["noise"].items():
            made.add_row(rate, *(_cell(row[name]) for name in ("single", "union", "consensus")))
        console.print(made)
    if "fuzz" in found:
        console.print("random merges: " + ", ".join(f"{name} {count}" for name, count in found["fuzz"].items()))
    console.print(f"merging 8 proposals of 20 subtasks each takes {found['merge_ms']} ms of processor time (median)")
    console.print("Cells are node F1 / edge F1 (of the order relation).")
    return out.getvalue().rstrip()


def planners(part: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names that have scores, in their order."""
    return tuple(name for name, row in part.items() if isinstance(row, Mapping) and "node_f1" in row)


def _cell(row: Mapping[str, float] | None) -> str:
    return "" if row is None else f"{row['node_f1']:.3f} / {row['edge_f1']:.3f}"
