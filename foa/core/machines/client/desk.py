"""The desk of a client: what it reads of others' tasks, asks of the index, and says for a person."""

from random import Random
from typing import Final

import msgspec

from foa.core import effects as fx
from foa.core.dag.blobs import outsource
from foa.core.effects import Effect, Event, Key
from foa.core.machines.client.records import (
    ORDER_S,
    Back,
    Clear,
    Collect,
    Context,
    Enough,
    Order,
    Question,
    Rate,
    Report,
    ReportKind,
    Say,
)
from foa.core.machines.client.submission import acknowledgement, leaf, letter_topic
from foa.core.routing.exchange import Answer
from foa.wire.messages import Accepted, Rejected, Result

BODY_S: Final = 86_400
"""How long what is large in a person's answer is kept for those who need it."""


class Desk(msgspec.Struct, frozen=True):
    """What is being collected: filters by token. ``context`` says whose desk it is; ``met``: the bus was there once."""

    context: Context
    collecting: dict[str, tuple[str, ...]] = {}
    met: bool = False

    @property
    def replies(self) -> dict[str, str]:
        """The topics on which coordinators reply: to submissions, to feedback, to what people said."""
        return {name: self.context.topics.reply(self.context.node, name) for name in ("task", "feedback", "input")}


def desk_step(state: Desk, event: Event, now: float, rng: Random) -> tuple[Desk, list[Effect]]:
    """Take one event: pass questions to the index and what arrives to the program."""
    del now, rng
    match event:
        case fx.Online():
            back = [fx.TellAll("client", Back())] if state.met else []
            return msgspec.structs.replace(state, met=True), [fx.Subscribe(tuple(state.replies.values())), *back]
        case fx.Told(_, Rate() | Say() | Order() | Clear() as said):
            return state, _said(state, said)
        case fx.Received(topic, Result() as result) if topic.kind == "reply":
            return state, [acknowledgement(state.context, result)]  # we have it already, or nobody waits for it
        case fx.Received(topic, Accepted() | Rejected() as word) if topic.kind == "reply":
            return state, [_word(event, word)]
        case fx.Told(_, Question(asked)):
            return state, [fx.Tell(Key("lookup"), asked)]
        case fx.Told(_, Answer() as answer):
            return state, [_reported("answer", answer.token, answer)]
        case fx.Told(_, Collect(token, patterns)):
            return msgspec.structs.replace(state, collecting={**state.collecting, token: patterns}), [
                fx.Subscribe(patterns)
            ]
        case fx.Told(_, Enough(token)):
            patterns = state.collecting.get(token, ())
            rest = {other: kept for other, kept in state.collecting.items() if other != token}
            return msgspec.structs.replace(state, collecting=rest), [fx.Unsubscribe(patterns)] if patterns else []
        case fx.Received() if state.collecting:
            return state, [_reported("retained", "", event)]
        case _:
            return state, []


def _said(state: Desk, word: Rate | Say | Order | Clear) -> list[Effect]:
    """Send a person's words, first what is large of them; every try has the same correlation, to be known again by."""
    context = state.context
    if isinstance(word, Clear):
        return [fx.Publish(letter_topic(context, word.task), None, retain=True)]
    if isinstance(word, Order):
        topic = context.topics(f"control/{word.word.verb}")
        return [fx.Publish(topic, word.word, expiry_s=ORDER_S, reply_to=word.reply_to)]
    if isinstance(word, Rate):
        topic = leaf(context, word.feedback.task, "feedback")
        return [fx.Publish(topic, word.feedback, reply_to=state.replies["feedback"])]
    inputs, blobs = outsource(word.said.inputs, context.topics, BODY_S, context.inline_bytes, context.chunk_bytes)
    return [
        *blobs,
        fx.Publish(
            leaf(context, word.said.task, "input"),
            msgspec.structs.replace(word.said, inputs=inputs),
            reply_to=state.replies["input"],
            correlation=word.token.encode()[:64],
        ),
    ]


def _word(event: fx.Received, word: Accepted | Rejected) -> Effect:
    """Pass an owner's word on: of feedback under its task, of an answer under the token it was sent with."""
    if event.topic.name == "input":
        return _reported("heard", event.correlation.decode(errors="replace"), word)
    return _reported("rated", word.task, word)


def _reported(kind: ReportKind, ident: str, value: object) -> fx.Request:
    return fx.Request("report", "", Report(kind, ident, value))
