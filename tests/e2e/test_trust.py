"""Real processes under a trust file: honest work goes on, and whoever has only the broker is not heard."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import foa
from foa.adapters.keys import keyfile, trustfile
from foa.adapters.keys.keyfile import Signer
from foa.nodes.client import task_of
from foa.nodes.federation import Member
from foa.wire import codec
from foa.wire.envelope import Frame
from foa.wire.ids import Epoch, digest_of, partition_of
from foa.wire.messages import Award, Blob, Control, Dead, Done, Own, Presence, Result, Submit, Vcv
from foa.wire.records import Given, Subtask, Value
from foa.wire.topics import Topics
from foa.wire.trust.guard import Guard, Rules
from foa.wire.trust.policy import Entry
from tests.e2e.town import (
    Square,
    Town,
    ears,
    folk,
    ledger,
    ledger_handler,
    mosquitto,
    program,
    publish,
    run,
    square,
    town,
)

TOPICS = Topics()
WORKER = "test/folk/worker"
TASK = "victim"
PLACE = partition_of(TASK)
DAY_US = 86_400_000_000


class Keys:
    """Who is there: the house (its nodes and agents), people, a neighbour's agents, and a stranger nobody named."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.trust = folder / "trust.toml"
        self.house = self._made("house", "agent", "coordinator", "index", each=True)
        self.people = self._made("people", "submitter", "operator")
        self.neighbour = self._made("neighbour", "agent:other/*")
        keyfile.new(self.path("stranger"))
        self.stranger = keyfile.load(self.path("stranger"))

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def _made(self, name: str, *roles: str, each: bool = False) -> Signer:
        key = keyfile.new(self.path(name))
        grants = tuple(trustfile.grant(role, name) for role in roles)
        trustfile.append(self.trust, Entry(name, key, grants, voices="each" if each else "one"))
        return keyfile.load(self.path(name))


class Quarter(msgspec.Struct):
    """A town with its keys."""

    square: Square
    keys: Keys


@pytest.fixture(scope="module")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quarter]:
    program("mosquitto_pub")
    folder = tmp_path_factory.mktemp("trust")
    keys = Keys(folder / "keys")
    worker = folk(folder, "worker", text="Works", handler=ledger_handler(folder / "ledger"))
    known = {"SECURITY_KEY": str(keys.path("house")), "SECURITY_TRUST": str(keys.trust)}
    with mosquitto() as broker, square(folder, worker, broker=broker, nodes=(2, 1), **known) as here:
        members = here.town.alive()
        yield Quarter(here, keys)
        assert here.town.alive() >= members, "a process ended"


def people(place: Town, keys: Keys) -> foa.Client:
    return place.client(**{"security.key": str(keys.path("people")), "security.trust": str(keys.trust)})


async def works(place: Town, keys: Keys, ident: str) -> None:
    """Have a task done that only the worker can do."""
    async with people(place, keys) as client:
        outcome = await client.submit("Works", id=ident, skills=["worker"], inputs={"text": "honest"}).result()
        assert outcome.checked().output == "HONEST"


def test_an_honest_federation_works(quarter: Quarter) -> None:
    async def main(place: Town) -> None:
        await works(place, quarter.keys, "honest-1")
        async with people(place, quarter.keys) as client:
            plan = foa.Plan(tuple(foa.Subtask(n, "Works", skills=("worker",)) for n in "ab"), (("a", "b"),))
            outcome = await client.submit("Works", plan=plan, inputs={"text": "x"}).result()
            assert outcome.checked().result.status == "done"

    quarter.square.run(main)


def sealed(signer: Signer, topic: str, body: bytes, *, at: int | None = None) -> list[str]:
    """Return what mosquitto_pub is told to add for `signer`'s seal."""
    now = time.time_ns() // 1000 if at is None else at
    guard = Guard(Rules(), TOPICS, now - 1_000_000, key=signer.key, sign=signer.sign)
    frame = guard.seal(Frame(topic, body), now)
    return [word for name, value in frame.properties for word in ("-D", "publish", "user-property", name, value)]


def award() -> bytes:
    subtask = Subtask("main", "Works", skills=("worker",))
    words: dict[str, Any] = {"epoch": Epoch(2**40, "x"), "attempt": 1, "lease_ms": 10_000, "left_ms": 10_000}
    return codec.encode(Award("stolen", TASK, PLACE, subtask, key="stolen", **words))


def lies() -> list[tuple[str, bytes]]:
    """Return what an attacker would like to say: topic and body."""
    epoch = Epoch(2**50, "mallory")
    given = (Given("text", Value("text/plain", "text/plain", b"forged")),)
    return [
        (TOPICS.request(WORKER), award()),
        (TOPICS.task(PLACE, TASK, "result"), codec.encode(Result(TASK, "done", epoch, given))),
        (TOPICS.own(PLACE), codec.encode(Own(PLACE, epoch))),
        (TOPICS.presence("coordinator", "coordinator-1"), codec.encode(Presence("x", "coordinator", 1))),
        (TOPICS.discovery(WORKER), b"{}"),
        (TOPICS.vcv(partition_of(WORKER), WORKER), b"junk"),
        (TOPICS.answer(PLACE, TASK, WORKER), codec.encode(Done("a", TASK, WORKER, "k", given))),
        (TOPICS("control/drain"), codec.encode(Control("drain"))),
        (TOPICS.task(PLACE, TASK, "submit"), codec.encode(Submit(task_of("x", id=TASK)))),
    ]


