"""A short soak: tasks are done, nothing is lost, what grows would show."""

import pytest

from foa.cli.simulating.commands import hours_of
from foa.errors import ConfigError
from foa.testing.sim.soak import Sample, Soak, _slope


@pytest.mark.slow
def test_a_short_soak_loses_nothing() -> None:
    soaked = Soak(1, 0.1).run()
    assert soaked.tasks > 30
    assert (soaked.lost, soaked.errors) == (0, ())
    assert len(soaked.samples) == 6
    assert [sample.told for sample in soaked.samples] == sorted(sample.told for sample in soaked.samples)


def test_what_grows_has_a_slope() -> None:
    samples = [Sample(hours, 100 + 50 * hours, 7, 0, 1000) for hours in range(5)]
    assert _slope(samples, "entries") == pytest.approx(50.0)
    assert _slope(samples, "held") == pytest.approx(0.0)
    assert _slope(samples[:1], "held") == 0.0


@pytest.mark.parametrize(("text", "hours"), [("8h", 8.0), ("30m", 0.5), ("2d", 48.0), ("1.5h", 1.5)])
def test_a_span_of_time_is_read(text: str, hours: float) -> None:
    assert hours_of(text) == hours


@pytest.mark.parametrize("text", ["", "h", "8", "8x", "-1h", "0h"])
def test_a_span_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--soak"):
        hours_of(text)
