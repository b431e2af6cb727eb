"""The JSON document that agents in any language read and write: on stdin and stdout, or over HTTP.

::

    in   {"text", "task", "subtask", "key", "attempt", "left_ms", "round",
          "inputs": {name: {"type", "media", and one of "text" | "json" | "base64"}},
          "draft": {name: …}, "peers": [{name: …}]}            the last two only when a draft is to be revised
    out  {"outputs": {name: value}}, or the bare value where one output is declared

A value is written as its type says: characters for text, JSON for JSON, ``{"base64": "…"}`` for bytes.
"""

from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any

import msgspec

from foa.adapters.binding import bind
from foa.adapters.handlers import ASKED, Assignment
from foa.adapters.runners.base import Outcome, garbage, lies, one_line, outcome
from foa.adapters.values import Misfit, encode, is_json, is_text, media_of, text_of
from foa.core.vcv.profile import Profile
from foa.errors import Decline
from foa.wire.records import Port, Value


class Conversation(ABC):
    """A runner that hands the document to somebody and reads the answer; how it is carried is its subclass's."""

    profile: Profile

    async def run(self, assignment: Assignment) -> Outcome:
        """Send the work, read the answer."""
        return answer(self.profile, await self._talk(request(self.profile, assignment), assignment))

    async def revise(self, assignment: Assignment, draft: Outcome, peers: tuple[Outcome, ...]) -> Outcome | None:
        """Send the drafts, if the profile says that the agent refines."""
        if not self.profile.refines:
            return None
        return answer(self.profile, await self._talk(request(self.profile, assignment, draft, peers), assignment))

    @abstractmethod
    async def _talk(self, document: bytes, assignment: Assignment) -> bytes:
        """Carry `document` there and the answer back."""


def request(
    profile: Profile, assignment: Assignment, draft: Outcome | None = None, peers: Iterable[Outcome] = ()
) -> bytes:
    """Return the document that asks for work (or, with a draft, for its revision); Decline if inputs are missing."""
    chosen = bind(tuple(map(_eager, profile.inputs)), assignment.inputs.values())
    document: dict[str, Any] = {
        "text": assignment.text,
        "task": assignment.task,
        "subtask": assignment.subtask,
        "key": assignment.key,
        "attempt": assignment.attempt,
        "left_ms": assignment.left_ms,
        "round": assignment.round,
        "inputs": {name: _shown(given[0].value, name) for name, given in chosen.items()},
    }
    if draft is not None:
        document["draft"] = {given.name: _shown(given.value, given.name) for given in draft}
        document["peers"] = [{given.name: _shown(given.value, given.name) for given in peer} for peer in peers]
    return msgspec.json.encode(document)


def _eager(port: Port) -> Port:
    """Text to work on is sought by type even where it may be missing: the subtask's words are there as well."""
    return Port(port.name, "text/*", optional=True) if port.optional and port.name in ASKED[:1] else port


def _shown(value: Value, name: str) -> dict[str, Any]:
    if value.body is None:
        raise Decline("inputs", f"{name}: its body was not fetched")
    shown: dict[str, Any] = {"type": value.type, "media": value.media}
    try:
        if is_json(value.media):
            return shown | {"json": msgspec.json.decode(value.body)}
        if is_text(value.media):
            return shown | {"text": text_of(value.body)}
    except (Misfit, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return shown | {"base64": b64encode(value.body).decode()}


def answer(profile: Profile, body: bytes) -> Outcome:
    """Return the outputs that `body` holds; AgentFailed if it cannot be read or does not fit the profile."""
    ports = profile.outputs
    document = _json(body)
    if isinstance(document, dict) and set(document) == {"outputs"} and isinstance(document["outputs"], dict):
        types = {port.name: port.type for port in ports}
        named = document["outputs"].items()
        return outcome(ports, {name: _value(value, types.get(name, "application/json"), name) for name, value in named})
    if len(ports) != 1:
        raise garbage(f'expected {{"outputs": {{…}}}} with {", ".join(port.name for port in ports)}, got {_head(body)}')
    return outcome(ports, {ports[0].name: _bare(body, document, ports[0])})


_NOT_JSON = object()


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _NOT_JSON


def _bare(body: bytes, document: Any, port: Port) -> Value:
    """Return the only output, written without ceremony."""
    media = media_of(port.type)
    if is_json(media):
        if document is _NOT_JSON:
            raise garbage(f"{port.name} ({port.type}) is written as JSON, got {_head(body)}")
        return _value(document, port.type, port.name)
    if isinstance(document, str) or (isinstance(document, dict) and set(document) == {"base64"}):
        return _value(document, port.type, port.name)
    if not is_text(media):
        return Value(port.type, media, body)
    try:
        return Value(port.type, media, text_of(body.rstrip(b"\r\n")).encode())
    except Misfit as error:
        raise garbage(f"{port.name} {error}") from error


def _value(given: Any, name: str, output: str) -> Value:
    media = media_of(name)
    if not is_json(media) and isinstance(given, dict) and isinstance(given.get("base64"), str):
        try:
            return Value(name, media, b64decode(given["base64"], validate=True))
        except ValueError as error:
            raise garbage(f"{output} is not base64: {error}") from error
    try:
        return encode(given, name)
    except Misfit as error:
        raise lies(f"{output}: {error}") from error


def _head(body: bytes) -> str:
    return repr(one_line(body[:80].decode("utf-8", "replace"))) if body.strip() else "nothing"
