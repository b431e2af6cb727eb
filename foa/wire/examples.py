"""One believable message of every kind: a small task on its way through a federation.

They are the golden examples of ``schemas/v1``, and what the wire's tests begin from.
"""

from typing import Final

from foa.wire import lessons
from foa.wire import messages as m
from foa.wire import records as r
from foa.wire.ids import Epoch, Version, digest_of, partition_of

AGENT: Final = "acme/lab/profiler"
PEER: Final = "acme/lab/checker"
TASK: Final = "7d0c5f1e-2a4b-4c1d-9e55-0b7a5f0c1d2e"
PARTITION: Final = partition_of(TASK)
EPOCH: Final = Epoch(3, "c1")
AWARD: Final = "a-5b1e"

_TABLE: Final = r.Value("text/csv", "text/csv", b"city,visits\nLima,3\nOslo,5\n")
_GIVEN: Final = r.Given("table", _TABLE)
_LARGE: Final = r.Value("text/html", "text/html", ref=r.Ref(digest_of(b"report"), 41_231))
_REPORT: Final = r.Given("report", _LARGE, source="report", agent=AGENT)
_UNIT_VECTOR: Final = b"\x00\x3c" + b"\x00\x00" * 3  # float16 (1, 0, 0, 0), little-endian
_SHORT_VECTOR: Final = b"\xff\xff"  # the same in 4 bits per dimension, mixed
_PROFILE: Final = r.Subtask("profile", "describe every column", ("csv.profile",), ("eu-data",), ("column-profile",))
_WRITE: Final = r.Subtask("report", "write a report of the findings", produces=("text/html",), team=2)
_PLAN: Final = r.Plan((_PROFILE, _WRITE), (("profile", "report"),), ("clauses",))
_WORK: Final = r.Task(
    TASK, "describe this table and write a report", (_GIVEN,), deadline_ms=60_000, budget=0.5, policies=("eu-data",)
)
_CHOSEN: Final = r.Candidate(AGENT, score=0.81, cosine=0.86, spec=0.95, fit=1.0, cost=0.99, price=0.01)
_REFUSED: Final = r.Candidate(PEER, refused="policy eu-data is not held")
_DECISION: Final = r.Decision("profile", 1, (AGENT,), (_CHOSEN, _REFUSED), 64, "best score")
_SEAT: Final = r.Seat(AGENT, AWARD, 1, started=True, price=0.01)
_RUNNING: Final = r.Work("profile", "running", 1, (_SEAT,))
_PORT: Final = r.Port("table", "text/csv")
_RESOURCES: Final = r.Resources(price_call=0.01, latency_ms=120.0, p95_ms=400.0, concurrency=4)

