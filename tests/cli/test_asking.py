"""Asking the person at the terminal, over a real pipe: what is typed is said, what others answer is asked no more."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from foa.cli.watching.asking import Keyboard, Person, Words, hint, somebody, words_of
from foa.cli.watching.picture import Picture
from foa.cli.watching.planned import Open
from foa.cli.watching.screen import Quiet
from foa.core.machines.client import Report
from foa.errors import ConfigError, FoaError, TaskError
from foa.nodes.client import Submitted, input_of
from foa.wire.ids import Epoch
from foa.wire.messages import Accepted, Events, Input, Required, Result
from foa.wire.records import Note, Plan, Subtask

E1 = Epoch(1, "c-1")
WHICH = Required("t", "load", "Which one?", E1, ("the first", "the second"), "o/u/x")
WHEN = Required("t", "send", "When?", E1, agent="o/u/y")


@pytest.mark.parametrize(
    ("asked", "line", "words"),
    [
        (Open("a", "Which?", "o/u/x", ("x", "y")), "2", Words("y")),
        (Open("a", "Which?", "o/u/x", ("x", "y")), " neither ", Words("neither")),
        (Open("a", "Which?", "o/u/x", ("x", "y")), "3", Words("3")),
        (Open("a", "How many?", "o/u/x"), "2", Words("2")),
        (Open("a", "Is it?", "o/u/x"), "yes", Words("yes")),
        (Open("a", "Is it?", "o/u/x", ("yes", "no")), "no", Words("no")),
        (Open("a", "May it?", consent=True), "y", Words("y", approve=True)),
        (Open("a", "May it?", consent=True), "N, not before Friday", Words("not before Friday", approve=False)),
        (Open("a", "May it?", consent=True), "perhaps", None),
        (Open("a", "May it?", options=("yes", "no")), "1", Words("yes", approve=True)),
        (Open("a", "May it?", options=("yes", "no")), "no", Words("no", approve=False)),
        (Open("a", "What now?", options=("try again", "give up")), "2", Words("give up")),
        (Open("a", "What?"), "   ", None),
    ],
)
def test_what_a_line_says(asked: Open, line: str, words: Words | None) -> None:
    assert words_of(asked, line) == words
    assert hint(asked)


class Owner:
    """Who is answered: keeps what was said, or refuses it."""

    def __init__(self, refuses: str = "") -> None:
        self.said: list[tuple[str, str, bool | None]] = []
        self._refuses = refuses

    async def answer(self, task: str, text: str, *, subtask: str = "", approve: bool | None = None) -> None:
        assert task == "t"
        self.said.append((subtask, text, approve))
        if self._refuses:
            raise TaskError(self._refuses)


class Terminal:
    """A person at a pipe, asked of one task."""

    def __init__(self, owner: Owner) -> None:
        self.shown = ""
        self.picture = Picture("t")
        self.reading, self._writing = os.pipe()
        self.person = Person(owner, Quiet(self.picture, print), Keyboard(self.reading), self._show)  # type: ignore[arg-type]

    def _show(self, text: str) -> None:
        self.shown += text

    def type(self, text: str) -> None:
        os.write(self._writing, text.encode())

    def ask(self, *asked: Required) -> None:
        for each in asked:
            self.picture.apply_required(each)
        self.person.noticed()

    def close(self) -> None:
        os.close(self._writing)

    async def until(self, true: Callable[[], Any]) -> None:
        async with asyncio.timeout(5):
            while not true():  # noqa: ASYNC110 - what is awaited has no event of its own
                await asyncio.sleep(0)


def attended(owner: Owner, scenario: Callable[[Terminal], Coroutine[Any, Any, None]]) -> Terminal:
    """Run `scenario` while the person attends; nothing is left reading the pipe."""

    async def main() -> Terminal:
        terminal = Terminal(owner)
        attending = asyncio.create_task(terminal.person.attend())
        await scenario(terminal)
        attending.cancel()
        await asyncio.gather(attending, return_exceptions=True)
        assert not asyncio.get_running_loop().remove_reader(terminal.reading)
        os.close(terminal.reading)
        return terminal

    return asyncio.run(main())


def test_questions_are_asked_one_after_another_and_answered() -> None:
    owner = Owner()

    async def scenario(terminal: Terminal) -> None:
        terminal.ask(WHICH, WHEN)
        terminal.type("2\nto")
        await terminal.until(lambda: owner.said)
        terminal.type("morrow\n")
        await terminal.until(lambda: len(owner.said) == 2)
        await terminal.until(lambda: not terminal.picture.questions)

    terminal = attended(owner, scenario)
    assert owner.said == [("load", "the second", None), ("send", "tomorrow", None)]
    assert terminal.shown.index("? load (o/u/x): Which one?") < terminal.shown.index("? send (o/u/y): When?")


def test_what_is_no_answer_is_asked_again_and_an_empty_line_leaves_it_open() -> None:
    owner = Owner()

    async def scenario(terminal: Terminal) -> None:
        plan = Plan((Subtask("load", "x", approve=True),))
        terminal.picture.apply_events(Events("t", (Note("input-required", 1, "load", "", "May it?"),), plan))
        terminal.person.noticed()
        terminal.type("perhaps\n")
        await terminal.until(lambda: terminal.shown.count("approve?") == 2)
        terminal.type("\n")
        await terminal.until(lambda: "left open" in terminal.shown)

    terminal = attended(owner, scenario)
    assert owner.said == []
    assert "'foa task answer t' answers it" in terminal.shown


def test_what_somebody_else_answers_is_asked_no_more() -> None:
    owner = Owner()

    async def scenario(terminal: Terminal) -> None:
        terminal.ask(WHICH)
        await terminal.until(lambda: "Which one?" in terminal.shown)
        terminal.picture.apply_events(Events("t", (Note("answered", 9, "load"),)))
        terminal.person.noticed()
        await terminal.until(lambda: "it is answered already" in terminal.shown)
        terminal.ask(WHEN)
        terminal.type("now\n")
        await terminal.until(lambda: owner.said)

    attended(owner, scenario)
    assert owner.said == [("send", "now", None)]


def test_a_refusal_is_shown_and_the_end_of_input_ends_the_asking() -> None:
    owner = Owner("the answer was not taken: it waits for nobody")

    async def scenario(terminal: Terminal) -> None:
        terminal.ask(WHICH)
        terminal.type("1\n")
        await terminal.until(lambda: "it waits for nobody" in terminal.shown)
        terminal.close()
        terminal.ask(WHEN)
        await terminal.until(lambda: "When?" in terminal.shown)

    attended(owner, scenario)


def test_nobody_is_asked_where_there_is_no_terminal() -> None:
    assert not somebody(plain=False)
    assert not somebody(plain=True)


# --- a submission ---------------------------------------------------------------------------------------


async def drained(questions: AsyncIterator[Required]) -> list[Required]:
    return [each async for each in questions]


def heard(*values: Any) -> tuple[list[Required], str]:
    """Return the questions that a submission which hears `values` yields, and how it ended."""

    async def main() -> tuple[list[Required], str]:
        submitted = Submitted("t", lambda task, message: None)
        for value in values:
            if value == "answered":
                submitted.answered("load")
            else:
                submitted.hear(Report("events", "t", value))
        submitted.hear(Report("result", "t", Result("t", "done", E1)))
        return await drained(submitted.questions()), (await submitted.result()).status

    return asyncio.run(main())


def test_a_script_may_iterate_questions_or_leave_it() -> None:
    assert heard(Accepted("t", E1), WHICH, WHEN) == ([WHICH, WHEN], "done")
    assert heard() == ([], "done")


def test_a_question_said_again_is_yielded_once_until_it_was_answered() -> None:
    assert heard(WHICH, WHICH)[0] == [WHICH]
    assert heard(WHICH, "answered", WHICH)[0] == [WHICH, WHICH]
    assert heard(WHICH, Events("t", (Note("answered", 1, "load"),)), WHICH)[0] == [WHICH, WHICH]
    assert heard(WHICH, WHEN, WHICH)[0] == [WHICH, WHEN]


def test_a_submission_that_fails_ends_its_questions() -> None:
    async def main() -> list[Required]:
        submitted = Submitted("t", lambda task, message: None)
        submitted.fail(FoaError("gone"))
        return await drained(submitted.questions())

    assert asyncio.run(main()) == []


def test_what_a_person_says_as_it_travels() -> None:
    said = input_of("t", "this", subtask="a", inputs={"n": 3}, submitter="u1")
    assert isinstance(said, Input)
    assert (said.inputs[0].name, said.inputs[0].value.body) == ("n", b"3")
    assert input_of("t", approve=False) == Input("t", approve=False)
    for wrong in ({}, {"text": " "}, {"text": "x", "refute": True}, {"text": "x", "subtask": "a" * 65}):
        with pytest.raises(ConfigError):
            input_of("t", **wrong)
