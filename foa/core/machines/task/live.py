"""The states of a task machine and what they are made of, all frozen; `state` has what is done with them."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from foa.core import effects as fx
from foa.core.dag.graph import Graph
from foa.core.machines.task.pending import JOINING, PLANNING, Pool, Session
from foa.core.routing.score import Weights
from foa.wire.deliberation import Deliberation, Edit
from foa.wire.ids import Digest, Epoch
from foa.wire.messages import (
    Asking,
    Blob,
    Cancel,
    Declined,
    Done,
    Events,
    Failed,
    Letter,
    Progress,
    Result,
    State,
    Taken,
)
from foa.wire.records import Candidate, Decision, Hit, Phase, Plan, Strategy, Subtask, Task, Work
from foa.wire.topics import Topics

AnswerMessage = Taken | Declined | Progress | Asking | Done | Failed
Stage = Literal["finding", "planning", "running"]

MAX_SHADOW_ANSWERS = 1024
MAX_SHADOW_WORDS = 32
MAX_DECISIONS = 4096
MAX_PAID = 256
"""Answers that are known to have been counted, the latest."""

MAX_TAIL = 32
"""Decisions that the snapshot of a large plan carries, the latest; a small one carries all."""


class Rules(msgspec.Struct, frozen=True):
    """The knobs of coordination; times in seconds.

    ``accept_s``: how long an agent may stay silent after an award; ``grace_s``: how much longer than the
    agent an owner counts; ``patience_s``: how long it looks for somebody to come; ``remember_s``: how long
    an ended task is known here; ``event_s``: what happens within it is told to watchers in one frame;
    ``learning``: candidates are put in order by ``Key("match")``, which hears how awards end. ``depth``: how often a
    subtask may be planned again; ``strategy``, ``team``, ``escalate``: how clusters come to an answer, how large they
    form by themselves, and whether they begin small. ``letters_s``: how long the letter of a failed task is kept.
    """

    accept_s: float = 1.5
    lease_s: float = 10.0
    grace_s: float = 0.5
    planners: int = 4
    plan_s: float = 2.0
    patience_s: float = 10.0
    relook_s: float = 0.25
    remember_s: float = 300.0
    candidates: int = 16
    rounds: int = 3
    round_s: float = 5.0
    inline_bytes: int = 4096
    event_s: float = 0.1
    learning: bool = False
    depth: int = 2
    strategy: Strategy = ""
    team: int = 4
    escalate: bool = True
    weights: Weights = Weights()
    letters_s: int = 604_800


class Context(msgspec.Struct, frozen=True):
    """What is the same for all tasks of a node; ``wall`` added to its clock gives seconds since 1970."""

    topics: Topics
    rules: Rules = Rules()
    wall: float = 0.0


class Reply(NamedTuple):
    """Where a submitter listens, and the task as it was submitted (which says how it reads)."""

    topic: str
    correlation: bytes
    task: Task


class Shadow(msgspec.Struct, frozen=True):
    """A task that somebody else works on, or nobody yet: what an heir would go on from.

    ``epoch`` is ours if we own its partition and only lack the task itself; ``since`` is when, by our clock, the
    snapshot was made or the submission came. Of a large plan ``snapshot`` is group 0 and ``groups`` are the others;
    ``blobs`` is what our journal had of the plan, ``plan`` the plan itself once it was read; ``fetching`` is the digest
    under which the broker has been asked for it. ``said`` are a person's latest words, which the owner may not have
    taken. ``handed``: its last owner lives and will say a last word before we begin. ``unshown``: the bus was away,
    or the task was ours, and the broker has not shown since that it knows as much.
    """

    partition: int
    epoch: Epoch | None = None
    since: float = 0.0
    submit: fx.Received | None = None
    snapshot: State | None = None
    groups: dict[int, State] = {}
    blobs: dict[Digest, Blob] = {}
    plan: Plan | None = None
    fetching: str = ""
    answers: tuple[AnswerMessage, ...] = ()
    cancel: Cancel | None = None
    said: tuple[fx.Received, ...] = ()
    handed: bool = False
    unshown: bool = False


class Part(NamedTuple):
    """What a lookup found for one subtask."""

    ident: str
    hits: tuple[Hit, ...]
    refused: tuple[Candidate, ...]
    covered: int
    vector: bytes = b""
    heard: tuple[bytes, ...] = ()


class Live(msgspec.Struct, frozen=True):
    """A task that this node owns. Instants are of the node's own clock, in seconds.

    ``asked`` maps the token of a lookup in flight to the subtasks it is for, ``weighing`` that of a question to the
    matchmaker to what was found for each; ``unplaced`` says since when a
    subtask finds nobody; ``busy`` are agents that declined for want of a slot, until the next look; ``unsent`` are
    awards that wait until the broker has the snapshot, of this ``seq``, that names them.

    ``vector`` is that of the task's text, where it was planned here; ``heard`` tells repeated words of a person,
    ``paid`` repeated answers: the latest awards whose answer was counted.

    ``works`` and ``graph`` are made by `state.tracked` from whatever mapping and plan stand there. ``saved`` are the
    groups of works as they were published last, ``records`` how many groups the broker may have, ``stored`` the digest
    of the plan it has, in so many ``blobs``. ``waits`` are ready subtasks (a set of the graph's) for which everybody
    able is busy, ``queues`` the same by agent, with the slots it has; ``relook_at`` is when they are looked up again.
    """

    partition: int
    epoch: Epoch
    task: Task
    began: float
    ends: float
    stage: Stage = "finding"
    seq: int = 0
    spent: float = 0.0
    plan: Plan | None = None
    works: Mapping[str, Work] = {}
    graph: Graph | None = None
    saved: tuple[Mapping[str, Work], ...] = ()
    records: int = 0
    stored: str = ""
    blobs: int = 0
    waits: int = 0
    queues: dict[str, tuple[int, int]] = {}
    relook_at: float = 0.0
    decisions: tuple[Decision, ...] = ()
    asked: dict[str, tuple[str, ...]] = {}
    weighing: dict[str, tuple[Part, ...]] = {}
    unplaced: dict[str, float] = {}
    busy: tuple[str, ...] = ()
    unsent: dict[str, int] = {}
    started: Mapping[str, float] = {}
    took: Mapping[str, float] = {}
    disagreed: tuple[str, ...] = ()
    lookups: int = 0
    sessions: dict[str, Session] = {}
    atomic: frozenset[str] = frozenset()
    pools: dict[str, Pool] = {}
    deliberations: tuple[Deliberation, ...] = ()
    edits: tuple[Edit, ...] = ()
    vector: bytes = b""
    heard: tuple[bytes, ...] = ()
    request: str = ""
    accepted: bool = False
    reply_to: str = ""
    correlation: bytes = b""
    trace: str = ""
    untold: Events | None = None
    paid: tuple[str, ...] = ()

    def subtask(self, ident: str) -> Subtask:
        """Return the subtask `ident` of the plan, or the one that stands for planning."""
        if ident.startswith(PLANNING):
            session = self.sessions.get(ident.partition("/")[2])
            text = session.text if session is not None else self.task.text
            return Subtask(PLANNING, text, skills=("plan",), produces=("plan",))
        if ident == JOINING:
            return Subtask(JOINING, self.task.text, skills=("synthesise",))
        assert self.plan is not None
        if self.graph is not None and self.graph.plan is self.plan:
            return self.graph.subtasks[ident]
        return next(subtask for subtask in self.plan.subtasks if subtask.id == ident)

    def phases(self) -> dict[str, Phase]:
        """Return the phase of every subtask."""
        return {ident: work.phase for ident, work in self.works.items()}


class Ended(msgspec.Struct, frozen=True):
    """A task that is over; kept a while so that late and repeated messages get the same answer.

    ``confirmed``: the result was read back from the broker as the first; ``restored``: how often it had to be
    said again. ``doubtful``: it is from an earlier life, and only what the broker keeps can tell what became of it.
    ``to`` is where its submitter listens, until that acknowledged the result; ``told`` counts how often it was told in
    vain, ``heir``: by the task's owner, not by us. ``until`` is the end of the retained result's life. ``letter`` is
    that of a task that was given up.
    """

    partition: int
    result: Result
    confirmed: bool = False
    restored: int = 0
    doubtful: bool = False
    until: float = 0.0
    to: Reply | None = None
    told: int = 0
    heir: bool = False
    letter: Letter | None = None


TaskState = Shadow | Live | Ended
