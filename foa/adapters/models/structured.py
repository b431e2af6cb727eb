"""An answer held to a shape: read, and if it does not fit asked for once more, with exactly what was wrong.

`structured` is the one loop; `reader` reads JSON of a type, out of a fence or out of the words around it.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec

from foa.adapters.models.shape import Unfit, checked
from foa.errors import AgentFailed

T = TypeVar("T")

_FENCE: Final = re.compile(r"```[ \t]*([\w.+/-]*)[ \t]*\r?\n(.*?)\r?\n?[ \t]*```", re.DOTALL)
MAX_KEPT: Final = 16_384

Messages = Sequence[dict[str, str]]


async def structured(ask: Callable[[Messages], Awaitable[str]], messages: Messages, read: Callable[[str], T]) -> T:
    """Return what `read` makes of the model's answer; `read` raises Unfit to say what is wrong with it.

    One repair turn shows the model its answer and the fault; AgentFailed if the second answer does not fit either.
    """
    text = await ask(messages)
    try:
        return read(text)
    except Unfit as error:
        fault = error
    repair = (
        *messages,
        {"role": "assistant", "content": text[:MAX_KEPT] or "(nothing)"},
        {"role": "user", "content": _complaint(fault)},
    )
    text = await ask(repair)
    try:
        return read(text)
    except Unfit as error:
        raise AgentFailed(f"answered garbage, and again when told what was wrong: {error}") from error


def _complaint(fault: Unfit) -> str:
    return (
        f"That answer cannot be used: {fault}. Answer again with the whole thing, corrected, as JSON alone: "
        "no words before or after it."
    )


def reader(wanted: Any = Any) -> Callable[[str], Any]:
    """Return a function that finds JSON in a model's words and gives it as it is; Unfit if it is no `wanted`."""

    def read(text: str) -> Any:
        return checked(json_in(text).encode("utf-8", "replace"), wanted)

    return read


def reader_of(wanted: type[T]) -> Callable[[str], T]:
    """Return a function that makes a `wanted` of the JSON in a model's words; Unfit if it is none."""

    def read(text: str) -> T:
        return msgspec.convert(reader(wanted)(text), wanted)

    return read


def json_in(text: str) -> str:
    """Return the JSON part of an answer: the last fenced block if words come first, else from bracket to bracket."""
    plain = text.strip()
    if not plain:
        raise Unfit("it is empty")
    if plain[0] == '"':
        return plain
    blocks: list[tuple[str, str]] = _FENCE.findall(plain)
    if blocks and plain[0] not in "{[":
        return next((body for kind, body in reversed(blocks) if kind.lower() == "json"), blocks[-1][1])
    starts = [at for at in (plain.find("{"), plain.find("[")) if at >= 0]
    end = max(plain.rfind("}"), plain.rfind("]"))
    return plain[min(starts) : end + 1] if starts and end > min(starts) else plain


def unfenced(text: str) -> str:
    """Return what a single fence around a whole answer holds; models wrap tables and pages in one."""
    match = _FENCE.fullmatch(text.strip())
    return match[2] if match else text.strip()
