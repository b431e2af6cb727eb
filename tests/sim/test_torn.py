"""Which runs may leave a second result: those in which a broker forgets while a coordinator is down, and no others."""

from foa.bus.memory import Loss
from foa.testing.sim.faults import MOMENT_S, Blow, Storm, torn

FORGETS = Blow(5.0, "amnesia", lasts=1.0, loss=Loss(retained=0.5))
COORDINATORS = frozenset({"c1", "c2"})


def when(*blows: Blow) -> tuple[float, ...]:
    return torn(Storm(blows=blows), COORDINATORS)


def test_one_failure_alone_excuses_nothing() -> None:
    assert when(FORGETS) == ()
    assert when(Blow(4.0, "kill", ("c1",), 2.0)) == ()
    assert when(FORGETS, Blow(4.0, "kill", ("a1",), 2.0)) == ()
    assert when(Blow(5.0, "broker", lasts=1.0), Blow(4.0, "kill", ("c1",), 2.0)) == ()


def test_a_broker_that_forgets_while_a_coordinator_is_down_does() -> None:
    assert when(FORGETS, Blow(4.0, "kill", ("c1",), 2.0)) == (5.0,)
    assert when(FORGETS, Blow(4.5, "flap", ("c2",), 0.0, times=3)) == (5.0,)


def test_long_before_or_after_is_not_at_once() -> None:
    assert when(FORGETS, Blow(1.0, "kill", ("c1",), 3.9 - MOMENT_S)) == ()
    assert when(FORGETS, Blow(5.1, "kill", ("c1",), 2.0)) == ()
