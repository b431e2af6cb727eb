"""The JSON document that agents in any language read and write: on stdin and stdout, or over HTTP.

::

    in   {"job": "draft" | "revise" | "critique" | "plan" | "synthesise",
          "text", "task", "subtask", "key", "attempt", "left_ms", "round", "answers": [what people answered],
          "inputs": {name: {"type", "media", and one of "text" | "json" | "base64"}},
          revise, critique:
          "draft": {name: …}, "peers": [{name: …}], "from": [{"agent", "confidence", "guest"}] in the same order,
          "critiques": {agent: what it said of the draft},
          synthesise: "parts": [{"source", "agent", "name", "type", "media", …}]}
    out  {"outputs": {name: value}}, or the bare value where one output is declared; null to "revise": the draft stands
         beside "outputs" there may be "confidence" (0 to 1) and "usage": {"usd", "tokens_in", "tokens_out"}
         {"critiques": {agent: words, or {"text", "score"}}} to "critique"
         {"ask": {"question", "options"}}: a person must answer first; it comes again with the answer
         {"refute": {"source", "reason"}}: what subtask "source" yielded is wrong

A value is written as its type says: characters for text, JSON for JSON, ``{"base64": "…"}`` for bytes. "critique" is
asked of who lists it under ``run.jobs``, "revise" of who refines, "plan" and "synthesise" of who has those skills;
those two are given all inputs there are, by name.
"""

from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from foa.adapters.binding import bind
from foa.adapters.handlers import ASKED, PLAN, PLAN_PORT, SYNTHESISE, Assignment
from foa.adapters.peers import Critique, Peer
from foa.adapters.runners.base import Outcome, critiques_of, garbage, lies, one_line, outcome
from foa.adapters.values import Misfit, encode, is_json, is_text, media_of, text_of
from foa.core.vcv.profile import Profile
from foa.errors import Ask, Decline, Refute
from foa.wire.records import Port, Value

CRITIQUE: Final = "critique"
_BESIDE: Final = frozenset({"outputs", "confidence", "usage"})


class Conversation(ABC):
    """A runner that hands the document to somebody and reads the answer; how it is carried is its subclass's."""

    profile: Profile
    jobs: tuple[str, ...] = ()

    async def run(self, assignment: Assignment) -> Outcome:
        """Send the work, read the answer."""
        return answer(self._outputs, await self._said(request(self.profile, assignment), assignment))

    async def revise(self, assignment: Assignment, draft: Outcome, peers: tuple[Outcome, ...]) -> Outcome | None:
        """Send the drafts, if the profile says that the agent refines."""
        if not self.profile.refines:
            return None
        known = assignment.peers or tuple(Peer("", outputs) for outputs in peers)
        document = request(self.profile, assignment) | {"job": "revise"} | _among(draft, known)
        body = await self._said(document, assignment)
        return None if body.strip() == b"null" else answer(self._outputs, body)

    async def critique(
        self, assignment: Assignment, draft: Outcome, peers: tuple[Peer[Outcome], ...]
    ) -> Mapping[str, Critique]:
        """Send the drafts to be judged, if the profile says that the agent understands that."""
        if CRITIQUE not in self.jobs:
            return {}
        document = request(self.profile, assignment) | {"job": CRITIQUE} | _among(draft, peers)
        said = _json(await self._said(document, assignment))
        if not isinstance(said, dict) or not isinstance(said.get("critiques"), dict):
            raise garbage('expected {"critiques": {agent: words}}')
        return critiques_of({agent: _critique(agent, each) for agent, each in said["critiques"].items()},
                            {peer.agent for peer in peers})  # fmt: skip

    async def plan(self, assignment: Assignment) -> Outcome | None:
        """Ask for a plan, with all that is known of agents and of plans that worked."""
        ports = tuple(port for port in self.profile.outputs if port.type == PLAN)[:1] or (PLAN_PORT,)
        return answer(ports, await self._said(_whole(assignment) | {"job": PLAN}, assignment))

    async def synthesise(self, assignment: Assignment) -> Outcome | None:
        """Ask for one answer made of all parts."""
        parts = [
            {"source": each.source, "agent": each.agent, "name": each.name} | _shown(each.value, each.name)
            for each in assignment.inputs.values()
            if each.source
        ]
        document = _whole(assignment) | {"job": SYNTHESISE, "parts": parts}
        return answer(self._outputs, await self._said(document, assignment))

    @property
    def _outputs(self) -> tuple[Port, ...]:
        """What work yields: a plan that was declared with ``run.jobs`` is the planner's alone."""
        return tuple(port for port in self.profile.outputs if PLAN not in self.jobs or port != PLAN_PORT)

    async def _said(self, document: dict[str, Any], assignment: Assignment) -> bytes:
        """Return what comes back, once what it says beside its outputs is taken in."""
        body = await self._talk(msgspec.json.encode(document), assignment)
        said = _json(body)
        if isinstance(said, dict):
            _heed(said)
            if isinstance(said.get("outputs"), dict) and set(said) <= _BESIDE:
                return _taken_in(said, assignment)
        return body

    @abstractmethod
    async def _talk(self, document: bytes, assignment: Assignment) -> bytes:
        """Carry `document` there and the answer back."""


