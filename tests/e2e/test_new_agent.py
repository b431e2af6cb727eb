"""A new agent joins a federation that runs: by one file, found at once, given the next task that fits."""

import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from foa.wire.records import Query
from tests.e2e.town import Square, Town, folk, square
from tests.house.tree import ROOT

FOUND_S = 2.0
SHOUT = "import json, sys; print(json.load(sys.stdin)['inputs']['text']['text'].upper())"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Square]:
    with square(tmp_path_factory.mktemp("new"), ROOT / "agents" / "echo") as here:
        yield here


async def join_and_work(place: Town, home: Path, agent: str, words: str) -> str:
    """Run the agent in `home`, have it found within the promised time, give it a task; return what it made of it."""
    async with place.client() as client:
        before = await client.search([Query(words)])
        assert agent not in {hit.agent for hit in before.hits[0]}
        await place.settle(home)
        ready = time.monotonic()
        while not (hits := (await client.search([Query(words)])).hits[0]) or hits[0].agent != agent:
            assert time.monotonic() - ready < FOUND_S
        outcome = await client.submit(words, inputs={"text": "hear, hear"}).result()
        assert [part.agents for part in outcome.checked().result.parts] == [(agent,)]
        return str(outcome.output)


def test_a_program_joins_by_one_file(running: Square) -> None:
    home = folk(
        running.town.folder,
        "shouter",
        text="Shouts a text in capital letters",
        run=f"command = {json.dumps(['python3', '-c', SHOUT])}",
    )
    said = running.run(lambda place: join_and_work(place, home, "test/folk/shouter", "shouts in capital letters"))
    assert said == "HEAR, HEAR"


def test_the_profile_in_the_readme_runs_as_written(running: Square) -> None:
    if shutil.which("jq") is None:
        pytest.skip("the README's example needs jq")
    block = re.search(r"```toml\n# (shout)/profile.toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    home = running.town.folder / block[1]
    home.mkdir()
    (home / "profile.toml").write_text(block[2])
    said = running.run(lambda place: join_and_work(place, home, "acme/text/shout", "write it in capitals"))
    assert said == "HEAR, HEAR"


class _Backwards(BaseHTTPRequestHandler):
    keys: list[str] = []  # noqa: RUF012 - one server, one test

    def do_POST(self) -> None:
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.keys.append(self.headers["Idempotency-Key"])
        body = json.dumps({"outputs": {"text": document["inputs"]["text"]["text"][::-1]}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def endpoint() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Backwards) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/agent"
        finally:
            server.shutdown()
            thread.join()


def test_an_endpoint_joins_by_one_file(running: Square) -> None:
    with endpoint() as url:
        home = folk(running.town.folder, "reverser", text="Reverses words backwards", run=f'http = "{url}"')
        said = running.run(lambda place: join_and_work(place, home, "test/folk/reverser", "reverses words backwards"))
    assert said == "raeh ,raeh"
    assert len(_Backwards.keys) == 1
