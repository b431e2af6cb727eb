"""What was met lately: remembered for its life, or until as many newer ones came; never more than twice as many."""

from hypothesis import given
from hypothesis import strategies as st

from foa.wire.trust.recent import Recent
from tests.wire.strategies import LAWS

LEAST, LIFE = 4, 100


@LAWS
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=80))
def test_a_word_stays_for_its_life_or_until_enough_came_after_it(met: list[tuple[int, int]]) -> None:
    recent, now, said = Recent(LEAST, LIFE), 1000, list[tuple[int, bytes]]()
    for pause, number in met:
        now += pause
        word = b"%d" % number
        recent.add(word, now)
        said.append((now, word))
        assert len(recent) <= 2 * LEAST
        for at, old in said[-LEAST:]:
            assert old in recent or now - at >= LIFE


def test_what_is_twice_as_old_as_its_life_is_gone_with_the_next_word() -> None:
    recent = Recent(LEAST, LIFE)
    recent.add(b"old", 1000)
    recent.add(b"new", 1000 + 2 * LIFE)
    assert b"old" not in recent
    assert len(recent) == 1


def test_a_clock_that_goes_back_forgets_nothing_early() -> None:
    recent = Recent(LEAST, LIFE)
    recent.add(b"one", 1000)
    recent.add(b"two", 0)
    assert b"one" in recent
