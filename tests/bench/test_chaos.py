"""``foa bench chaos``: its books by hand, its plan by seed, and a short storm of real processes over each broker."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from foa.bench.brokers import free_port
from foa.bench.chaos.plan import CYCLE, KILLS, Run, faults
from foa.bench.chaos.proxy import Proxy
from foa.bench.chaos.storm import measure
from foa.bench.chaos.verdict import recovery, table
from foa.bench.chaos.witness import FLIGHT_S, FRESH_S, Witness
from foa.bench.chaos.work.ledger import VARIABLE, Fact, listen
from foa.bench.chaos.work.load import MIX, STEPPED, errand
from foa.bench.chaos.work.submitter import Memory, Orders, submit
from foa.bench.main import app
from foa.core.dag.plan import check
from foa.wire.ids import Epoch
from foa.wire.messages import AnyMessage, Award, Done, Result, Settled, State, Submit
from foa.wire.records import Subtask, Task
from foa.wire.topics import Topic
from tests.e2e.town import nothing_left

OWNER, HEIR = Epoch(3, "coordinator-1"), Epoch(4, "coordinator-2")
AGENT, OTHER = "chaos/agents/polish-1", "chaos/agents/polish-2"


class Scene:
    """A witness, and the messages of one task as it sees them."""

    def __init__(self, task: str = "t") -> None:
        self.witness = Witness()
        self.task = Task(task, "polish it", submitter="submitter-1")

    def see(self, now: float, message: AnyMessage, agent: str = "") -> None:
        self.witness.see(Topic("state", 0, self.task.id, agent), message, now)

    def state(self, now: float, epoch: Epoch = OWNER) -> None:
        self.see(now, State(self.task, epoch, 1, 1000))

    def award(self, now: float, award: str = "a1", agent: str = AGENT, epoch: Epoch = OWNER) -> None:
        self.see(now, Award(award, self.task.id, 0, Subtask("s0", "x"), epoch, 1, "key", 1000, 1000), agent)

    def done(self, now: float, award: str = "a1", agent: str = AGENT) -> None:
        self.see(now, Done(award, self.task.id, agent, "key"))


def test_what_a_dead_owner_had_sent_is_nobodys_progress() -> None:
    scene = Scene()
    scene.see(0.0, Submit(scene.task))
    assert scene.witness.submitted("submitter-1") == {("t", "")}
    scene.state(0.1)
    wound = scene.witness.wound("coordinator", "coordinator-1", 1.0, scene.witness.owned("coordinator-1"))
    assert wound.affected == 1
    scene.award(1.0 + FLIGHT_S / 2)
    scene.done(1.1)
    assert wound.waiting, "its own late award, and an answer that nobody has heard"
    scene.state(3.5, HEIR)
    assert wound.healed == {("t", ""): 2.5}
    assert scene.witness.owned("coordinator-2") == {("t", "")}


def test_a_task_that_had_ended_before_its_owner_died_was_not_held_up() -> None:
    scene = Scene()
    scene.state(0.0)
    wound = scene.witness.wound("coordinator", "coordinator-1", 1.0, scene.witness.owned("coordinator-1"))
    scene.see(1.01, Result("t", "done", OWNER))
    assert (wound.affected, wound.waiting, wound.healed) == (0, set(), {})


def test_work_of_a_dead_agent_goes_on_with_its_next_award() -> None:
    scene = Scene()
    scene.state(0.0)
    scene.award(0.1)
    assert scene.witness.awarded(AGENT) == {("t", "s0")}
    wound = scene.witness.wound("agent", AGENT, 1.0, scene.witness.awarded(AGENT))
    scene.state(1.5)
    assert wound.waiting, "a snapshot does not bring the work on"
    scene.award(3.0, "a2", OTHER)
    assert wound.healed == {("t", "s0"): 2.0}


def test_an_answer_that_was_on_its_way_was_not_held_up() -> None:
    scene = Scene()
    scene.state(0.0)
    scene.award(0.1)
    wound = scene.witness.wound("agent", AGENT, 1.0, scene.witness.awarded(AGENT))
    scene.done(1.05)
    assert (wound.affected, wound.waiting) == (0, set())
    assert not scene.witness.awarded(AGENT)


def test_after_a_brokers_death_only_what_comes_over_a_new_link_counts() -> None:
    scene = Scene()
    scene.witness.link = 1
    scene.state(0.0)
    wound = scene.witness.wound("broker", "broker", 1.0, scene.witness.all())
    scene.state(1.01)
    assert wound.waiting
    scene.witness.link = 2
    scene.state(4.0)
    assert wound.healed == {("t", ""): 3.0}
    figures = recovery([wound])
    assert (figures["p50_s"], figures["p99_s"], figures["worst_s"]) == (3.0, 3.0, 3.0)


def test_questions_to_an_index_node_hold_up_those_who_have_no_award() -> None:
    scene = Scene()
    scene.state(0.0)
    scene.witness.ask("index-1", "coordinator-1", b"1", 0.01)
    assert scene.witness.asked("index-1") == {("t", "")}
    scene.witness.told(b"1")
    assert not scene.witness.asked("index-1")
    scene.witness.ask("index-1", "coordinator-1", b"2", FRESH_S + 0.1)
    assert not scene.witness.asked("index-1"), "a question of another task: nothing new was said of this one"


def test_a_dead_submitter_holds_up_only_what_nobody_has_accepted() -> None:
    scene = Scene()
    scene.see(0.0, Submit(scene.task))
    held = scene.witness.submitted("submitter-1")
    first = scene.witness.wound("client", "submitter-1", 0.1, held)
    assert first.waiting == {("t", "")}
    scene.state(0.2)
    assert first.healed == {("t", ""): pytest.approx(0.1)}
    second = scene.witness.wound("client", "submitter-1", 0.3, held)
    assert (second.affected, second.waiting) == (1, set()), "a kill over work, but a long step of it is no recovery"


def test_a_long_step_elsewhere_is_no_slow_recovery() -> None:
    scene = Scene()
    scene.state(0.0)
    scene.award(0.1, agent=OTHER)
    assert not scene.witness.awarded(AGENT)
    assert not scene.witness.asked("index-1")
    owner = scene.witness.wound("coordinator", "coordinator-1", 1.0, scene.witness.owned("coordinator-1"))
    scene.state(1.4, HEIR)
    scene.done(9.0, agent=OTHER)
    assert owner.healed == {("t", ""): pytest.approx(0.4)}


def test_a_task_without_a_step_has_paused() -> None:
    scene = Scene()
    scene.state(0.0)
    scene.award(0.1)
    scene.state(4.0, HEIR)
    scene.award(8.1, "a2", OTHER)
    scene.done(8.5, "a2", OTHER)
    assert scene.witness.pauses == {"t": pytest.approx(8.0)}, "that somebody owns it is not yet a step"


def test_two_different_results_are_seen() -> None:
    scene = Scene()
    scene.state(0.0)
    scene.award(0.1)
    scene.see(0.2, Settled("a1", "t", OWNER))
    for status in ("done", "done", "expired"):
        scene.see(1.0, Result("t", status, OWNER))
    assert len(scene.witness.results["t"]) == 2
    assert scene.witness.settled == {("t", "s0"): 0.2}
    assert not scene.witness.tasks, "what ended is not on its way"


def test_faults_come_in_rounds_of_all_kinds_the_same_for_one_seed() -> None:
    first = list(islice(faults(Random(5)), 3 * len(CYCLE)))
    assert first == list(islice(faults(Random(5)), 3 * len(CYCLE)))
    for at in range(0, len(first), len(CYCLE)):
        assert Counter(first[at : at + len(CYCLE)]) == Counter(CYCLE)
    assert set(KILLS) <= set(CYCLE)


def test_the_load_is_seeded_and_a_third_of_it_has_several_steps() -> None:
    made = [errand("submitter-1", 7, number, 60.0) for number in range(2000)]
    assert made[3] == errand("submitter-1", 7, 3, 60.0)
    assert made[3] != errand("submitter-1", 8, 3, 60.0)
    assert len({one.task.id for one in made}) == len(made)
    sorts = Counter(one.sort for one in made)
    assert set(sorts) == set(MIX)
    assert sum(sorts[sort] for sort in STEPPED) > 0.3 * len(made)
    assert not [one for one in made if one.task.plan is not None and check(one.task.plan)]
    assert all(one.cancel_s is not None for one in made if one.sort == "cancelled")


def test_a_submitter_remembers_what_is_on_its_way(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "sent")
    for word, number in (("sent", 0), ("accepted", 0), ("sent", 1), ("sent", 2), ("ended", 0)):
        memory.note(word, number)
    memory.close()
    again = Memory(tmp_path / "sent")
    assert (again.open, again.next) == ({1: False, 2: False}, 3)
    again.close()


def test_a_submitter_goes_on_with_what_waits_in_its_outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker is there at all: the first life hands in, the second has all of it from the outbox."""
    facts: list[Fact] = []
    monkeypatch.setenv(VARIABLE, str(tmp_path / "ledger"))
    monkeypatch.setenv("FOA_BROKER_URL", f"mqtt://127.0.0.1:{free_port()}")
    monkeypatch.setenv("FOA_NODE_STATE_DIR", str(tmp_path / "state"))
    orders = Orders("submitter-1", 1, 50.0, 60.0, tmp_path / "sent", tmp_path / "over")

    def told(word: str) -> set[str]:
        return {fact.task for fact in facts if fact.word == word}

    async def live(enough: Callable[[], bool]) -> None:
        life = asyncio.get_running_loop().create_task(submit(orders))
        while not enough():
            assert not life.done()
            await asyncio.sleep(0.01)
        life.cancel()
        await asyncio.wait({life})

    async def main() -> None:
        ledger = await listen(str(tmp_path / "ledger"), facts.append)
        await live(lambda: len(told("sent")) >= 3)
        sent = told("sent")
        orders.over.touch()
        await live(lambda: told("resumed") >= sent)
        assert told("sent") == sent
        ledger.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_cable_carries_stalls_and_is_cut() -> None:
    async def main() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while word := await reader.read(100):
                writer.write(word)
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        proxy = Proxy(server.sockets[0].getsockname()[1])
        await proxy.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"one")
        assert await reader.read(100) == b"one"
        proxy.deafen()
        writer.write(b"two")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(100), 0.05)
        proxy.mend()
        assert await reader.read(100) == b"two"
        proxy.drop()
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        await proxy.close()
        server.close()
        await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_wrong_broker_is_told_in_one_line() -> None:
    error = CliRunner().invoke(app, ["chaos", "--with", "rabbit"]).exception
    assert str(error) == "--broker rabbit: chaos starts a broker of its own; say embedded or mosquitto"


@pytest.fixture(params=["embedded", "mosquitto"])
def broker(request: pytest.FixtureRequest) -> str:
    if request.param == "mosquitto" and shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    return str(request.param)


@pytest.mark.slow
def test_nothing_is_lost_in_a_short_storm(broker: str, tmp_path: Path) -> None:
    run = Run(0.3, broker, per_s=4.0, every_s=2.0, settings={"broker.keep_alive_s": "2"})
    said: list[str] = []
    folder = tmp_path / "run"
    folder.mkdir()
    with nothing_left(folder):
        figures = asyncio.run(asyncio.wait_for(measure(run, folder, said.append), 240))
    assert (figures["lost"], figures["duplicated"], figures["wrong"]) == (0, 0, 0), table(figures)
    assert (figures["twice"], figures["settled_ran_again"]) == (0, 0), table(figures)
    assert figures["accepted"] > 10
    assert figures["faults"] > 3
    assert figures["kills"] + figures["idle_kills"] > 0
    assert (figures["errors"], figures["unexpected_ends"]) == (0, 0), table(figures)
