"""A cluster on a bench: agents with the production driver over the in-memory bus, in virtual time, and their owner.

Each agent is played by a temper of `TEMPERS`; the owner awards, settles what it hears, and writes down every frame
in the broker's order.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Any, Final, NamedTuple

import msgspec

from foa.bus.memory import Faults
from foa.bus.mqtt.broker.records import Message
from foa.bus.port import Handle
from foa.core import effects as fx
from foa.core.effects import Effect, Event, Key, Step
from foa.core.machines.agent.state import Job, Stumbled, Yielded
from foa.nodes.agent import AgentProgram, will_of
from foa.nodes.ports import Done as Answer
from foa.settings import Settings
from foa.testing.agents import profile
from foa.testing.mortal import Life
from foa.testing.world import Birth, Seat, World
from foa.wire import codec
from foa.wire.ids import Epoch, partition_of
from foa.wire.messages import Asking, Award, Done, Draft, Failed, Progress, Settled, Taken
from foa.wire.records import Given, Subtask, Team, Value
from foa.wire.topics import Topics

OWNER: Final = Key("owner")
HORIZON_S: Final = 60.0
LEFT_MS: Final = 20_000
TEMPERS: Final = ("steady", "swayed", "contrary", "flipping", "slow", "mute", "failing", "absent", "unsure", "stubborn")


def text(body: str) -> tuple[Given, ...]:
    return (Given("result", Value("text/plain", "text/plain", body.encode())),)


def words(outputs: tuple[Given, ...]) -> str:
    return (outputs[0].value.body or b"").decode() if outputs else ""


def revised(temper: str, job: Job, me: str) -> Yielded | Stumbled:
    """Return what an agent of `temper` makes of a round."""
    said = {draft.agent: f"{words(draft.outputs)}, says {me}"[:80] for draft in job.others}
    if job.critical:
        return Yielded(None, critiques=said)
    peers = Counter(words(outputs) for outputs in job.peers)
    match temper:
        case "swayed" | "slow" if peers:
            most = min(peers, key=lambda word: (-peers[word], word))
            return Yielded(text(most), 0.01, critiques=said, confidence=0.9)
        case "contrary":
            return Yielded(text(f"never {job.round} {me}"), critiques=said)
        case "flipping":
            return Yielded(text("yes" if words(job.draft) == "no" else "no"))
        case "failing":
            return Stumbled("failed", "handler", "boom")
        case "unsure":
            return Yielded(None, critiques=said, confidence=0.1)
        case _:
            return Yielded(None)


class Hands:
    """The handler of one agent."""

    def __init__(self, me: str, temper: str, life: Life, rng: Random) -> None:
        self._me, self._temper, self._life, self._rng = me, temper, life, rng
        self._work: dict[str, Handle] = {}

    def handler(self, job: Job, done: Answer) -> None:
        if self._temper == "mute":
            return
        takes = self._rng.uniform(0.5, 6.0) if self._temper == "slow" else self._rng.uniform(0.01, 0.4)
        first = (
            "no"
            if self._temper == "unsure"
            else f"never {self._me}"
            if self._temper == "contrary"
            else self._rng.choice(["yes", "yes", "no"])
        )
        made = revised(self._temper, job, self._me) if job.round else Yielded(text(first))
        self._work[job.award.award] = self._life.call_at(self._life.time() + takes, partial(done, made, ""))

    def cancel(self, award: str, done: Answer) -> None:
        del done
        if (handle := self._work.pop(award, None)) is not None:
            handle.cancel()


class Owner:
    """A program of one machine: awards what it is told, settles every end it hears."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self.ends: dict[str, list[Done | Failed | Asking]] = {}
        self.heard: set[str] = set()
        self.roots: tuple[Key, ...] = (OWNER,)
        self.steps: Mapping[str, Step[Any]] = {OWNER.kind: self._step}

    def birth(self, key: Key) -> Any | None:
        return self if key == OWNER else None

    def route(self, event: fx.Received | fx.Cleared, known: Callable[[Key], bool]) -> tuple[Key, ...]:
        del event, known
        return (OWNER,)

    def _step(self, state: Any, event: Event, now: float, rng: Random) -> tuple[Any, list[Effect]]:
        del now, rng
        match event:
            case fx.Online():
                return state, [fx.Subscribe((self._topics("answer/#"),))]
            case fx.Told(_, Award() as award):
                if award.award in self.heard:
                    return state, []
                return state, [fx.Publish(self._topics.request(award.agent), award)]
            case fx.Received(_, (Taken() | Progress()) as sign):
                self.heard.add(sign.award)
                return state, []
            case fx.Received(_, (Done() | Failed() | Asking()) as end):
                self.heard.add(end.award)
                self.ends.setdefault(end.award, []).append(end)
                return state, [fx.Publish(self._topics.request(end.agent), Settled(end.award, end.task, Epoch(1, "o")))]
            case _:
                return state, []


