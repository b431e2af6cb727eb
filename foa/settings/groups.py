"""The groups of settings, one frozen record per room: what each knob is called, means, may be and is by default."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta


def _doc(text: str, **caps: Any) -> Meta:
    return Meta(description=text, **caps)


_URL: Final = r"^(mqtts?|tcp|ssl)://(\[[0-9a-fA-F:.]+\]|[^\s:/@\[\]]+)(:[0-9]{1,5})?/?\Z"
_ROOT: Final = r"^\$?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?\Z"
_SEGMENT: Final = r"^[A-Za-z0-9_.-]{1,64}\Z"


class Broker(msgspec.Struct, frozen=True):
    """How a process reaches its broker."""

    url: Annotated[str, _doc("the broker: mqtt://host[:port], or mqtts:// with TLS", pattern=_URL)] = (
        "mqtt://127.0.0.1:1883"
    )
    username: Annotated[
        str, _doc("account at the broker; empty: the Client ID if there is a password file, else anonymous")
    ] = ""
    password: Annotated[str, _doc("password of that account; never shown")] = ""
    password_file: Annotated[
        str, _doc("file whose first line is the password, or of lines account:password; for broker.password")
    ] = ""
    ca: Annotated[
        str, _doc("file of the authorities a broker's certificate is checked against; empty: the system's")
    ] = ""
    cert: Annotated[str, _doc("file of this process's own certificate, where the broker asks for one")] = ""
    key: Annotated[str, _doc("file of the private key of broker.cert; empty: it is in that file too")] = ""
    client: Annotated[
        Literal["foa", "aiomqtt"], _doc("MQTT client: our own, or the library aiomqtt (an extra to install)")
    ] = "foa"
    keep_alive_s: Annotated[int, _doc("a silent connection is pinged, then given up, after this", ge=1, le=3600)] = 10
    session_expiry_s: Annotated[
        int, _doc("how long the broker keeps our session while we are away", ge=0, le=2**31)
    ] = 3600
    receive_maximum: Annotated[int, _doc("frames taken but not yet acknowledged, at most", ge=1, le=65_535)] = 1024
    max_queued: Annotated[int, _doc("frames waiting to be sent, at most", ge=1, le=1_000_000)] = 10_000
    packet_limit: Annotated[int, _doc("largest packet we take, in bytes", ge=65_536, le=1 << 28)] = 1 << 20
    connect_timeout_s: Annotated[float, _doc("how long one attempt to connect may take", gt=0, le=300)] = 5.0
    backoff_min_s: Annotated[float, _doc("first pause between attempts to connect", gt=0, le=300)] = 0.05
    backoff_max_s: Annotated[float, _doc("longest pause between attempts to connect", gt=0, le=3600)] = 2.0

    def __repr__(self) -> str:
        """Show where and as whom, never the password."""
        return f"Broker(url={self.url!r}, username={self.username!r}, password={'…' if self.password else ''!r})"


class Wire(msgspec.Struct, frozen=True):
    """What all processes of one federation must agree on."""

    root: Annotated[
        str, _doc("topic root, one or two levels; the same for all ($a2a/v1 where allowed)", pattern=_ROOT)
    ] = "foa/v1"
    partitions: Annotated[int, _doc("hash buckets of the federation; the same for all, for good", ge=1, le=4096)] = 64
    inline_limit: Annotated[int, _doc("bodies above this travel as blobs, in bytes", ge=256, le=131_072)] = 16_384
    chunk: Annotated[int, _doc("blobs above this travel in chunks of it, in bytes", ge=4096, le=196_608)] = 131_072
    retention_s: Annotated[int, _doc("how long results outlive their deadline", ge=1, le=604_800)] = 3600


class Node(msgspec.Struct, frozen=True):
    """Who this process is, and where it keeps what must survive it."""

    name: Annotated[
        str,
        _doc(
            "this process's name and Client ID, unique at the broker; empty: made up at every start",
            pattern=r"^[A-Za-z0-9_.-]{0,64}\Z",
        ),
    ] = ""
    state_dir: Annotated[str, _doc("directory of journals and caches", min_length=1)] = ".foa"
    outbox: Annotated[
        int, _doc("tasks a client keeps until a coordinator has accepted them; one more is refused", ge=1, le=1_000_000)
    ] = 10_000


class Coordinator(msgspec.Struct, frozen=True):
    """How tasks are owned, planned and awarded."""

    refresh_s: Annotated[
        float, _doc("presence is said again this often, and held dead after three of it", gt=0, le=3600)
    ] = 10.0
    claim_ms: Annotated[int, _doc("how long a claim on a partition may take to be read back", ge=1, le=60_000)] = 500
    accept_ms: Annotated[int, _doc("an award not taken within this goes to the next agent", ge=1, le=600_000)] = 1500
    lease_ms: Annotated[
        int, _doc("an award without a sign of progress within this is taken back", ge=100, le=3_600_000)
    ] = 10_000
    grace_ms: Annotated[
        int, _doc("how much longer than the agent the owner waits at the end of a lease", ge=0, le=60_000)
    ] = 1000
    patience_ms: Annotated[
        int, _doc("how long somebody able is looked for before a subtask fails", ge=0, le=3_600_000)
    ] = 10_000
    attempts: Annotated[int, _doc("awards of one subtask before it is dead-lettered", ge=1, le=20)] = 3
    planners: Annotated[int, _doc("planners asked for a proposal; 0: never split a task", ge=0, le=16)] = 4
    plan_timeout_ms: Annotated[int, _doc("how long proposals are waited for", ge=1, le=600_000)] = 2000
    quota: Annotated[
        int, _doc("open tasks of one submitter at one coordinator; more are told to come back", ge=1, le=10_000_000)
    ] = 10_000
    open: Annotated[int, _doc("open tasks at one coordinator; more are told to come back", ge=1, le=10_000_000)] = (
        50_000
    )
    submitters: Annotated[
        str,
        _doc("quota and share of turns of some submitters: name=quota:share, separated by commas", max_length=10_000),
    ] = ""
    depth: Annotated[
        int, _doc("how often a subtask may be planned again that nobody can do whole; 0: never", ge=0, le=4)
    ] = 2
    letters_s: Annotated[
        int, _doc("how long the letter of a failed task is kept, to be looked at or replayed", ge=1, le=7_776_000)
    ] = 604_800
    event_ms: Annotated[int, _doc("events for watchers are gathered for this long", ge=0, le=60_000)] = 100


class Index(msgspec.Struct, frozen=True):
    """How capability vectors are held and searched."""

    replicas: Annotated[int, _doc("index nodes that hold each partition", ge=1, le=8)] = 2
    ask_ms: Annotated[
        int, _doc("a shard that has not answered within this is left out, and the answer says so", ge=1, le=60_000)
    ] = 1000
    reuse_ms: Annotated[
        int, _doc("a coordinator uses an answer again for the same question within this; 0: never", ge=0, le=60_000)
    ] = 250
    crossover: Annotated[
        int, _doc("vectors in a shard above which HNSW replaces exact search", ge=0, le=100_000_000)
    ] = 5_000
    model: Annotated[str, _doc("embedding model; hash: no model, words alone", min_length=1, max_length=512)] = (
        "all-MiniLM-L6-v2"
    )
    batch: Annotated[int, _doc("texts embedded at once", ge=1, le=1024)] = 32
    cache: Annotated[str, _doc("file of computed embeddings below node.state_dir; empty: none")] = "embeddings.sqlite"


class Matching(msgspec.Struct, frozen=True):
    """How an agent is chosen for a subtask; the gates of policy and skills are not settings."""

    shortfall: Annotated[float, _doc("λ of exp(-λ·shortfall): weight of resources an agent lacks", ge=0, le=100)] = 1.0
    cost: Annotated[float, _doc("μ of exp(-μ·cost/budget): weight of price", ge=0, le=100)] = 0.5
    related: Annotated[
        float,
        _doc("cosine below which an agent has nothing to do with a request; 0: somebody always tries", ge=0, le=1),
    ] = 0.15
    retrieve: Annotated[int, _doc("agents each query to the index asks for", ge=1, le=1000)] = 16


class Learning(msgspec.Struct, frozen=True):
    """How coordinators learn from outcomes who is good at what."""

    on: Annotated[bool, _doc("learn from outcomes; off: candidates stand in the order of their static score")] = True
    explore: Annotated[float, _doc("α of LinUCB: how much the uncertain is favoured at first", ge=0, le=10)] = 1.0
    patience: Annotated[float, _doc("rewards over which that curiosity wanes", gt=0, le=1e9)] = 300.0
    forget_s: Annotated[
        float, _doc("τ of forward decay: a reward so old weighs 1/e; the same for all coordinators", gt=0, le=1e9)
    ] = 604_800.0
    probe: Annotated[float, _doc("most of all decisions that newcomers may get for being new", ge=0, le=1)] = 0.05
    cost: Annotated[float, _doc("what a reward loses where the whole budget was spent", ge=0, le=10)] = 0.1
    latency: Annotated[float, _doc("what a reward loses where all the time was used", ge=0, le=10)] = 0.05
    publish_ms: Annotated[int, _doc("what was counted is published after this", ge=1, le=600_000)] = 2000
    evidence: Annotated[
        bool, _doc("keep vectors of finished tasks as evidence for the index; off: no trace of what tasks were about")
    ] = True


class Cluster(msgspec.Struct, frozen=True):
    """How agents on one subtask refine each other's drafts."""

    rounds: Annotated[int, _doc("rounds of critique after the drafts, at most", ge=0, le=8)] = 3
    round_ms: Annotated[int, _doc("how long one round may take", ge=1, le=600_000)] = 5000
    strategy: Annotated[
        Literal["", "majority", "weighted", "medoid", "quadratic", "anchor"],
        _doc("how members come to one answer; empty: chosen by what the answers are"),
    ] = ""
    team: Annotated[int, _doc("members of a team that forms by itself, at most", ge=1, le=16)] = 4
    escalate: Annotated[
        bool, _doc("begin with few members and add more only while they disagree; off: the whole team at once")
    ] = True


