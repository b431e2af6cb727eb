"""What the two machines of an agent know, what they tell each other, and what they ask of the handler service."""

from collections.abc import Mapping
from math import inf
from typing import Literal, NamedTuple

import msgspec

from foa.core.cluster.rounds import Refining
from foa.core.effects import Publish
from foa.core.vcv.profile import Profile
from foa.wire.ids import Epoch, node_of
from foa.wire.messages import Asking, Award, Done, Draft, Failed, Vcv
from foa.wire.records import Given, Usage
from foa.wire.topics import Topics


class Rules(msgspec.Struct, frozen=True):
    """The knobs of an agent; times in seconds, sizes in bytes.

    ``silent_s``: work that takes longer is announced as taken; ``repeat_s``: an answer nobody settled is
    said again, ever more seldom up to ``repeat_max_s``, for at most ``keep_s`` beyond its deadline, and of more than
    ``kept`` such answers the oldest is given up; ``backlog``: awards that may wait per slot; ``hung_s``: a handler that
    gives no sign of its own for so long is given up; ``crashes``: who ended this process so often is declined.
    """

    silent_s: float = 0.1
    repeat_s: float = 1.0
    repeat_max_s: float = 15.0
    backlog: float = 1.0
    inline_bytes: int = 4096
    chunk_bytes: int = 128 * 1024
    blob_expiry_s: int = 7200
    embed_retry_s: float = 0.5
    refresh_s: float = 60.0
    hung_s: float = inf
    crashes: int = 2
    keep_s: float = 3600.0
    kept: int = 5_000


class Context(msgspec.Struct, frozen=True):
    """What stays the same while the agent runs."""

    profile: Profile
    topics: Topics
    card: bytes
    birth: int
    rules: Rules = Rules()

    @property
    def node(self) -> str:
        """The agent's one-segment name: what replies and operators call it by."""
        return node_of(self.profile.agent)


class Agent(msgspec.Struct, frozen=True):
    """The agent as a whole. ``epochs`` are the highest seen per partition: a lower one is a ghost's.

    ``begun`` holds, for ``effects = once``, the idempotency keys taken on: which award, and until when no other
    may come for it. ``clusters`` are, by award, the channels listened to: (task, cluster). ``waiting`` stand in the
    order of their ``turns``. ``answers`` are awards whose answer nobody settled yet, oldest first; ``crashes`` those
    during which this process ended: the key of each, and until when it counts; ``past`` those that are over,
    each with what was answered, if it was;
    ``suspects`` those here that such a crash may be due to: each works alone.
    ``tick`` is when time is to be noted next: long past in a process that was stopped, or comes back.
    ``watcher`` is told how draining goes. ``birth`` is above the process's own where an earlier life had a later clock.
    """

    counter: int = 1
    vcv: Vcv | None = None
    epochs: dict[int, Epoch] = {}
    running: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    turns: dict[str, float] = {}
    answers: dict[str, None] = {}
    past: dict[str, Done | Failed | Asking | None] = {}
    suspects: tuple[str, ...] = ()
    crashes: dict[str, tuple[str, float]] = {}
    clusters: dict[str, tuple[str, str]] = {}
    begun: dict[str, tuple[str, float]] = {}
    online: bool = False
    draining: bool = False
    watcher: str = ""
    birth: int = 0
    tick: float = inf


class Fresh(msgspec.Struct, frozen=True):
    """No award yet."""


class Waiting(msgspec.Struct, frozen=True):
    """An award that waits for a slot; ``refining`` holds what its cluster says meanwhile."""

    award: Award
    ends: float
    refining: Refining | None = None


class Running(msgspec.Struct, frozen=True):
    """The handler works on it, or (``announced``, with ``effects = once``) waits until that is on record.

    ``bill`` is what the handler charged so far, None while it charged nothing: then its declared price counts.
    """

    award: Award
    began: float
    ends: float
    inputs: tuple[Given, ...] = ()
    announced: bool = False
    refining: Refining | None = None
    bill: Usage | None = None


