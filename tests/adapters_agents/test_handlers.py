"""A decorated function is its contract: what it declares, how it is called, what its answers are held to."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

import foa
from foa.adapters.handlers import Assignment, Handler, agent, inputs_of, signature_of
from foa.adapters.runners import Outcome, runner_of, words
from foa.adapters.values import JSON, TEXT, Outputs, Type, encode
from foa.errors import AgentFailed, ConfigError, Decline, Retry
from foa.wire.records import Given, Port, Resources

CSV = Annotated[bytes, Type("text/csv")]


@dataclass
class Options:
    limit: int = 3


class Split(Outputs):
    train: CSV
    rest: CSV | None = None


def given(name: str, value: Any, type_: str, source: str = "") -> Given:
    return Given(name, encode(value, type_), source)


def call(handler: Handler[..., Any], text: str = "do it", *inputs: Given, **more: Any) -> dict[str, bytes | None]:
    async def go() -> Outcome:
        runner = runner_of(handler)
        await runner.start()
        try:
            return await runner.run(Assignment(text, inputs=inputs_of(inputs), **more))
        finally:
            await runner.close()

    return {each.name: each.value.body for each in asyncio.run(go())}


def made(function: Callable[..., Any], **more: Any) -> Handler[..., Any]:
    return agent("acme/tools/it", description="Does it", **more)(function)


def test_what_is_declared() -> None:
    @agent("acme/tools/trim-table", skills=["trim"], examples=["trim this"], resources=Resources(concurrency=8))
    async def trim(table: CSV, task: Assignment, note: str, options: Options | None = None, n: int = 3) -> Split:
        """Trim a
        table.

        More words.
        """
        return Split(table)

    profile = trim.profile
    assert (profile.agent, profile.name, profile.description) == (
        "acme/tools/trim-table",
        "Trim table",
        "Trim a table.",
    )
    assert (profile.skills[0].id, profile.skills[0].name, profile.skills[0].examples) == (
        "trim",
        "Trim",
        ("trim this",),
    )
    assert profile.inputs == (
        Port("table", "text/csv"),
        Port("note", TEXT),
        Port("options", JSON, optional=True),
        Port("n", JSON, optional=True),
    )
    assert profile.outputs == (Port("train", "text/csv"), Port("rest", "text/csv", optional=True))
    assert not profile.refines
    trim.revise(lambda draft, peers, task: draft)
    assert trim.profile.refines
    assert asyncio.run(trim(b"x", Assignment("t"), "n")).train == b"x"


def test_inputs_are_decoded_by_their_hints() -> None:
    seen: list[Any] = []

    def take(table: CSV, options: Options, task: foa.Assignment, factor: float = 2.0) -> int:
        seen.extend([table, options, factor, task.key, task.left_ms])
        return 1

    out = call(
        made(take), "t", given("x", b"a,b", "text/csv"), given("options", {"limit": 9}, JSON), key="k", left_ms=9_000
    )
    assert seen == [b"a,b", Options(9), 2.0, "k", 9_000]
    assert out == {"result": b"1"}


def test_the_subtasks_own_words() -> None:
    async def repeat(text: str) -> str:
        return text

    async def ask(request: str, text: str = "none") -> list[str]:
        return [request, text]

    assert made(repeat).profile.inputs == (Port("text", TEXT, optional=True),)
    assert call(made(repeat), "hello") == {"result": b"hello"}
    assert call(made(repeat), "hello", given("summary", "given", TEXT, "s1")) == {"result": b"given"}
    assert call(made(ask), "hello") == {"result": b'["hello","hello"]'}
    assert call(made(ask), "hello", given("summary", "given", TEXT)) == {"result": b'["hello","given"]'}


def test_all_of_a_type_and_none_of_it() -> None:
    def count(found: list[Annotated[dict[str, int], Type("outliers")]], note: str | None) -> str:
        return f"{len(found)} {note}"

    two = (given("o", {"a": 1}, "outliers", "s1"), given("o", {"a": 2}, "outliers", "s2"))
    assert call(made(count), "t", *two) == {"result": b"2 None"}
    assert call(made(count), "t") == {"result": b"0 None"}


def test_inputs_that_do_not_fit_are_declined() -> None:
    def take(table: CSV, n: int = 3) -> str:
        return ""

    with pytest.raises(Decline) as raised:
        call(made(take))
    assert words(raised.value) == ("inputs", "needs table (text/csv); offered: nothing")
    with pytest.raises(Decline) as raised:
        call(made(take), "t", given("table", b"", "text/csv"), given("n", "three", JSON))
    assert words(raised.value)[1].startswith("n: Expected `int`, got `str`")


@pytest.mark.parametrize(
    ("hint", "result"), [(str, 3), (str, b"x"), (bytes, "x"), (int, "x"), (Options, {"limit": "x"}), (Split, b"x")]
)
def test_lies_about_types(hint: Any, result: Any) -> None:
    def lie() -> Any:
        return result

    lie.__annotations__["return"] = hint
    with pytest.raises(AgentFailed, match="lies about its types: ") as raised:
        call(made(lie))
    assert not raised.value.retryable


def test_several_outputs() -> None:
    def split(table: CSV) -> Split:
        return Split(train=table)

    assert call(made(split), "t", given("t", b"x", "text/csv")) == {"train": b"x"}


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("a bad\nvalue"), r"^ValueError: a bad value \(test_handlers.py:\d+\)$"),
        (KeyError("x"), "KeyError: 'x'"),
        (SystemExit(3), "SystemExit: 3"),
        (TimeoutError(), "^TimeoutError"),
        (ImportError("no pandas"), "ImportError: no pandas"),
    ],
)
def test_whatever_is_raised_is_agent_failed(error: BaseException, expected: str, plain: bool) -> None:
    def fail() -> str:
        raise error

    async def fail_soon() -> str:
        raise error

    with pytest.raises(AgentFailed, match=expected) as raised:
        call(made(fail if plain else fail_soon))
    assert raised.value.retryable is not isinstance(error, ImportError)


@pytest.mark.parametrize("error", [Retry("later", after=3), Decline("no"), AgentFailed("x", retryable=False)])
def test_the_authors_own_words_pass(error: Exception) -> None:
    async def fail() -> str:
        raise error

    with pytest.raises(type(error)) as raised:
        call(made(fail))
    assert raised.value is error


def test_time_runs_out() -> None:
    async def sleep() -> str:
        await asyncio.sleep(30)
        return ""

    with pytest.raises(AgentFailed, match=r"took longer than 0\.05 s"):
        call(made(sleep), left_ms=50)


def test_plain_functions_run_beside_the_loop_and_tell_progress_on_it() -> None:
    told: list[tuple[float, str, bool]] = []
    main = threading.get_ident()

    def work(task: Assignment) -> bool:
        task.progress(0.5, "half")
        time.sleep(0.02)
        return threading.get_ident() != main

    def progress(fraction: float, text: str = "") -> None:
        told.append((fraction, text, threading.get_ident() == main))

    assert call(made(work), progress=progress) == {"result": b"true"}
    assert told == [(0.5, "half", True)]


def test_plain_functions_that_never_end_are_counted_out() -> None:
    stop = threading.Event()

    def hang() -> str:
        stop.wait()
        return ""

    async def go() -> list[str]:
        runner = runner_of(made(hang))
        calls = (runner.run(Assignment("t", left_ms=20)) for _ in range(11))
        return [str(each) for each in await asyncio.gather(*calls, return_exceptions=True)]

    said = asyncio.run(go())
    stop.set()
    assert said[:9] == ["took longer than 0.02 s"] * 9
    assert said[9].startswith("9 earlier calls have not ended")


def test_revision() -> None:
    async def guess(text: str) -> Options:
        return Options()

    handler = made(guess)
    revised = Options(0)

    @handler.revise
    async def _(draft: Options, peers: list[Options]) -> Options:
        return Options(draft.limit + sum(peer.limit for peer in peers) + revised.limit)

    runner = runner_of(handler)
    draft = (given("result", {"limit": 1}, JSON),)
    peers = ((given("result", {"limit": 10}, JSON),), (given("result", {"limit": "hostile"}, JSON),), ())
    found = asyncio.run(runner.revise(Assignment("t", round=1), draft, peers))
    assert found is not None
    assert found[0].value.body == b'{"limit":11}'
    assert asyncio.run(runner_of(made(guess)).revise(Assignment("t"), draft, peers)) is None


def test_names_given_twice_are_both_kept() -> None:
    first, second, third = (given("o", i, JSON, source) for i, source in enumerate(["s1", "s2", "s2"]))
    assert inputs_of([first, second, third]) == {"o": first, "s2.o": second, "s2.o'": third}


def test_bad_declarations() -> None:
    def stars(*tables: bytes) -> str:
        return ""

    def fine(text: str) -> str:
        """Say it."""
        return text

    def lost(x: "Nowhere") -> str:  # type: ignore[name-defined]  # noqa: F821
        return ""

    with pytest.raises(ConfigError, match="parameter 'tables' must have a name of its own"):
        signature_of(stars)
    with pytest.raises(ConfigError, match="a type hint cannot be read: name 'Nowhere' is not defined"):
        signature_of(lost)
    with pytest.raises(ConfigError, match="must be org/unit/agent"):
        agent("echo", description="x")(fine)
    with pytest.raises(ConfigError, match="skill 'say it' must be"):
        agent("a/b/c", skills=["say it"])(fine)
    with pytest.raises(ConfigError, match="say what it does"):
        agent("a/b/c")(lambda text: text)
    with pytest.raises(ConfigError, match=r"\(draft, peers, task\)"):
        agent("a/b/c")(fine).revise(lambda draft: draft)
    with pytest.raises(ConfigError, match="is no agent: decorate it"):
        runner_of(fine)


def test_the_front_door_is_light() -> None:
    code = (
        "import sys, foa\n"
        "@foa.agent('a/b/c', description='x')\nasync def f(text: str) -> str: return text\n"
        "from foa.adapters.runners import runner_of; runner_of(f)\n"
        "print(*sorted({'pydantic', 'pandas', 'scipy', 'torch', 'httpx', 'networkx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=".")
    assert done.stdout == "\n"
