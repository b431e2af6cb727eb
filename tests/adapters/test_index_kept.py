"""An index over a restart: all of it comes back, damaged and foreign files are set aside, and nothing is believed."""

from pathlib import Path

import numpy as np
import pytest

from foa.adapters.index.hnsw import HnswIndex
from foa.adapters.index.keeper import Keeper
from foa.adapters.index.store import Store
from foa.core.routing.exchange import Entry, Keep
from foa.core.vcv.vector import Floats, normalised, pack, unpack, unpack_all
from foa.errors import ConfigError
from foa.wire.ids import Version
from foa.wire.records import Hit, Port, Resources

DIM = 16
COUNT = 120
POOL: Floats = normalised(np.random.default_rng(3).normal(size=(COUNT + 1, DIM)))


def kept_of(number: int, at: int | None = None, *, online: bool | None = True) -> Keep:
    agent = f"o/u/a{number}"
    hit = Hit(agent, Version(1, number), 0.0, skills=("x",), outputs=(Port("y", "text/csv"),), resources=Resources(0.5))
    c = pack(POOL[number if at is None else at])
    return Keep(agent, Entry(hit, c, c, number % 8, "print", "card", others=(pack(POOL[-1]),)), online)


class Life:
    """One life of an index node's index and of what it keeps."""

    def __init__(self, folder: Path, label: str = "model") -> None:
        self.said: list[str] = []
        self.index = HnswIndex(DIM, crossover=50)
        self.keeper = Keeper(folder, self.index, label, self.said.append)
        self.kept = {each.agent: each for each in self.keeper.load()}

    def change(self, kept: Keep) -> None:
        self.keeper.note(kept)
        if kept.entry is None or not kept.online:
            self.index.remove(kept.agent)
        else:
            self.index.upsert(kept.agent, unpack(kept.entry.c), unpack(kept.entry.e), unpack_all(kept.entry.others))

    def write(self, now: float = 0.0, *, last: bool = False) -> int:
        works = self.keeper.due(now, last=last)
        for work in works:
            work()
        return len(works)

    def nearest(self, at: int) -> str:
        return self.index.search(POOL[at : at + 1], 1)[0][0].key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    life = Life(tmp_path)
    assert life.said == []
    for number in range(COUNT):
        life.change(kept_of(number))
    life.index.tend()
    assert life.write(last=True) == 2
    life.keeper.close()
    return tmp_path


def test_everything_comes_back_and_nothing_is_built_again(folder: Path) -> None:
    life = Life(folder)
    assert life.said == []
    assert life.kept == {kept.agent: kept for kept in map(kept_of, range(COUNT))}
    assert life.index.is_graph_used
    assert life.index.is_tended
    assert life.index.graph_changes == 0
    assert [life.nearest(at) for at in range(COUNT)] == [f"o/u/a{at}" for at in range(COUNT)]
    assert life.write(1e9, last=True) == 0


def test_what_changed_after_the_graph_was_written_is_searched_beside_it(folder: Path) -> None:
    life = Life(folder)
    life.change(Keep("o/u/a3", None))
    life.change(kept_of(4, at=5))
    life.change(kept_of(6, online=False))
    life.change(Keep("o/u/a5", None))
    life.keeper._index = HnswIndex(DIM)  # the graph is not written: killed before
    assert life.write(0.0) == 1
    life.keeper.close()
    again = Life(folder)
    assert len(again.index) == COUNT - 3
    assert set(again.kept) == {f"o/u/a{n}" for n in range(COUNT) if n not in (3, 5)}
    assert again.kept["o/u/a6"].online is False
    assert not again.index.is_tended
    assert again.nearest(5) == "o/u/a4"
    again.index.tend()
    assert again.nearest(5) == "o/u/a4"
    for at in (3, 6):
        assert again.nearest(at) not in {"o/u/a3", "o/u/a5", "o/u/a6"}
    again.change(kept_of(3))
    again.index.tend()
    assert again.nearest(3) == "o/u/a3"


@pytest.mark.parametrize("harm", ["graph", "note", "short", "no note"])
def test_a_damaged_graph_is_built_anew(folder: Path, harm: str) -> None:
    (graph,) = folder.glob("graph-*.bin")
    note = folder / "graph.msgpack"
    if harm == "graph":
        body = bytearray(graph.read_bytes())
        body[len(body) // 2] ^= 1
        graph.write_bytes(body)
    elif harm == "short":
        graph.write_bytes(graph.read_bytes()[:-100])
    elif harm == "note":
        note.write_bytes(b"nonsense")
    else:
        note.unlink()
    life = Life(folder)
    assert len(life.said) == (harm != "no note")
    assert len(life.index) == COUNT
    assert life.nearest(7) == "o/u/a7"
    life.index.tend()
    assert life.index.is_graph_used
    assert life.nearest(7) == "o/u/a7"


def test_a_file_that_is_no_database_is_set_aside(folder: Path) -> None:
    (folder / "agents.sqlite").write_bytes(b"not a database, by any means" * 100)
    life = Life(folder)
    assert life.kept == {}
    assert len(life.said) == 1
    assert (folder / "agents.sqlite.aside").exists()
    life.change(kept_of(1))
    life.write()
    life.keeper.close()
    assert set(Life(folder).kept) == {"o/u/a1"}


def test_a_file_of_another_model_is_set_aside(folder: Path) -> None:
    life = Life(folder, "another model")
    assert life.kept == {}
    assert "another model" in life.said[0]


def test_damaged_rows_are_left_out_and_told_in_one_line(folder: Path) -> None:
    store = Store(folder / "agents.sqlite", "model", DIM, lambda _: None)
    with store._db as db:
        db.execute("UPDATE agents SET body = zeroblob(40) WHERE agent = 'o/u/a1'")
        db.execute("UPDATE agents SET sum = sum + 1 WHERE agent = 'o/u/a2'")
        db.execute("UPDATE agents SET agent = 'o/u/zz' WHERE agent = 'o/u/a3'")
    store.close()
    life = Life(folder)
    assert len(life.kept) == COUNT - 3
    assert len(life.said) == 1


def test_the_graph_is_written_when_half_of_it_is_new_or_after_a_while(folder: Path) -> None:
    life = Life(folder)
    life.change(kept_of(3, at=4))
    life.index.tend()
    assert life.write(100.0) == 2
    life.change(kept_of(3, at=5))
    life.index.tend()
    assert life.write(200.0) == 1
    assert life.write(800.0) == 1
    for number in range(70):
        life.change(kept_of(number, at=number + 1))
    life.index.tend()
    assert life.write(815.0) == 1
    assert life.write(835.0) == 1
    assert life.write(9e9) == 0
    assert len(list(folder.glob("graph*"))) == 2


def test_a_folder_that_cannot_be_written_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="state_dir"):
        Life(tmp_path / "file" / "below")
