"""What a model's endpoint sends, read without I/O: a whole answer, a stream of pieces, or a refusal.

Every shape that a server may send wrongly ends in `Garbled`, with what was wrong; unknown fields are left alone.
Called by `foa.adapters.models.chat`.
"""

from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

MAX_TOLD: Final = 300
MAX_RETRY_S: Final = 3_600.0
TRANSIENT: Final = frozenset({408, 409, 425, 429})
"""Statuses below 500 that another try may mend."""

Tokens = Annotated[int, Meta(ge=0, le=2**40)]


class Garbled(ValueError):
    """Not what the protocol says; the text is one line for people."""


class Told(Garbled):
    """An error that the server itself told in the middle of its answer."""


class Counted(msgspec.Struct, frozen=True):
    """The server's own count of tokens."""

    prompt_tokens: Tokens
    completion_tokens: Tokens


class _Words(msgspec.Struct, frozen=True):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    message: _Words = _Words()
    delta: _Words = _Words()
    finish_reason: str | None = None


class _Body(msgspec.Struct, frozen=True):
    choices: tuple[_Choice, ...] = ()
    usage: Any = None
    error: Any = None


class Said(msgspec.Struct, frozen=True):
    """A model's answer. ``finish`` is the server's word for why it ended, ``counted`` None if it counted nothing."""

    text: str
    finish: str = ""
    refusal: str = ""
    counted: Counted | None = None


_BODY: Final = msgspec.json.Decoder(_Body)


def whole(body: bytes) -> Said:
    """Return the answer in the body of a reply that was not streamed; Garbled if there is none."""
    read = _read(body)
    if not read.choices:
        raise Garbled(f"no choices: {one_line(body[:200].decode('utf-8', 'replace'))!r}")
    choice = read.choices[0]
    return Said(
        choice.message.content or "", choice.finish_reason or "", choice.message.refusal or "", _counted(read.usage)
    )


class Stream:
    """Server-sent events, fed as they come. `ended` once the server said so; `said` is the answer until now."""

    def __init__(self) -> None:
        self._rest = b""
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._finish = ""
        self._counted: Counted | None = None
        self.ended = False

    def feed(self, piece: bytes) -> list[str]:
        """Take bytes, return the pieces of text they complete; Garbled on events that cannot be read."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        return [text for line in lines if (text := self._line(line.rstrip(b"\r")))]

    def _line(self, line: bytes) -> str:
        """Take one line; servers send one JSON document in each ``data:`` line, other fields mean nothing here."""
        if not line.startswith(b"data:") or self.ended:
            return ""
        data = line[5:].strip()
        if data == b"[DONE]":
            self.ended = True
            return ""
        read = _read(data)
        self._counted = _counted(read.usage) or self._counted
        if not read.choices:
            return ""
        choice = read.choices[0]
        self._finish = choice.finish_reason or self._finish
        if choice.delta.refusal:
            self._refusals.append(choice.delta.refusal)
        text = choice.delta.content or ""
        self._texts.append(text)
        return text

    @property
    def complete(self) -> bool:
        """Whether the answer is whole: some servers close after the reason to finish, without ``[DONE]``."""
        return self.ended or bool(self._finish)

    @property
    def said(self) -> Said:
        """What came until now."""
        return Said("".join(self._texts), self._finish, "".join(self._refusals), self._counted)


def _read(body: bytes) -> _Body:
    try:
        read = _BODY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        head = one_line(body[:80].decode("utf-8", "replace"))
        raise Garbled(f"no chat completion: {one_line(error)}: {head!r}") from error
    if read.error is not None:
        raise Told(f"broke off with an error: {_message(read.error)}")
    return read


def _counted(usage: Any) -> Counted | None:
    """Return the server's count; None if it is missing or makes no sense."""
    try:
        return msgspec.convert(usage, Counted)
    except msgspec.ValidationError:
        return None


def complaint(body: bytes) -> str:
    """Return what an error's body says to people."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return one_line(body[:MAX_TOLD].decode("utf-8", "replace"))
    return _message(document.get("error", document) if isinstance(document, dict) else document)


def _message(error: Any) -> str:
    said = error.get("message", error) if isinstance(error, dict) else error
    return one_line(said)


def retry_after(header: str, date: str) -> float | None:
    """Return the seconds of ``Retry-After``, a number or a date (against the reply's own ``Date``); None if unsaid."""
    text = header.strip()
    try:
        if text.replace(".", "", 1).isdecimal():
            return min(float(text), MAX_RETRY_S)
        wait = (parsedate_to_datetime(text) - parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(wait, 0.0), MAX_RETRY_S)


def one_line(text: Any) -> str:
    """Return `text` fit for a reason that travels."""
    return " ".join(str(text).split())[:MAX_TOLD]
