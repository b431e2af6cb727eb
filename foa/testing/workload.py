"""What is asked for in a run, drawn from a seed: tasks of every sort, when they are submitted, and when cancelled."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final, NamedTuple

from foa.core.vcv.profile import Profile
from foa.testing import people
from foa.testing.agents import TEXT, Temper, profile
from foa.testing.people import Person, Words
from foa.wire.messages import Input
from foa.wire.records import Given, Plan, Subtask, Task, Value

RETENTION_S: Final = 20
DEADLINE_MS: Final = 20_000
PRICE: Final = 0.01
LARGE: Final = 20_000


class Errand(NamedTuple):
    """One task: when and by whom it is submitted, and when it is cancelled (never: None).

    ``person`` answers what is asked about it, and ``says`` something unasked, so long after its submission.
    """

    sort: str
    at: float
    client: str
    task: Task
    cancel_at: float | None = None
    person: Person = Person()
    says: tuple[Words, ...] = ()


def errands(rng: Random, clients: Sequence[str]) -> list[Errand]:
    """Return the tasks of a run, in the order of their submission."""
    made = []
    for number in range(rng.randrange(2, 8)):
        sort = rng.choice(list(SORTS))
        if sort in RARE and rng.random() < 0.8:  # noqa: PLR2004 - as said
            sort = "planned"
        at = rng.uniform(2.0, 9.0)
        task = SORTS[sort](rng, f"{sort}-{number}")
        late = at + rng.choice((0.0, rng.uniform(0.0, 0.3), rng.uniform(0.0, 4.0))) if sort == "cancelled" else None
        says = _unasked(rng, task) if sort == "refuted" else ()
        made.append(Errand(sort, at, rng.choice(list(clients)), task, late, people.drawn(rng), says))
    return sorted(made, key=lambda errand: (errand.at, errand.task.id))


def _unasked(rng: Random, task: Task) -> tuple[Words, ...]:
    """Return a person's word that parts of `task` are wrong."""
    assert task.plan is not None
    wrong = [rng.choice(task.plan.subtasks).id for _ in range(rng.randrange(1, 3))]
    return tuple(Words(rng.uniform(0.1, 4.0), Input(task.id, one, "that is wrong", refute=True)) for one in wrong)


def agents(rng: Random, errands: Sequence[Errand]) -> list[tuple[Profile, Temper]]:
    """Return the agents of a run: two or three generalists, and those whom `errands` need.

    Two whose effects happen once where something is charged, up to two planners where something is to be planned.
    """
    sorts = {errand.sort for errand in errands}
    debating = "debated" in sorts or "guests" in sorts
    generalists = [
        profile(
            f"acme/tools/a{number}",
            skills=("echo",),
            price=rng.choice((0.0, PRICE)),
            slots=rng.randrange(1, 3),
            holds=("eu",) if number == 1 else (),
            refines=debating or rng.random() < 0.3,  # noqa: PLR2004 - so that some teams form by themselves
        )
        for number in range(1, 4 if debating or "team" in sorts else rng.choice((3, 4)))
    ]
    cashiers = [profile(f"acme/cash/o{number}", skills=("charge",), effects="once") for number in (1, 2)]
    planners = [profile(f"acme/plans/p{number}", skills=("plan",)) for number in range(rng.randrange(3))]
    usual = [(one, _temper(rng)) for one in (*generalists, *(cashiers if _charged(errands) else ()))]
    if sorts & PLANNED:
        usual += [(one, _temper(rng)._replace(wild=rng.random() < 0.5)) for one in planners]  # noqa: PLR2004 - as many so
    return [*usual, *(one for sort in SPECIALISTS if sort in sorts for one in SPECIALISTS[sort](rng))]


def _charged(errands: Sequence[Errand]) -> bool:
    plans = [errand.task.plan for errand in errands if errand.task.plan is not None]
    return any("charge" in subtask.skills for plan in plans for subtask in plan.subtasks)


def _askers(rng: Random) -> list[tuple[Profile, Temper]]:
    return [(profile("acme/asks/q1", skills=("paint",)), _temper(rng)._replace(asks=True))]


def _judges(rng: Random) -> list[tuple[Profile, Temper]]:
    fussy = rng.choice((0.3, 0.6, 1.0))
    return [(profile("acme/asks/j1", skills=("judge",)), _temper(rng)._replace(refutes=fussy))]


def _joiners(rng: Random) -> list[tuple[Profile, Temper]]:
    return [(profile("acme/joins/s1", skills=("synthesise",)), _temper(rng))]


def _drawers(rng: Random) -> list[tuple[Profile, Temper]]:
    """Return one that draws pages and always fails, and two that get there together."""
    read = profile("acme/draws/read", skills=("read",), takes=TEXT, yields="columns")
    draw = profile("acme/draws/draw", skills=("lay",), takes="columns", yields="page")
    page = profile("acme/draws/page", skills=("page",), takes=TEXT, yields="page")
    return [(page, Temper(fails=1.0)), (read, _temper(rng)), (draw, _temper(rng))]


