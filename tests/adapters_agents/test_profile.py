"""Every mistake in a profile is one line that names the key, the value and the mend."""

# ruff: noqa: E501 - the messages are the test

from pathlib import Path

import pytest

from foa.adapters.profile import load, problems
from foa.errors import ConfigError
from foa.wire.records import Port, Resources

SOUND = """
agent = "acme/data/cleaner"
name = "Cleaner"
description = "Cleans tables"
effects = "none"
refines = true

[[skill]]
id = "clean"
description = "Cleans a table"
examples = ["clean this"]

[[input]]
name = "table"
type = "text/csv"

[[output]]
name = "table"
type = "text/csv"
optional = true

[resources]
price_per_call = 0.01
price_per_1k_tokens = 0.5
latency_ms = 40
concurrency = 4

[policies]
holds = ["eu-only"]
requires = ["signed"]

[spec]
goals = ["Clean tables"]

[run]
python = "handler.py:run"
timeout_s = 12
env = ["TOKEN"]
"""


def write(folder: Path, text: str) -> Path:
    (folder / "handler.py").write_text("def run(table: bytes) -> bytes:\n    return table\n")
    (folder / "profile.toml").write_text(text)
    return folder


def test_a_sound_profile_is_read_whole(tmp_path: Path) -> None:
    declared = load(write(tmp_path, SOUND))
    profile, run = declared.profile, declared.run
    assert problems(tmp_path) == []
    assert declared.path == tmp_path.resolve() / "profile.toml"
    assert (profile.agent, profile.name, profile.version) == ("acme/data/cleaner", "Cleaner", "1.0.0")
    assert profile.skills[0].name == "clean"
    assert profile.skills[0].examples == ("clean this",)
    assert profile.inputs == (Port("table", "text/csv"),)
    assert profile.outputs == (Port("table", "text/csv", optional=True),)
    assert profile.resources == Resources(price_call=0.01, price_1k=0.5, latency_ms=40, concurrency=4)
    assert (profile.holds, profile.requires, profile.effects, profile.refines) == (
        ("eu-only",),
        ("signed",),
        "none",
        True,
    )
    assert profile.spec.goals == ("Clean tables",)
    assert (run.python, run.timeout_s, run.env, run.cwd) == ("handler.py:run", 12, ("TOKEN",), str(tmp_path.resolve()))


