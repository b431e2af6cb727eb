"""Programs, endpoints and files: what they answer, and how everything else they do is told."""

import asyncio
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from foa.adapters.handlers import Assignment, inputs_of
from foa.adapters.profile import load
from foa.adapters.runners import Outcome, runner_for
from foa.errors import AgentFailed, ConfigError, Decline, Retry
from foa.wire.records import Given, Value

HEAD = """
agent = "acme/tools/it"
name = "It"
description = "Does it"
[[skill]]
id = "do-it"
description = "Does it"
"""
TABLE = Given("table", Value("text/csv", "text/csv", b"a,b\n1,2\n"))
NOTE = Given("note", Value("note", "application/json", b'{"n":1}'))
BLOB = Given("blob", Value("image/png", "image/png", b"\x89\x00\xff"))


def declare(folder: Path, run: str, *outputs: str, inputs: str = "", top: str = "") -> Path:
    ports = (
        "".join(f'[[output]]\nname = "{each.split()[0]}"\ntype = "{each.split()[1]}"\n' for each in outputs) or RESULT
    )
    for each in filter(None, inputs.split(";")):
        name, kind, *optional = each.split()
        ports += f'[[input]]\nname = "{name}"\ntype = "{kind}"\noptional = {"true" if optional else "false"}\n'
    (folder / "profile.toml").write_text(f"{top}\n{HEAD}{ports}\n[run]\n{run}\n")
    return folder


RESULT = '[[output]]\nname = "result"\ntype = "text/plain"\n'


def shell(script: str, timeout_s: float = 10.0) -> str:
    return f"command = ['sh', '-c', '''{script}''']\ntimeout_s = {timeout_s}"


def work(folder: Path, *inputs: Given, text: str = "do it", **more: Any) -> dict[str, bytes | None]:
    async def go() -> Outcome:
        runner = runner_for(load(folder))
        await runner.start()
        try:
            return await runner.run(Assignment(text, inputs=inputs_of(inputs), **more))
        finally:
            await runner.close()

    return {each.name: each.value.body for each in asyncio.run(go())}


# --- files ---------------------------------------------------------------------------------------------------


def python(folder: Path, code: str, *outputs: str, more: str = "", **declared: str) -> Path:
    (folder / "handler.py").write_text(code)
    return declare(folder, f'python = "handler.py:run"\n{more}', *outputs, **declared)


