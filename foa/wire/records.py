"""The parts that messages are made of: values, skills, plans, tasks, decisions. All frozen, all capped.

Sizes are capped by the types themselves, so that a decoded record is already bounded. Money is USD, times
are milliseconds unless a name says otherwise, vectors are L2-normalised little-endian float16.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from foa.wire.ids import AgentId, Digest, Segment, TaskId, Version

MAX_TEXT: Final = 65_536
MAX_SUBTASKS: Final = 8_192
MAX_EDGES: Final = 65_536
MAX_VALUES: Final = 256
MAX_SKILLS: Final = 128
MAX_TEAM: Final = 16
MAX_CONTEXT: Final = 1_024

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Short = Annotated[str, Meta(max_length=512)]
Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Count = Annotated[int, Meta(ge=0)]
Amount = Annotated[float, Meta(ge=0.0, le=1e15)]
Finite = Annotated[float, Meta(ge=-1e15, le=1e15)]
Names = Annotated[tuple[Name, ...], Meta(max_length=MAX_SKILLS)]

Question = Annotated[str, Meta(min_length=1, max_length=4096)]
Confidence = Annotated[float, Meta(ge=0.0, le=1.0)]
Votes = Annotated[dict[AgentId, Annotated[float, Meta(ge=0.0, le=1e6)]], Meta(max_length=MAX_TEAM)]

Effects = Literal["none", "idempotent", "once"]
Strategy = Literal["", "majority", "weighted", "medoid", "quadratic", "anchor"]
"""How a cluster comes to one answer; "" lets the owner choose by what the answers are."""

Joining = Literal["", "concatenate", "rebase", "merge"]
"""How finished subtasks become the task's answer; "" lets the owner choose by the plan's shape."""

Priority = Annotated[int, Meta(ge=0, le=9)]
"""How soon a task's work goes to agents that others wait for as well: 9 first, 5 by default."""

Prefer = Literal["balanced", "cost", "quality", "latency"]
Phase = Literal["waiting", "ready", "running", "done", "failed", "cancelled"]
Status = Literal["done", "failed", "cancelled", "expired"]


class Ref(msgspec.Struct, frozen=True):
    """A body kept elsewhere: its digest is its address on ``blob/{digest}``."""

    digest: Digest
    size: Count


class Value(msgspec.Struct, frozen=True, omit_defaults=True):
    """One typed value, inline in ``body`` or by ``ref``; exactly one of the two is set.

    ``type`` is a media type (``text/csv``) or a name two agents agreed on (``outliers``); ``media`` says
    how the body is written.
    """

    type: Annotated[str, Meta(min_length=1, max_length=128)]
    media: Annotated[str, Meta(min_length=1, max_length=128)] = "application/json"
    body: bytes | None = None
    ref: Ref | None = None

    def __post_init__(self) -> None:
        """Raise ValueError (in a decoder: its error) unless exactly one of body and ref is set."""
        if (self.body is None) is (self.ref is None):
            message = "a value has a body or a ref, never both, never neither"
            raise ValueError(message)


class Given(msgspec.Struct, frozen=True, omit_defaults=True):
    """A named value and where it came from: a subtask's id, or "" for what the submitter gave."""

    name: Name
    value: Value
    source: Annotated[str, Meta(max_length=64)] = ""
    agent: Annotated[str, Meta(max_length=200)] = ""


class Port(msgspec.Struct, frozen=True, omit_defaults=True):
    """One declared input or output of an agent."""

    name: Name
    type: Annotated[str, Meta(min_length=1, max_length=128)]
    optional: bool = False


class Resources(msgspec.Struct, frozen=True, omit_defaults=True):
    """The ``r`` of a capability vector: what an agent declares to cost and to bear."""

    price_call: Amount = 0.0
    price_1k: Amount = 0.0
    latency_ms: Amount = 0.0
    p95_ms: Amount = 0.0
    concurrency: Annotated[int, Meta(ge=1, le=10_000)] = 1
    context_tokens: Count = 0
    memory_mb: Count = 0
    throughput: Amount = 0.0


