"""``foa doctor`` against real brokers: it finds what is wrong, keeps to its time, and leaves nothing behind."""

import asyncio

import pytest

from foa.bus.mqtt.client import MqttBus
from foa.bus.port import Options, Subscription
from foa.cli.checking import broker
from foa.cli.checking.findings import Finding
from foa.cli.checking.probe import Probe
from foa.settings import Settings
from foa.wire.envelope import Frame
from tests.bus.brokers import run_mosquitto
from tests.e2e.secured import Ear
from tests.e2e.town import until

pytestmark = [pytest.mark.slow, pytest.mark.mosquitto]


def settings(port: int) -> Settings:
    return Settings.from_mapping({"broker": {"url": f"mqtt://127.0.0.1:{port}"}, "log": {"level": "error"}}, "test")


def examined(port: int) -> dict[str, Finding]:
    async def main() -> dict[str, Finding]:
        async with asyncio.timeout(60), Probe.opened(settings(port)) as probe:
            return {each.check: each async for each in broker.checks(settings(port), probe)}

    return asyncio.run(main())


async def retained(port: int) -> list[Frame]:
    """Return what a broker holds retained, its own statistics left out."""
    ear = Ear()
    bus = MqttBus(Options("reader", port=port, clean_start=True, session_expiry_s=0), ear)
    await bus.open(20)
    bus.subscribe([Subscription("#")])
    bus.publish(Frame("mark", b"x", retain=True))
    await until(lambda: any(frame.topic == "mark" for frame in ear.frames))
    await asyncio.sleep(0.5)
    await bus.close()
    return [frame for frame in ear.frames if frame.topic != "mark"]


def test_a_well_set_broker_passes_and_is_left_as_it_was() -> None:
    with run_mosquitto() as port:
        found = examined(port)
        assert {check for check, each in found.items() if each.verdict == "fail"} == set()
        assert found["queue depth"].verdict == found["sessions"].verdict == found["message expiry"].verdict == "ok"
        assert found["TLS"].verdict == found["credentials"].verdict == "warn"
        assert asyncio.run(retained(port)) == []


def test_a_broker_that_drops_replays_is_found_out() -> None:
    with run_mosquitto("max_queued_messages 100\nmax_inflight_messages 20") as port:
        found = examined(port)["queue depth"]
        assert found.verdict == "fail"
        assert "max_queued_messages" in found.mend


def test_a_broker_that_takes_small_packets_only_is_found_out() -> None:
    with run_mosquitto("max_packet_size 20000") as port:
        found = examined(port)["broker"]
        assert (found.verdict, "262144" in found.mend) == ("fail", True)


@pytest.mark.parametrize("checks_done", [1, 6, 10])
def test_ctrl_c_in_the_middle_leaves_nothing(checks_done: int) -> None:
    async def main(port: int) -> None:
        seen: list[Finding] = []

        async def look() -> None:
            async with Probe.opened(settings(port)) as probe:
                async for each in broker.checks(settings(port), probe):
                    seen.append(each)  # noqa: PERF401 - as they come

        looking = asyncio.create_task(look())
        await until(lambda: len(seen) >= checks_done, 30)
        await asyncio.sleep(0.05)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        assert await retained(port) == []

    with run_mosquitto() as port:
        asyncio.run(asyncio.wait_for(main(port), 60))
