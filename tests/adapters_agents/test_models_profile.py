"""``[run.openai]``: what is read, every mistake in one line, and that nobody else carries its client."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from foa.adapters.profile import load, problems
from foa.adapters.runners.base import lacking

SOUND = """
agent = "acme/text/model"
name = "Model"
description = "Answers"
refines = true
[[skill]]
id = "answer"
description = "Answers"
[[input]]
name = "table"
type = "text/csv"
[[output]]
name = "answer"
type = "text/plain"
[run]
timeout_s = 30
[run.openai]
base_url = "$ACME_URL"
model = "tiny"
prompt = "{text} {inputs} {table} {{table}} {0} {}"
revise = "{text} {draft} {peers} {critique}"
critique = "{draft} {peers}"
json_schema = "shape.json"
max_tokens = 100
"""
MISTAKES = [
    ('model = "tiny"', "", 'run.openai.model: is missing, add model = "…", a name that the endpoint knows'),
    ('model = "tiny"', 'modle = "tiny"', "run.openai.modle: is no key of a profile: did you mean model?"),
    ('model = "tiny"', 'model = "$"', 'run.openai.model: "$": must be a model\'s name, or $NAME of a variable'),
    ('"$ACME_URL"', '"acme.org"', 'run.openai.base_url: "acme.org": must be a URL such as http://127.0.0.1:11434/v1'),
    ('"$ACME_URL"', '"https://me:secret@acme.org"', "must be a URL such as"),
    ("max_tokens = 100", "max_tokens = 0", "run.openai.max_tokens: 0: must be greater than or equal to 1"),
    ("max_tokens = 100", "temperature = 3", "run.openai.temperature: 3: must be less than or equal to 2"),
    ("max_tokens = 100", 'stream = "yes"', 'run.openai.stream: "yes": must be true or false, without quotes'),
    ("max_tokens = 100", "timeout_s = 3", "run.openai.timeout_s: is no key of a profile"),
    ("max_tokens = 100", "price_in = 3", "run.openai.price_in: is no key of a profile: did you mean price_in_per_1m?"),
    ("max_tokens = 100", 'api_key = "sk-1"', "run.openai.api_key: is no key of a profile: did you mean api_key_"),
    ("max_tokens = 100", 'api_key_env = "sk-1"', "must be the name of a variable of the environment"),
    (
        "max_tokens = 100",
        'api_key_env = "A"\napi_key_file = "a"',
        "run.openai: api_key_env and api_key_file exclude each other",
    ),
    ("max_tokens = 100", 'response_format = "xml"', "run.openai.response_format: \"xml\": must be one of 'auto'"),
    (
        '"{text} {inputs} {table} {{table}} {0} {}"',
        '"{tabel}"',
        "run.openai.prompt: {tabel} is no placeholder here: did",
    ),
    ('"{text} {inputs} {table} {{table}} {0} {}"', '"{draft}"', "run.openai.prompt: {draft} is no placeholder here"),
    ('"{text} {inputs} {table} {{table}} {0} {}"', '"Hello"', "run.openai.prompt: has no placeholder: write {text}"),
    ('"{draft} {peers}"', '"{critique}"', "run.openai.critique: {critique} is no placeholder here"),
    ("refines = true", "", "run.openai.revise: goes with refines = true at the top of the file"),
    ('name = "table"', 'name = "draft"', "input: 'draft': is a placeholder's name in prompts"),
    ('"shape.json"', '"lost.json"', 'run.openai.json_schema: "lost.json": cannot be read: No such file'),
    ('"shape.json"', '"odd.json"', "run.openai.json_schema: \"odd.json\": $: '$ref' is not held here"),
    (
        'type = "text/plain"',
        'type = "image/png"',
        "output: 'answer': \"image/png\": a language model gives text or JSON",
    ),
    ("[run]", '[run]\npython = "x.py:run"', "run: set exactly one of python, command, http and openai, got python and"),
]


def write(folder: Path, text: str) -> Path:
    (folder / "shape.json").write_text('{"type": "object", "properties": {"a": {"type": "string"}}}')
    (folder / "odd.json").write_text('{"$ref": "#/x"}')
    (folder / "profile.toml").write_text(text)
    return folder


def test_it_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACME_URL", raising=False)
    assert problems(write(tmp_path, SOUND)) == []
    run = load(tmp_path).run
    assert run.openai is not None
    assert (run.openai.base_url, run.openai.model, run.openai.max_tokens) == ("$ACME_URL", "tiny", 100)
    assert run.openai.schema == {"type": "object", "properties": {"a": {"type": "string"}}}
    assert lacking(run) == ("ACME_URL",)
    monkeypatch.setenv("ACME_URL", " ")
    assert lacking(run) == ("ACME_URL",)
    monkeypatch.setenv("ACME_URL", "http://x/v1")
    assert lacking(run) == ()


@pytest.mark.parametrize(("old", "new", "line"), MISTAKES, ids=[each[2][:60] for each in MISTAKES])
def test_a_mistake_is_one_line(tmp_path: Path, old: str, new: str, line: str) -> None:
    assert old in SOUND
    found = problems(write(tmp_path, SOUND.replace(old, new)))
    assert any(each.startswith("profile.toml: ") and line in each for each in found), found
    assert "secret" not in "".join(found) or "https://me:" in new
    assert all("\n" not in each for each in found)


@pytest.mark.slow
def test_only_model_agents_carry_the_client(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\nfrom pathlib import Path\nimport foa.nodes.agent\nfrom foa.adapters.profile import load\n"
        "from foa.adapters.runners import runner_for\n"
        "assert not {'httpx', 'foa.adapters.models.chat'} & set(sys.modules)\n"
        "asyncio.run(runner_for(load(Path(sys.argv[1]))).start())\n"
        "assert 'httpx' in sys.modules"
    )
    environment = {**os.environ, "ACME_URL": "http://127.0.0.1:9/v1"}
    command = [sys.executable, "-c", code, str(write(tmp_path, SOUND))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
