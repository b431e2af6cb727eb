"""A person is asked, and answers: what an agent wants to know, consent to a step, what to do where nothing helps.

The question stands on the subtask's `Work`, so it is in the snapshot and survives its owner; the task goes on
everywhere else, within its deadline. What a person says is an input of the subtask from then on.
"""

from typing import Final

import msgspec

from foa.core import effects as fx
from foa.core.effects import Effect
from foa.core.machines.task.changing import logged, noted, taken_back, unrepeatable
from foa.core.machines.task.finish import fail
from foa.core.machines.task.place import advance
from foa.core.machines.task.state import (
    Context,
    Live,
    Reply,
    TaskState,
    answer_to,
    note,
    put,
    reply,
    save,
    tell,
)
from foa.wire.deliberation import EditKind
from foa.wire.messages import Accepted, Input, Rejected, Required
from foa.wire.records import Given, Task, Value, Work

YES: Final = frozenset({"yes", "y", "ok", "approve", "approved"})
NO: Final = frozenset({"no", "n", "reject", "rejected", "give up"})
AGAIN: Final = ("try again", "give up")
ANSWER: Final = "answer"
MAX_HEARD: Final = 32
MAX_QUESTION: Final = 4096

Stepped = tuple[TaskState, list[Effect]]
Taken = tuple[TaskState, list[Effect], str]


def ask(live: Live, asked: Required, kind: EditKind, context: Context, now: float) -> tuple[Live, list[Effect]]:
    """Have a subtask wait for a person; tell the submitter and whoever watches."""
    question = asked.question.strip()[:MAX_QUESTION] or "(the question was empty)"
    work = msgspec.structs.replace(
        live.works[asked.subtask],
        phase="waiting",
        seats=(),
        question=question,
        options=asked.options,
        asker=asked.agent,
    )
    live, said = noted(put(live, work), logged(live, now, kind, work.id, question, agent=asked.agent), context, now)
    live, saved = save(live, context, now)
    told = tell(live, context, note(live, now, "input-required", work.id, asked.agent, question))
    return live, [*saved, *reply(live, context, msgspec.structs.replace(asked, question=question)), said, told]


def consent(live: Live, ident: str, context: Context, now: float) -> tuple[Live, list[Effect]]:
    """Ask whether a step may begin that needs a person's consent."""
    work = live.works.get(ident)
    if work is None or work.question or work.approved or work.phase not in {"waiting", "ready"}:
        return live, []
    question = f"May this begin: {live.subtask(ident).text[:2000]}"
    return ask(live, Required(live.task.id, ident, question, live.epoch, ("yes", "no")), "approve", context, now)


def again_asked(live: Live, context: Context) -> list[Effect]:
    """Tell a submitter that came again what a person is asked."""
    return [
        said
        for work in _open(live)
        for said in reply(
            live, context, Required(live.task.id, work.id, work.question, live.epoch, work.options, work.asker)
        )
    ]


def _open(live: Live) -> tuple[Work, ...]:
    return tuple(work for _, work in sorted(live.works.items()) if work.question)


def said(live: Live, received: fx.Received, context: Context, now: float) -> Stepped:
    """Take a person's words: an answer, an approval, or that a finished subtask is wrong."""
    message = received.message
    assert isinstance(message, Input)
    if received.correlation and received.correlation in live.heard:  # its answer was lost on the way
        return live, [*answered(received, live.task, Accepted(message.task, live.epoch), context)]
    work, fault = _subject(live, message)
    if work is None:
        return live, refused(received, live.task, fault, context)
    live = msgspec.structs.replace(live, heard=(*live.heard, received.correlation)[-MAX_HEARD:])
    state, effects, word = (
        _refuted(live, work, message, context, now) if message.refute else _taken(live, work, message, context, now)
    )
    accepted = answered(received, live.task, Accepted(message.task, live.epoch), context)
    told = tell(live, context, note(live, now, word, work.id, text=message.text[:500]))
    return state, [*accepted, told, *effects]


def answered(received: fx.Received, task: Task | None, word: Accepted | Rejected, context: Context) -> list[fx.Publish]:
    """Return what tells a person whether the words were taken."""
    if not received.reply_to:
        return []
    spoken = task if task is not None else Task(word.task, "")
    plain = msgspec.structs.replace(spoken, format="msgpack")
    return answer_to(Reply(received.reply_to, received.correlation, plain), word, context)


def refused(received: fx.Received, task: Task | None, fault: str, context: Context) -> list[Effect]:
    """Tell a person why words were not taken."""
    message = received.message
    assert isinstance(message, Input)
    return [*answered(received, task, Rejected(message.task, "input", fault[:500]), context)]


def _subject(live: Live, message: Input) -> tuple[Work | None, str]:
    """Return the work a person speaks of, or None and why there is none."""
    if message.refute:
        work = live.works.get(message.subtask)
        if work is None or work.phase != "done":
            return None, f"subtask {message.subtask!r} is not done; name one that is (foa task show {live.task.id})"
        if stuck := unrepeatable(live, work.id):
            return None, f"{stuck}; cancel the task, or submit it with consent"
        return work, ""
    waiting = [work for work in _open(live) if message.subtask in {"", work.id}]
    if not waiting:
        what = f"subtask {message.subtask!r}" if message.subtask else "the task"
        return None, f"{what} waits for nobody; see foa task show {live.task.id}"
    if _asks_consent(live, waiting[0]) and _agreed(message) is None:
        return None, f"subtask {waiting[0].id!r} waits for consent; answer yes or no"
    return waiting[0], ""


def _asks_consent(live: Live, work: Work) -> bool:
    return not work.asker and not work.approved and live.subtask(work.id).approve


def _agreed(message: Input) -> bool | None:
    """Return whether a person said yes or no; None for any other words."""
    words = message.text.strip().casefold()
    return message.approve if message.approve is not None else None if words not in YES | NO else words in YES


def _refuted(live: Live, work: Work, message: Input, context: Context, now: float) -> Taken:
    live, effects = taken_back(live, work.id, message.text or "a person refuted it", "", context, now)
    state, more = advance(live, context, now)
    return state, [*effects, *more], "refuted"


def _taken(live: Live, work: Work, message: Input, context: Context, now: float) -> Taken:
    """Take an answer: consent, what to do where nothing helped, or what an agent wanted to know."""
    settled = msgspec.structs.replace(work, question="", options=())
    if not work.asker and _agreed(message) is False:
        reason = f"subtask {work.id}: a person said no{f': {work.reason}' if work.reason else ''}"
        ended, effects = fail(put(live, settled), context, now, "rejected", reason, subtask=settled.id)
        return ended, effects, "rejected"
    if _asks_consent(live, work):
        settled = msgspec.structs.replace(settled, approved=True)
    elif not work.asker:  # nothing helped, and a person says to try again
        settled = msgspec.structs.replace(settled, attempt=0, failed=(), rung=0)
    settled = msgspec.structs.replace(settled, heard=(*work.heard, *_words(work, message))[-MAX_HEARD:])
    live, saved = save(put(live, settled), context, now)
    state, effects = advance(live, context, now)
    return state, [*saved, *effects], "approved" if settled.approved and not work.approved else "answered"


def _words(work: Work, message: Input) -> tuple[Given, ...]:
    if not message.text:
        return message.inputs
    name = ANSWER if not work.heard else f"{ANSWER}-{len(work.heard) + 1}"
    return (Given(name, Value("text/plain", "text/plain", message.text.encode())), *message.inputs)
