"""Who proposes: planners that need no language model, and what a row has recorded of others."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from foa.bench.plans.data import ITEM, Graph, PlanRow, graph_of, listed, plan_of
from foa.bench.plans.metric import Vectors
from foa.core.dag import cases, clauses, typed
from foa.core.vcv.vector import pack

CHAIN: Final = "chain"
CLAUSES: Final = "clauses"
PARALLEL: Final = "parallel"
CASES: Final = "cases"
TYPED: Final = "typed"
REFUSED: Final = Graph(())
_SENTENCE: Final = re.compile(r"(?<=[.!?;])\s+|\n+|,?\s+(?:and\s+)?then\s+")


def request(row: PlanRow, given: str) -> str:
    """Return what planners are told of a row: the request alone, or with its steps listed below it."""
    return row.task if given == "request" else listed(row)


def chain(text: str) -> Graph:
    """Return the trivial plan: the listed items of a request, or else its sentences, each after the one before."""
    parts = _items(text) or tuple(part.strip() for part in _SENTENCE.split(text) if part.strip())
    return Graph(parts, tuple(pairwise(range(len(parts)))))


def parallel(text: str) -> Graph:
    """Return the other trivial plan: the listed items of a request, or else its clauses, all at once."""
    return Graph(_items(text) or clauses.clauses(text))


def _items(text: str) -> tuple[str, ...]:
    return tuple(line.removeprefix(ITEM).strip() for line in text.splitlines() if line.startswith(ITEM))


def proposed(row: PlanRow, given: str) -> dict[str, Graph]:
    """Return what each planner that remembers nothing proposes for a row."""
    text = request(row, given)
    found = {CHAIN: chain(text), CLAUSES: graph_of(clauses.propose(text)), PARALLEL: parallel(text)}
    # The files declare no types and no agents' outputs, so it refuses: its share of refusals is told, not hidden.
    found[TYPED] = graph_of(typed.propose(text, (), ()))
    if given == "request":
        found.update((name, graph) for name, graph in sorted(row.proposals.items()) if name not in found)
    return found


def remembered(rows: Sequence[PlanRow], asked: Sequence[str], vectors: Vectors) -> list[Graph]:
    """Return what *cases* proposes for each row, knowing the plans of the rows before it; `REFUSED` where nothing."""
    rules = cases.Rules()
    memory: tuple[cases.Case, ...] = ()
    order = cases.Model()
    found: list[Graph] = []
    for at, (row, text) in enumerate(zip(rows, asked, strict=True)):
        vector = pack(vectors[text])
        found.append(graph_of(cases.propose(text, vector, memory, rules, order)))
        case = cases.Case(vector, text, plan_of(row.gold, CASES), at=float(at))
        order = cases.learned(order, case, memory, rules)
        memory = cases.kept(memory, case, rules)[0]
    return found


def union(proposals: Mapping[str, Graph]) -> Graph:
    """Return all subtasks (equal texts once) and all edges of all proposals; cycles are left to `plan_of`."""
    places: dict[str, int] = {}
    edges: list[tuple[int, int]] = []
    for graph in proposals.values():
        at = [places.setdefault(text, len(places)) for text in graph.nodes]
        edges.extend((at[one], at[other]) for one, other in graph.edges)
    return Graph(tuple(places), tuple(edges))
