"""Runs a language model: the profile's prompt, filled with the work, asked of an OpenAI-compatible endpoint.

What the answer has to be follows from the declared outputs: characters for one text, JSON for everything else, held
to the profile's schema (and, for a ``plan``, to the rules of plan files) with one repair turn. Tokens and their price
are charged as they are spent; an award's budget bounds how long an answer may get, and what it cannot pay is declined.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from random import SystemRandom
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from foa.adapters.binding import bind
from foa.adapters.handlers import Assignment
from foa.adapters.models.chat import Chat
from foa.adapters.models.endpoint import key_of, settled
from foa.adapters.models.limits import prices_of
from foa.adapters.models.session import Session
from foa.adapters.models.shape import Unfit, type_of
from foa.adapters.models.structured import Messages, reader, reader_of, structured, unfenced
from foa.adapters.models.template import RULES, Datum, fenced, fill
from foa.adapters.peers import Critique, Peer
from foa.adapters.runners.base import (
    Declared,
    Outcome,
    check_environment,
    garbage,
    one_line,
    outcome,
    seconds_left,
)
from foa.adapters.values import Misfit, encode, is_json, is_text, media_of, text_of
from foa.core.dag import planfile
from foa.errors import AgentFailed, ConfigError, Decline, Retry
from foa.wire.records import Given, Port, Value

T = TypeVar("T")


class Remark(msgspec.Struct, frozen=True):
    """What a model says of one peer's draft, by the number the draft was shown under."""

    peer: int
    text: str = ""
    score: Annotated[float, Meta(ge=0.0, le=1.0)] | None = None


class Remarks(msgspec.Struct, frozen=True):
    """What a model says of its peers' drafts."""

    critiques: tuple[Remark, ...]


PLAN: Final = "plan"
KEEP: Final = "KEEP"
MAX_REMEMBERED: Final = 256
REVISE: Final = (
    "You were asked: {text}\n\nWhat you were given:\n{inputs}\n\nYour draft:\n{draft}\n\n"
    "Drafts of others who were asked the same:\n{peers}\n\nWhat was said against the drafts:\n{critique}\n\n"
    f"Where others are right and you are wrong, correct your draft. Answer with {KEEP} alone if your draft should "
    "stand as it is, otherwise with the whole corrected answer and nothing else."
)
REMARK: Final = (
    'Answer with one JSON document alone: {"critiques": [{"peer": 1, "text": "what is wrong with peer-1\'s draft", '
    '"score": 0.5}]}, an entry for each peer, score from 0 (useless) to 1 (right in every way).'
)


