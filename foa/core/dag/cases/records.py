"""What is remembered of a plan that worked, and what machines of one node tell each other about it."""

from collections.abc import Mapping
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from foa.core.dag.cases.order import Model
from foa.core.dag.merge.reputation import Ended, Form
from foa.wire.records import MAX_TEXT, Confidence, Plan

MAX_CASES: Final = 1_000
"""Cases in one memory: with MiniLM's vectors some 3 MB."""

MAX_SUBTASKS: Final = 64
MAX_CHARACTERS: Final = 16_384
"""Of a request, and of all texts of its plan: what is longer is worked on, not remembered."""

MAX_VECTOR: Final = 8_192


class Case(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request, its vector (float16 bytes, unit length), the plan it was done by, and how well, in [0, 1].

    ``at`` is when it ended (seconds since 1970).
    """

    vector: Annotated[bytes, Meta(max_length=MAX_VECTOR)]
    request: Annotated[str, Meta(max_length=MAX_TEXT)]
    plan: Plan
    score: Confidence = 1.0
    at: float = 0.0


class Near(NamedTuple):
    """A case and its request's cosine to the one at hand."""

    similarity: float
    case: Case


class Rules(msgspec.Struct, frozen=True):
    """The knobs of planning by cases.

    A request takes over the plan of a past one at a cosine of at least ``floor``, and of at least ``fit`` with what
    their words have in common (`foa.core.dag.cases.planner.FIT`). What was learned of order is used
    after ``seen`` plans. ``same``: from this cosine on two requests are one, and the later case replaces the earlier.
    """

    floor: float = 0.65
    fit: float = 0.9
    seen: int = 10
    same: float = 0.98
    nearest: int = 8
    most: int = MAX_CASES


class Worked(NamedTuple):
    """A task to ``Key("cases")``: it ended done, by a plan of several subtasks. Never told of a private task.

    ``voices`` is how much of it each planner had proposed, in [0, 1], ``forms`` what each proposal looked like.
    """

    text: str
    vector: bytes
    plan: Plan
    score: float
    ended: float
    voices: Mapping[str, float] = {}
    forms: Mapping[str, Form] = {}


class Recall(NamedTuple):
    """A machine to ``Key("cases")``: what was like this request? Answered by `Recalled` with the same token."""

    token: str
    text: str
    vector: bytes


class Recalled(NamedTuple):
    """The nearest past cases, nearest first, whatever the floor, and what was learned of order from all that were.

    ``ended`` is how planners' proposals ended lately, oldest first.
    """

    token: str
    cases: tuple[Near, ...]
    order: Model
    ended: tuple[Ended, ...] = ()
