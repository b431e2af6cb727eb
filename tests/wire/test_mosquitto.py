"""The configuration that ``foa broker init`` writes, as a real Mosquitto reads it: complete, and held by its accounts.

What hostile clients try against it is in `tests/e2e/test_hostile.py`.
"""

import asyncio
import signal
from pathlib import Path

import pytest

from foa.cli.securing.folder import Folder
from foa.cli.securing.mosquitto import Place as Conf
from foa.cli.securing.mosquitto import configuration
from foa.errors import BusError
from foa.wire.codec import encode
from foa.wire.envelope import Frame
from foa.wire.examples import EXAMPLES
from foa.wire.messages import Vcv
from foa.wire.topics import Topics
from tests.e2e.secured import Hand, Place, create, hand, listening, mosquitto
from tests.e2e.town import until
from tests.house.tree import ROOT

RETAINED = 5000
TOPICS = Topics()


def place_of(folder: Folder) -> Place:
    return Place("mosquitto", folder, folder.path)


def test_the_committed_file_is_what_init_writes() -> None:
    committed = (ROOT / "broker" / "mosquitto.conf").read_text(encoding="utf-8")
    assert committed == configuration(Conf("secured", "broker/mosquitto.conf"))
    wanted = {"allow_anonymous false", "use_username_as_clientid true", "tls_version tlsv1.2", "autosave_interval 5"}
    assert wanted <= set(committed.splitlines())
    assert "allow_anonymous true" not in committed


@pytest.mark.mosquitto
@pytest.mark.slow
def test_five_thousand_retained_vectors_all_reach_a_new_subscriber(tmp_path: Path) -> None:
    payload = encode(next(example for example in EXAMPLES if isinstance(example, Vcv)))
    folder = create(tmp_path / "secured", ["acme/lab/a"])
    place = place_of(folder)

    async def replay() -> None:
        await until(listening(folder.federation.port))
        async with hand(place.options("acme/lab/a")) as agent:
            frames = [Frame(TOPICS.vcv(n, "acme/lab/a"), payload, retain=True) for n in range(RETAINED)]
            assert max(await agent.publish(frames)) < 0x80
        async with hand(place.options("index-1")) as index:
            await index.subscribe(TOPICS("vcv/#"))
            await until(lambda: len({frame.topic for frame in index.ear.frames}) >= RETAINED, 60)

    with mosquitto(folder, tmp_path / "log"):
        asyncio.run(asyncio.wait_for(replay(), 120))


@pytest.mark.mosquitto
@pytest.mark.slow
def test_accounts_come_and_go_at_a_signal(tmp_path: Path) -> None:
    folder = create(tmp_path / "secured", ["acme/lab/a"])
    place = place_of(folder)

    async def main() -> None:
        await until(listening(folder.federation.port))
        gone = place.options("acme/lab/a")
        folder.add({"agent": ["acme/lab/new"]})
        folder.remove("acme/lab/a")
        late = Hand(place.options("acme/lab/new"))
        with pytest.raises(BusError):
            await late.bus.open(2)
        process.send_signal(signal.SIGHUP)
        await asyncio.sleep(0.3)
        async with hand(place.options("acme/lab/new")) as new:
            assert max(await new.publish([Frame(TOPICS.discovery("acme/lab/new"), b"x")])) < 0x80
        with pytest.raises(BusError):
            await Hand(gone).bus.open(2)

    with mosquitto(folder, tmp_path / "log") as process:
        asyncio.run(asyncio.wait_for(main(), 60))
