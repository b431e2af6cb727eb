"""An index node's memory on disk: when it is written, and how it is read back.

The rows of agents are written every few seconds; the graph, which can only be written whole, when half of it is new or
`GRAPH_S` went by with changes, and at a graceful end. So a fill of n agents writes the graph about three times its
size, a quiet node nothing. After ``kill -9`` at most the last seconds are missing, and the broker has those.
Called by `foa.nodes.shard`, on the thread that owns the index but for `Work`, which may run on another.
"""

import gc
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from foa.adapters.index import graphfile
from foa.adapters.index.hnsw import HnswIndex
from foa.adapters.index.store import Say, Store
from foa.core.routing.exchange import Entry, Keep
from foa.core.vcv.vector import unpack_all

Work = Callable[[], None]
"""Something slow that may be done on another thread, never two of them at once. It raises nothing."""

CHUNK: Final = 1_024
GRAPH_S: Final = 600.0
LEAST_GRAPH_S: Final = 30.0


@contextmanager
def uncollected() -> Iterator[None]:
    """Make hundreds of thousands of records that stay, without a look at all of them every few hundred."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Keeper:
    """What is kept of one index node, in one folder."""

    def __init__(self, folder: Path, index: HnswIndex, label: str, say: Say) -> None:
        """Open or make the files; ConfigError if the folder cannot be written."""
        self._folder = folder
        self._index = index
        self._say = say
        self._store = Store(folder / "agents.sqlite", label, index.rows.dim, say)
        self._pending: dict[str, Keep] = {}
        self._saved_at = float("-inf")

    def load(self) -> list[Keep]:
        """Read all back: fill the index with those who can be found, and return everybody for the catalogue."""
        kept = self._store.load()
        findable = [each.entry for each in kept if each.entry is not None and each.online]
        for first in range(0, len(findable), CHUNK):
            self._fill(findable[first : first + CHUNK])
        try:
            self._index.load_graph(self._folder)
        except FileNotFoundError:
            return kept
        except (OSError, ValueError, RuntimeError) as error:
            self._say(f"{self._folder}: the graph is left aside and built anew: {str(error)[:300]}")
        return kept

    def _fill(self, entries: Sequence[Entry]) -> None:
        vectors = unpack_all(body for entry in entries for body in (entry.c, entry.e, *entry.others))
        at = 0
        for entry in entries:
            end = at + 2 + len(entry.others)
            self._index.restore(entry.hit.agent, vectors[at], vectors[at + 1], vectors[at + 2 : end])
            at = end

    def note(self, kept: Keep) -> None:
        """Have this written soon; of several about one agent the last counts."""
        self._pending[kept.agent] = kept

    def due(self, now: float, *, last: bool = False) -> list[Work]:
        """Return what is to be written now, in this order; `last`: the node ends, all of it."""
        works: list[Work] = []
        if self._pending:
            batch, self._pending = list(self._pending.values()), {}
            works.append(lambda: self._write(batch))
        if self._is_graph_due(now, last=last):
            self._saved_at = now
            try:
                note = self._index.dump_graph(self._folder)
            except (OSError, RuntimeError) as error:
                self._say(f"{self._folder}: the graph cannot be written: {error}")
            else:
                works.append(lambda: self._publish(note))
        return works

    def close(self) -> None:
        """Close the files; what is still pending is lost."""
        self._store.close()

    def _is_graph_due(self, now: float, *, last: bool) -> bool:
        changed = self._index.graph_changes
        if not changed or (last and changed):
            return bool(changed)
        passed = now - self._saved_at
        return passed >= GRAPH_S or (passed >= LEAST_GRAPH_S and changed * 2 >= len(self._index))

    def _write(self, batch: list[Keep]) -> None:
        try:
            self._store.put(batch)
        except sqlite3.Error as error:
            self._say(f"{self._folder}: {len(batch)} agents are not kept: {error}")

    def _publish(self, note: graphfile.Note) -> None:
        try:
            graphfile.publish(note, self._folder)
        except OSError as error:
            self._say(f"{self._folder}: the graph is not kept: {error}")