class Agent(msgspec.Struct, frozen=True):
    """How an agent process works off its awards."""

    refresh_s: Annotated[
        float, _doc("the card is said again this often, and gone after three of it", gt=0, le=86_400)
    ] = 60.0
    queue: Annotated[
        int, _doc("awards taken that wait for a free slot; more are declined as busy", ge=0, le=10_000)
    ] = 16
    repeat_ms: Annotated[
        int, _doc("a result not yet settled is said again after this, then ever more rarely", ge=10, le=600_000)
    ] = 2000
    hung: Annotated[
        float,
        _doc(
            "a handler without a sign of its own for so many times its declared p95 is given up; 0: never", ge=0, le=1e6
        ),
    ] = 20.0
    crashes: Annotated[int, _doc("work that ended this process so often is declined from then on", ge=1, le=100)] = 2
    kept: Annotated[
        int, _doc("answers kept until they are settled; of more the oldest is given up", ge=1, le=1_000_000)
    ] = 5_000
    drain_s: Annotated[
        float, _doc("how long running handlers may finish when the process is asked to end", ge=0, le=3600)
    ] = 10.0


class Security(msgspec.Struct, frozen=True):
    """Who is believed: signatures, and how much one sender may send."""

    key: Annotated[
        str,
        _doc("file of this process's Ed25519 private key, or a folder of keys by account; empty: nothing is signed"),
    ] = ""
    trust: Annotated[str, _doc("file of public keys and what they may sign; empty: signatures are not checked")] = ""
    unknown: Annotated[
        Literal["refuse", "probation"],
        _doc(
            "agents that the trust file does not name: not heard, or heard with little trust and no vote of their own"
        ),
    ] = "refuse"
    skew_s: Annotated[
        float,
        _doc("how far apart clocks may be, and how long a sealed word that has something done is good", gt=0, le=3600),
    ] = 120.0
    rate: Annotated[float, _doc("frames a second one sender may send for long; 0: any number", ge=0, le=1e9)] = 0.0
    burst: Annotated[int, _doc("frames one sender may send at once, above that rate", ge=1, le=10_000_000)] = 1000


class Log(msgspec.Struct, frozen=True):
    """What a process says about itself."""

    level: Annotated[Literal["debug", "info", "warning", "error"], _doc("least level that is written")] = "info"
    json: Annotated[bool, _doc("one JSON object a line instead of text for people")] = False


class Http(msgspec.Struct, frozen=True):
    """Metrics and health over HTTP."""

    host: Annotated[str, _doc("address to listen on", min_length=1)] = "127.0.0.1"
    port: Annotated[int, _doc("port to listen on; 0: off", ge=0, le=65_535)] = 0