class Query(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whom a subtask looks for. ``vector`` is float16, of ``model``; without it the index embeds ``text``.

    ``policies`` is p_task, which the agent must hold; ``skills`` it must all have; ``produces`` are types it
    must declare as outputs; ``budget`` is what one call may cost at most (None: no bound).
    """

    text: Text
    vector: bytes = b""
    model: Short = ""
    skills: Names = ()
    policies: Names = ()
    produces: Names = ()
    offered: Names = ()
    budget: Amount | None = None
    exclude: Annotated[tuple[AgentId, ...], Meta(max_length=256)] = ()


class Hit(msgspec.Struct, frozen=True, omit_defaults=True):
    """One agent that an index node found: similarities in [-1, 1], and all that gates and scores need.

    ``relevance`` is what the index makes of meaning, words and finished tasks together (None: ``cosine`` alone);
    ``words`` how much the query's rare words are the agent's too (0: not at all); ``done`` what its finished tasks near
    this one add to the relevance, and ``mass`` how many such tasks there are (0: none). ``voice`` is added by who asked
    and has a trust file: whose voice the agent has ("": its own, ``?``: that of nobody). ``speaks`` is as in its `Vcv`.
    """

    agent: AgentId
    version: Version
    cosine: Finite
    spec: Finite = 0.0
    skills: Names = ()
    holds: Names = ()
    requires: Names = ()
    inputs: Annotated[tuple[Port, ...], Meta(max_length=64)] = ()
    outputs: Annotated[tuple[Port, ...], Meta(max_length=64)] = ()
    resources: Resources = Resources()
    effects: Effects = "idempotent"
    refines: bool = False
    name: Short = ""
    relevance: Finite | None = None
    words: Finite = 0.0
    done: Finite = 0.0
    mass: Amount = 0.0
    voice: Short = ""
    speaks: Names = ()


class Subtask(msgspec.Struct, frozen=True, omit_defaults=True):
    """A vertex of a plan. ``team`` 0 lets the matcher decide; ``consent`` allows re-award of ``effects = once``.

    ``needs`` are types it must be given, as ``produces`` are types it must yield. With ``approve`` a person is asked
    before it starts. ``depth`` is how often it comes of planning a subtask of a plan.
    """

    id: Name
    text: Text
    skills: Names = ()
    policies: Names = ()
    produces: Names = ()
    team: Annotated[int, Meta(ge=0, le=MAX_TEAM)] = 0
    weight: Amount = 1.0
    consent: bool = False
    needs: Names = ()
    approve: bool = False
    strategy: Strategy = ""
    depth: Count = 0


Edge = tuple[Name, Name]


class Plan(msgspec.Struct, frozen=True, omit_defaults=True):
    """Subtasks and the edges between them (from, to): an acyclic graph, checked by `foa.core.dag`."""

    subtasks: Annotated[tuple[Subtask, ...], Meta(max_length=MAX_SUBTASKS)]
    edges: Annotated[tuple[Edge, ...], Meta(max_length=MAX_EDGES)] = ()
    origin: Annotated[tuple[Short, ...], Meta(max_length=16)] = ()


class Finished(msgspec.Struct, frozen=True, omit_defaults=True):
    """A subtask of a task's own plan that need not run again: what it yielded, and who did it."""

    subtask: Name
    outputs: Annotated[tuple[Given, ...], Meta(max_length=64)] = ()
    agents: Annotated[tuple[AgentId, ...], Meta(max_length=MAX_TEAM)] = ()


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One award that came to nothing: whose it was, and why."""

    agent: AgentId
    attempt: Count
    reason: Short = ""
    started: bool = False


class Task(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is asked. ``deadline_ms`` is what remained when it was sent; ``hops`` the agents it came through.

    ``format`` is how the submitter reads replies: a stranger at the door reads JSON. A ``private`` task leaves no
    trace of its text: how well it was done is counted, what it was about is not kept as evidence. ``attended``:
    somebody can be asked, so where nothing helps a person is, before the task fails. A task that is another's replay
    names it as ``origin``, and in ``finished`` what of its ``plan`` was done then.
    """

    id: TaskId
    text: Text
    inputs: Annotated[tuple[Given, ...], Meta(max_length=MAX_VALUES)] = ()
    plan: Plan | None = None
    deadline_ms: Annotated[int, Meta(ge=1, le=7 * 86_400_000)] = 300_000
    retention_s: Annotated[int, Meta(ge=1, le=7 * 86_400)] = 3_600
    budget: Amount | None = None
    skills: Names = ()
    policies: Names = ()
    submitter: Annotated[str, Meta(max_length=200)] = ""
    prefer: Prefer = "balanced"
    team: Annotated[int, Meta(ge=0, le=MAX_TEAM)] = 0
    attempts: Annotated[int, Meta(ge=1, le=20)] = 3
    hops: Annotated[tuple[AgentId, ...], Meta(max_length=16)] = ()
    format: Literal["msgpack", "json"] = "msgpack"
    private: bool = False
    strategy: Strategy = ""
    joining: Joining = ""
    attended: bool = False
    priority: Priority = 5
    origin: Annotated[str, Meta(max_length=64)] = ""
    finished: Annotated[tuple[Finished, ...], Meta(max_length=MAX_SUBTASKS)] = ()


class Candidate(msgspec.Struct, frozen=True, omit_defaults=True):
    """One agent as a decision saw it: the gate that refused it, or every part of its score; ``latency`` is in ms.

    ``mean`` and ``width`` are the learner's estimate of its reward and the half width of its confidence (None: nobody
    learns), from ``seen`` rewards of this agent; ``probe`` says that it leads as a newcomer to be tried.
    """

    agent: AgentId
    score: Finite = 0.0
    cosine: Finite = 0.0
    spec: Finite = 0.0
    fit: Finite = 0.0
    cost: Finite = 0.0
    price: Amount = 0.0
    refused: Short = ""
    latency: Amount = 0.0
    relevance: Finite | None = None
    words: Finite = 0.0
    done: Finite = 0.0
    mass: Amount = 0.0
    mean: Finite | None = None
    width: Amount = 0.0
    seen: Amount = 0.0
    probe: bool = False


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a subtask went where it went; written when it was decided, never computed again."""

    subtask: Name
    attempt: Count
    chosen: Annotated[tuple[AgentId, ...], Meta(max_length=MAX_TEAM)]
    candidates: Annotated[tuple[Candidate, ...], Meta(max_length=64)] = ()
    covered: Count = 0
    reason: Short = ""


class Seat(msgspec.Struct, frozen=True, omit_defaults=True):
    """One member of a subtask's team: the award it holds, and what came of it.

    ``started`` is set by the agent's first sign of work: from then on ``effects = once`` is not re-awarded.
    ``price`` is what it is ``expected`` to cost, at the end what it did. ``context`` is what was known of agent and
    subtask when this was decided (float32 features), kept for the reward; ``score`` is what it was worth (None: no
    verdict), ``ended`` when its owner counted that (seconds since 1970).
    """

    agent: AgentId
    award: Name
    attempt: Count
    phase: Phase = "running"
    effects: Effects = "idempotent"
    started: bool = False
    price: Amount = 0.0
    outputs: Annotated[tuple[Given, ...], Meta(max_length=64)] = ()
    reason: Short = ""
    rounds: Count = 0
    expected: Amount = 0.0
    context: Annotated[bytes, Meta(max_length=MAX_CONTEXT)] = b""
    ended: Amount = 0.0
    score: Confidence | None = None
    confidence: Confidence | None = None
    votes: Votes = {}


class Work(msgspec.Struct, frozen=True, omit_defaults=True):
    """A subtask while it runs: its team, what it yielded, who failed it, and who is ``barred`` from it for good.

    ``question`` is what a person is asked by ``asker`` ("": the federation itself); it waits until that is answered, by
    one of ``options`` if there are any. ``heard`` are the answers, inputs from then on. ``approved`` is a person's
    consent. ``rung`` is how far up the ladder of recovery it is: 0 awarded again, 1 re-routed, 2 planned anew, 3 asked
    of a person. ``tried`` are its awards that failed, the latest last. ``strategy`` is how its team came to one answer,
    ``credit`` in [0, 1] each member's part in that.
    """

    id: Name
    phase: Phase = "waiting"
    attempt: Count = 0
    seats: Annotated[tuple[Seat, ...], Meta(max_length=MAX_TEAM)] = ()
    failed: Annotated[tuple[AgentId, ...], Meta(max_length=64)] = ()
    barred: Annotated[tuple[AgentId, ...], Meta(max_length=64)] = ()
    outputs: Annotated[tuple[Given, ...], Meta(max_length=64)] = ()
    reason: Short = ""
    question: Annotated[str, Meta(max_length=4096)] = ""
    options: Annotated[tuple[Short, ...], Meta(max_length=16)] = ()
    asker: Annotated[str, Meta(max_length=200)] = ""
    heard: Annotated[tuple[Given, ...], Meta(max_length=64)] = ()
    approved: bool = False
    rung: Count = 0
    strategy: Strategy = ""
    credit: Annotated[dict[AgentId, Confidence], Meta(max_length=MAX_TEAM)] = {}
    tried: Annotated[tuple[Attempt, ...], Meta(max_length=64)] = ()


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that happened to a task, for watchers: ``at_ms`` since acceptance."""

    kind: Name
    at_ms: Count
    subtask: Annotated[str, Meta(max_length=64)] = ""
    agent: Annotated[str, Meta(max_length=200)] = ""
    text: Short = ""
    cost: Amount = 0.0


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """Provenance of one subtask's contribution to an answer: who, from what, in which round and by which strategy.

    ``credit`` in [0, 1] is each member's part in it, by agreement with what was accepted.
    """

    subtask: Name
    agents: Annotated[tuple[AgentId, ...], Meta(max_length=MAX_TEAM)]
    inputs: Annotated[tuple[Name, ...], Meta(max_length=MAX_VALUES)] = ()
    attempt: Count = 1
    rounds: Count = 0
    agreed: bool = True
    cost: Amount = 0.0
    ms: Count = 0
    strategy: Strategy = ""
    credit: Annotated[dict[AgentId, Confidence], Meta(max_length=MAX_TEAM)] = {}


class Team(msgspec.Struct, frozen=True, omit_defaults=True):
    """The cluster an award belongs to: its members, how they come to one answer, and how long they may refine.

    ``guests`` work on other subtasks close in meaning: their drafts are seen, they are neither waited for nor counted.
    ``trust`` in [0, 1] is each member's reputation, where it is known.
    """

    id: Segment
    members: Annotated[tuple[AgentId, ...], Meta(max_length=MAX_TEAM)]
    rounds: Annotated[int, Meta(ge=0, le=8)] = 3
    round_ms: Annotated[int, Meta(ge=1)] = 5_000
    strategy: Strategy = ""
    guests: Annotated[tuple[AgentId, ...], Meta(max_length=MAX_TEAM)] = ()
    trust: Annotated[dict[AgentId, Confidence], Meta(max_length=MAX_TEAM)] = {}


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one piece of work took; tokens where a language model did it."""

    ms: Count = 0
    cost: Amount = 0.0
    tokens_in: Count = 0
    tokens_out: Count = 0
