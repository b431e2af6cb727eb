"""How many tasks a coordinator takes on: at most so many, and of one submitter at most so many.

Under ``Key("admission")`` of a coordinator. A submission of a task not known here passes through; what would be too
many is told so (`Rejected` with ``after_ms``) before anything is kept, and may be submitted again. Only tasks that are
open count: `counting` watches them begin and end. What an heir takes over is never refused, only counted. The numbers
are of one coordinator, whose part of the partitions is what it is: n of them bear n times as much.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, NamedTuple

from foa.core import effects as fx
from foa.core.effects import Effect, Event, Key, Step
from foa.core.machines.task.state import Context, Live, Reply, answer_to
from foa.core.machines.task.verdict import MATCH
from foa.core.routing.exchange import Left
from foa.core.routing.ownership import Opened
from foa.errors import ConfigError
from foa.wire.messages import Rejected, Submit
from foa.wire.records import Task

KEY: Final = Key("admission")
MOST_SHARE: Final = 1e6
AFTER_MS: Final = 1_000
"""When somebody told to come back may do so at first; clients wait longer each time."""


class Terms(NamedTuple):
    """What a submitter may have: ``quota`` open tasks (None: as everybody), ``share`` times the turns of another."""

    quota: int | None = None
    share: float = 1.0


class Rules(NamedTuple):
    """The knobs: open tasks in all, of one submitter, and for whom other terms hold."""

    most: int = 50_000
    quota: int = 10_000
    terms: Mapping[str, Terms] = {}


class Began(NamedTuple):
    """A task to admission: it is open here, for `submitter`."""

    submitter: str


class Closed(NamedTuple):
    """A task to admission: it is open here no more."""


@dataclass(slots=True)
class State:
    """Open tasks by id, each with its submitter, and how many each has. Mutable: tables."""

    rules: Rules = field(default_factory=Rules)
    open: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


def step(context: Context, state: State, event: Event, now: float, rng: Random) -> tuple[State, list[Effect]]:
    """Take one event. Bind `context` with functools.partial to get the shape every machine has."""
    del now, rng
    match event:
        case fx.Told(_, Opened(_, _, fx.Received(_, Submit(asked)) as received) as opened):
            refused = _refusal(state, asked)
            if refused is None:
                return state, [fx.Tell(Key("task", received.topic.task), opened)]
            to = Reply(received.reply_to, received.correlation, asked)
            told = answer_to(to, refused, context) if received.reply_to else []
            return state, [*told, fx.Measure("foa_tasks_rejected_total", label=refused.code)]
        case fx.Told(sender, Began(submitter)) if sender.id not in state.open:
            state.open[sender.id] = submitter
            state.counts[submitter] += 1
        case fx.Told(sender, Closed()) if sender.id in state.open:
            submitter = state.open.pop(sender.id)
            state.counts[submitter] -= 1
            if not state.counts[submitter]:
                del state.counts[submitter]
    return state, []


def _refusal(state: State, asked: Task) -> Rejected | None:
    """Return why a task is not taken on now; None if it is."""
    rules = state.rules
    terms = rules.terms.get(asked.submitter, Terms())
    quota = rules.quota if terms.quota is None else terms.quota
    mine = state.counts[asked.submitter]
    if mine >= quota:
        reason = (
            f"task.submitter {asked.submitter[:80]!r} has {mine} open tasks here, coordinator.quota is {quota}; "
            "submit again when some have ended"
        )
        return Rejected(asked.id, "quota", reason, AFTER_MS)
    if len(state.open) >= rules.most:
        reason = (
            f"this coordinator has {len(state.open)} open tasks, coordinator.open is {rules.most}; "
            "submit again later, or run more coordinators"
        )
        return Rejected(asked.id, "busy", reason, AFTER_MS)
    return None


def counting(inner: Step[Any]) -> Step[Any]:
    """Return the step of a task that also tells when the task begins and ends to be open here."""

    def counted(state: Any, event: Event, now: float, rng: Random) -> tuple[Any, list[Effect]]:
        after, effects = inner(state, event, now, rng)
        was, is_ = isinstance(state, Live), isinstance(after, Live)
        if is_ and not was:
            return after, [*effects, fx.Tell(KEY, Began(after.task.submitter))]
        if was and not is_:
            return after, [*effects, fx.Tell(KEY, Closed()), fx.Tell(MATCH, Left())]
        return after, effects

    return counted


def terms_of(text: str) -> dict[str, Terms]:
    """Return the terms in ``name=quota:share,…`` (either may be left out); ConfigError names what cannot be read."""
    found: dict[str, Terms] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _, said = part.rpartition("=")
        quota, _, share = said.partition(":")
        try:
            found[name.strip()] = Terms(int(quota) if quota.strip() else None, float(share) if share.strip() else 1.0)
        except ValueError:
            name = ""
        if (
            not name.strip()
            or not 0.0 < found[name.strip()].share <= MOST_SHARE
            or (found[name.strip()].quota or 0) < 0
        ):
            raise ConfigError(
                f"coordinator.submitters: {part!r} must be name=quota:share, such as acme=500:2 or acme=:2"
            )
    return found
