"""People are asked by tasks and answer them: `foa task answer`, at a terminal, and from a script. Real processes."""

import asyncio
import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from foa.nodes.client import Client
from foa.settings import Settings
from tests.cli.programs import HASH, WAIT_S, environment, foa, running

pytestmark = pytest.mark.slow

PROFILE = """
agent = "acme/tools/clerk"
name = "Clerk"
description = "Counts the days of a delivery, from the date a person names."
[[skill]]
id = "count"
description = "Counts days from one of several dates."
examples = ["count the days of the delivery", "how many days did it take"]
[[output]]
name = "text"
type = "text/plain"
[run]
python = "handler.py:run"
"""
HANDLER = """
import foa

async def run(task: foa.Assignment) -> str:
    if "ask" in task.text and not task.answers:
        raise foa.Ask("Which of the two dates counts?", options=("ordered", "shipped"))
    return "counted from " + ", ".join(task.answers) if task.answers else "done"
"""
PLAN = """
[[subtask]]
id = "count"
text = "count the days"
skills = ["count"]
[[subtask]]
id = "send"
text = "send the count"
skills = ["count"]
approve = true
after = ["count"]
"""
QUESTION = "Which of the two dates counts?"


class Up:
    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder

    def foa(self, *arguments: str, code: int = 0) -> str:
        done = foa(*arguments, "--broker", self.url, cwd=self.folder)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr

    def ask(self, ident: str, *more: str) -> None:
        self.foa("task", "submit", "ask and count", "--skill", "count", "--no-wait", "--id", ident, *more)
        self.questions(ident)

    def questions(self, ident: str) -> list[dict[str, Any]]:
        """Wait until the task asks something, and return what."""
        ends = time.monotonic() + WAIT_S
        while time.monotonic() < ends:
            found: list[dict[str, Any]] = json.loads(self.foa("task", "answer", ident, "--json"))
            if found:
                return found
        raise AssertionError(f"{ident} never asked anything")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("people")
    clerk = folder / "agents" / "clerk"
    clerk.mkdir(parents=True)
    (clerk / "profile.toml").write_text(PROFILE)
    (clerk / "handler.py").write_text(HANDLER)
    (folder / "plan.toml").write_text(PLAN)
    with running("up", "--port", "0", "--agents", str(clerk.parent), "--state-dir", "state", cwd=folder) as program:
        last = program.until("processes run")
        found = Up(last.split("the broker is ")[1].split(";")[0], folder)
        found.foa("task", "submit", "count the days", "--skill", "count")
        yield found


def test_an_answer_from_the_command_line_lets_the_task_go_on(up: Up) -> None:
    up.ask("ask-1")
    (asked,) = up.questions("ask-1")
    assert (asked["text"], asked["asker"]) == (QUESTION, "acme/tools/clerk")
    assert QUESTION in up.foa("task", "show", "ask-1")
    assert "input required" in up.foa("task", "list")
    said = up.foa("task", "answer", "ask-1", code=2)
    assert "TEXT is missing" in said
    assert "was answered" in up.foa("task", "answer", "ask-1", "shipped")
    assert up.foa("task", "result", "ask-1", "--wait") == "counted from shipped\n"
    for error in (up.foa("task", "answer", "ask-1", "again", code=1), up.foa("task", "answer", "ask-1", code=1)):
        assert "ended already" in error
        assert error.count("\n") == 1


def test_what_is_wrong_with_an_answer_is_one_line(up: Up) -> None:
    up.ask("ask-2")
    for words, code in (
        (("nothing", "x"), 4),
        (("ask-2", "x", "--subtask", "other"), 1),
        (("ask-2", "wrong", "--subtask", "main", "--refute"), 1),
    ):
        error = up.foa("task", "answer", *words, code=code)
        assert error.startswith("foa: ")
        assert error.count("\n") == 1
    up.foa("task", "cancel", "ask-2")


