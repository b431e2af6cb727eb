"""Every message of the federation, one closed union. The tag names the kind and its version.

Who sends what to where is said by `foa.wire.topics`; the machines of `foa.core` meet only through these.
A new version of a message is a new class with a new tag beside the old one, never a changed field. A field may be
added if its default means what its absence meant: readers that do not know it leave it alone.
"""

from typing import Annotated, Literal

from msgspec import Meta

from foa.wire.deliberation import Deliberation, Edit
from foa.wire.ids import AgentId, Digest, Epoch, NodeId, Segment, TaskId, Version
from foa.wire.messages.base import Message as Message
from foa.wire.messages.dialogue import Asking as Asking
from foa.wire.messages.dialogue import Feedback as Feedback
from foa.wire.messages.dialogue import Input as Input
from foa.wire.messages.dialogue import Required as Required
from foa.wire.messages.learned import Evidence as Evidence
from foa.wire.messages.learned import Learned as Learned
from foa.wire.messages.letters import Acknowledged as Acknowledged
from foa.wire.messages.letters import Dead as Dead
from foa.wire.messages.letters import Letter as Letter
from foa.wire.records import (
    MAX_SUBTASKS,
    Amount,
    Candidate,
    Confidence,
    Count,
    Decision,
    Effects,
    Finite,
    Given,
    Hit,
    Name,
    Names,
    Note,
    Part,
    Phase,
    Plan,
    Port,
    Priority,
    Query,
    Resources,
    Short,
    Status,
    Subtask,
    Task,
    Team,
    Text,
    Usage,
    Votes,
    Work,
)

NodeKind = Literal["coordinator", "index", "gateway", "agent"]


class Presence(Message, frozen=True, tag="presence.1"):
    """Birth, refresh and (as will, ``alive`` false) death of a node. ``epoch`` is new at every start.

    ``partitions`` are those it serves completely right now; ``load`` is its work in flight. ``held``: it
    serves what it lists and is not to be ranked: an index node that leaves; a coordinator that came up too often lately
    (not ``alive`` then), unless nobody else is there. ``speaks`` are the messages it reads beyond the first version of
    each, such as award.2.
    """

    node: NodeId
    role: NodeKind
    epoch: Annotated[int, Meta(ge=0)]
    alive: bool = True
    partitions: Annotated[tuple[int, ...], Meta(max_length=4096)] = ()
    digests: Annotated[dict[int, int], Meta(max_length=4096)] = {}
    load: Count = 0
    model: Short = ""
    software: Short = ""
    held: bool = False
    speaks: Names = ()


class Own(Message, frozen=True, tag="own.1"):
    """A claim on a partition; it counts once read back as the highest."""

    partition: Annotated[int, Meta(ge=0, le=4095)]
    epoch: Epoch


class Vcv(Message, frozen=True, tag="vcv.1"):
    """The versioned capability vector ``(c, s, r, p, e, v)`` of one agent.

    ``c`` and ``e`` are float16, L2-normalised, of ``model``; ``views`` are further vectors of the same kind
    by name (name, description, skills, examples); ``s`` is the Bloom filter (32 bytes) over ``skills``;
    ``terms`` are the hashed words of the profile with their counts, as `foa.core.vcv.terms` packs them; ``speaks`` as
    in `Presence`.
    """

    agent: AgentId
    version: Version
    model: Short
    c: Annotated[bytes, Meta(max_length=8192)]
    e: Annotated[bytes, Meta(max_length=8192)]
    s: Annotated[bytes, Meta(min_length=32, max_length=32)]
    r: Resources = Resources()
    holds: Names = ()
    requires: Names = ()
    skills: Names = ()
    views: Annotated[dict[Name, Annotated[bytes, Meta(max_length=8192)]], Meta(max_length=16)] = {}
    inputs: Annotated[tuple[Port, ...], Meta(max_length=64)] = ()
    outputs: Annotated[tuple[Port, ...], Meta(max_length=64)] = ()
    effects: Effects = "idempotent"
    refines: bool = False
    card: Digest | Literal[""] = ""
    name: Short = ""
    terms: Annotated[bytes, Meta(max_length=4096)] = b""
    speaks: Names = ()


class Submit(Message, frozen=True, tag="submit.1"):
    """A task handed to whoever owns its partition. The same id again is the same task."""

    task: Task


class Accepted(Message, frozen=True, tag="accepted.1"):
    """The task is kept: it will end in exactly one result."""

    task: TaskId
    epoch: Epoch


class Rejected(Message, frozen=True, tag="rejected.1"):
    """Not taken, and why; ``code`` is one of `foa.errors`' words. ``after_ms``: it may be, after that (0: never)."""

    task: TaskId
    code: Name
    reason: Short
    after_ms: Count = 0


class Cancel(Message, frozen=True, tag="cancel.1"):
    """End this task; retained until it ended."""

    task: TaskId
    reason: Short = ""


