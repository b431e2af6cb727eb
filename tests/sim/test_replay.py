"""A recording of a federation runs again: the same ends where nothing changed, and a planted bug is seen in it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from foa.bus.mqtt.broker.records import Message
from foa.cli.main import main
from foa.errors import ConfigError
from foa.testing.sim import Run, mutants, scenario
from foa.testing.sim.tape import file as recording
from foa.testing.sim.tape import replay as replaying
from foa.testing.sim.tape.file import Heard, Writer
from foa.wire import codec
from foa.wire.messages import Done, Submit
from foa.wire.records import Given, Task, Value
from foa.wire.topics import Topics
from tests.bus.brokers import free_port

TOPICS = Topics("foa/v1", 4)
LARGE = 1 << 26


class Recorded(Run):
    """A run of which everything is written down as an operator would hear it."""

    def __init__(self, seed: int) -> None:
        drawn = scenario.draw(seed)
        super().__init__(drawn)
        self.heard: list[Heard] = []

    def _witness(self, message: Message) -> None:
        super()._witness(message)
        packet, at = message.packet, self.world.clock.time()
        properties = tuple(packet.user_properties or ())
        self.heard.append(
            Heard(at, packet.topic, packet.payload, reply_to=packet.response_topic or "", properties=properties)
        )


def written(tmp_path: Path, heard: list[Heard], *, bodies: bool = True, most: int = LARGE) -> tuple[Path, Writer]:
    path = tmp_path / "said.foarec"
    with Writer(path, most, TOPICS, bodies=bodies) as writer:
        for one in heard:
            writer.write(one)
    return path, writer


@pytest.mark.slow
@pytest.mark.parametrize("seed", [4, 21])
def test_what_was_recorded_is_run_again(seed: int, tmp_path: Path) -> None:
    run = Recorded(seed)
    assert run.run().violations == ()
    path, writer = written(tmp_path, run.heard)
    assert writer.frames == len(run.heard)
    again = replaying.replay(recording.read(path), TOPICS)
    assert again.tasks == len(run.errands)
    assert again.agents == len(run.scenario.names("agent"))
    assert again.violations == ()
    assert len(again.differences) <= again.tasks / 2


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_bug_is_seen_in_what_was_recorded(tmp_path: Path) -> None:
    """Owners that take leases for a tenth of their time: one of the first recordings shows it, under the bug alone."""
    for seed in (21, 45, 0, *range(60)):
        run = Recorded(seed)
        run.run()
        path, _ = written(tmp_path, run.heard)
        with mutants.applied("hasty-lease"):
            again = replaying.replay(recording.read(path), TOPICS)
        if "early-lease" in {violation.word for violation in again.violations}:
            assert replaying.replay(recording.read(path), TOPICS).violations == ()
            return
    pytest.fail("no recording of sixty shows leases that end early")


def said(message: Submit | Done, topic: str) -> Heard:
    return Heard(1.0, topic, codec.encode(message))


def frames() -> Iterator[Heard]:
    secret = (Given("load", Value("text/plain", "text/plain", b"a secret")),)
    yield said(Submit(Task("t1", "echo this", inputs=secret)), TOPICS.task(0, "t1", "submit"))
    yield said(Done("a.1", "t1", "acme/tools/a1", "key", secret), TOPICS.answer(0, "t1", "acme/tools/a1"))
    yield Heard(2.0, TOPICS.blob("0" * 64), b"a secret too")
    yield Heard(3.0, TOPICS.task(0, "t1", "submit"), b"no message, a secret")


def test_bodies_may_be_left_out(tmp_path: Path) -> None:
    path, writer = written(tmp_path, list(frames()), bodies=False)
    read = list(recording.read(path))
    assert writer.frames == len(read) == 3
    assert not any(b"secret" in one.payload for one in read)
    submit = codec.decode(read[0].payload)
    assert isinstance(submit, Submit)
    assert (submit.task.id, submit.task.inputs[0].value.body) == ("t1", b"")


def test_a_file_is_bounded_and_one_that_was_cut_short_is_read_up_to_there(tmp_path: Path) -> None:
    path, writer = written(tmp_path, list(frames()), most=200)
    assert writer.full
    assert writer.written <= 200
    path, _ = written(tmp_path, list(frames()))
    path.write_bytes(path.read_bytes()[:-12])
    assert len(list(recording.read(path))) <= 4


def test_a_file_that_is_no_recording_is_named(tmp_path: Path) -> None:
    path = tmp_path / "no.foarec"
    path.write_text("no")
    with pytest.raises(ConfigError, match=r"no\.foarec"):
        list(recording.read(path))


@pytest.mark.slow
def test_a_live_federation_is_recorded_and_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    command = [sys.executable, "-m", "foa", "broker", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as broker:
        assert broker.stdout is not None
        broker.stdout.readline()
        path = tmp_path / "live.foarec"
        url = f"mqtt://127.0.0.1:{port}"
        assert main(["record", str(path), "--minutes", "0.02", "--broker", url]) == 0
        assert "0 frames" in capsys.readouterr().out
        assert main(["replay", str(path), "--broker", url]) == 0
        broker.terminate()
