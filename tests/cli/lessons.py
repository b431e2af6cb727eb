"""Records that commands show, made by hand: a finished task's decisions, and what coordinators learned."""

from typing import Final

import numpy as np

from foa.core.learn import kinds
from foa.core.learn.features import SCALE, M, packed
from foa.core.learn.ledger import Ledger, bucket_of
from foa.wire.ids import Epoch
from foa.wire.lessons import Counted
from foa.wire.messages import Learned, Result
from foa.wire.records import Candidate, Decision, Part, Plan, Subtask

FEATURES: Final = f"hash/{kinds.VERSION}"
GOOD, POOR = "acme/maths/solver-of-equations", "acme/tools/guesser"
NOW: Final = 1_700_000_000.0
TAU: Final = 604_800.0


def candidate(name: str, score: float = 0.3, mean: float | None = 0.7, **fields: object) -> Candidate:
    known = {"cosine": 0.6, "spec": 0.8, "fit": 0.9, "cost": 0.95, "price": 0.004}
    return Candidate(name, score, mean=mean, **{**known, **fields})  # type: ignore[arg-type]


REFUSED: Final = Candidate("acme/law/lawyer", cosine=0.41, refused="policy: does not hold eu-only")


def explained() -> Result:
    """Return a task of two subtasks; the first agent of `solve` failed, so a second attempt followed."""
    first = candidate(POOR, 0.31, 0.74, width=0.2, seen=1.5, probe=True, relevance=0.62, words=0.5)
    second = candidate(GOOD, 0.29, 0.71, width=0.03, seen=14.2, relevance=0.7, words=0.25, done=0.9, mass=3.0)
    decisions = (
        Decision(
            "~plan", 1, ("acme/plans/planner",), (candidate("acme/plans/planner", mean=None),), 64, "alpha 0.3000"
        ),
        Decision("solve", 1, (POOR,), (first, second, REFUSED), 64, "a newcomer's turn (alpha 0.3100); alone"),
        Decision("solve", 2, (GOOD,), (second, candidate("acme/maths/other", mean=0.5), REFUSED), 64, "expected …"),
    )
    plan = Plan((Subtask("solve", "Solve the equation"),), origin=("clauses",))
    parts = (Part("solve", (GOOD,), attempt=2, cost=0.004, ms=812),)
    return Result("t-1", "done", Epoch(1, "c1"), parts=parts, decisions=decisions, plan=plan, text="Solve the equation")


def context(kind: str, alpha: float) -> bytes:
    """Return the context of an award for a task wholly of one kind."""
    z = np.zeros(M)
    z[:2] = SCALE, alpha * SCALE
    x = np.zeros(kinds.D)
    x[[0, 1 + kinds.NAMES.index(kind)]] = 1 / np.sqrt(2)
    return packed(z, x)


def counted(number: int, agent: str, kind: str, score: float, at: float) -> Counted:
    made = context(kind, 0.3 + 0.4 * (number % 2))
    return Counted(f"w{number}", f"t{number}", agent, made, score, score, at, ms=900.0, cost=0.006, price=0.004)


def learned(node: str = "c1", features: str = FEATURES) -> list[tuple[str, Learned]]:
    """Return the shelves of a coordinator that saw the good get better and the poor fail, over ten hours until NOW."""
    ledger = Ledger(node, features, M, kinds.D, TAU, NOW)
    for number in range(40):
        at, good = NOW - 36_000.0 + 900.0 * number, number % 2 == 0
        score = (0.6 + number / 100) if good else 0.1
        kind = "algebra" if number % 4 < 2 else "geometry"
        ledger.count(counted(number, GOOD if good else POOR, kind, score, at))
    return [(bucket, ledger.write(bucket, NOW)[0]) for bucket in sorted({bucket_of(GOOD), bucket_of(POOR)})]
