"""Plans as the benches' files give them: a request, what is to be done for it, and in which order."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from foa.bench import datasets
from foa.core.dag.plan import reduced
from foa.errors import ConfigError
from foa.wire.records import MAX_EDGES, MAX_SUBTASKS, MAX_TEXT, Edge, Plan, Subtask

Index = Annotated[int, Meta(ge=0)]
Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Say = Callable[[str], None]
ITEM: Final = "- "


class Graph(msgspec.Struct, frozen=True):
    """Texts of subtasks and the edges between them, by their places."""

    nodes: Annotated[tuple[Text, ...], Meta(max_length=MAX_SUBTASKS)]
    edges: Annotated[tuple[tuple[Index, Index], ...], Meta(max_length=MAX_EDGES)] = ()


class PlanRow(msgspec.Struct, frozen=True):
    """One request, its plan, and what others proposed for it, by their names."""

    id: str
    task: Text
    nodes: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=MAX_SUBTASKS)]
    edges: Annotated[tuple[tuple[Index, Index], ...], Meta(max_length=MAX_EDGES)] = ()
    source: str = ""
    proposals: Mapping[str, Graph] = {}

    @property
    def gold(self) -> Graph:
        """The plan alone."""
        return Graph(self.nodes, self.edges)


class Read(NamedTuple):
    """The rows of a file, and why each of the others was skipped."""

    rows: tuple[PlanRow, ...]
    skipped: tuple[str, ...]


def read(path: Path) -> Read:
    """Return the rows of a file of plans without those whose edges are none; ConfigError names the line that is no row.

    ConfigError also if no row is left.
    """
    every = datasets.rows(path, PlanRow, _flaw)
    flaws = [(row, _loose(row)) for row in every]
    skipped = tuple(f"{row.id}: {flaw}" for row, flaw in flaws if flaw)
    if len(skipped) == len(every):
        raise ConfigError(f"{path}: row {skipped[0]}; no row is left")
    return Read(tuple(row for row, flaw in flaws if not flaw), skipped)


def _flaw(row: PlanRow) -> str:
    if not row.task.strip():
        return "task is empty"
    return "" if all(node.strip() for node in row.nodes) else "nodes has an empty text"


def _loose(row: PlanRow) -> str:
    """Return what is wrong with a row's edges: one that names no node, or leads from a node to itself."""
    last = len(row.nodes) - 1
    for edge in row.edges:
        if max(edge) > last:
            return f"edge {list(edge)} names no node: nodes are 0 to {last}"
        if edge[0] == edge[1]:
            return f"edge {list(edge)} leads from a node to itself"
    return ""


def flat(text: str) -> str:
    """Return `text` on one line."""
    return " ".join(text.split())


def listed(row: PlanRow) -> str:
    """Return the request as somebody writes it who names its steps: a list below it, in the order of the row."""
    return row.task + "\n" + "\n".join(f"{ITEM}{flat(node)}" for node in row.nodes)


def plan_of(graph: Graph, origin: str) -> Plan:
    """Return `graph` as a plan: empty texts and edges to nowhere left out, and of every cycle its last edge."""
    width = len(str(len(graph.nodes)))
    names = {at: f"{at:0{width}d}" for at, text in enumerate(graph.nodes) if text.strip()}
    subtasks = tuple(Subtask(name, graph.nodes[at]) for at, name in names.items())
    pairs = [(names[one], names[other]) for one, other in graph.edges if one in names and other in names]
    return reduced(Plan(subtasks, acyclic(pairs), origin=(origin,)))


def graph_of(plan: Plan | None) -> Graph:
    """Return a plan as places and texts; what was refused is empty."""
    if plan is None:
        return Graph(())
    at = {subtask.id: place for place, subtask in enumerate(plan.subtasks)}
    return Graph(tuple(one.text for one in plan.subtasks), tuple((at[one], at[other]) for one, other in plan.edges))


def is_chain(graph: Graph) -> bool:
    """Tell whether each subtask, in the order they are listed, waits for the one before it and for nothing else."""
    return set(graph.edges) == set(pairwise(range(len(graph.nodes))))


def acyclic(edges: Sequence[Edge]) -> tuple[Edge, ...]:
    """Return the edges in their order without those that would close a cycle."""
    after: dict[str, set[str]] = {}
    kept: list[Edge] = []
    for one, other in dict.fromkeys(edges):
        if one == other or _reaches(after, other, one):
            continue
        after.setdefault(one, set()).add(other)
        kept.append((one, other))
    return tuple(kept)


def _reaches(after: Mapping[str, set[str]], start: str, end: str) -> bool:
    seen, ahead = {start}, [start]
    while ahead:
        for other in after.get(ahead.pop(), ()):
            if other not in seen:
                seen.add(other)
                ahead.append(other)
    return end in seen