class Frame(NamedTuple):
    """A draft as the broker got it."""

    at: float
    draft: Draft
    retain: bool
    expiry_s: int | None


class Cluster:
    """A team of agents by temper; `start` awards at the given times, `run` goes on until all is quiet."""

    def __init__(self, seed: int, tempers: dict[str, str], *, faults: Faults | None = None, **team: Any) -> None:
        self.rng = Random(f"{seed}/cluster")
        self.world = World(seed, Settings(), faults)
        self.tempers = tempers
        fields: dict[str, Any] = {"id": "main.1", "members": tuple(tempers), "round_ms": 1000} | team
        self.team = Team(**fields)
        self.drafts: list[Frame] = []
        self.others: Counter[str] = Counter()
        self.world.witness(self._note)
        self.owner = Owner(self.world.topics)
        self._owner = self.world.add(Seat("owner", "sim/nodes/owner", "owner"), lambda _n, _l: Birth(self.owner, {}))
        self._owner.start()
        for agent, temper in tempers.items():
            if temper != "absent":
                self.world.add(
                    Seat("agent", agent, agent.replace("/", ".")), partial(self._life, agent, temper)
                ).start()

    def _life(self, agent: str, temper: str, birth: int, life: Life) -> Birth:
        program = AgentProgram(profile(agent, slots=1, refines=True), birth, self.world.settings, self.world.topics)
        hands = Hands(agent, temper, life, Random(f"{self.world.seed}/{agent}/{birth}"))
        return Birth(program, {"handler": hands.handler, "cancel": hands.cancel}, will_of(program.context))

    def _note(self, message: Message) -> None:
        packet = message.packet
        topic = self.world.topics.parse(packet.topic)
        if topic.kind == "channel":
            draft = codec.decode(packet.payload)
            assert isinstance(draft, Draft), "a channel carries drafts and nothing else"
            self.drafts.append(Frame(self.world.clock.time(), draft, packet.retain, message.expiry_s))
        else:
            self.others[topic.kind] += 1

    def award(self, agent: str, at: float, *, again: tuple[float, ...] = (3.0, 6.0), **changes: Any) -> None:
        fields: dict[str, Any] = {
            "award": f"w-{agent.rpartition('/')[2]}", "task": "t1", "subtask": Subtask("main", "yes or no"),
            "partition": partition_of("t1", self.world.settings.wire.partitions), "epoch": Epoch(1, "o"), "attempt": 1,
            "key": "k-t1", "lease_ms": 9000, "left_ms": LEFT_MS, "agent": agent, "team": self.team,
        }  # fmt: skip
        award = Award(**(fields | changes))
        for late in (0.0, *again):  # an award nobody was there to hear is said again
            self.world.clock.call_at(at + late, lambda: self._owner.driver.tell(OWNER, award))

    def run(self, until: float = HORIZON_S) -> None:
        self.world.clock.run_until(until)

    def ended(self) -> dict[str, Done | Failed | Asking]:
        """Return each award's one end; an end heard twice must be the same one."""
        found = {}
        for award, ends in self.owner.ends.items():
            assert len({msgspec.msgpack.encode(end) for end in ends}) == 1, f"{award} ended in several ways: {ends}"
            found[award] = ends[0]
        return found