SPECIALISTS: Final[dict[str, Callable[[Random], list[tuple[Profile, Temper]]]]] = {
    "asking": _askers,
    "judged": _judges,
    "joined": _joiners,
    "detoured": _drawers,
}


def _temper(rng: Random) -> Temper:
    slowest, wavers = rng.choice((0.05, 0.5, 4.0)), rng.random() < 0.2  # noqa: PLR2004 - few change their mind
    refutes = 0.15 if wavers and slowest < 1.0 else 0.0  # who wavers doubts others too
    if rng.random() < 0.6:  # noqa: PLR2004 - most agents are well
        return Temper(0.001, slowest, refutes=refutes, wavers=wavers)
    fails, silent, declines, errs = rng.uniform(0, 0.5), rng.uniform(0, 0.2), rng.uniform(0, 0.3), rng.uniform(0, 0.2)
    return Temper(0.001, slowest, fails, silent, declines, errs, refutes=refutes, wavers=wavers)


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


def _approved(rng: Random, ident: str) -> Task:
    """Return a task with a step that needs consent, at times one whose effects happen once."""
    skill, words = rng.choice((("echo", "echo words again"), ("charge", "charge words again")))
    plan = Plan(
        (Subtask("s0", "echo words", skills=("echo",)), Subtask("pay", words, skills=(skill,), approve=True)),
        (("s0", "pay"),),
    )
    return _task(ident, "", plan=plan)


def _asking(rng: Random, ident: str) -> Task:
    parts = (Subtask("s0", "echo words", skills=("echo",)), Subtask("s1", "paint words", skills=("paint",)))
    return _task(ident, "", plan=Plan(parts, rng.choice(((), (("s0", "s1"),)))), attempts=rng.randrange(1, 4))


def _judged(rng: Random, ident: str) -> Task:
    """Return a task of which an agent may find the first part wrong, at times one whose effects happen once."""
    skill = rng.choice(("echo", "echo", "charge"))
    parts = (
        Subtask("s0", f"{skill} words", skills=(skill,)),
        Subtask("s1", "judge words", skills=("judge",)),
        Subtask("s2", "echo these words", skills=("echo",)),
    )
    return _task(ident, "", plan=Plan(parts, (("s0", "s1"), ("s1", "s2"))), attempts=rng.randrange(1, 4))


def _nested(rng: Random, ident: str) -> Task:
    """Return a plan of requests, each of several clauses."""
    words = f"Repeat the words {rng.randrange(9)}. Then say the text again. Finally echo both texts."
    parts = tuple(Subtask(f"s{number}", words) for number in range(rng.randrange(1, 3)))
    return _task(ident, "", plan=Plan(parts, (("s0", "s1"),) if len(parts) > 1 else ()))


def _detoured(rng: Random, ident: str) -> Task:
    given = (Given("load", Value(TEXT, TEXT, b"words")),)
    plan = Plan((Subtask("s0", "page these words again", produces=("page",)),))
    return _task(ident, "", plan=plan, inputs=given, attempts=rng.randrange(1, 3))


def _attended(rng: Random, ident: str) -> Task:
    task = rng.choice((_hopeless, _planned, _judged))(rng, ident)
    return Task(**{name: getattr(task, name) for name in task.__struct_fields__} | {"attended": True, "attempts": 1})


def _debated(rng: Random, ident: str) -> Task:
    strategy = rng.choice(("", "majority", "weighted", "quadratic", "anchor"))
    return _task(ident, "echo these words for me", skills=("echo",), strategy=strategy, team=rng.choice((0, 0, 3)))


def _guests(rng: Random, ident: str) -> Task:
    parts = tuple(
        Subtask(f"s{number}", "echo these same words", skills=("echo",), team=rng.choice((0, 2, 2, 2)))
        for number in range(2)
    )
    return _task(ident, "", plan=Plan(parts))


def _large(rng: Random, ident: str) -> Task:
    """Return a plan of more than one snapshot group, much of which is done in time."""
    count = rng.randrange(66, 90)
    parts = tuple(Subtask(f"s{number}", f"echo words {number}", skills=("echo",)) for number in range(count))
    return _task(ident, "", plan=Plan(parts, tuple((f"s{one}", f"s{one + 1}") for one in range(0, count - 1, 2))))


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
    "approved": _approved,
    "asking": _asking,
    "judged": _judged,
    "nested": _nested,
    "detoured": _detoured,
    "attended": _attended,
    "debated": _debated,
    "guests": _guests,
    "joined": _planned,
    "refuted": _planned,
    "large": _large,
}
PLANNED: Final = frozenset({"clauses", "nested", "detoured", "attended", "asking", "judged"})
"""Sorts of which something is planned by others, at the latest when it fails."""

RARE: Final = frozenset({"large"})
"""Sorts that take as long as ten others."""
