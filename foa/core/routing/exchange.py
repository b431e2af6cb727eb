"""What machines of one node say to each other about routing, and what they ask of the index service.

None of this travels: these are the messages inside `Told`/`Tell` and the arguments of `Request`.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from foa.core.routing.score import Weights
from foa.wire.ids import AgentId
from foa.wire.lessons import Exemplar
from foa.wire.messages import Ask, Embed, Found, Vectors
from foa.wire.records import Candidate, Given, Hit, Prefer, Query


class Asked(NamedTuple):
    """A machine wants agents found, or texts made vectors, by `Key("lookup")`; ``token`` comes back."""

    token: str
    ask: Ask | Embed


class Answer(NamedTuple):
    """The answer to the `Asked` of that token; ``found`` is None iff ``error`` says why."""

    token: str
    found: Found | Vectors | None
    error: str = ""


class Weighing(NamedTuple):
    """One subtask to be placed: what it asks, who was found, its vector (empty: not known), and the time left."""

    ident: str
    query: Query
    hits: tuple[Hit, ...]
    vector: bytes = b""
    left_ms: float = 0.0


class Weigh(NamedTuple):
    """A task asks ``Key("match")`` in which order the candidates should have its subtasks; `Weighed` comes back.

    A subtask for which nobody is free waits there, by ``priority`` and ``submitter``, until a `Turn` comes. ``spare``:
    those known to be at work were left out.
    """

    token: str
    weights: Weights
    items: tuple[Weighing, ...]
    prefer: Prefer = "balanced"
    priority: int = 5
    submitter: str = ""
    spare: bool = False


class Weighted(NamedTuple):
    """The candidates for one subtask, best first and the refused last, and what the decision is to be judged by.

    ``hits`` are the found with what was measured of them in place of what they declare. ``contexts`` has, per
    permitted agent, the features that its reward will be learned with; ``free`` the slots each agent has left,
    ``trust`` how often who refines is expected to be right, how many answers that is known from, and
    ``plausible`` how much what an answer looks like speaks for it (log-odds by shape).
    """

    ident: str
    candidates: tuple[Candidate, ...]
    hits: tuple[Hit, ...]
    contexts: Mapping[str, bytes] = {}
    free: Mapping[str, int] = {}
    trust: Mapping[str, tuple[float, float]] = {}
    plausible: Mapping[str, float] = {}


class Weighed(NamedTuple):
    """The answer to the `Weigh` of that token."""

    token: str
    items: tuple[Weighted, ...]


class Awarded(NamedTuple):
    """A task to ``Key("match")``: `agent` works on `award`, of its subtask `ident`, from now on."""

    award: str
    agent: str
    ident: str = ""


class Turn(NamedTuple):
    """``Key("match")`` to a task: a slot is kept for its subtask `ident`; look again."""

    ident: str


class Left(NamedTuple):
    """A task to ``Key("match")``: its subtask `ident` waits for nobody any more ("": none of it does)."""

    ident: str = ""


class Concluded(NamedTuple):
    """A task to ``Key("match")``: an award is over. ``score`` in [0, 1] is what it was worth (None: no verdict).

    ``ms``, ``cost`` and ``price`` are the real duration and bill and the price expected (all 0: not measured), ``used``
    is the share of the time left at the award that it took;
    ``done``: the agent did its work; ``fault`` is else the word for what it did ("": nothing that it is to blame for).
    ``text`` is the subtask's, for evidence ("": none is to be kept). ``owner`` is the node that concluded it, at the
    instant ``ended`` of its own clock (seconds since 1970); an heir passes on what an owner before it concluded.
    """

    award: str
    task: str
    agent: str
    context: bytes
    score: float | None
    ended: float
    owner: str
    ms: float = 0.0
    cost: float = 0.0
    price: float = 0.0
    used: float = 0.0
    text: str = ""
    done: bool = False
    fault: str = ""


class Spoke(NamedTuple):
    """A task to ``Key("match")``: what the members of a team answered before they heard each other."""

    answers: tuple[tuple[AgentId, tuple[Given, ...]], ...]


class Upsert(NamedTuple):
    """Service "index": keep these float16 vectors under `key`, in place of earlier ones. Returns nothing.

    ``others`` are further vectors by which the key is found, views of its profile; ``terms`` its words
    (`foa.core.vcv.terms`), ``slot`` its place in the catalogue's columns. What is remembered of it stays.
    """

    key: str
    c: bytes
    e: bytes
    others: tuple[bytes, ...] = ()
    terms: bytes = b""
    slot: int = -1


class Place(NamedTuple):
    """Service "index": key i is in slot i of the catalogue's columns, as after a restart. Returns nothing."""

    keys: tuple[str, ...]


class Remember(NamedTuple):
    """Service "index": these are the finished tasks of `key`, in place of those known. Returns nothing.

    Kept also while the key itself is not there. ``at`` is now, in seconds since 1970.
    """

    key: str
    exemplars: tuple[Exemplar, ...]
    at: float


class Remove(NamedTuple):
    """Service "index": find `keys` no more; unknown ones are no error. Returns nothing."""

    keys: tuple[str, ...]


class Search(NamedTuple):
    """Service "index": the `k` most relevant for each float16 vector, if given only among those slots.

    ``among`` are slots as little-endian int32: ten thousand names would cost more than the search itself. ``texts`` are
    what the vectors are of, if words are to count. Returns one tuple of `Near` per vector, falling by relevance, ties
    by key.
    """

    vectors: tuple[bytes, ...]
    k: int
    among: bytes | None = None
    texts: tuple[str, ...] = ()


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One agent as an index node knows it: the hit it would be (similarities 0), its vectors, its record's digest.

    ``derived`` entries were made here from a card; whatever the agent publishes itself replaces them. ``others``
    are further float16 vectors by which it is found, ``terms`` its words.
    """

    hit: Hit
    c: bytes
    e: bytes
    partition: int
    print: str
    card: str = ""
    derived: bool = False
    others: tuple[bytes, ...] = ()
    terms: bytes = b""


class Keep(NamedTuple):
    """Service "keep": have this again after a restart, in place of what was kept of `agent`. Returns nothing.

    ``entry`` None: forget it. ``online`` is what its card says, None if none was seen.
    """

    agent: str
    entry: Entry | None
    online: bool | None = None


class Near(NamedTuple):
    """One agent found: its exact cosine to ``c`` and to ``e``, both rounded to 6 digits, and what else speaks for it.

    ``relevance``, ``words``, ``done`` and ``mass`` are as in `foa.wire.records.Hit`; None: the cosine is all.
    """

    key: str
    cosine: float
    spec: float
    relevance: float | None = None
    words: float = 0.0
    done: float = 0.0
    mass: float = 0.0


IndexCall = Upsert | Place | Remember | Remove | Search
