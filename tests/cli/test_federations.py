"""``foa up`` and what one does with it, end to end: real processes, the embedded broker, no model."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.programs import HASH, Program, all_gone, environment, foa, running, write_agents

pytestmark = pytest.mark.slow


class Up:
    """A federation that runs, and the program as its user types it."""

    def __init__(self, program: Program, url: str, folder: Path) -> None:
        self.program, self.url, self.folder = program, url, folder

    def foa(self, *arguments: str, code: int = 0) -> str:
        done = foa(*arguments, "--broker", self.url, cwd=self.folder)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.foa(*arguments, "--json", code=code))


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("up")
    agents = write_agents(folder / "agents")
    changes = {**HASH, "FOA_LEARNING_PUBLISH_MS": "50"}
    with running(
        "up", "--port", "0", "--agents", str(agents), "--state-dir", "state", cwd=folder, changes=changes
    ) as program:
        last = program.until("processes run")
        assert last.startswith("6 processes run")
        federation = Up(program, last.split("the broker is ")[1].split(";")[0], folder)
        federation.json("task", "submit", "echo hello")  # from now on everything is known to everybody
        yield federation


def test_what_runs_is_said(up: Up) -> None:
    said = "\n".join(up.program.said)
    for name in ("broker", "coordinator-1", "coordinator-2", "index-1", "echo", "sleeper"):
        assert f"  {name} " in said


def test_a_task_is_done_and_its_text_printed(up: Up) -> None:
    assert up.foa("task", "submit", "echo hello") == "echo hello\n"


def test_an_input_goes_in_and_a_file_comes_out(up: Up) -> None:
    (up.folder / "notes.txt").write_text("word for word")
    up.foa("task", "submit", "repeat this text", "--input", "text=notes.txt", "--out", "out", "--id", "notes-1")
    assert (up.folder / "out" / "text.txt").read_text() == "word for word"
    up.foa("task", "result", "notes-1", "--out", "again")
    assert (up.folder / "again" / "text.txt").read_text() == "word for word"
    assert up.foa("task", "result", "notes-1") == "word for word\n"


def test_what_is_printed_as_json(up: Up) -> None:
    done = up.json("task", "submit", "echo hello", "--id", "json-1")
    assert (done["status"], done["outputs"]["text"]["text"]) == ("done", "echo hello")
    row = next(each for each in up.json("task", "list") if each["id"] == "json-1")
    assert {"id", "status", "subtasks", "done", "cost", "ms", "owner", "text"} <= row.keys()
    shown = up.json("task", "show", "json-1")
    assert (shown["status"], shown["plan"]["subtasks"][0]["text"]) == ("done", "echo hello")
    decision = up.json("explain", "json-1")["decisions"][0]
    assert decision["chosen"] == ["foa/tools/echo"]
    assert {"agent", "score", "cosine"} <= decision["candidates"][0].keys()
    agents = {each["agent"]: each for each in up.json("agent", "list")}
    assert agents["foa/tools/echo"]["status"] == "online"
    assert up.json("agent", "show", "foa/tools/echo")["card"]["name"] == "Echo"
    found = up.json("search", "repeat this text")
    assert found["candidates"][0]["agent"] == "foa/tools/echo"


def test_what_is_printed_for_people(up: Up) -> None:
    up.foa("task", "submit", "echo hello", "--id", "people-1")
    assert "people-1" in up.foa("task", "list")
    assert "foa/tools/echo" in up.foa("task", "show", "people-1")
    assert "chosen: foa/tools/echo" in up.foa("explain", "people-1")
    assert "online" in up.foa("agent", "list")
    assert "skill   echo" in up.foa("agent", "show", "foa/tools/echo")
    assert "meaning" in up.foa("search", "repeat this text", "--explain")
    assert "nobody" in up.foa("search", "repeat this text", "--skill", "flying", code=1)


def test_what_was_learned_of_a_task_is_shown(up: Up) -> None:
    up.foa("task", "submit", "echo hello", "--id", "learn-1")
    up.foa("task", "feedback", "learn-1", "--score", "0.5")
    while not (learned := up.json("learn", "show"))["agents"]:
        pass
    assert learned["agents"][0]["agent"] == "foa/tools/echo"
    assert learned["agents"][0]["declared"]["latency_ms"] > 0
    assert "foa/tools/echo" in up.foa("learn", "show")
    assert "kind of task" in up.foa("learn", "show", "foa/tools/echo")
    up.foa("learn", "show", "a/b/c", code=4)


def test_a_task_is_watched_late_and_cancelled(up: Up) -> None:
    assert up.foa("task", "submit", "take a nap", "--no-wait", "--id", "nap-1", "--skill", "sleep") == "nap-1\n"
    command = [sys.executable, "-m", "foa", "task", "watch", "nap-1", "--plain", "--broker", up.url]
    watching = Program(command, up.folder)
    watching.until("main  running")
    up.foa("task", "result", "nap-1", code=1)
    assert "cancelled: enough" in up.foa("task", "cancel", "nap-1", "--reason", "enough")
    assert "cancelled" in watching.until("task nap-1")
    assert watching.end(0) == 1
    assert "cancelled" in up.foa("task", "watch", "nap-1", "--plain", code=1)
    up.foa("task", "cancel", "nap-1")


def test_a_failure_is_exit_1_with_its_reason(up: Up) -> None:
    done = foa("task", "submit", "x", "--skill", "flying", "--deadline", "500ms", "--broker", up.url, cwd=up.folder)
    assert done.returncode == 1
    assert done.stderr.startswith("foa: task t-")
    assert done.stderr.count("\n") == 1


def test_what_is_not_there_is_exit_4(up: Up) -> None:
    for command in (["show"], ["watch", "--plain"], ["cancel"], ["result"]):
        up.foa("task", command[0], "nothing", *command[1:], code=4)
    up.foa("explain", "nothing", code=4)
    up.foa("agent", "show", "a/b/c", code=4)


def test_the_doctor_finds_all_well(up: Up) -> None:
    found = {each["check"]: each["verdict"] for each in up.json("doctor")}
    assert "fail" not in found.values()
    assert found["partitions owned"] == found["partitions searched"] == found["sessions"] == found["take-over"] == "ok"
    assert found["coordinator nodes"] == found["index nodes"] == found["agents"] == found["queue depth"] == "ok"
    assert "✓ request and reply" in up.foa("doctor")


def test_an_agent_in_a_file_and_its_replica(up: Up) -> None:
    (up.folder / "shout.py").write_text(
        "import foa\n@foa.agent('acme/tools/shout', description='Says it louder', skills=['shout'])\n"
        "def shout(text: str) -> str:\n    return text.upper()\nif __name__ == '__main__':\n    foa.run(shout)\n"
    )
    changes = {**HASH, "FOA_BROKER_URL": up.url}
    by_itself = Program([sys.executable, "shout.py", "--instance", "2"], up.folder, changes)
    by_itself.until("acme/tools/shout-2 ready")
    with running("agent", "run", "shout.py:shout", cwd=up.folder, changes=changes) as named:
        named.until("acme/tools/shout ready")
        named.until("announced")
        submit = "print(foa.submit('shout it', skills=['shout']).output)"
        code = f"import foa, asyncio\nasync def main(): {submit}\nasyncio.run(main())"
        script = Program([sys.executable, "-c", code], up.folder, changes)
        script.until("SHOUT IT")
        assert script.end(0) == 0
    assert by_itself.end() == 130


def test_who_dies_is_started_again(up: Up) -> None:
    line = next(line for line in up.program.said if line.strip().startswith("echo "))
    pid = int(line.split()[-1])
    os.kill(pid, signal.SIGKILL)
    up.program.until("echo ended (SIGKILL); it is started again")
    up.program.until("echo is back")
    assert up.foa("task", "submit", "echo hello") == "echo hello\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_up(number: int, tmp_path: Path) -> None:
    agents = write_agents(tmp_path / "agents")
    with running("up", "--port", "0", "--agents", str(agents), "--state-dir", "state", cwd=tmp_path) as program:
        program.until("processes run")
        pids = [int(line.split()[-1]) for line in program.said if " pid " in line]
        assert len(pids) == 6
        code = program.end(number)
    assert code == (-9 if number == signal.SIGKILL else 130)
    assert all_gone(pids)


def test_a_wrong_password_is_exit_3_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "users.txt").write_text("ann:secret\n")
    with running("broker", "--port", "0", "--users", "users.txt", cwd=tmp_path) as program:
        url = "mqtt://" + program.until("ready").rsplit(" ", 1)[1]
        account = {"FOA_BROKER_URL": url, "FOA_BROKER_USERNAME": "ann"}
        assert foa("task", "list", cwd=tmp_path, **account, FOA_BROKER_PASSWORD="secret").returncode == 0
        for command in (["task", "list"], ["doctor", "--json"]):
            done = foa(*command, cwd=tmp_path, **account, FOA_BROKER_PASSWORD="wrong")
            assert done.returncode == 3, done.stderr
            assert done.stderr.startswith("foa: ")
            assert done.stderr.count("\n") == 1
            assert "secret" not in done.stderr


def test_a_taken_port_is_a_mistake(up: Up) -> None:
    port = up.url.rsplit(":", 1)[1]
    done = foa("up", "--port", port, cwd=up.folder)
    assert done.returncode == 2
    assert done.stderr.startswith(f"foa: --port {port}: ")


def test_an_agent_that_cannot_start_ends_up_with_its_own_words(tmp_path: Path) -> None:
    agents = write_agents(tmp_path / "agents")
    (agents / "sleeper" / "handler.py").write_text("import no_such_module\n")
    done = foa("up", "--port", "0", "--agents", str(agents), "--state-dir", "state", cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith("foa: sleeper did not start: foa: ")
    assert "no_such_module" in done.stderr


def test_the_environment_of_children_hides_secrets_from_the_process_list() -> None:
    from foa.cli.loading import Options

    found = Options({"broker.password": "hush", "wire.root": "a"}).environment({"node.name": "n"})
    assert (found["FOA_BROKER_PASSWORD"], found["FOA_WIRE_ROOT"], found["FOA_NODE_NAME"]) == ("hush", "a", "n")
    assert "FOA_NODE_NAME" not in environment()
