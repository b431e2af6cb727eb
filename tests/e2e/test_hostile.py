"""Hostile clients with an account of their own, against Mosquitto and the embedded broker on one and the same folder.

Every attempt is refused, and the honest federation beside them works all the while.
"""

import asyncio
import ssl
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import pytest

import foa
from foa.bus.mqtt.broker.access import files
from foa.errors import BusError, Refused
from foa.wire.codec import encode
from foa.wire.envelope import Frame
from foa.wire.examples import EXAMPLES
from foa.wire.ids import partition_of
from foa.wire.messages import Award, Message, Own, Presence, Result
from foa.wire.topics import Topics
from tests.e2e.secured import EVIL, Hand, Kind, Place, hand, secured, will
from tests.e2e.town import folk, ledger_handler, nothing_left, until

pytestmark = [pytest.mark.slow, pytest.mark.mosquitto]

TOPICS = Topics()
VICTIM = "test/folk/upper"
AT = partition_of(VICTIM)
REFUSED = 0x80


class Town(NamedTuple):
    runner: asyncio.Runner
    place: Place


@pytest.fixture(scope="module", params=["mosquitto", "embedded"])
def town(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("hostile")
    kind: Kind = request.param
    home = folk(folder, "upper", text="Says it in capitals", handler=ledger_handler(folder / "ledger"))
    with nothing_left(folder), asyncio.Runner() as runner:
        context = secured(kind, folder, [home], [VICTIM])
        place = runner.run(context.__aenter__())
        try:
            yield Town(runner, place)
        finally:
            runner.run(context.__aexit__(None, None, None))


def example(kind: type[Message]) -> bytes:
    return encode(next(each for each in EXAMPLES if isinstance(each, kind)))


def forged() -> dict[str, bytes]:
    """Return what an agent's account must not be able to write, each with a body that its reader would believe."""
    t = TOPICS
    return {
        t.discovery(VICTIM): b"{}",
        t.vcv(AT, VICTIM): b"x",
        t.answer(5, "t", VICTIM): b"x",
        t.channel("t", "c", VICTIM): b"x",
        t.request(VICTIM): example(Award),  # an award, captured or made up
        t.own(5): example(Own),
        t.presence("coordinator", "coordinator-1"): example(Presence),
        t.presence("coordinator", "evil.corp.x"): example(Presence),
        t.presence("index", "index-1"): example(Presence),
        t.task(5, "t", "result"): example(Result),
        t.task(5, "t", "state/0"): b"x",
        t.task(5, "t", "submit"): b"x",
        t.task(5, "t", "cancel"): b"x",
        t.task(5, "t", "event"): b"x",
        t.task(5, "t", "ack"): b"x",
        t(f"evidence/{AT}/{VICTIM}"): b"x",
        t("learn/coordinator-1/0"): b"x",
        t("control/drain"): b"x",
        t("dlq/5/t"): b"x",
        t("tasks/t/result"): b"{}",
        "elsewhere/topic": b"x",
    }


async def works(place: Place, words: str) -> None:
    """Have a task done, as its submitter."""
    async with foa.Client(place.client()) as client:
        outcome = (await client.submit(words, skills=["upper"], inputs={"text": words}).result()).checked()
        assert outcome.output == words.upper()


def run(town: Town, main: Coroutine[Any, Any, None], within_s: float = 90.0) -> None:
    async def limited() -> None:
        await asyncio.wait_for(main, within_s)

    town.runner.run(limited())


def test_the_honest_federation_works_from_task_to_result(town: Town) -> None:
    run(town, works(town.place, "all is well"))


def test_what_an_agent_must_not_write_is_refused_each_time(town: Town) -> None:
    async def main() -> None:
        async with hand(town.place.options(EVIL)) as evil:
            for retain in (False, True):
                codes = await evil.publish([Frame(topic, body, retain=retain) for topic, body in forged().items()])
                assert {topic: code for topic, code in zip(forged(), codes, strict=True) if code < REFUSED} == {}
            cleared = await evil.publish([Frame(topic, b"", retain=True) for topic in forged()])
            assert min(cleared) >= REFUSED
            own = [TOPICS.answer(5, "t", EVIL), TOPICS.channel("t", "c", EVIL), TOPICS("tasks")]
            assert max(await evil.publish([Frame(topic, b"x") for topic in own])) < REFUSED
        async with hand(town.place.options("operator", "watch-1")) as operator:
            kept = await operator.retained(TOPICS.discovery(VICTIM))
            assert len(kept) == 1
            assert len(kept[0].payload) > 100

    run(town, main())


def test_people_and_nodes_must_not_write_what_is_others(town: Town) -> None:
    t = TOPICS
    attempts = {
        "mallory": [t("control/drain"), t.task(5, "t", "result"), t.own(5), t.request(VICTIM), t("dlq/5/t")],
        "operator": [t.task(5, "t", "result"), t.own(5), t.discovery(VICTIM), t.presence("coordinator", "x")],
    }

    async def main() -> None:
        for account, topics in attempts.items():
            async with hand(town.place.options(account, f"{account}-1")) as one:
                codes = await one.publish([Frame(topic, b"x", retain=True) for topic in topics])
                assert min(codes) >= REFUSED, (account, codes)

    run(town, main())


def test_who_listens_to_everything_hears_what_is_granted(town: Town) -> None:
    public = ("discovery/", "presence/", "own/", "blob/", "channel/", "control/", "tasks/")
    patterns = ["#", "+/+/request/#", "+/+/answer/#", "+/+/reply/#", "+/+/task/#", "$share/g/+/+/request/#"]

    async def main() -> None:
        async with hand(town.place.options(EVIL)) as evil:
            await evil.subscribe(*patterns)
            await works(town.place, "not for your ears")
            await until(lambda: any(frame.topic.startswith(TOPICS("own/")) for frame in evil.ear.frames))
            heard = {frame.topic.removeprefix(TOPICS("")) for frame in evil.ear.frames}
            assert {topic for topic in heard if not topic.startswith(public)} == set()
            assert TOPICS.discovery(VICTIM).removeprefix(TOPICS("")) in heard

    run(town, main())


def test_nobody_takes_a_client_id_that_is_not_theirs(town: Town) -> None:
    async def main() -> None:
        for client_id in ("coordinator-1", "index-1", VICTIM):
            thief = Hand(town.place.options(EVIL, client_id))
            if town.place.kind == "embedded":
                with pytest.raises(Refused, match="0x85"):
                    await thief.bus.open(10)
                continue
            await thief.bus.open(10)  # Mosquitto lets it in under its own name
            assert min(await thief.publish([Frame(TOPICS.presence("coordinator", "coordinator-1"), b"x")])) >= REFUSED
            await thief.bus.close()
        for name in ("coordinator-1", "index-1", "upper"):
            assert "take" not in (town.place.logs / f"{name}.log").read_text()
        await works(town.place, "still here")

    run(town, main())


def test_people_cannot_take_a_process_name_on_the_embedded_broker(town: Town) -> None:
    if town.place.kind == "mosquitto":
        pytest.skip("Mosquitto cannot bind Client IDs of people; docs/security.md says what that is worth to a thief")

    async def main() -> None:
        with pytest.raises(Refused, match="0x85"):
            await Hand(town.place.options("mallory", "coordinator-1")).bus.open(10)

    run(town, main())


@pytest.mark.parametrize("changes", [{"password": "guess"}, {"password": None}, {"username": None, "password": None}])
def test_without_the_right_credentials_nobody_gets_in(town: Town, changes: dict[str, None]) -> None:
    async def main() -> None:
        for account in (EVIL, "mallory"):
            with pytest.raises(BusError) as caught:
                await Hand(town.place.options(account, "x", **changes)).bus.open(4)
            assert "guess" not in str(caught.value)

    run(town, main())


def test_a_process_account_does_not_open_the_door_of_another(town: Town) -> None:
    async def main() -> None:
        mine = town.place.options(EVIL)
        theirs = town.place.options(VICTIM)
        with pytest.raises(BusError):
            await Hand(town.place.options(VICTIM, password=mine.password)).bus.open(4)
        assert theirs.password != mine.password

    run(town, main())


def test_a_will_on_anothers_topic_is_never_published(town: Town) -> None:
    async def main() -> None:
        for topic in (TOPICS.discovery(VICTIM), TOPICS.presence("coordinator", "coordinator-1")):
            one = Hand(town.place.options(EVIL, will=will(topic), session_expiry_s=0, clean_start=True))
            with suppress(BusError):
                await one.bus.open(3)
            await one.bus.close(will=True)
        async with hand(town.place.options("operator", "watch-2")) as operator:
            kept = {frame.topic for frame in await operator.retained("#")}
            assert {TOPICS.discovery(VICTIM), TOPICS.presence("coordinator", "coordinator-1")} <= kept
        await works(town.place, "not dead")

    run(town, main())


def test_junk_ends_its_own_connection_only(town: Town) -> None:
    known = town.place.folder
    trusted = ssl.create_default_context(cafile=str(known.path / files.CA))
    junk = [
        b"\x00" * 64,
        b"\xff" * 1000,
        b"\x10\xff\xff\xff\x7f",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x30\x80\x80\x80\x80\x01",
    ]

    async def main() -> None:
        for port in {known.federation.port, known.federation.people_port}:
            for body in junk:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusted)
                writer.write(body)
                with suppress(OSError):
                    await writer.drain()
                    writer.write_eof() if writer.can_write_eof() else writer.close()
                    await asyncio.wait_for(reader.read(), 20)
                writer.close()
        one = Hand(town.place.options(EVIL, session_expiry_s=0, clean_start=True))
        await one.bus.open(20)
        with pytest.raises(BusError):
            one.bus.publish(Frame(TOPICS("tasks"), b"x" * (1 << 21)))
        await one.bus.close()
        await works(town.place, "unmoved")

    run(town, main())


def test_what_was_refused_is_counted_with_its_reason(town: Town) -> None:
    """Last, since the embedded broker tells of refusals every few seconds only."""
    if town.place.kind == "mosquitto":
        pytest.skip("Mosquitto tells only who asks, by the reason codes that the tests above look at")
    log = town.place.logs / "broker.log"

    async def main() -> None:
        words = ("connections (client-id)", "connections (credentials)", "publications", "wills", "malformed")
        await until(lambda: all(word in log.read_text() for word in words), 30)

    run(town, main())
