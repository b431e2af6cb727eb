"""What is asked for in a run, drawn from a seed: tasks of every sort, when they are submitted, and when cancelled."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final, NamedTuple

from foa.core.vcv.profile import Profile
from foa.testing.agents import TEXT, Temper, profile
from foa.wire.records import Given, Plan, Subtask, Task, Value

RETENTION_S: Final = 20
DEADLINE_MS: Final = 20_000
PRICE: Final = 0.01
LARGE: Final = 20_000


class Errand(NamedTuple):
    """One task: when and by whom it is submitted, and when it is cancelled (never: None)."""

    sort: str
    at: float
    client: str
    task: Task
    cancel_at: float | None = None


def errands(rng: Random, clients: Sequence[str]) -> list[Errand]:
    """Return the tasks of a run, in the order of their submission."""
    made = []
    for number in range(rng.randrange(2, 8)):
        sort = rng.choice(list(SORTS))
        at = rng.uniform(2.0, 9.0)
        task = SORTS[sort](rng, f"{sort}-{number}")
        late = at + rng.choice((0.0, rng.uniform(0.0, 0.3), rng.uniform(0.0, 4.0))) if sort == "cancelled" else None
        made.append(Errand(sort, at, rng.choice(list(clients)), task, late))
    return sorted(made, key=lambda errand: (errand.at, errand.task.id))


def agents(rng: Random) -> list[tuple[Profile, Temper]]:
    """Return the agents of a run: three generalists, two whose effects happen once, up to two planners."""
    generalists = [
        profile(
            f"acme/tools/a{number}",
            skills=("echo",),
            price=rng.choice((0.0, PRICE)),
            slots=rng.randrange(1, 3),
            holds=("eu",) if number == 1 else (),
            refines=rng.random() < 0.3,  # noqa: PLR2004 - so that some teams form by themselves
        )
        for number in (1, 2, 3)
    ]
    cashiers = [profile(f"acme/cash/o{number}", skills=("charge",), effects="once") for number in (1, 2)]
    planners = [profile(f"acme/plans/p{number}", skills=("plan",)) for number in range(rng.randrange(3))]
    return [(one, _temper(rng)) for one in (*generalists, *cashiers, *planners)]


def _temper(rng: Random) -> Temper:
    slowest = rng.choice((0.05, 0.5, 4.0))
    if rng.random() < 0.6:  # noqa: PLR2004 - most agents are well
        return Temper(0.001, slowest)
    return Temper(0.001, slowest, rng.uniform(0, 0.5), rng.uniform(0, 0.2), rng.uniform(0, 0.3), rng.uniform(0, 0.2))


def _task(ident: str, text: str, **changes: object) -> Task:
    return Task(ident, text, **({"deadline_ms": DEADLINE_MS, "retention_s": RETENTION_S} | changes))  # type: ignore[arg-type]


def _atomic(rng: Random, ident: str) -> Task:
    return _task(ident, f"echo these words {rng.randrange(100)}", skills=("echo",))


def _clauses(rng: Random, ident: str) -> Task:
    return _task(ident, f"Repeat the words {rng.randrange(100)}. Then say the text again. Finally echo both texts.")


def _planned(rng: Random, ident: str) -> Task:
    count = rng.randrange(2, 7)
    subtasks = tuple(Subtask(f"s{number}", f"echo words {number}", skills=("echo",)) for number in range(count))
    edges = tuple(
        (f"s{one}", f"s{other}")
        for other in range(count)
        for one in range(other)
        if rng.random() < 0.5  # noqa: PLR2004
    )
    return _task(ident, "", plan=Plan(subtasks, edges))


def _team(rng: Random, ident: str) -> Task:
    return _task(ident, "echo these words together", skills=("echo",), team=rng.randrange(2, 4))


def _hurried(rng: Random, ident: str) -> Task:
    return _task(ident, "echo these words soon", skills=("echo",), deadline_ms=rng.randrange(50, 3000))


def _budgeted(rng: Random, ident: str) -> Task:
    task = rng.choice((_atomic, _planned, _team))(rng, ident)
    return Task(**{name: getattr(task, name) for name in task.__struct_fields__} | {"budget": PRICE * rng.randrange(5)})


def _once(rng: Random, ident: str) -> Task:
    consent = rng.random() < 0.3  # noqa: PLR2004 - few consent
    plan = Plan((Subtask("pay", "charge words again", skills=("charge",), consent=consent),))
    return _task(ident, "", plan=plan)


def _policed(rng: Random, ident: str) -> Task:
    return _task(ident, f"echo these words {rng.randrange(9)} in the union", skills=("echo",), policies=("eu",))


def _hopeless(rng: Random, ident: str) -> Task:
    return _task(ident, f"fly away {rng.randrange(9)}", skills=("fly",))


def _laden(rng: Random, ident: str) -> Task:
    body = bytes(rng.randrange(97, 123) for _ in range(16)) * (LARGE // 16)
    return _task(ident, "echo this", skills=("echo",), inputs=(Given("load", Value(TEXT, TEXT, body)),))


SORTS: Final[dict[str, Callable[[Random, str], Task]]] = {
    "atomic": _atomic,
    "clauses": _clauses,
    "planned": _planned,
    "team": _team,
    "cancelled": _planned,
    "hurried": _hurried,
    "budgeted": _budgeted,
    "once": _once,
    "policed": _policed,
    "hopeless": _hopeless,
    "laden": _laden,
}
