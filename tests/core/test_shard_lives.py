"""Cards that come late, or never again: an index node tells lives apart and finds the silent no more."""

from foa.core.machines.shard.lives import Lives

AGENT = "acme/tools/a1"


def known(life: int = 5, expiry: int | None = 180, now: float = 0.0) -> Lives:
    lives = Lives()
    lives.note(AGENT, life, expiry, now)
    return lives


def test_the_will_of_an_older_life_is_late_that_of_this_one_is_not() -> None:
    lives = known(5)
    assert lives.is_late(AGENT, 4, online=False)
    assert not lives.is_late(AGENT, 5, online=False)
    assert not lives.is_late(AGENT, 4, online=True), "a clock was set back: who speaks is there"
    assert not lives.is_late("acme/tools/a2", 0, online=False)


def test_a_card_that_was_not_said_again_is_over_and_one_without_expiry_never() -> None:
    lives = known(expiry=180)
    assert lives.over(180.0) == []
    assert lives.over(181.0) == [AGENT]
    lives.note(AGENT, 5, 180, 100.0)
    assert lives.over(181.0) == []
    lives.forget(AGENT)
    assert lives.over(10_000.0) == []
    assert known(expiry=None).over(1e9) == []


def test_after_our_own_absence_everybody_has_a_third_of_a_term_more() -> None:
    lives = known(expiry=180)
    lives.renew(500.0)
    assert lives.over(559.0) == []
    assert lives.over(561.0) == [AGENT]