async def refused(place: Town, said: list[tuple[str, bytes, list[str]]]) -> dict[str, set[str]]:
    """Say all of it; return, by topic, the reasons for which it was refused, once each topic had one."""
    reasons: dict[str, set[str]] = {topic: set() for topic, _, _ in said}
    async with ears(place.port, TOPICS("dead/+")) as hear:
        for topic, body, more in said:
            assert await publish(place.port, topic, body, *more) == 0
        while not all(reasons.values()):
            topic, body = await hear()
            dead = codec.decode(body)
            if isinstance(dead, Dead) and dead.topic in reasons:
                reasons[dead.topic].add(topic.rpartition("/")[2])
    return reasons


def test_who_has_the_broker_and_no_key_is_not_heard(quarter: Quarter) -> None:
    async def main(place: Town) -> None:
        for signer, reason in ((None, "unsigned"), (quarter.keys.stranger, "unknown-key")):
            said = [(topic, body, sealed(signer, topic, body) if signer else []) for topic, body in lies()]
            found = await refused(place, said)
            assert found == {topic: {reason} for topic, _ in lies()}
        await works(place, quarter.keys, f"after-{time.time_ns()}")
        assert "stolen" not in {key for _, key, _ in ledger(place.folder / "ledger", "begin")}

    quarter.square.run(main, 60)


def test_a_key_for_something_else_is_of_no_use(quarter: Quarter) -> None:
    async def main(place: Town) -> None:
        signer = quarter.keys.neighbour
        found = await refused(place, [(topic, body, sealed(signer, topic, body)) for topic, body in lies()])
        assert found == {topic: {"not-allowed"} for topic, _ in lies()}
        await works(place, quarter.keys, f"after-{time.time_ns()}")

    quarter.square.run(main, 60)


def test_a_captured_word_is_of_no_use_later_or_with_another_body(quarter: Quarter) -> None:
    async def main(place: Town) -> None:
        keys = quarter.keys
        drain, body = TOPICS("control/drain"), codec.encode(Control("drain"))
        day_ago = time.time_ns() // 1000 - DAY_US
        assert await refused(place, [(drain, body, sealed(keys.people, drain, body, at=day_ago))]) == {drain: {"stale"}}
        request = TOPICS.request(WORKER)
        other = sealed(keys.house, request, b"something else")
        assert await refused(place, [(request, award(), other)]) == {request: {"forged"}}
        await works(place, keys, f"after-{time.time_ns()}")

    quarter.square.run(main, 60)


def test_a_vector_names_the_signed_card(quarter: Quarter) -> None:
    async def main(place: Town) -> None:
        async with people(place, quarter.keys) as client:
            found = await client.collect([f"discovery/{WORKER}", f"vcv/+/{WORKER}"])
        (card,) = [each.message.body for each in found if isinstance(each.message, Blob)]
        (vcv,) = [each.message for each in found if isinstance(each.message, Vcv)]
        assert b'"signatures"' in card
        assert vcv.card == digest_of(card)

    quarter.square.run(main)


def test_who_leaves_the_trust_file_is_heard_no_more(quarter: Quarter) -> None:
    """Last, since it changes the file: the people's key goes, and comes back."""

    async def main(place: Town) -> None:
        keys, text = quarter.keys, quarter.keys.trust.read_text()
        people_key = keys.people.key
        keys.trust.write_text(text.replace(people_key, keys.stranger.key))
        topic, body = TOPICS("control/rebirth"), codec.encode(Control("rebirth", "nobody"))
        heard: set[str] = set()
        while "unknown-key" not in heard:
            heard |= await _reasons(place, topic, body, keys.people)
        keys.trust.write_text(text)

    quarter.square.run(main, 60)


async def _reasons(place: Town, topic: str, body: bytes, signer: Signer) -> set[str]:
    """Return for which reasons a word is refused within a moment; none if it is heard."""
    async with ears(place.port, TOPICS("dead/+")) as hear:
        await publish(place.port, topic, body, *sealed(signer, topic, body))
        try:
            found, _ = await asyncio.wait_for(hear(), 0.5)
        except TimeoutError:
            return set()
        return {found.rpartition("/")[2]}


def test_an_agent_that_nobody_named_works_on_probation_and_not_otherwise(tmp_path: Path) -> None:
    """It is the only one of its skill: refused, nobody is found; on probation, it does the work."""
    keys = Keys(tmp_path / "keys")
    home = folk(tmp_path, "newcomer", text="Works", handler=ledger_handler(tmp_path / "ledger"))
    stranger = ("--set", f"security.key={keys.path('stranger')}", "agent", "run", str(home))
    text = keys.trust.read_text()
    keys.trust.write_text(text.replace('"agent", ', '"agent:test/folk/worker", '))

    async def outcome(unknown: str) -> str:
        known: dict[str, Any] = {
            "SECURITY_KEY": str(keys.path("house")),
            "SECURITY_TRUST": str(keys.trust),
            "SECURITY_UNKNOWN": unknown,
        }
        with mosquitto() as broker:
            async with town(
                tmp_path / unknown, broker=broker, nodes=(1, 1), COORDINATOR_PATIENCE_MS="1500", **known
            ) as place:
                await place.federation.start([Member("newcomer", stranger)])
                async with people(place, keys) as client:
                    submitted = client.submit("Works", skills=["newcomer"], inputs={"text": "x"}, deadline_s=15)
                    found = await submitted.result()
                    return found.result.code or str(found.output)

    assert run(outcome("probation")) == "X"
    assert run(outcome("refuse")) == "no-route"