class ModelRunner:
    """One model, asked once for each piece of work, once more for each repair, and for each round of a cluster."""

    def __init__(self, declared: Declared) -> None:
        assert declared.run.openai is not None, "the profile has [run.openai]"
        self.profile = declared.profile
        self._declared = declared
        self.timeout_s = declared.run.timeout_s
        self._endpoint = declared.run.openai
        self._prices = prices_of(self._endpoint, self.profile.resources)
        self._spent: dict[tuple[str, int], float] = {}

    async def start(self) -> None:
        """Find the endpoint's name and key; the endpoint itself may come up later."""
        check_environment(self._declared)
        where = str(self._declared.path)
        self._endpoint = settled(self._endpoint, os.environ, where)
        self._chat = Chat(self._endpoint, key_of(self._endpoint, os.environ, where), SystemRandom())
        self._wanted = Any if self._endpoint.schema is None else type_of(self._endpoint.schema)
        self._system = {"role": "system", "content": self._instructions()}
        self._critic = {"role": "system", "content": "\n\n".join(filter(None, (self._endpoint.system, RULES, REMARK)))}
        self._chat.open()

    async def close(self) -> None:
        """Close the connections."""
        await self._chat.close()

    async def run(self, assignment: Assignment) -> Outcome:
        """Ask for the work; an answer in one text is streamed to whoever watches."""
        session = self._session(assignment, aloud=self._plain, schema=self._endpoint.schema)
        try:
            return await self._answered(session, self._endpoint.prompt, self._values(assignment), self._read)
        finally:
            self._remember(assignment, session)

    async def revise(self, assignment: Assignment, draft: Outcome, peers: tuple[Outcome, ...]) -> Outcome | None:
        """Ask for a better draft in view of the others'; None keeps `draft`, also where no usable answer comes."""
        if not self.profile.refines:
            return None
        session = self._session(assignment, aloud=False, schema=self._endpoint.schema)
        try:
            return await self._revised(session, assignment, draft, peers)
        except (AgentFailed, Retry, Decline) as error:
            assignment.progress(1.0, f"the draft stands: {error}")
            return None
        finally:
            self._remember(assignment, session)

    async def critique(
        self, assignment: Assignment, draft: Outcome, peers: tuple[Peer[Outcome], ...]
    ) -> dict[str, Critique]:
        """Say what is wrong with the peers' drafts, where the profile has a prompt for that; by their agent ids."""
        if not self._endpoint.critique or not peers:
            return {}
        session = self._session(assignment, aloud=False, schema=None)
        try:
            values = self._values(assignment) | _shown_drafts(draft, tuple(peer.outputs for peer in peers))
            messages = (self._critic, {"role": "user", "content": fill(self._endpoint.critique, values)})
            said: Remarks = await structured(session.ask, messages, reader_of(Remarks))
        except (AgentFailed, Retry, Decline) as error:
            assignment.progress(1.0, f"nothing is said of the others' drafts: {error}")
            return {}
        finally:
            self._remember(assignment, session)
        names = {number: peer.agent for number, peer in enumerate(peers, 1)}
        return {names[each.peer]: _critique(names[each.peer], each) for each in said.critiques if each.peer in names}

    async def _revised(
        self, session: Session, assignment: Assignment, draft: Outcome, peers: tuple[Outcome, ...]
    ) -> Outcome | None:
        values = self._values(assignment)
        said = [Datum(f"critique-{n}", "text/plain", each.critique) for n, each in enumerate(assignment.peers, 1)]
        values |= _shown_drafts(draft, peers) | {"critique": fenced([each for each in said if each.text])}
        template = self._endpoint.revise or REVISE
        return await self._answered(session, template, values, lambda text: None if _keeps(text) else self._read(text))

    # --- what is asked ------------------------------------------------------------------------------------

    def _session(self, assignment: Assignment, *, aloud: bool, schema: dict[str, Any] | None) -> Session:
        budget = assignment.budget
        if budget is not None:
            budget -= self._spent.get((assignment.key, assignment.attempt), 0.0)
        return Session(
            self._chat,
            self._endpoint,
            self._prices,
            assignment,
            seconds=seconds_left(self.timeout_s, assignment),
            budget=budget,
            schema=schema,
            window=self.profile.resources.context_tokens,
            aloud=aloud,
        )

    def _remember(self, assignment: Assignment, session: Session) -> None:
        """Keep what an award cost, so that its later rounds have the rest; the oldest is forgotten."""
        place = (assignment.key, assignment.attempt)
        self._spent[place] = self._spent.pop(place, 0.0) + session.spent
        if len(self._spent) > MAX_REMEMBERED:
            del self._spent[next(iter(self._spent))]

    def _instructions(self) -> str:
        parts = [self._endpoint.system, RULES]
        if self._endpoint.schema is not None:
            schema = msgspec.json.encode(self._endpoint.schema).decode()
            parts.append(f"Answer with one JSON document alone, which fits this JSON Schema: {schema}")
        elif len(self.profile.outputs) > 1:
            named = ", ".join(f"{port.name} ({port.type})" for port in self.profile.outputs)
            parts.append(f"Answer with one JSON object alone, with these keys: {named}")
        elif not self._plain:
            parts.append("Answer with one JSON document alone.")
        return "\n\n".join(filter(None, parts))

    def _messages(self, template: str, values: Mapping[str, str]) -> Messages:
        return (self._system, {"role": "user", "content": fill(template, values)})

    def _values(self, assignment: Assignment) -> dict[str, str]:
        """Return what placeholders stand for. Declared inputs come by their own names; `inputs` is all there is."""
        chosen = bind(self.profile.inputs, assignment.inputs.values())
        bound = {name: _datum(name, given[0].value) for name, given in chosen.items()}
        needed = {port.name for port in self.profile.inputs if not port.optional}
        for name, given in chosen.items():
            if name in needed and not _is_shown(given[0].value):
                raise Decline("inputs", f"{name}: is {given[0].value.media}, a language model is shown text and JSON")
        used = {id(given[0]) for given in chosen.values()}
        rest = [_datum(name, given.value) for name, given in assignment.inputs.items() if id(given) not in used]
        values = {port.name: fenced([bound[port.name]] if port.name in bound else []) for port in self.profile.inputs}
        return values | {"text": assignment.text, "inputs": fenced([*bound.values(), *rest])}

    # --- what came back -----------------------------------------------------------------------------------

    @property
    def _plain(self) -> bool:
        ports = self.profile.outputs
        return len(ports) == 1 and not is_json(media_of(ports[0].type))

    async def _answered(
        self, session: Session, template: str, values: Mapping[str, str], read: Callable[[str], T]
    ) -> T:
        messages = self._messages(template, values)
        if not self._plain:
            return await structured(session.ask, messages, read)
        try:
            return read(await session.ask(messages))
        except Unfit as error:
            raise garbage(str(error)) from error

    def _read(self, text: str) -> Outcome:
        """Return the outputs that an answer holds; Unfit says what is wrong with it."""
        ports = self.profile.outputs
        if self._plain:
            words = text.strip() if ports[0].type in {"text/plain", "text/markdown"} else unfenced(text)
            if not words:
                raise Unfit("it is empty")
            return (Given(ports[0].name, _encoded(words, ports[0])),)
        document = reader(self._wanted)(text)
        if len(ports) == 1:
            _hold_plan(document, ports[0])
            return (Given(ports[0].name, _encoded(document, ports[0])),)
        return self._several(document)

    def _several(self, document: Any) -> Outcome:
        ports = {port.name: port for port in self.profile.outputs}
        if not isinstance(document, dict):
            raise Unfit(f"expected an object with the keys {', '.join(ports)}")
        given = {name: each for name, each in document.items() if each is not None}
        values = {}
        for name, each in given.items():
            if name not in ports:
                raise Unfit(f"{name[:80]!r} is none of the keys {', '.join(ports)}")
            _hold_plan(each, ports[name])
            values[name] = _encoded(each, ports[name])
        try:
            return outcome(self.profile.outputs, values)
        except AgentFailed as error:
            raise Unfit(str(error)) from error


