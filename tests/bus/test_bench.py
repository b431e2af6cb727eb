"""``foa bench bus`` runs, and says what it promises to say."""

import asyncio
import json

import pytest

from foa.bench.bus import measure
from foa.cli.main import main
from foa.errors import ConfigError


@pytest.mark.slow
@pytest.mark.mosquitto
def test_the_bench_tells_ratios_and_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "bus", "--json", "--messages", "200", "--rounds", "1"]) == 0
    told = capsys.readouterr()
    figures = json.loads(told.out)
    metrics = {"publish_qos1", "receive_qos1", "roundtrip_p50"}
    for key in ("broker_vs_mosquitto", "client_vs_aiomqtt"):
        assert set(figures[key]) == metrics
        assert all(ratio > 0 for ratio in figures[key].values())
    assert {name: set(found) for name, found in figures["absolute"].items()} == dict.fromkeys(measure.PAIRS, metrics)
    assert "round 1: embedded" in told.err
    assert "embedded broker over Mosquitto" in measure.table(figures)


def test_ratios_above_one_mean_that_ours_is_better() -> None:
    fast = dict.fromkeys(measure.METRICS, 300.0) | {"roundtrip_p50": 100.0}
    slow = dict.fromkeys(measure.METRICS, 100.0) | {"roundtrip_p50": 300.0}
    figures = measure._figures([{"embedded": fast, "mosquitto": slow, "aiomqtt": fast}])
    assert set(figures["broker_vs_mosquitto"].values()) == {3.0}
    assert set(figures["client_vs_aiomqtt"].values()) == {round(1 / 3, 3)}


def test_what_is_missing_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foa.bench.brokers.shutil.which", lambda *_args, **_named: None)
    with pytest.raises(ConfigError, match=r"needs the program mosquitto.*apt-get install mosquitto"):
        asyncio.run(measure.measure(measure.Plan(), print))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"federation-of-agents\[aiomqtt\]"):
        asyncio.run(measure.measure(measure.Plan(), print))
