"""What every command says of itself, and that a mistake is one line and the right exit code."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from foa.cli.main import app, hoisted, main
from tests.cli.programs import environment

COMMANDS = [
    ("up",), ("demo",), ("search",), ("explain",), ("doctor",), ("config", "show"),
    ("broker", "init"), ("broker", "account"), ("broker", "renew"), ("broker", "certificate"), ("broker", "hash"),
    ("node", "coordinator"), ("node", "index"), ("node", "list"), ("drain",), ("sim",), ("record",), ("replay",),
    ("key", "new"), ("key", "show"), ("key", "trust"),
    ("agent", "run"), ("agent", "list"), ("agent", "show"), ("agent", "validate"),
    ("task", "submit"), ("task", "watch"), ("task", "show"), ("task", "list"), ("task", "cancel"), ("task", "result"),
    ("task", "feedback"), ("task", "answer"), ("task", "outbox"), ("task", "retry"), ("learn", "show"),
    ("dlq", "list"), ("dlq", "show"), ("dlq", "replay"), ("dlq", "drop"),
]  # fmt: skip
NOBODY = "mqtt://127.0.0.1:1"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(environment({})):
        if name.startswith("FOA_"):
            monkeypatch.delenv(name)


def _one_line(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr()
    assert said.err.count("\n") == 1, said.err
    assert said.err.startswith("foa: ")
    return said.err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_examples(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--help"]) == 0
    said = capsys.readouterr().out
    assert "Examples:" in said
    assert f"foa {' '.join(command)}" in said


def test_no_command_is_left_out() -> None:
    root = typer.main.get_command(app)
    found: set[tuple[str, ...]] = set()
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        found |= {(name, inner) for inner in getattr(command, "commands", {})} or {(name,)}
    assert {each for each in found if each[0] != "bench"} == set(COMMANDS)


def test_the_root_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "Exit codes: 0 fine, 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tsk"], "No such command"),
        (["task", "submit"], "Missing argument"),
        (["task", "submit", "x", "--sped"], "No such option"),
        (["task", "submit", " "], "TEXT is empty"),
        (["task", "submit", "x", "--prefer", "speed"], "speed"),
        (["task", "submit", "x", "--deadline", "soon"], "--deadline soon: must be"),
        (["task", "submit", "x", "--deadline", "0"], "the task cannot be sent"),
        (["task", "submit", "x", "--id", "a/b"], "the task cannot be sent"),
        (["task", "submit", "x", "--input", "table"], "must be name=FILE"),
        (["task", "submit", "x", "--input", "table=no.csv"], "cannot be read"),
        (["task", "submit", "x", "--input", "table=no.xyz"], "tells no type"),
        (["task", "submit", "x", "--plan", "no.toml"], "no.toml"),
        (["task", "submit", "x", "--strategy", "dice"], "dice"),
        (["task", "submit", "x", "--joining", "glue"], "glue"),
        (["task", "show", "a/b"], "is no task id"),
        (["task", "answer", "a/b", "x"], "is no task id"),
        (["task", "answer", "t", " "], "the answer is empty"),
        (["task", "answer", "t", "wrong", "--refute"], "refute: name the finished subtask"),
        (["task", "answer", "t", "--subtask", "a", "--refute"], "refute: name the finished subtask"),
        (["task", "answer", "t", "x", "--subtask", "a", "--refute", "--approve"], "refute: goes without approve"),
        (["task", "answer", "t", "x", "--subtask", "a" * 65], "the answer cannot be sent"),
        (["task", "answer", "t", "x", "--input", "table"], "must be name=FILE"),
        (["task", "list", "--set", "broker.ulr=x"], "did you mean broker.url?"),
        (["task", "list", "--set", "broker"], "must be key=value"),
        (["task", "list", "--config", "no.toml"], "there is no such file"),
        (["task", "list", "--broker", "http://x"], "broker.url"),
        (["agent", "run"], "name one agent"),
        (["agent", "run", "nowhere"], "there is no such file"),
        (["agent", "run", "nowhere.py:x"], "there is no such file"),
        (["agent", "show", "echo"], "org/unit/agent"),
        (["up", "--agents", "."], "holds no */profile.toml"),
        (["demo", "--input", "no.csv"], "cannot be read"),
        (["broker", "--users", "no.txt"], "no.txt"),
        (["broker", "--secured", "nowhere"], "foa broker init nowhere"),
        (["broker", "account", "list", "nowhere"], "foa broker init nowhere"),
        (["broker", "init", "x", "--people", "king=ann"], "must be one of coordinator"),
        (["broker", "init", "x", "--host", "no host", "--agents", "none"], "plain ASCII name or an address"),
        (["task", "list", "--set", "broker.password=hush"], "FOA_BROKER_PASSWORD"),
        (["task", "list", "--broker", "mqtt://ann:hush@h"], "a URL is no place for a password"),
        (["task", "list", "--set", "broker.ca=x"], "broker.ca = x: nothing is encrypted"),
        (["task", "list", "--broker", "mqtts://h", "--set", "broker.ca=x"], "broker.ca = x: cannot be read"),
        (["up", "--secure", "--broker", "mqtt://h"], "--secure"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = _one_line(capsys)
    assert words in said
    assert "hush" not in said


def test_an_unknown_key_in_the_file_and_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("foa.toml").write_text("[broker]\nulr = 'x'\n")
    assert main(["config", "show"]) == 2
    assert "broker.ulr in foa.toml" in _one_line(capsys)
    Path("foa.toml").write_text("broker = [\n")
    assert main(["config", "show"]) == 2
    assert "foa.toml: is not TOML" in _one_line(capsys)
    Path("foa.toml").unlink()
    monkeypatch.setenv("FOA_BROKER_ULR", "x")
    assert main(["config", "show"]) == 2
    assert "did you mean FOA_BROKER_URL" in _one_line(capsys)


def test_a_plan_with_a_cycle(capsys: pytest.CaptureFixture[str]) -> None:
    Path("plan.toml").write_text(
        '[[subtask]]\nid = "a"\ntext = "x"\nafter = ["b"]\n[[subtask]]\nid = "b"\ntext = "y"\nafter = ["a"]\n'
    )
    assert main(["task", "submit", "x", "--plan", "plan.toml"]) == 2
    line = _one_line(capsys)
    assert "--plan plan.toml" in line
    assert "a" in line
    assert "cycle" in line


@pytest.mark.parametrize(
    "command", [["task", "list"], ["task", "submit", "x"], ["agent", "list"], ["search", "x"], ["node", "coordinator"]]
)
def test_without_a_broker_it_is_exit_3(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    quick = ["--set", "broker.connect_timeout_s=0.1", "--log-level", "error"]
    assert main([*command, "--broker", NOBODY, *quick]) == 3
    assert "127.0.0.1:1" in _one_line(capsys)


def test_validate_tells_every_mistake_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("agent")
    folder.mkdir()
    (folder / "profile.toml").write_text('agent = "x"\nname = "X"\n[run]\npython = "h.py:run"\n')
    assert main(["agent", "validate", "agent"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 3
    assert all(line.startswith("foa: agent/profile.toml: ") for line in lines)
    assert main(["agent", "run", "agent"]) == 2
    assert "and" in _one_line(capsys)


def test_the_ready_agents_are_valid(capsys: pytest.CaptureFixture[str]) -> None:
    from foa.cli.nodes import profiles

    assert main(["agent", "validate", *map(str, profiles(""))]) == 0
    assert capsys.readouterr().out.count(": fine") == len(profiles("")) >= 9


def test_config_show_tells_where_each_value_comes_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("foa.toml").write_text(
        "[broker]\nurl = 'mqtt://file'\nusername = 'file'\npassword = 'hush'\n[wire]\nroot = 'a'\n"
    )
    monkeypatch.setenv("FOA_BROKER_URL", "mqtt://environment")
    monkeypatch.setenv("FOA_BROKER_USERNAME", "environment")
    assert main(["config", "show", "--json", "--broker", "mqtt://flag"]) == 0
    said = capsys.readouterr().out
    rows = {row["key"]: row for row in json.loads(said)}
    assert (rows["broker.url"]["value"], rows["broker.url"]["source"]) == ("mqtt://flag", "the command line")
    assert (rows["broker.username"]["value"], rows["broker.username"]["source"]) == ("environment", "the environment")
    assert (rows["wire.root"]["value"], rows["wire.root"]["source"]) == ("a", "foa.toml")
    assert rows["http.port"]["source"] == "default"
    assert "hush" not in said
    assert main(["config", "show"]) == 0
    assert "meaning" in capsys.readouterr().out


def test_options_of_the_root_may_stand_anywhere() -> None:
    assert hoisted(["task", "list", "--broker", "x", "--json"]) == (["--broker", "x"], ["task", "list", "--json"])
    assert hoisted(["task", "--set=a=b", "list"]) == (["--set=a=b"], ["task", "list"])
    assert hoisted(["task", "submit", "--", "--broker"]) == ([], ["task", "submit", "--", "--broker"])
    assert hoisted(["task", "--broker"]) == (["--broker"], ["task"])


@pytest.mark.slow
def test_help_is_quick_and_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom foa.cli.main import main\nmain(['--help'])\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    took = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert {"pydantic", "torch", "pandas", "matplotlib"} & set(done.stderr.split()) == set()
    assert min(took) < 0.8  # seconds of the processor; a third of that on an idle machine
