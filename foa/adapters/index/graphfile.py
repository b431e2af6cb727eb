"""A graph on disk: hnswlib's own file, and a note beside it that says whose vectors are under which labels.

Written in two steps, since the graph belongs to one thread: `dump` on that thread writes the file and takes the note,
`publish` on any other makes both durable, the note last and by renaming, so that a note always names a whole file.
Nothing is loaded unless size and digest of the file are as noted, since hnswlib believes what it reads; a
label counts only while its key's vectors have the checksum that they had when they were put in.
"""

import os
from contextlib import suppress
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from foa.adapters.index.graph import EF_CONSTRUCTION, Graph, M
from foa.adapters.index.rows import Rows

NOTE: Final = "graph.msgpack"
FRESH: Final = "graph.new"
_DIGEST_BYTES: Final = 16


class Note(msgspec.Struct, frozen=True):
    """What the file beside it is: key i has the labels ``labels[i]`` for vectors with the checksum ``sums[i]``."""

    label: str
    used: int
    keys: tuple[str, ...]
    labels: tuple[tuple[int, ...], ...]
    sums: tuple[int, ...]
    size: int = 0
    digest: str = ""

    @property
    def file(self) -> str:
        """The file's name, from what is in it: a new one never takes the place of one that is still noted."""
        return f"graph-{self.digest}.bin"


def label_of(dim: int) -> str:
    """Return what a graph must be like to be loaded here."""
    return f"1 hnswlib ip dim={dim} M={M} efC={EF_CONSTRUCTION}"


def dump(graph: Graph, dim: int, folder: Path) -> Note:
    """Write the file of `graph` as it is now; OSError or RuntimeError if that cannot be."""
    graph.index.save_index(str(folder / FRESH))
    keys = tuple(graph.labels_of)
    labels = tuple(tuple(each) for each in graph.labels_of.values())
    return Note(label_of(dim), graph.used, keys, labels, tuple(graph.sums[key] for key in keys))


def publish(note: Note, folder: Path) -> None:
    """Make a dumped graph the one that is loaded next time, and drop the one before; OSError if that cannot be."""
    path = folder / FRESH
    with path.open("rb+") as file:
        os.fsync(file.fileno())
        digest = file_digest(file, _digest).hexdigest()
    whole = msgspec.structs.replace(note, size=path.stat().st_size, digest=digest)
    path.replace(folder / whole.file)
    fresh = folder / (NOTE + ".new")
    with fresh.open("wb") as file:
        file.write(msgspec.msgpack.encode(whole))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / NOTE)
    for old in folder.glob("graph-*.bin"):
        if old.name != whole.file:
            with suppress(OSError):
                old.unlink()


def load(library: Any, rows: Rows, folder: Path) -> Graph:
    """Return the graph as noted, with whatever of `rows` it does not hold marked as outside.

    FileNotFoundError where none was saved; ValueError, OSError or RuntimeError where it is not as it should be.
    """
    note = msgspec.msgpack.decode((folder / NOTE).read_bytes(), type=Note)
    path = folder / Path(note.file).name
    if note.label != label_of(rows.dim) or not len(note.keys) == len(note.labels) == len(note.sums):
        raise ValueError(f"it is {note.label!r}, not {label_of(rows.dim)!r}")
    with path.open("rb") as file:
        if path.stat().st_size != note.size or file_digest(file, _digest).hexdigest() != note.digest:
            raise ValueError(f"{path.name} is not the file that was written")
    index = library.Index(space="ip", dim=rows.dim)
    index.load_index(str(path), max_elements=2 * note.used)
    if index.get_current_count() != note.used:
        raise ValueError(f"{path.name} holds {index.get_current_count()} vectors, not {note.used}")
    graph = Graph(index, note.used)
    _match(graph, note, rows)
    return graph


def _match(graph: Graph, note: Note, rows: Rows) -> None:
    """Take over the labels of those keys that are what they were; the rest are free, or outside."""
    taken = np.zeros(note.used, dtype=np.bool_)
    for key, labels, total in zip(note.keys, note.labels, note.sums, strict=True):
        row = rows.row_of.get(key)
        if row is not None and rows.checksum(row) == total:
            graph.adopt(key, list(labels), row, total)
        else:
            for label in labels:
                graph.index.mark_deleted(label)
        taken[list(labels)] = row is not None and key in graph.labels_of
    graph.free = np.flatnonzero(~taken).tolist()
    graph.outside = {key: None for key in rows.keys if key not in graph.labels_of}


def _digest() -> Any:
    return blake2b(digest_size=_DIGEST_BYTES)