class Joined(msgspec.Struct, frozen=True):
    """It is refined in its cluster. ``tried`` are this member's own drafts, oldest first.

    ``busy``: the handler is at work since ``asked``, the longest such work took ``longest`` seconds. ``mended``:
    so many revisions it was asked for. ``resting``: it has no more to say. ``scores`` are what it last held of others.
    """

    award: Award
    began: float
    ends: float
    refining: Refining
    tried: tuple[Draft, ...]
    inputs: tuple[Given, ...] = ()
    busy: bool = False
    asked: float = 0.0
    longest: float = 0.0
    jobs: int = 1
    mended: int = 0
    resting: bool = False
    scores: dict[str, float] = {}
    bill: Usage | None = None


class Answered(msgspec.Struct, frozen=True):
    """The answer stands and is repeated until the owner settles it. ``once``: the award, if it must stay known.

    ``large`` is what of it was sent by reference: said again when the bus is back, since only we have it.
    """

    message: Done | Failed | Asking
    tries: int = 0
    once: Award | None = None
    large: tuple[Publish, ...] = ()


class Spent(msgspec.Struct, frozen=True):
    """Settled; known until its deadline, so that work whose effects happen once is not begun again."""


AwardState = Fresh | Waiting | Running | Joined | Answered | Spent


class Begin(NamedTuple):
    """Agent to award: this is yours; start at once or wait for `Start`. ``again``: its key was begun before."""

    award: Award
    start: bool
    again: bool = False


class Start(NamedTuple):
    """Agent to award: a slot is free."""


class HandBack(NamedTuple):
    """Agent to award: we leave; if nothing was begun, let somebody else have it."""


class Freed(NamedTuple):
    """Award to agent: the slot is free again. ``untouched``: the work was never begun; ``answered``: it is kept yet.

    ``said`` is the answer that is kept no longer.
    """

    award: str
    untouched: bool = False
    answered: bool = False
    said: Done | Failed | Asking | None = None


class Crashed(NamedTuple):
    """Award to agent, after a restart: the process ended while it worked on `award`, here without its inputs."""

    award: Award


class Linked(NamedTuple):
    """Agent to its awards: the bus is there (again), or gone: what is said now would only pile up."""

    up: bool


class GiveUp(NamedTuple):
    """Agent to award: too many answers wait to be settled, and this is the oldest."""


class Taking(NamedTuple):
    """Award to agent, after a restart: this key was begun in an earlier life."""

    key: str
    award: str
    ends: float


class Withdraw(NamedTuple):
    """Agent to award: the owner took it back."""

    reason: str


class Progressed(NamedTuple):
    """Handler service to award: how far the work is, or a piece of the answer (``partial``) while it is made."""

    fraction: float
    text: str
    partial: str = ""


class Charged(NamedTuple):
    """Handler service to award: what the work cost since it last said so."""

    usd: float
    tokens_in: int = 0
    tokens_out: int = 0


class Job(NamedTuple):
    """What the handler service is asked: a draft (round 0), or a critique of ``others`` and a revision in view of them.

    ``critical``: a critique alone, the draft stands.
    """

    award: Award
    inputs: tuple[Given, ...]
    left_ms: int
    round: int = 0
    draft: tuple[Given, ...] = ()
    others: tuple[Draft, ...] = ()
    critical: bool = False

    @property
    def peers(self) -> tuple[tuple[Given, ...], ...]:
        """The others' last drafts."""
        return tuple(draft.outputs for draft in self.others)


class Yielded(NamedTuple):
    """What the handler made; outputs None from a revision: the draft stands.

    ``cost`` in USD is added to the bill. ``confidence`` in [0, 1] is the author's own; ``critiques`` and ``scores`` in
    [0, 1] are of the other members, by agent.
    """

    outputs: tuple[Given, ...] | None
    cost: float = 0.0
    confidence: float | None = None
    critiques: Mapping[str, str] = {}
    scores: Mapping[str, float] = {}


class Stumbled(NamedTuple):
    """Why the handler made nothing; ``declined`` is no failure, nor is ``asking``: a person must answer ``reason``.

    ``refutes`` names the subtask whose output was found wrong; ``options`` are answers to choose from.
    """

    kind: Literal["declined", "failed", "asking"]
    code: str
    reason: str
    retryable: bool = True
    after_ms: int = 0
    refutes: str = ""
    options: tuple[str, ...] = ()
