"""Lives of a node are told apart whatever its clock shows; what was kept knows how old it is; frozen timers wait."""

from pathlib import Path

import pytest

from foa.adapters.journal import SqliteJournal
from foa.bus.virtual import VirtualClock
from foa.core.effects import Key
from foa.errors import ConfigError
from foa.nodes.births import Born, born
from foa.nodes.timers import FROZEN_S, THAW_S, Timers

DAY_MS = 86_400_000


def test_every_life_is_younger_than_all_before_it(tmp_path: Path) -> None:
    shown = (10 * DAY_MS, 12 * DAY_MS, 3 * DAY_MS, 3 * DAY_MS)
    lives = [born(str(tmp_path), "c1", lambda at=at: at * 1_000_000) for at in shown]  # type: ignore[misc]
    assert [life.number for life in lives] == [10 * DAY_MS, 12 * DAY_MS, 12 * DAY_MS + 1, 12 * DAY_MS + 2]
    assert lives[-1].times[-1] == 3 * DAY_MS, "what the wall clock shows is kept beside it"


def test_another_node_and_one_without_a_name_have_lives_of_their_own(tmp_path: Path) -> None:
    born(str(tmp_path), "c1")
    assert len(born(str(tmp_path), "c2").times) == 1
    assert len(born(str(tmp_path), "").times) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c1.births", "c2.births"]


def test_a_damaged_file_is_as_none_and_one_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "c1.births").write_text("nonsense\n12 x\n\n7 8 9\n")
    assert len(born(str(tmp_path), "c1").times) == 1
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"node\.state_dir"):
        born(str(tmp_path / "file"), "c1")


def test_earlier_lives_are_told_by_this_ones_clock() -> None:
    assert Born(9, (1_000, 4_000, 90_000, 5_000)).ups(100.0) == (96.0, 99.0, 100.0)


def test_what_a_journal_keeps_grows_old_and_a_clock_set_back_makes_it_no_younger_than_new(tmp_path: Path) -> None:
    now = [1_000.0]
    journal = SqliteJournal(tmp_path / "j.sqlite", lambda: now[0])
    journal.put("task", "t1", b"one")
    journal.commit()
    now[0] += 30.0
    journal.put("task", "t2", b"two")
    journal.put("task", "t3", b"three")
    journal.commit()
    now[0] += 12.0
    assert list(journal.load()) == [
        ("task", "t1", b"one", 42.0), ("task", "t2", b"two", 12.0), ("task", "t3", b"three", 12.0),
    ]  # fmt: skip
    now[0] = 5.0
    assert {age for *_, age in journal.load()} == {0.0}
    journal.close()


def test_timers_of_a_process_that_stood_still_wait_until_the_bus_has_told_what_happened() -> None:
    clock = VirtualClock()
    shown = Shifted(clock)
    fired: list[tuple[float, str]] = []
    timers = Timers(shown, lambda _, name: fired.append((clock.time(), name)))
    timers.wake(Key("task", "t1"), "lease", 1.0)
    timers.wake(Key("task", "t1"), "deadline", 50.0)
    shown.late = 10.0  # it is stopped, and goes on ten seconds later
    clock.run_until(12.0)
    assert fired == [(11.0 + THAW_S, "lease")]
    shown.late = FROZEN_S / 2
    clock.run_until(60.0)
    assert fired[1:] == [(50.0 + FROZEN_S / 2, "deadline")], "a little late is not stopped"


class Shifted:
    """A clock whose timers fire ``late`` seconds after their time, as those of a stopped process do, once."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.late = 0.0

    def time(self) -> float:
        return self._clock.time()

    def call_at(self, when: float, callback):  # type: ignore[no-untyped-def]
        def later() -> None:
            late, self.late = self.late, 0.0
            if late:
                self._clock.call_at(self._clock.time() + late, callback)
            else:
                callback()

        return self._clock.call_at(when, later)
