"""``foa task answer``: a person's words to a task that asked, or about a finished subtask that is wrong."""

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from foa.cli import output
from foa.cli.ending import NotFound, run_async
from foa.cli.loading import QUIET, options_of
from foa.errors import ConfigError, FoaError

if TYPE_CHECKING:
    from foa.cli.watching.picture import Picture
    from foa.nodes.client import Client
    from foa.settings import Settings
    from foa.wire.messages import Input

EXAMPLES: Final = """\b
Examples:
  foa task answer figures-2026
  foa task answer figures-2026 "the second column"
  foa task answer figures-2026 --subtask send --approve
  foa task answer figures-2026 --subtask send --reject "not before Friday"
  foa task answer figures-2026 --subtask chart --refute "the axis is wrong"
  foa task answer figures-2026 "use this one" --input table=sales.csv
"""


def answer(
    ctx: typer.Context,
    task: Annotated[str, typer.Argument(metavar="TASK", help="the task's id")],
    text: Annotated[str, typer.Argument(help="the answer; without one the open questions are shown")] = "",
    *,
    subtask: Annotated[str, typer.Option(help="what is answered; left out: whatever was asked first")] = "",
    approve: Annotated[bool | None, typer.Option("--approve/--reject", help="let a step begin, or not")] = None,
    refute: Annotated[bool, typer.Option("--refute", help="the finished --subtask is wrong; TEXT says why")] = False,
    inputs: Annotated[list[str] | None, typer.Option("--input", metavar="NAME=FILE[:TYPE]", help="an input")] = None,
    as_json: output.Json = False,
) -> None:
    """Answer what a task asks a person, approve a step of it, or say that a finished step is wrong.

    Without an answer the open questions are shown, and on a terminal asked.
    """
    from foa.nodes.client import input_of

    options = options_of(ctx)
    wants_json = as_json or options.json
    output.checked_name(task)
    given = dict(output.read_input(each) for each in inputs or ())
    if not text and not given and approve is None and not refute:
        _show_questions(options.load(QUIET).settings, task, subtask, wants_json=wants_json)
        return
    said = input_of(task, text, subtask=subtask, inputs=given, approve=approve, refute=refute)
    run_async(_answer(options.load(QUIET).settings, said, given))
    if wants_json:
        words = {"approve": approve, "refute": refute, "inputs": sorted(given)}
        output.as_json({"id": task, "subtask": subtask, "text": text, **words})
    else:
        print(_told(said))


def _told(said: "Input") -> str:
    which = f" about {said.subtask}" if said.subtask else ""
    if said.refute:
        return f"task {said.task} does {said.subtask} again, and what was built on it"
    word = {None: "was answered", True: "may go on", False: "was told no"}[said.approve]
    return f"task {said.task} {word}{which}"


async def _answer(settings: "Settings", said: "Input", given: dict[str, Any]) -> None:
    from foa.nodes.client import Client

    async with Client(settings) as client:
        await _picture(client, said.task)
        await client.answer(
            said.task, said.text, subtask=said.subtask, inputs=given, approve=said.approve, refute=said.refute
        )


async def _picture(client: "Client", task: str) -> "Picture":
    """Return what is retained of a task that still runs; NotFound or FoaError if there is none, or it ended."""
    from foa.cli.watching import screen
    from foa.cli.watching.picture import Picture

    picture = Picture(task)
    if not await screen.recall(client, picture):
        raise NotFound(f"no task {task} is kept here; 'foa task list' shows those that are")
    if picture.status is not None:
        raise FoaError(f"task {task} ended already ({picture.status}); nothing of it can be answered any more")
    return picture


def _show_questions(settings: "Settings", task: str, subtask: str, *, wants_json: bool) -> None:
    from foa.cli.watching.tree import question_lines

    if not wants_json and sys.stdin.isatty() and sys.stderr.isatty():
        run_async(_ask_here(settings, task, subtask))
        return
    questions = [each for each in run_async(_questions(settings, task)) if subtask in {"", each.subtask}]
    if wants_json:
        import msgspec

        output.as_json([msgspec.to_builtins(each) for each in questions])
        return
    if not questions:
        raise FoaError(_nothing(task, subtask))
    for each in questions:
        print("\n".join(question_lines(each)))
    raise ConfigError(f'TEXT is missing: foa task answer {task} "your answer", or --approve or --reject')


def _nothing(task: str, subtask: str) -> str:
    return f"task {task} asks nothing{f' about {subtask}' if subtask else ''}; 'foa task show {task}' shows it"


async def _questions(settings: "Settings", task: str) -> "list[Any]":
    from foa.nodes.client import Client

    async with Client(settings) as client:
        return [*(await _picture(client, task)).questions.values()]


async def _ask_here(settings: "Settings", task: str, subtask: str) -> None:
    """Show each open question and ask it, on this terminal."""
    from foa.cli.watching.asking import Keyboard, hint, words_of
    from foa.cli.watching.tree import question_lines
    from foa.nodes.client import Client

    async with Client(settings) as client:
        picture = await _picture(client, task)
        questions = [each for each in picture.questions.values() if subtask in {"", each.subtask}]
        if not questions:
            raise FoaError(_nothing(task, subtask))
        keyboard = Keyboard(sys.stdin.fileno())
        for asked in questions:
            output.to_stderr("\n".join(question_lines(asked)))
            words = None
            while words is None:
                sys.stderr.write(hint(asked))
                sys.stderr.flush()
                line = await keyboard.line()
                if not line:
                    return
                words = words_of(asked, line)
            await client.answer(task, words.text, subtask=asked.subtask, approve=words.approve)
            output.to_stderr(f"task {task} was answered")
