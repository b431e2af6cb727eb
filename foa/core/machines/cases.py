"""The memory of plans that worked, and what they taught of order, in a coordinator.

Under ``Key("cases")``. A task that ended done by several subtasks tells it `Worked` (a private one never does); whoever
plans tells it `Recall` and hears `Recalled`. Both are kept over restarts: every case in a part of its own, what was
learned in one. Bounded by ``rules.most``; what goes is stated at `foa.core.dag.cases.memory.kept`.
"""

from random import Random
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from foa.core import effects as fx
from foa.core.dag.cases import Case, Model, Recall, Recalled, Rules, Worked, is_worth, kept, learned, nearest
from foa.core.dag.merge import Ended, Form
from foa.core.effects import Effect, Event, Key
from foa.core.vcv.vector import BYTES_PER_DIM, unpack
from foa.wire.messages import Blob
from foa.wire.records import Confidence

KEY: Final = Key("cases")
ORDER: Final = "order"
MAX_SPOKEN: Final = 512
"""Requests of which is known how planners' proposals ended."""


class State(msgspec.Struct, frozen=True):
    """Cases in the order they came, the number each is kept under, the next number, and what was learned of order."""

    rules: Rules = Rules()
    cases: tuple[Case, ...] = ()
    numbers: tuple[int, ...] = ()
    count: int = 0
    order: Model = Model()
    spoken: tuple["_Spoken", ...] = ()


class _Spoken(msgspec.Struct, frozen=True):
    """How planners' proposals for one request ended: its number, each one's score and form, the request's vector."""

    number: Annotated[int, Meta(ge=0)]
    scores: Annotated[dict[str, Confidence], Meta(max_length=16)]
    vector: Annotated[bytes, Meta(max_length=8192)] = b""
    forms: Annotated[dict[str, tuple[float, float, float]], Meta(max_length=16)] = {}


class _Kept(msgspec.Struct, frozen=True):
    """What stands in one part on disk: a case with its number, or what was learned of order."""

    number: Annotated[int, Meta(ge=0)] = 0
    case: Case | None = None
    order: Model | None = None
    spoken: _Spoken | None = None


def step(state: State, event: Event, now: float, rng: Random) -> tuple[State, list[Effect]]:
    """Take one event."""
    del now, rng
    match event:
        case fx.Told(_, Worked() as worked):
            return _worked(state, worked)
        case fx.Told(sender, Recall(token, _, vector)):
            near = nearest(state.cases, vector, state.rules.nearest)
            return state, [fx.Tell(sender, Recalled(token, near, state.order, _ended(state)))]
        case fx.Restored(Blob(body)):
            return _restored(state, body), []
        case _:
            return state, []


def _worked(state: State, told: Worked) -> tuple[State, list[Effect]]:
    """Learn from a plan by what was known before it, then remember it."""
    case = Case(told.vector, told.text, msgspec.structs.replace(told.plan, origin=()), told.score, told.ended)
    state, said = _heard(state, told)
    if not is_worth(case):
        return state, said
    order = learned(state.order, case, state.cases, state.rules)
    after, gone = _remembered(state, case, state.count)
    effects: list[Effect] = [*said, _persist(ORDER, _Kept(order=order))]
    if gone != state.count:
        effects.append(_persist(_part(state.count), _Kept(state.count, case)))
        effects += [fx.Persist(None, part=_part(gone))] if gone is not None else []
    return msgspec.structs.replace(after, order=order), effects


def _heard(state: State, told: Worked) -> tuple[State, list[Effect]]:
    """Remember how planners' proposals ended, the latest `MAX_SPOKEN`; the oldest makes room on disk too."""
    if not told.voices:
        return state, []
    number = state.spoken[-1].number + 1 if state.spoken else 0
    vector = told.vector if len(told.vector) % BYTES_PER_DIM == 0 else b""
    scores = dict(sorted(told.voices.items())[:16])
    forms = {name: (one.size, one.order, one.shared) for name, one in told.forms.items() if name in scores}
    spoken = _Spoken(number, scores, vector, forms)
    state = msgspec.structs.replace(state, spoken=(*state.spoken, spoken)[-MAX_SPOKEN:])
    return state, [_persist(f"voices:{number % MAX_SPOKEN}", _Kept(spoken=spoken))]


def _ended(state: State) -> tuple[Ended, ...]:
    return tuple(
        Ended(
            one.scores,
            unpack(one.vector) if one.vector else None,
            {name: Form(*form) for name, form in one.forms.items()},
        )
        for one in state.spoken
    )


def _remembered(state: State, case: Case, number: int) -> tuple[State, int | None]:
    """Return the state with a case under a number, and the number of the one that had to go for it, if one had."""
    cases, out = kept(state.cases, case, state.rules)
    count = max(state.count, number + 1)
    if out is case:
        return msgspec.structs.replace(state, count=count), number
    gone = next((at for one, at in zip(state.cases, state.numbers, strict=True) if one is out), None)
    numbers = (*(at for at in state.numbers if at != gone), number)
    return msgspec.structs.replace(state, cases=cases, numbers=numbers, count=count), gone


def _restored(state: State, body: bytes) -> State:
    """Take back what was kept; what an older version wrote otherwise is forgotten."""
    try:
        found = msgspec.msgpack.decode(body, type=_Kept)
    except msgspec.DecodeError:
        return state
    if found.spoken is not None:
        spoken = sorted((*state.spoken, found.spoken), key=lambda one: one.number)
        return msgspec.structs.replace(state, spoken=tuple(spoken)[-MAX_SPOKEN:])
    if found.order is not None:
        return msgspec.structs.replace(state, order=found.order)
    return state if found.case is None else _remembered(state, found.case, found.number)[0]


def _persist(part: str, what: _Kept) -> fx.Persist:
    return fx.Persist(Blob(msgspec.msgpack.encode(what)), part=part)


def _part(number: int) -> str:
    """Return a part whose name sorts as its number does: they are restored in that order."""
    return f"case:{number:012d}"
