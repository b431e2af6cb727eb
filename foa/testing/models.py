"""A server that speaks the chat-completions API by script: for tests, and to try model agents without a model.

::

    async with ModelServer(Says("first"), Says(status=429, retry_after="1"), Says("second")) as server:
        …                                   server.url is a base_url; server.asked holds what was asked

    python -m foa.testing.models --port 8033 answers.txt        a line each, over and over; without a file: an echo

Each request takes the next `Says`; the last one stays. It can answer well, malformed, slowly, cut short, not at all,
and with any status. Nothing here is random, and nothing waits unless the script says so.
"""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import msgspec

MAX_BODY: Final = 32 * 1024 * 1024
_REASONS: Final = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found",
                   429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable"}  # fmt: skip


@dataclass(frozen=True)
class Says:
    """One scripted reply.

    ``text`` is the answer, sent in pieces of ``piece`` characters where a stream was asked for; ``usage`` False counts
    no tokens; ``cut`` closes the connection after so many characters; ``delay_s`` waits before the first byte and
    ``pause_s`` between pieces; ``raw`` is sent as the whole body instead. A ``status`` other than 200 is an error whose
    message is ``text``.
    """

    text: str = ""
    status: int = 200
    finish: str = "stop"
    refusal: str = ""
    usage: bool = True
    piece: int = 8
    cut: int | None = None
    delay_s: float = 0.0
    pause_s: float = 0.0
    raw: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    retry_after: str = ""


@dataclass
class Asked:
    """One request: its headers (names in lower case), its document, and whether its connection was closed early."""

    headers: dict[str, str]
    document: dict[str, Any]
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def prompt(self) -> str:
        """The last message."""
        return str(self.document["messages"][-1]["content"])


Script = Callable[[Asked, int], Says]


class ModelServer:
    """Serves on a free port of this machine while entered."""

    def __init__(self, *script: Says, by: Script | None = None, port: int = 0) -> None:
        """Answer by `script`, or by the function `by` (request, its number from 0)."""
        self.asked: list[Asked] = []
        self.begun = asyncio.Event()
        self.flying = 0
        self.most_flying = 0
        self._port = port
        self._by = by or (lambda _, number: script[min(number, len(script) - 1)])
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The base_url."""
        return f"http://127.0.0.1:{self._port}/v1"

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Stop, and end what is still being answered."""
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request; every connection is closed after it."""
        path, asked = await _request(reader)
        if path != "/v1/chat/completions":
            writer.write(_head(404, "application/json", 0))
            return
        number = len(self.asked)
        self.asked.append(asked)
        self.begun.set()
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        answering = asyncio.ensure_future(_answer(self._by(asked, number), asked, writer))
        listening = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({answering, listening}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                asked.hung_up.set()
        finally:
            self.flying -= 1
            for task in (answering, listening):
                task.cancel()
            await asyncio.gather(answering, listening, return_exceptions=True)


async def _request(reader: asyncio.StreamReader) -> tuple[str, Asked]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    body = await reader.readexactly(min(int(headers.get("content-length", "0")), MAX_BODY))
    return head[0].split(" ")[1], Asked(headers, msgspec.json.decode(body) if body else {})


async def _answer(says: Says, asked: Asked, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(says.delay_s)
    if says.status != 200:  # noqa: PLR2004 - everything else is an error
        extra = (*says.headers, *((("Retry-After", says.retry_after),) if says.retry_after else ()))
        await _send(writer, says, msgspec.json.encode({"error": {"message": says.text}}), extra)
    elif asked.document.get("stream") and says.raw is None:
        await _stream(writer, says, asked)
    else:
        await _send(writer, says, _whole(says, asked) if says.raw is None else says.raw, says.headers)


async def _send(writer: asyncio.StreamWriter, says: Says, body: bytes, extra: tuple[tuple[str, str], ...]) -> None:
    writer.write(_head(says.status, "application/json", len(body), extra))
    writer.write(body if says.cut is None else body[: says.cut])
    await writer.drain()


def _head(status: int, kind: str, length: int | None, extra: tuple[tuple[str, str], ...] = ()) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Other')}", f"Content-Type: {kind}", "Connection: close"]
    lines += [] if length is None else [f"Content-Length: {length}"]
    lines += [f"{name}: {value}" for name, value in extra]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _usage(says: Says, asked: Asked) -> dict[str, int]:
    """Count a token for every four characters, as a model might."""
    prompt = sum(len(each["content"]) for each in asked.document["messages"])
    out = len(says.text) // 4 + 1
    return {"prompt_tokens": prompt // 4 + 1, "completion_tokens": out, "total_tokens": prompt // 4 + 1 + out}


def _whole(says: Says, asked: Asked) -> bytes:
    message = {"role": "assistant", "content": says.text, "refusal": says.refusal or None}
    document: dict[str, Any] = {
        "object": "chat.completion",
        "model": asked.document.get("model"),
        "choices": [{"index": 0, "message": message, "finish_reason": says.finish}],
    }
    return msgspec.json.encode(document | ({"usage": _usage(says, asked)} if says.usage else {}))


async def _stream(writer: asyncio.StreamWriter, says: Says, asked: Asked) -> None:
    writer.write(_head(200, "text/event-stream", None, says.headers))
    text = says.text if says.cut is None else says.text[: says.cut]
    async for piece in _pieces(text, says):
        writer.write(_event({"content": piece}, None))
        await writer.drain()
    if says.cut is not None:
        return
    if says.refusal:
        writer.write(_event({"refusal": says.refusal}, None))
    writer.write(_event({}, says.finish))
    if says.usage and asked.document.get("stream_options", {}).get("include_usage"):
        writer.write(b"data: " + msgspec.json.encode({"choices": [], "usage": _usage(says, asked)}) + b"\n\n")
    writer.write(b"data: [DONE]\n\n")
    await writer.drain()


async def _pieces(text: str, says: Says) -> AsyncIterator[str]:
    for at in range(0, len(text), max(1, says.piece)):
        yield text[at : at + max(1, says.piece)]
        if says.pause_s:
            await asyncio.sleep(says.pause_s)


def _event(delta: dict[str, str], finish: str | None) -> bytes:
    document = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return b"data: " + msgspec.json.encode(document) + b"\n\n"


def main(arguments: Sequence[str]) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m foa.testing.models", description="A scripted chat model.")
    parser.add_argument("answers", nargs="?", type=Path, help="a file of answers, one a line; default: an echo")
    parser.add_argument("--document", type=Path, help="a JSON file: the answer where a schema is asked for")
    parser.add_argument("--port", type=int, default=8033)
    given = parser.parse_args(arguments)
    lines = given.answers.read_text(encoding="utf-8").splitlines() if given.answers else []
    document = given.document.read_text(encoding="utf-8") if given.document else ""

    def by(asked: Asked, number: int) -> Says:
        if document and "response_format" in asked.document:
            return Says(document)
        return Says(lines[number % len(lines)] if lines else f"You said: {asked.prompt}")

    async def serve() -> None:
        async with ModelServer(by=by, port=given.port) as server:
            sys.stdout.write(f"export OPENAI_BASE_URL={server.url} OPENAI_MODEL=scripted\n")
            sys.stdout.flush()
            await asyncio.get_running_loop().create_future()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


if __name__ == "__main__":
    main(sys.argv[1:])
