"""The state of an index node's machine and its parameters.

The tables (`Catalogue`, holdings, jobs) are mutable and belong to this one state: they are as large as the shard,
and a step never needs the state before it. What is small and says in which phase the node is, is frozen.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from foa.core.effects import Effect, Log, Measure, Publish, Request
from foa.core.machines.shard.catalogue import Catalogue
from foa.core.machines.shard.filling import Holding, Pace
from foa.core.machines.shard.retrieve import Plan, Yield
from foa.core.routing.exchange import IndexCall, Keep
from foa.core.routing.members import Members
from foa.core.vcv.profile import Profile
from foa.wire.codec import encode
from foa.wire.ids import Digest, Version
from foa.wire.messages import AnyMessage, Ask, Dead
from foa.wire.topics import Topics

MAX_JOBS: Final = 1_024
MAX_STRANGERS: Final = 256
MAX_CARD: Final = 64 * 1024
MAX_VCV: Final = 64 * 1024
MAX_BODY_SHOWN: Final = 1_024
MAX_LETTERS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What the shell gives: who we are, which model is ours, and the paces. Times are seconds.

    ``epoch`` is new at every start and also that of the will the shell has set. Presence is refreshed every
    `refresh_s` and expires after three of those; a stranger's vector is derived `stranger_s` after its card.
    ``wall`` added to the node's clock gives seconds since 1970.
    """

    topics: Topics
    node: str
    epoch: int
    model: str
    dim: int
    replicas: int = 2
    refresh_s: float = 10.0
    announce_s: float = 1.0
    stranger_s: float = 5.0
    pace: Pace = field(default_factory=Pace)
    software: str = ""
    wall: float = 0.0

    @property
    def ttl_s(self) -> float:
        """How long a presence is believed."""
        return 3 * self.refresh_s


@dataclass(slots=True)
class Stranger:
    """An agent with a card and no vector: the card, and when patience ends.

    Before its vector is derived (``busy``), its own topic is ``asked`` for: the replay may have lost it.
    """

    card: bytes
    due: float
    asked: bool = False
    busy: bool = False


class Derivation(NamedTuple):
    """The profile read from a card, and the names of its texts; ``version``: of the vector to be held against them."""

    profile: Profile
    names: tuple[str, ...]
    card: Digest | Literal[""]
    version: Version | None = None


@dataclass(slots=True)
class Job:
    """Something that needs vectors of `texts`: an ask, an embedding for somebody, or a stranger's vector.

    ``given`` are the vectors that an ask's queries came with, empty where one is among the texts.
    """

    texts: tuple[str, ...]
    reply_to: str = ""
    correlation: bytes = b""
    trace: str | None = None
    ask: Ask | None = None
    given: tuple[bytes, ...] = ()
    stranger: Derivation | None = None
    due: float = 0.0
    vectors: list[bytes] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    yields: list[Yield | None] = field(default_factory=list)
    searching: int = 0


@dataclass(slots=True)
class Work:
    """Jobs by number; those that wait for the embedder in order; batches and searches in flight."""

    jobs: dict[int, Job] = field(default_factory=dict)
    waiting: deque[int] = field(default_factory=deque)
    batches: dict[str, tuple[int, ...]] = field(default_factory=dict)
    searches: dict[str, tuple[int, tuple[int, ...]]] = field(default_factory=dict)
    serial: int = 0

    def number(self) -> int:
        """Return a number that was not used before."""
        self.serial += 1
        return self.serial


@dataclass(slots=True)
class Letters:
    """Dead letters of the current second: above `MAX_LETTERS` what is refused is only counted."""

    second: int = 0
    count: int = 0

    def allow(self, now: float) -> bool:
        """Count one letter; tell whether it may be sent."""
        if int(now) != self.second:
            self.second, self.count = int(now), 0
        self.count += 1
        return self.count <= MAX_LETTERS


@dataclass(slots=True)
class Spots:
    """Vectors held against their cards (`spotting`): ``flying`` are at most `most`, each with its beginning.

    ``judged`` and ``lies`` are the latest versions that were checked, and that were not of their words.
    """

    most: int = 64
    flying: dict[str, tuple[Version, float]] = field(default_factory=dict)
    judged: OrderedDict[str, Version] = field(default_factory=OrderedDict)
    lies: OrderedDict[str, Version] = field(default_factory=OrderedDict)


@dataclass(frozen=True, slots=True)
class Shard:
    """An index node: who else lives, what it holds, what it knows, what it works on."""

    setup: Setup
    members: Members
    holdings: dict[int, Holding] = field(default_factory=dict)
    catalogue: Catalogue = field(default_factory=Catalogue)
    strangers: dict[str, Stranger] = field(default_factory=dict)
    work: Work = field(default_factory=Work)
    nodes: tuple[str, ...] = ()
    opened: bool = False
    settled: bool = False
    draining: bool = False
    urged: bool = False
    epoch: int = 0
    announcing: bool = False
    rescans: int = 0
    doubt_ends: float = 0.0
    letters: Letters = field(default_factory=Letters)
    spots: Spots = field(default_factory=Spots)


Stepped = tuple[Shard, list[Effect]]


def index(calls: Iterable[IndexCall | Keep]) -> list[Effect]:
    """Return the requests that bring the vector index, and what is kept, up to the catalogue; nobody waits for them."""
    return [Request("keep" if isinstance(call, Keep) else "index", "", call) for call in calls]


class Refused(NamedTuple):
    """What was refused: on which topic, which message, why in a word and in a sentence."""

    topic: str
    message: AnyMessage
    reason: str
    detail: str


def refuse(state: Shard, what: Refused, now: float, *, tell: bool = True) -> list[Effect]:
    """Return the effects by which something is refused: a line, a count and, within `MAX_LETTERS`, a dead letter."""
    effects: list[Effect] = [
        Log("shard.refused", {"reason": what.reason, "detail": what.detail, "topic": what.topic}, "warning"),
        Measure("shard_refused", label=what.reason),
    ]
    if tell and state.letters.allow(now):
        head = encode(what.message)[:MAX_BODY_SHOWN]
        letter = Dead(what.reason, what.detail[:512], what.topic[:512], state.setup.node, head)
        effects.append(Publish(state.setup.topics.dead(what.reason), letter))
    return effects