class State(Message, frozen=True, tag="state.1"):
    """A task as its owner knows it: what an heir needs to go on. Group 0 carries all but other groups' work.

    Snapshots of one group are ordered by ``(epoch, seq)``. ``left_ms`` is what remained of the deadline when
    it was published. Of a large plan group 0 names the number of further ``groups`` (at most 256 works each, of a task
    of which they say the id alone) and where the plan lies: the blob ``plan_ref`` of ``plan_size`` bytes, the `Plan` as
    msgpack. ``heard`` are the correlations of a person's words taken lately. ``last``: its owner stepped back, nothing
    of it comes after this. ``request`` is as in `Result`. ``paid`` are awards whose answer was counted and whose seat
    no longer stands: the same answer again is not paid again.
    """

    task: Task
    epoch: Epoch
    seq: Count
    left_ms: int
    spent: Amount = 0.0
    plan: Plan | None = None
    plan_ref: Digest | Literal[""] = ""
    work: Annotated[tuple[Work, ...], Meta(max_length=1024)] = ()
    decisions: Annotated[tuple[Decision, ...], Meta(max_length=4096)] = ()
    phase: Phase = "waiting"
    reply_to: Short = ""
    correlation: Annotated[bytes, Meta(max_length=64)] = b""
    trace: Short = ""
    ms: Count = 0
    deliberations: Annotated[tuple[Deliberation, ...], Meta(max_length=64)] = ()
    edits: Annotated[tuple[Edit, ...], Meta(max_length=256)] = ()
    group: Annotated[int, Meta(ge=0, le=4095)] = 0
    groups: Annotated[int, Meta(ge=0, le=4095)] = 0
    plan_size: Count = 0
    heard: Annotated[tuple[Annotated[bytes, Meta(max_length=64)], ...], Meta(max_length=64)] = ()
    last: bool = False
    request: Annotated[str, Meta(max_length=64)] = ""
    paid: Annotated[tuple[Name, ...], Meta(max_length=256)] = ()


class Events(Message, frozen=True, tag="events.1"):
    """What happened to a task since the last such message; lossy, for watchers only."""

    task: TaskId
    notes: Annotated[tuple[Note, ...], Meta(max_length=256)]
    plan: Plan | None = None
    work: Annotated[tuple[Work, ...], Meta(max_length=1024)] = ()
    deliberations: Annotated[tuple[Deliberation, ...], Meta(max_length=64)] = ()
    edits: Annotated[tuple[Edit, ...], Meta(max_length=256)] = ()


class Result(Message, frozen=True, tag="result.1"):
    """How a task ended, and the head of its text. The first in broker order is final, at any epoch.

    ``request`` tells one submission of an id from another of the same id (`foa.core.dag.replay`). Where the task
    was not done, ``again`` is what would do the rest of it.
    """

    task: TaskId
    status: Status
    epoch: Epoch
    outputs: Annotated[tuple[Given, ...], Meta(max_length=256)] = ()
    code: Annotated[str, Meta(max_length=64)] = ""
    reason: Short = ""
    cost: Amount = 0.0
    ms: Count = 0
    parts: Annotated[tuple[Part, ...], Meta(max_length=MAX_SUBTASKS)] = ()
    decisions: Annotated[tuple[Decision, ...], Meta(max_length=4096)] = ()
    plan: Plan | None = None
    text: Short = ""
    deliberations: Annotated[tuple[Deliberation, ...], Meta(max_length=64)] = ()
    edits: Annotated[tuple[Edit, ...], Meta(max_length=256)] = ()
    request: Annotated[str, Meta(max_length=64)] = ""
    again: Task | None = None


class Award(Message, frozen=True, tag="award.1"):
    """This subtask is yours: all you need is here. ``key`` is the idempotency key, the same over retries.

    The lease of ``lease_ms`` counts from receipt and is renewed by every answer.
    """

    award: Name
    task: TaskId
    partition: Count
    subtask: Subtask
    epoch: Epoch
    attempt: Annotated[int, Meta(ge=1)]
    key: Name
    lease_ms: Annotated[int, Meta(ge=1)]
    left_ms: Annotated[int, Meta(ge=1)]
    budget: Amount | None = None
    inputs: Annotated[tuple[Given, ...], Meta(max_length=256)] = ()
    policies: Names = ()
    team: Team | None = None
    hops: Annotated[tuple[AgentId, ...], Meta(max_length=16)] = ()
    agent: AgentId = ""
    priority: Priority = 5


class Taken(Message, frozen=True, tag="taken.1"):
    """The agent has the award and works, or will when a slot is free."""

    award: Name
    task: TaskId
    agent: AgentId
    started: bool = True


class Declined(Message, frozen=True, tag="declined.1"):
    """Not by this agent; ``code`` is a word (busy, policy, inputs, deadline, effects …), ``reason`` a sentence."""

    award: Name
    task: TaskId
    agent: AgentId
    code: Name
    reason: Short = ""