def test_a_step_begins_when_it_is_approved(up: Up) -> None:
    up.foa("task", "submit", "count and send", "--plan", "plan.toml", "--no-wait", "--id", "plan-1")
    (asked,) = up.questions("plan-1")
    assert (asked["subtask"], asked["consent"]) == ("send", True)
    assert "may go on about send" in up.foa("task", "answer", "plan-1", "--subtask", "send", "--approve")
    up.foa("task", "result", "plan-1", "--wait")
    svg = up.foa("explain", "plan-1", "--svg", "-")
    assert svg.startswith("<svg")
    told = json.loads(up.foa("explain", "plan-1", "--json"))
    assert {"deliberations", "edits", "clusters", "decisions"} <= told.keys()
    assert "approve" in {each["kind"] for each in told["edits"]}


def test_a_script_answers_what_its_task_asks(up: Up) -> None:
    async def main() -> tuple[str, list[str]]:
        asked = []
        async with Client(Settings.from_mapping({"broker.url": up.url}, "test")) as client:
            submitted = client.submit("ask and count", skills=("count",))
            async for question in submitted.questions():
                asked.append(question.question)
                await client.answer(submitted.id, question.options[1], subtask=question.subtask)
            return str((await submitted.result()).output), asked

    assert asyncio.run(main()) == ("counted from shipped", [QUESTION])


class Terminal:
    """A ``foa`` command at a terminal of its own."""

    def __init__(self, up: Up, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        command = [sys.executable, "-m", "foa", *arguments, "--broker", up.url]
        kept = {**environment(HASH), "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
        self.process = subprocess.Popen(
            command, cwd=up.folder, env=kept, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.shown = ""

    def until(self, word: str) -> None:
        """Read what is shown until `word` is."""
        while word not in self.shown:
            try:
                self.shown += os.read(self._master, 65_536).decode(errors="replace")
            except OSError:
                raise AssertionError(f"{word!r} was never shown: {self.shown}") from None

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            os.close(self._master)

    def end(self) -> int:
        """Read to the end and return the exit code."""
        with contextlib.suppress(OSError):
            while more := os.read(self._master, 65_536):
                self.shown += more.decode(errors="replace")
        return self.process.wait(WAIT_S)


@pytest.mark.parametrize("more", [(), ("--watch",)], ids=["submit", "watch"])
def test_who_submits_at_a_terminal_is_asked_there(up: Up, more: tuple[str, ...]) -> None:
    with Terminal(up, "task", "submit", "ask and count", "--skill", "count", *more) as terminal:
        terminal.until("number or words: ")
        assert "1  ordered" in terminal.shown
        terminal.type("2\n")
        terminal.until("counted from shipped")
        assert terminal.end() == 0


def test_who_watches_is_asked_and_what_others_answer_is_asked_no_more(up: Up) -> None:
    up.ask("ask-3")
    with Terminal(up, "task", "watch", "ask-3") as terminal:
        terminal.until("number or words: ")
        up.foa("task", "answer", "ask-3", "ordered")
        assert terminal.end() == 0
        assert "done" in terminal.shown


def test_ctrl_c_at_a_question_leaves_nothing_behind(up: Up) -> None:
    up.ask("ask-4")
    with Terminal(up, "task", "watch", "ask-4") as terminal:
        terminal.until("number or words: ")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 130
        assert "Traceback" not in terminal.shown
    assert up.questions("ask-4"), "the task waits on"
    up.foa("task", "cancel", "ask-4", code=0)


def test_answer_at_a_terminal_shows_the_questions_and_asks_them(up: Up) -> None:
    up.ask("ask-5")
    with Terminal(up, "task", "answer", "ask-5") as terminal:
        terminal.until("number or words: ")
        assert QUESTION in terminal.shown
        terminal.type("ordered\n")
        terminal.until("was answered")
        assert terminal.end() == 0
    assert up.foa("task", "result", "ask-5", "--wait") == "counted from ordered\n"