def request(profile: Profile, assignment: Assignment) -> dict[str, Any]:
    """Return the document that asks for work; Decline if inputs are missing."""
    chosen = bind(tuple(map(_eager, profile.inputs)), assignment.inputs.values())
    return _asked(assignment) | {"inputs": {name: _shown(given[0].value, name) for name, given in chosen.items()}}


def _whole(assignment: Assignment) -> dict[str, Any]:
    """Return the document that asks for work on all there is."""
    return _asked(assignment) | {"inputs": {name: _shown(each.value, name) for name, each in assignment.inputs.items()}}


def _asked(assignment: Assignment) -> dict[str, Any]:
    return {
        "job": "draft",
        "text": assignment.text,
        "task": assignment.task,
        "subtask": assignment.subtask,
        "key": assignment.key,
        "attempt": assignment.attempt,
        "left_ms": assignment.left_ms,
        "round": assignment.round,
        "answers": assignment.answers,
    }


def _among(draft: Outcome, peers: Iterable[Peer[Outcome]]) -> dict[str, Any]:
    """Return what a round adds to the document."""
    known = tuple(peers)
    return {
        "draft": {given.name: _shown(given.value, given.name) for given in draft},
        "peers": [{given.name: _shown(given.value, given.name) for given in peer.outputs} for peer in known],
        "from": [{"agent": peer.agent, "confidence": peer.confidence, "guest": peer.guest} for peer in known],
        "critiques": {peer.agent: peer.critique for peer in known if peer.critique},
    }


def _heed(said: dict[str, Any]) -> None:
    """Raise Ask or Refute if that is what `said` is, and nothing else."""
    match said:
        case {"ask": {"question": str() as question, **more}, **rest} if (
            question and not rest and set(more) <= {"options"}
        ):
            options = more.get("options")
            raise Ask(question, options=tuple(map(str, options)) if isinstance(options, list) else ())
        case {"refute": {"source": str() as source, **more}, **rest} if source and not rest and set(more) <= {"reason"}:
            raise Refute(source, one_line(more.get("reason", "")))


def _taken_in(said: dict[str, Any], assignment: Assignment) -> bytes:
    """Bill and believe what stands beside the outputs; AgentFailed if it is no bill, or no confidence."""
    usage, confidence = said.get("usage"), said.get("confidence")
    try:
        if usage is not None:
            assignment.charge(**msgspec.to_builtins(msgspec.convert(usage, _Usage)))
        if confidence is not None:
            assignment.confident(msgspec.convert(confidence, float))
    except (msgspec.ValidationError, ValueError) as error:
        raise lies(one_line(error)) from error
    return msgspec.json.encode({"outputs": said["outputs"]})


class _Usage(msgspec.Struct, forbid_unknown_fields=True):
    usd: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0


def _critique(agent: str, said: Any) -> Critique:
    if isinstance(said, str):
        return Critique(agent, said)
    if isinstance(said, dict) and set(said) <= {"text", "score"}:
        return Critique(agent, str(said.get("text", "")), said.get("score"))
    raise garbage(f'the critique of {one_line(agent)[:80]} is neither words nor {{"text", "score"}}')


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


def answer(ports: tuple[Port, ...], body: bytes) -> Outcome:
    """Return the outputs that `body` holds; AgentFailed if it cannot be read or does not fit what is declared."""
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