class Progress(Message, frozen=True, tag="progress.1"):
    """Renews the lease; ``fraction`` in [0, 1] if the handler knows. ``partial`` is what came of the answer so far."""

    award: Name
    task: TaskId
    agent: AgentId
    fraction: Finite = 0.0
    text: Short = ""
    round: Count = 0
    partial: Annotated[str, Meta(max_length=4096)] = ""


class Done(Message, frozen=True, tag="done.1"):
    """The outputs of an award; repeated until the owner says `Settled`.

    ``confidence`` in [0, 1] is the agent's own (None: it does not say); ``votes`` are the credits it spent on the
    answers of its cluster's members, its own among them, where the strategy is *quadratic*.
    """

    award: Name
    task: TaskId
    agent: AgentId
    key: Name
    outputs: Annotated[tuple[Given, ...], Meta(max_length=64)] = ()
    usage: Usage = Usage()
    rounds: Count = 0
    agreed: bool = True
    confidence: Confidence | None = None
    votes: Votes = {}


class Failed(Message, frozen=True, tag="failed.1"):
    """The handler failed; repeated until the owner says `Settled`.

    ``refutes`` names a subtask whose output it was given and found wrong: that is to be done again first.
    """

    award: Name
    task: TaskId
    agent: AgentId
    code: Name
    reason: Short
    retryable: bool = True
    after_ms: Count = 0
    usage: Usage = Usage()
    refutes: Annotated[str, Meta(max_length=64)] = ""


class Settled(Message, frozen=True, tag="settled.1"):
    """The owner has the answer durably; the agent may forget it. ``used`` tells if it counted."""

    award: Name
    task: TaskId
    epoch: Epoch
    used: bool = True


class Withdrawn(Message, frozen=True, tag="withdrawn.1"):
    """The award is no longer yours; stop if you can."""

    award: Name
    task: TaskId
    epoch: Epoch
    reason: Short = ""


class Draft(Message, frozen=True, tag="draft.1"):
    """A member's answer in one round of its cluster; ``complete`` says TASK_COMPLETE.

    One frame a member and round: with it travel what it says of the others' last answers (``critiques``, by agent),
    the credits it spends on them (``votes``) and how sure it is of its own (``confidence`` in [0, 1]).
    """

    award: Name
    task: TaskId
    cluster: Segment
    agent: AgentId
    round: Count
    outputs: Annotated[tuple[Given, ...], Meta(max_length=64)]
    complete: bool = False
    subtask: Annotated[str, Meta(max_length=64)] = ""
    critiques: Annotated[dict[AgentId, Short], Meta(max_length=16)] = {}
    votes: Votes = {}
    confidence: Confidence | None = None


class Ask(Message, frozen=True, tag="ask.1"):
    """Queries to an index node: the best ``k`` agents for each."""

    queries: Annotated[tuple[Query, ...], Meta(min_length=1, max_length=64)]
    k: Annotated[int, Meta(ge=1, le=1000)] = 16


class Found(Message, frozen=True, tag="found.1"):
    """Hits per query, best first, and the partitions they cover; ``vectors`` are those of the queries.

    All hits passed the gates. ``refused`` are, per query, the nearest few that did not, each with its reason.
    """

    hits: Annotated[tuple[tuple[Hit, ...], ...], Meta(max_length=64)]
    covered: Annotated[tuple[int, ...], Meta(max_length=4096)] = ()
    model: Short = ""
    vectors: Annotated[tuple[bytes, ...], Meta(max_length=64)] = ()
    refused: Annotated[tuple[tuple[Candidate, ...], ...], Meta(max_length=64)] = ()


class Embed(Message, frozen=True, tag="embed.1"):
    """Texts to be made vectors by an index node."""

    texts: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=64)]


class Vectors(Message, frozen=True, tag="vectors.1"):
    """One float16 vector per text, of ``model``."""

    model: Short
    vectors: Annotated[tuple[bytes, ...], Meta(max_length=64)]


class Blob(Message, frozen=True, tag="blob.1"):
    """A content-addressed body, or (``chunks``) the digests whose bodies joined make it."""

    body: bytes = b""
    chunks: Annotated[tuple[Digest, ...], Meta(max_length=4096)] = ()


class Control(Message, frozen=True, tag="control.1"):
    """An operator's word to nodes: rebirth (say again what you hold) or drain (leave in good order)."""

    verb: Literal["rebirth", "drain"]
    node: Annotated[str, Meta(max_length=200)] = ""


AnyMessage = (
    Presence | Own | Vcv | Submit | Accepted | Rejected | Cancel | State | Events | Result | Award | Taken
    | Declined | Progress | Done | Failed | Settled | Withdrawn | Draft | Ask | Found | Embed | Vectors | Blob
    | Learned | Evidence | Feedback | Asking | Required | Input | Dead | Control
    | Letter | Acknowledged
)  # fmt: skip