def _hold_plan(document: Any, port: Port) -> None:
    """Hold a plan to what its readers hold it to, while the model can still mend it."""
    if port.type != PLAN:
        return
    try:
        planfile.read(document if isinstance(document, Mapping) else {})
    except ConfigError as error:
        raise Unfit(str(error)) from error


def _encoded(value: Any, port: Port) -> Value:
    try:
        return encode(value, port.type)
    except Misfit as error:
        raise Unfit(f"{port.name}: {error}") from error


def _shown_drafts(draft: Outcome, peers: Iterable[Outcome]) -> dict[str, str]:
    others = [each for number, peer in enumerate(peers, 1) for each in _data(peer, number)]
    return {"draft": fenced(_data(draft)), "peers": fenced(others)}


def _critique(agent: str, remark: Remark) -> Critique:
    return Critique(agent, one_line(remark.text), remark.score)


def _keeps(text: str) -> bool:
    return text.strip().strip("\"'`*.!").upper() == KEEP


def _data(draft: Iterable[Given], number: int = 0) -> list[Datum]:
    return [_datum(f"peer-{number}.{each.name}" if number else each.name, each.value) for each in draft]


def _datum(name: str, value: Value) -> Datum:
    """Return a value as a model is shown it; of what is neither text nor JSON only that it is there."""
    if value.body is None:
        raise Decline("inputs", f"{name}: its body was not fetched")
    if _is_shown(value):
        try:
            return Datum(name, value.type, text_of(value.body))
        except Misfit:
            pass
    return Datum(name, value.type, f"({len(value.body)} bytes of {value.media}, not shown)")


def _is_shown(value: Value) -> bool:
    return is_json(value.media) or is_text(value.media)
