"""The works of a running plan: a mapping by id whose every change costs the same in a plan of 50 and of 5,000.

A value like any other: `Works.put` returns another, and the two share all but one group of subtasks. What a running
plan is asked at every step is kept along: which subtasks are ready, which run, which are done, who is loaded. Works
that are no subtask's (those that stand for planning) are kept beside.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from foa.core.dag.graph import Graph
from foa.wire.records import Work

NOBODY: Final[Mapping[str, Work]] = {}


class Works(Mapping[str, Work]):
    """Works by id, in the plan's order; every subtask of the plan has one. Never changed after it was made.

    ``chunks`` are the groups. ``done``, ``running`` (some seat is) and ``waiting`` are sets as in `Graph`, ``free``
    those whose predecessors are all done; ``loads`` counts the seats that run by agent.
    """

    __slots__ = ("chunks", "done", "extra", "free", "graph", "loads", "running", "waiting")

    def __init__(self, graph: Graph, known: Mapping[str, Work] = NOBODY) -> None:
        """Take the works `known`; a subtask without one waits. What is neither the plan's nor pseudo is left out."""
        self.graph = graph
        chunks: list[dict[str, Work]] = [{} for _ in range(graph.groups)]
        self.done = self.running = self.waiting = self.free = 0
        self.loads: dict[str, int] = {}
        for ident, group in graph.group.items():
            work = known.get(ident) or Work(ident)
            chunks[group][ident] = work
            self._count(work, 1 << graph.bit[ident])
        self.chunks = tuple(chunks)
        self.extra = {ident: work for ident, work in known.items() if ident.startswith("~")}
        for work in self.extra.values():
            self._load(work, 1)
        for at, wanted in enumerate(graph.waits_for):
            if not wanted & ~self.done:
                self.free |= 1 << at

    @property
    def ready(self) -> int:
        """The set of subtasks that wait for nothing any more."""
        return self.waiting & self.free

    @property
    def finished(self) -> bool:
        """Tell whether every subtask is done."""
        return self.done == self.graph.all and all(work.phase == "done" for work in self.extra.values())

    def put(self, work: Work) -> "Works":
        """Return these works with `work` in place of the one of the same id."""
        made = object.__new__(Works)
        graph = made.graph = self.graph
        made.chunks, made.extra, made.loads = self.chunks, self.extra, self.loads
        made.done, made.running, made.waiting, made.free = self.done, self.running, self.waiting, self.free
        old = self.get(work.id)
        if old is None or old.seats is not work.seats:
            made.loads = dict(self.loads)
            made._load(old, -1)
            made._load(work, 1)
        group = graph.group.get(work.id)
        if group is None:
            made.extra = {**self.extra, work.id: work}
            return made
        chunk = {**self.chunks[group], work.id: work}
        made.chunks = (*self.chunks[:group], chunk, *self.chunks[group + 1 :])
        flag = 1 << graph.bit[work.id]
        made.done, made.running, made.waiting = self.done & ~flag, self.running & ~flag, self.waiting & ~flag
        made._mark(work, flag)
        if (made.done ^ self.done) & flag:
            made._open(work.id)
        return made

    def _open(self, ident: str) -> None:
        """See again which successors of `ident` are free: it was done, or is no longer."""
        graph = self.graph
        for other in graph.after[ident]:
            at = graph.bit[other]
            if graph.waits_for[at] & ~self.done:
                self.free &= ~(1 << at)
            else:
                self.free |= 1 << at

    def _count(self, work: Work, flag: int) -> None:
        self._mark(work, flag)
        self._load(work, 1)

    def _mark(self, work: Work, flag: int) -> None:
        if work.phase == "done":
            self.done |= flag
        elif work.phase == "waiting":
            self.waiting |= flag
        if any(seat.phase == "running" for seat in work.seats):
            self.running |= flag

    def _load(self, work: Work | None, by: int) -> None:
        for seat in work.seats if work is not None else ():
            if seat.phase == "running":
                left = self.loads.get(seat.agent, 0) + by
                if left > 0:
                    self.loads[seat.agent] = left
                else:
                    self.loads.pop(seat.agent, None)

    def active(self) -> list[Work]:
        """Return the works with a seat that runs."""
        found = [self[ident] for ident in self.graph.members(self.running)]
        return found + [work for work in self.extra.values() if any(seat.phase == "running" for seat in work.seats)]

    def __getitem__(self, ident: str) -> Work:
        group = self.graph.group.get(ident)
        return self.extra[ident] if group is None else self.chunks[group][ident]

    def __iter__(self) -> Iterator[str]:
        for chunk in self.chunks:
            yield from chunk
        yield from self.extra

    def __len__(self) -> int:
        return len(self.graph.group) + len(self.extra)

    def __eq__(self, other: object) -> bool:
        """Tell whether `other` is a mapping with the same works."""
        return isinstance(other, Mapping) and dict(self) == dict(other)

    # how Python says that a mapping has no hash; mypy knows only that objects have one
    __hash__ = None  # type: ignore[assignment]