EXAMPLES: Final[tuple[m.Message, ...]] = (
    m.Presence(
        "c1", "coordinator", 1_764_000_000_000, partitions=(0, 7, 63), digests={7: 11_622_317}, load=2, software="0.1.0"
    ),
    m.Own(PARTITION, EPOCH),
    m.Vcv(
        AGENT,
        Version(1_764_000_000, 2),
        "all-MiniLM-L6-v2",
        _UNIT_VECTOR,
        _UNIT_VECTOR,
        bytes(31) + b"\x11",
        _RESOURCES,
        holds=("eu-data",),
        skills=("csv.profile",),
        views={"description": _UNIT_VECTOR},
        inputs=(_PORT,),
        outputs=(r.Port("profile", "column-profile"),),
        card=digest_of(b"card"),
        name="Profiler",
    ),
    m.Submit(_WORK),
    m.Accepted(TASK, EPOCH),
    m.Rejected(TASK, "deadline", "the deadline of 0 ms came first"),
    m.Cancel(TASK, "no longer needed"),
    m.State(_WORK, EPOCH, 4, 58_500, 0.01, _PLAN, work=(_RUNNING,), decisions=(_DECISION,), phase="running"),
    m.Events(TASK, (r.Note("awarded", 41, "profile", AGENT, cost=0.01),), _PLAN, (_RUNNING,)),
    m.Result(
        TASK,
        "done",
        EPOCH,
        (_REPORT,),
        cost=0.03,
        ms=1_870,
        parts=(r.Part("report", (AGENT, PEER), ("profile",), rounds=1, cost=0.02, ms=900),),
        decisions=(_DECISION,),
        plan=_PLAN,
    ),
    m.Award(
        award=AWARD,
        task=TASK,
        partition=PARTITION,
        subtask=_WRITE,
        epoch=EPOCH,
        attempt=1,
        key="k-91c2",
        lease_ms=10_000,
        left_ms=57_000,
        budget=0.2,
        inputs=(_GIVEN,),
        policies=("eu-data",),
        team=r.Team("report-1", (AGENT, PEER)),
        agent=AGENT,
    ),
    m.Taken(AWARD, TASK, AGENT),
    m.Declined(AWARD, TASK, AGENT, "busy", "4 of 4 slots are taken"),
    m.Progress(AWARD, TASK, AGENT, 0.5, "12 of 24 columns"),
    m.Done(AWARD, TASK, AGENT, "k-91c2", (_REPORT,), r.Usage(900, 0.01), 1),
    m.Failed(AWARD, TASK, AGENT, "agent-failed", "line 3 has two fields, the head has three", retryable=False),
    m.Settled(AWARD, TASK, EPOCH),
    m.Withdrawn(AWARD, TASK, EPOCH, "the task was cancelled"),
    m.Draft(AWARD, TASK, "report-1", AGENT, 1, (_REPORT,), complete=True),
    m.Ask((r.Query("describe the columns of a table", _UNIT_VECTOR, "all-MiniLM-L6-v2", policies=("eu-data",)),), 8),
    m.Found(
        ((r.Hit(AGENT, Version(1_764_000_000, 2), 0.86, 0.95, resources=_RESOURCES, inputs=(_PORT,)),),),
        (0, 1, 2),
        "all-MiniLM-L6-v2",
        (_UNIT_VECTOR,),
    ),
    m.Embed(("describe the columns of a table",)),
    m.Vectors("all-MiniLM-L6-v2", (_UNIT_VECTOR,)),
    m.Blob(b"<h1>Visits</h1>"),
    m.Learned(
        "c1",
        12,
        "all-MiniLM-L6-v2/1",
        1_764_000_300.5,
        (lessons.Lesson(AGENT, b"\x00" * 8, good=37.5, paid=38.0, ms=41_800, cost=0.4, price=0.38),),
        (lessons.Counted(AWARD, TASK, AGENT, b"\x00\x00\x80?", 1.0, 0.95, 1_764_000_299.25),),
    ),
    m.Evidence(AGENT, "all-MiniLM-L6-v2", (lessons.Exemplar(AWARD, _SHORT_VECTOR, 0.95, 1_764_000_299.25, 0.4),)),
    m.Feedback(TASK, 0.8, comment="one column was missing"),
    m.Asking(AWARD, TASK, AGENT, "Which of the two date columns counts?", ("ordered", "shipped")),
    m.Required(TASK, "profile", "Which of the two date columns counts?", EPOCH, ("ordered", "shipped"), AGENT),
    m.Input(TASK, "profile", "shipped", submitter="ada"),
    m.Dead("shape", "own.1: Object missing required field `partition`", "foa/v1/own/7", "c1", b"\x81"),
    m.Control("rebirth", "c1"),
    m.Letter(
        TASK,
        "agent-failed",
        "subtask profile: acme/lab/profiler: line 3 has two fields (attempt 3 of 3)",
        EPOCH,
        "profile",
        "describe every column",
        (r.Attempt(AGENT, 1, "agent-failed: line 3 has two fields, the head has three", started=True),),
        _WORK,
        86_400,
    ),
    m.Acknowledged(TASK, EPOCH),
)
