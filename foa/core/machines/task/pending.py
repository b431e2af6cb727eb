"""What a task has under way beside its awards: plannings, whom a team may still ask, and what it tells itself."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import msgspec

from foa.core.dag.cases import Recalled
from foa.core.dag.clauses import clauses
from foa.wire.ids import AgentId
from foa.wire.records import Given, Hit, Seat

ATOMIC: Final = "main"  # the one subtask of a task that is one agent's job
PLANNING: Final = "~plan"  # the subtask that planners are awarded; no subtask of a plan may be called so
JOINING: Final = "~join"  # the one that whoever puts the parts of an answer together is awarded

MAX_REMEMBERED: Final = 2048
"""Characters of a text whose clauses are remembered."""


def clauses_of(text: str) -> tuple[str, ...]:
    """Return the clauses of a text; short ones are remembered, since many tasks say the same."""
    return _remembered(text) if len(text) <= MAX_REMEMBERED else clauses(text)


_remembered = lru_cache(maxsize=1024)(clauses)


class Session(msgspec.Struct, frozen=True):
    """One planning under way: of the task (``target`` ""), or of a subtask of its plan.

    ``why`` is the edit that a finished session makes ("expand" or "replan"; "" for the task itself), ``hits`` what was
    found for its text and clauses, ``recalled`` what is remembered of similar requests. ``code`` is the word for
    why its subtask failed.
    """

    target: str
    text: str
    stage: Literal["comparing", "inviting", "recalling", "proposing", "embedding", "detouring"] = "comparing"
    why: Literal["", "expand", "replan"] = ""
    hits: tuple[Hit, ...] = ()
    vector: bytes = b""
    recalled: Recalled | None = None
    material: tuple[Given, ...] = ()
    code: str = ""


def planning(target: str) -> str:
    """Return the key of the work that stands for asking planners about `target` ("": the task)."""
    return f"{PLANNING}/{target}" if target else PLANNING


def is_pseudo(ident: str) -> bool:
    """Tell whether `ident` is no subtask of a plan but work of the federation's own: planning, joining."""
    return ident.startswith("~")


class Stuck(NamedTuple):
    """A task's machine to itself: subtask `ident` cannot be done as things stand; recover it."""

    ident: str
    code: str
    reason: str


class Split(NamedTuple):
    """A task's machine to itself: see whether subtask `ident`, of several clauses, is one agent's job."""

    ident: str


class Consent(NamedTuple):
    """A task's machine to itself: subtask `ident` is ready, and needs a person's consent."""

    ident: str


class Join(NamedTuple):
    """A task's machine to itself: every part is there; see whether somebody puts them together better than we do."""

    ident: str = JOINING


class Kin(NamedTuple):
    """The channel that subtasks close in meaning share, and who works on the others ("" and nobody: there are none)."""

    channel: str = ""
    guests: tuple[AgentId, ...] = ()


NOBODY: Final = Kin()


class Pool(NamedTuple):
    """Whom a subtask may still ask where those it asked disagree, and their answers before its cluster refined them.

    ``trust`` is how often each is expected to be right, and how many answers that is known from; ``plausible`` how much
    what an answer looks like speaks for it.
    """

    hits: tuple[Hit, ...]
    trust: Mapping[str, tuple[float, float]]
    contexts: Mapping[str, bytes] = {}
    plausible: Mapping[str, float] = {}
    kin: Kin = NOBODY
    drafts: tuple[Seat, ...] = ()
    refined: bool = False
