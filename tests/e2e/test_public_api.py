"""The front door as people use it: the README's own Python, `foa.submit` from a script and inside a running loop."""

import asyncio
import re
import sys
from collections.abc import Iterator

import pytest

import foa
from foa.nodes.federation import READY
from tests.e2e.town import Square, Town, environment, square
from tests.house.tree import ROOT

SUMMARISER = ROOT / "agents" / "summariser"
NOTES = "Bees fly far. Bees make honey from flowers. Flowers feed bees. The weather was grey. Honey keeps for years."
IN_A_LOOP = """\
import asyncio

import foa


async def main() -> None:
    outcome = foa.submit("Say it", skills=["echo"], inputs={"text": "in a loop"})
    print(outcome.checked().output)


asyncio.run(main())
"""


def blocks() -> list[str]:
    """Return the Python of the README."""
    found = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(found) == 3
    return [str(each) for each in found]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Square]:
    with square(tmp_path_factory.mktemp("api"), SUMMARISER, ROOT / "agents" / "echo") as here:
        yield here


async def script(place: Town, text: str, name: str) -> asyncio.subprocess.Process:
    """Run `text` as a script that knows its broker from the environment alone."""
    home = place.folder / name.removesuffix(".py")
    home.mkdir()
    (home / name).write_text(text)
    (home / "notes.txt").write_text(NOTES)
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, name, cwd=home, env=environment(place.changes), stdout=pipe, stderr=pipe
    )


async def said(place: Town, text: str, name: str) -> str:
    process = await script(place, text, name)
    out, complaint = await process.communicate()
    assert (process.returncode, complaint) == (0, b"")
    return out.decode().strip()


def test_the_submission_in_the_readme_runs_as_written(running: Square) -> None:
    summary = running.run(lambda place: said(place, blocks()[0], "submission.py"))
    assert summary
    assert all(sentence in NOTES for sentence in summary.splitlines())


def test_the_agent_in_the_readme_runs_as_written(running: Square) -> None:
    async def main(place: Town) -> None:
        process = await script(place, blocks()[1], "agent.py")
        try:
            assert process.stdout is not None
            assert (await process.stdout.readline()).decode().split() == ["acme/text/echo", READY]
            await place.know({"acme/text/echo"})
            async with place.client() as client:
                submitted = client.submit("Repeats what it is told", skills=["echo"], inputs={"text": "told"})
                outcome = (await submitted.result()).checked()
            assert outcome.output == "told"
            assert outcome.result.parts[0].agents == ("acme/text/echo",)
        finally:
            process.terminate()
            _, complaint = await process.communicate()
        assert process.returncode == 130
        assert b"Traceback" not in complaint

    running.run(main)


def test_the_agent_in_the_readme_that_asks_runs_as_written(running: Square) -> None:
    async def main(place: Town) -> None:
        process = await script(place, blocks()[2], "editor.py")
        try:
            assert process.stdout is not None
            await process.stdout.readline()
            await place.know({"acme/text/editor"})
            async with place.client() as client:
                submitted = client.submit("Edits texts", skills=["edit"], inputs={"text": "the date is set"})
                async for question in submitted.questions():
                    assert question.options == ("ordered", "shipped")
                    await client.answer(submitted.id, "shipped")
                    break
                outcome = (await submitted.result()).checked()
            assert outcome.output == "the date shipped is set"
        finally:
            process.terminate()
            _, complaint = await process.communicate()
        assert b"Traceback" not in complaint

    running.run(main)


def test_submit_works_inside_a_running_loop(running: Square) -> None:
    assert running.run(lambda place: said(place, IN_A_LOOP, "looped.py")) == "in a loop"


def test_submit_takes_settings_and_says_why_a_task_failed(running: Square) -> None:
    outcome = foa.submit("x", running.town.settings(), skills=["no-such-skill"], deadline_s=0.5)
    assert outcome.status in {"failed", "expired"}
    with pytest.raises(foa.TaskError, match=r"no-such-skill|deadline"):
        outcome.checked()