RUN = 'python = "handler.py:run"'
MISTAKES = [
    ('agent = "acme/data/cleaner"', 'agent = "cleaner"',
     'agent: "cleaner": must be org/unit/name, each of A-Z a-z 0-9 _ . -, such as acme/data/profiler'),
    ('agent = "acme/data/cleaner"', "", 'agent: is missing, add agent = "acme/data/profiler"'),
    ('name = "Cleaner"', "name = 3", "name: 3: must be text in quotes"),
    ('name = "Cleaner"', 'name = " "', 'name: " ": must not be empty'),
    ('description = "Cleans tables"', 'descripton = "Cleans tables"', "descripton: is no key of a profile: did you mean description?"),
    ('effects = "none"', 'effects = "nothing"', "effects: \"nothing\": must be one of 'none', 'idempotent' or 'once'"),
    ('effects = "none"', 'effects = "once"',
     'effects = "once" and refines = true exclude each other: a team would act more than once'),
    ("refines = true", 'refines = "yes"', 'refines: "yes": must be true or false, without quotes'),
    ('id = "clean"', 'id = "clean it"', 'skill.0.id: "clean it": must be 1 to 64 characters of A-Z a-z 0-9 _ . -, such as find-outliers'),
    ('id = "clean"', "", 'skill.0.id: is missing, add id = "find-outliers"'),
    ("[[skill]]", "[skill]", "skill: is written as a list of tables, [[skill]]"),
    ("[[input]]", "[[inputs]]", "inputs: is no key of a profile: did you mean input?"),
    ('type = "text/csv"\n\n[[output]]', 'type = "csvv"\n\n[[output]]',
     'input.0.type: "csvv": is neither a media type nor a name of your own: did you mean text/csv?'),
    ('type = "text/csv"\n\n[[output]]', 'type = "Text CSV"\n\n[[output]]',
     'input.0.type: "Text CSV": use a media type like text/csv or a short name like outliers'),
    ('name = "table"\ntype = "text/csv"\n\n[[output]]', 'name = "my table"\ntype = "text/csv"\n\n[[output]]',
     'input.0.name: "my table": must be a name such as table: letters, digits and _, at most 64'),
    ("optional = true", "optional = 1", "output.0.optional: 1: must be true or false, without quotes"),
    ("price_per_call = 0.01", "price_per_call = -1", "resources.price_per_call: -1: must be greater than or equal to 0"),
    ("price_per_call = 0.01", "price_per_call = inf", "resources.price_per_call: inf: must be a finite number"),
    ("price_per_call = 0.01", "price_call = 0.01", "resources.price_call: is no key of a profile: did you mean price_per_call?"),
    ("concurrency = 4", 'concurrency = "4"', 'resources.concurrency: "4": must be a whole number, without quotes'),
    ("concurrency = 4", "concurrency = 0", "resources.concurrency: 0: must be greater than or equal to 1"),
    ("concurrency = 4", "timeout_s = 4", "resources.timeout_s: is no key of a profile: it belongs under [run]"),
    ('holds = ["eu-only"]', 'holds = "eu-only"', 'policies.holds: "eu-only": must be a list, such as ["one", "two"]'),
    ('goals = ["Clean tables"]', "goals = [1]", "spec.goals.0: 1: must be text in quotes"),
    (RUN, "", "run: set exactly one of python, command, http and openai, got none of them"),
    (RUN, RUN + '\nhttp = "https://x.org"', "run: set exactly one of python, command, http and openai, got python and http"),
    (RUN, 'python = "handler:run"', 'run.python: "handler:run": must be file.py:function, such as handler.py:run'),
    (RUN, 'python = "other.py:run"', 'run.python: "other.py:run": other.py does not exist in {folder}'),
    (RUN, 'http = "example.org"', 'run.http: "example.org": must be a URL such as https://example.org/agent'),
    (RUN, 'http = "file:///etc/passwd"', 'run.http: "file:///etc/passwd": must be a URL such as https://example.org/agent'),
    (RUN, "command = []", "run.command: []: must not be empty"),
    (RUN, 'command = "cat x"', 'run.command: "cat x": must be a list, such as ["one", "two"]'),
    (RUN, 'command = ["cat"]\nrevise = "handler.py:run"',
     "run: revise goes with python; a command or endpoint is sent the drafts itself"),
    ("timeout_s = 12", "timeout_s = 0", "run.timeout_s: 0: must be greater than 0"),
    ("timeout_s = 12", "timeout = 12", "run.timeout: is no key of a profile: did you mean timeout_s?"),
    ("timeout_s = 12", 'cwd = "nowhere"', 'run.cwd: "nowhere": there is no such folder'),
    ("[spec]", "[specs]", "specs: is no key of a profile: did you mean spec?"),
    ("refines = true", "refines = ", "is not TOML: Invalid value (at line 6, column 11)"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line"), MISTAKES, ids=[line[:40] for _, _, line in MISTAKES])
def test_a_mistake_is_explained(tmp_path: Path, old: str, new: str, line: str) -> None:
    assert old in SOUND
    write(tmp_path, SOUND.replace(old, new, 1))
    assert problems(tmp_path) == [f"profile.toml: {line}".replace("{folder}", str(tmp_path))]


def test_a_table_that_is_left_out_is_named_with_its_mend(tmp_path: Path) -> None:
    write(tmp_path, SOUND[: SOUND.index("[run]")])
    assert problems(tmp_path) == [
        'profile.toml: run: is missing, add [run] with python = "handler.py:run", command = ["program"], http = "https://…" or openai = {…}'
    ]


def test_all_mistakes_are_told_and_the_first_is_raised(tmp_path: Path) -> None:
    write(tmp_path, SOUND.replace('name = "Cleaner"', "name = 3").replace("concurrency = 4", "concurrency = 0"))
    assert len(problems(tmp_path)) == 2
    with pytest.raises(ConfigError, match=r"^profile.toml: name: 3: must be text in quotes \(and 1 more\)$"):
        load(tmp_path)


@pytest.mark.parametrize("bad", [b"\xff\xfe", b"agent = '\xe4'"])
def test_not_utf_8(tmp_path: Path, bad: bytes) -> None:
    (tmp_path / "profile.toml").write_bytes(bad)
    assert "is not UTF-8 text" in problems(tmp_path)[0]


def test_no_file(tmp_path: Path) -> None:
    assert "there is no such file" in problems(tmp_path)[0]


def test_names_must_differ(tmp_path: Path) -> None:
    twice = '[[input]]\nname = "table"\ntype = "text/html"\n\n[[output]]'
    write(tmp_path, SOUND.replace("[[output]]", twice))
    assert problems(tmp_path) == ["profile.toml: input names must differ: 'table' is there twice"]