def test_a_file_with_its_helper(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("def shout(text):\n    return text.upper()\n")
    python(tmp_path, "from .helper import shout\n\nasync def run(text: str) -> str:\n    return shout(text)\n")
    assert work(tmp_path, text="hello") == {"result": b"HELLO"}


def test_two_agents_never_share_a_module(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        python(tmp_path / name, f"def run() -> str:\n    return {name!r}\n")
    assert [work(tmp_path / name)["result"] for name in ("one", "two")] == [b"one", b"two"]


def test_a_profile_says_what_plain_hints_are(tmp_path: Path) -> None:
    code = "def run(table: bytes, found: dict | None = None) -> dict:\n    return {'size': len(table), 'n': found}\n"
    python(tmp_path, code, "size count", "n note", inputs="table text/csv;found note optional")
    assert work(tmp_path, TABLE, NOTE) == {"size": b"8", "n": b'{"n":1}'}


def test_a_decorated_function_in_a_file(tmp_path: Path) -> None:
    code = (
        "import foa\n\n@foa.agent('a/b/c', description='x')\nasync def run(text: str) -> str:\n    return text\n\n"
        "@run.revise\ndef better(draft, peers):\n    return draft + str(len(peers))\n"
    )
    python(tmp_path, code, inputs="text text/plain optional")
    runner = runner_for(load(tmp_path))

    async def go() -> Outcome | None:
        await runner.start()
        draft = await runner.run(Assignment("hi"))
        return await runner.revise(Assignment("hi", round=1), draft, (draft, draft))

    found = asyncio.run(go())
    assert found is not None
    assert found[0].value.body == b"hi2"


@pytest.mark.parametrize(
    ("code", "inputs", "reason"),
    [
        ("import nowhere_to_be_found", "", r"handler.py: cannot be loaded: ModuleNotFoundError: No module named"),
        ("def run(:", "", "handler.py: cannot be loaded: SyntaxError"),
        ("run = 3", "", "run: handler.py has no function 'run'"),
        ("def run(a: str): ...", "", "input 'a': handler.py:run has it, the profile does not declare it"),
        ("def run(): ...", "a text/csv", "input 'a': handler.py:run has no such parameter"),
        ("def run(a: str): ...", "a text/csv optional", "declared optional, handler.py:run has no default for it"),
        (
            "import foa\nfrom typing import Annotated\ndef run(a: Annotated[str, foa.Type('text/html')]): ...",
            "a text/csv",
            "declared 'text/csv', handler.py:run says 'text/html'",
        ),
    ],
)
def test_a_file_that_does_not_fit(tmp_path: Path, code: str, inputs: str, reason: str) -> None:
    python(tmp_path, code, inputs=inputs)
    with pytest.raises(ConfigError, match=reason):
        work(tmp_path)


# --- programs ------------------------------------------------------------------------------------------------


def test_a_program_reads_the_document(tmp_path: Path) -> None:
    inputs = "table text/csv;note note;blob image/png"
    declare(tmp_path, shell("cat"), "all application/json", inputs=inputs)
    body = work(tmp_path, TABLE, NOTE, BLOB, text="täxt", key="k1", task="t1", attempt=2, left_ms=9000)["all"]
    assert msgspec.json.decode(body or b"") == {
        "job": "draft",
        "answers": [],
        "text": "täxt",
        "task": "t1",
        "subtask": "",
        "key": "k1",
        "attempt": 2,
        "left_ms": 9000,
        "round": 0,
        "inputs": {
            "table": {"type": "text/csv", "media": "text/csv", "text": "a,b\n1,2\n"},
            "note": {"type": "note", "media": "application/json", "json": {"n": 1}},
            "blob": {"type": "image/png", "media": "image/png", "base64": "iQD/"},
        },
    }


@pytest.mark.parametrize(
    ("output", "said", "body"),
    [
        ("text/plain", "echo hello", b"hello"),
        ("text/plain", """printf '"hel\\\\u006co"'""", b"hello"),
        ("text/plain", "echo 42", b"42"),
        ("application/json", "echo '[1, 2]'", b"[1,2]"),
        ("note", """echo '{"outputs": {"result": {"n": 1}}}'""", b'{"n":1}'),
        ("text/plain", """echo '{"outputs": {"result": "x"}}'""", b"x"),
        ("image/png", """echo '{"base64": "iQD/"}'""", b"\x89\x00\xff"),
        ("image/png", "printf '\\211PNG'", b"\x89PNG"),
    ],
)
def test_answers(tmp_path: Path, output: str, said: str, body: bytes) -> None:
    declare(tmp_path, shell(said), f"result {output}")
    assert work(tmp_path) == {"result": body}


@pytest.mark.parametrize(
    ("outputs", "said", "reason"),
    [
        (["result note"], "echo not json", "answered garbage: result .note. is written as JSON, got 'not json'"),
        (["result note"], "true", "answered garbage: .* got nothing"),
        (["a note", "b note"], "echo '[1]'", "answered garbage: expected .* with a, b, got"),
        (["a note", "b note"], """echo '{"outputs": {"a": 1}}'""", "lies about its types: no output 'b'"),
        (["a note"], """echo '{"outputs": {"a": 1, "z": 1}}'""", "lies about its types: output 'z' was not declared"),
        (["a text/plain"], """echo '{"outputs": {"a": 1}}'""", "lies about its types: a: got int"),
        (["a image/png"], """echo '{"base64": "!"}'""", "answered garbage: a is not base64"),
        (["a text/plain"], "printf '\\377\\376'", "answered garbage: a is not UTF-8 text"),
        (["a text/plain"], "echo one >&2; echo two >&2; exit 3", "^exit code 3: two$"),
        (["a text/plain"], "kill -9 $$", "^exit code -9$"),
        (["a text/plain"], "head -c 9000000 /dev/zero; sleep 30", "answered garbage: more than 8 MiB"),
    ],
)
def test_failures(tmp_path: Path, outputs: list[str], said: str, reason: str) -> None:
    declare(tmp_path, shell(said), *outputs)
    with pytest.raises(AgentFailed, match=reason):
        work(tmp_path)


def test_exit_codes_that_say_more(tmp_path: Path) -> None:
    declare(tmp_path, shell("echo not now >&2; exit 75"))
    with pytest.raises(Retry, match="not now"):
        work(tmp_path)
    declare(tmp_path, shell("echo not mine >&2; exit 64"))
    with pytest.raises(Decline, match="not mine"):
        work(tmp_path)
    declare(tmp_path, shell("true"), "result text/plain", inputs="table text/csv")
    with pytest.raises(Decline, match="needs table"):
        work(tmp_path)


def test_the_whole_group_is_ended(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    declare(tmp_path, shell(f"sleep 60 & echo $! > {marker}; wait", timeout_s=0.15))
    with pytest.raises(AgentFailed, match=r"took longer than 0\.15 s"):
        work(tmp_path)
    state = Path(f"/proc/{marker.read_text().strip()}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_the_environment_is_what_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOA_SECRET", "no")
    monkeypatch.setenv("FOA_NEEDED", "yes")
    declare(tmp_path, shell("echo $FOA_SECRET-$FOA_NEEDED; pwd") + '\nenv = ["FOA_NEEDED"]')
    assert work(tmp_path) == {"result": f"-yes\n{os.path.realpath(tmp_path)}".encode()}
    monkeypatch.delenv("FOA_NEEDED")
    with pytest.raises(ConfigError, match="FOA_NEEDED is not set"):
        work(tmp_path)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    declare(tmp_path, 'command = ["no-such-program-here"]')
    with pytest.raises(ConfigError, match="program 'no-such-program-here' was not found"):
        work(tmp_path)


def test_a_program_revises(tmp_path: Path) -> None:
    (tmp_path / "it.py").write_text(
        "import json, sys\nd = json.load(sys.stdin)\n"
        "print(d['draft']['result']['text'] if 'draft' in d else 'draft', len(d.get('peers', [])))\n"
    )
    declare(tmp_path, 'command = ["python3", "it.py"]', top="refines = true")
    runner = runner_for(load(tmp_path))

    async def go() -> Outcome | None:
        await runner.start()
        draft = await runner.run(Assignment("x"))
        return await runner.revise(Assignment("x", round=1), draft, (draft,))

    found = asyncio.run(go())
    assert found is not None
    assert found[0].value.body == b"draft 0 1"


# --- endpoints -----------------------------------------------------------------------------------------------


class Endpoint(BaseHTTPRequestHandler):
    answer: ClassVar[tuple[int, dict[str, str], bytes]] = (200, {}, b"")
    seen: ClassVar[list[tuple[dict[str, str], Any]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((dict(self.headers), msgspec.json.decode(body)))
        code, headers, said = self.answer
        self.send_response(code)
        for name, value in {"Content-Length": str(len(said)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Path]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    Endpoint.seen.clear()
    yield declare(tmp_path, f'http = "http://127.0.0.1:{server.server_port}/it"')
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_endpoint_answers(endpoint: Path) -> None:
    Endpoint.answer = (200, {}, b'{"outputs": {"result": "done"}}')
    assert work(endpoint, key="a b\n", text="x") == {"result": b"done"}
    headers, document = Endpoint.seen[0]
    assert (headers["Idempotency-Key"], document["text"]) == ("a%20b%0A", "x")


@pytest.mark.parametrize(
    ("answer", "error", "reason", "retryable"),
    [
        ((503, {"Retry-After": "7"}, b"full"), Retry, "HTTP 503 .*: full", 7.0),
        ((429, {}, b""), Retry, "HTTP 429", 0.0),
        ((429, {"Retry-After": "Thu, 01 Jan 2099 00:00:00 GMT"}, b""), Retry, "HTTP 429", 3600.0),
        ((400, {}, b"bad"), AgentFailed, "HTTP 400 .*: bad", False),
        ((500, {}, b"<h1>oops</h1>"), AgentFailed, "HTTP 500", True),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), AgentFailed, "HTTP 302", False),
        ((200, {}, b"\xff"), AgentFailed, "answered garbage", True),
        ((200, {"Content-Length": "99"}, b"short"), AgentFailed, "broke off", True),
    ],
)
def test_what_else_an_endpoint_says(
    endpoint: Path, answer: tuple[int, dict[str, str], bytes], error: type[Exception], reason: str, retryable: float
) -> None:
    Endpoint.answer = answer
    with pytest.raises(error, match=reason) as raised:
        work(endpoint)
    assert getattr(raised.value, "retryable", getattr(raised.value, "after", None)) == retryable


def test_nobody_there(tmp_path: Path) -> None:
    declare(tmp_path, 'http = "http://127.0.0.1:1/"')
    with pytest.raises(AgentFailed, match="cannot be reached") as raised:
        work(tmp_path)
    assert raised.value.retryable
