"""The people of a run: who is asked something answers after a while, or twice, or no, or with other words, or never."""

from random import Random
from typing import Final, Literal, NamedTuple, get_args

from foa.wire.messages import Input, Required

Manner = Literal["yes", "no", "silent", "twice", "puzzled"]
MANNERS: Final[tuple[Manner, ...]] = get_args(Manner)
NO: Final = frozenset({"no", "give up"})


class Person(NamedTuple):
    """Who looks after a task: how they answer, and how many seconds they take."""

    manner: Manner = "yes"
    slow_s: float = 0.5


class Words(NamedTuple):
    """What a person says, so many seconds after being asked."""

    after_s: float
    said: Input


def drawn(rng: Random) -> Person:
    """Return somebody; most say yes."""
    return Person(rng.choice((*MANNERS, "yes", "yes", "yes")), rng.choice((0.1, 0.5, 3.0)))


def reply(person: Person, asked: Required) -> list[Words]:
    """Return what `person` says when `asked`."""
    if person.manner == "silent":
        return []
    good = _words(asked, agrees=person.manner != "no")
    if person.manner == "twice":
        return [Words(person.slow_s, good), Words(2 * person.slow_s, good)]
    if person.manner == "puzzled":
        puzzled = Input(asked.task, asked.subtask, "what do you mean?")
        return [Words(person.slow_s, puzzled), Words(2 * person.slow_s, good)]
    return [Words(person.slow_s, good)]


def _words(asked: Required, *, agrees: bool) -> Input:
    """Return a plain answer: consent to the federation, one of the options to an agent."""
    if asked.agent:
        return Input(asked.task, asked.subtask, asked.options[0] if asked.options else "blue")
    if set(asked.options) == {"yes", "no"}:
        return Input(asked.task, asked.subtask, approve=agrees)
    options = [option for option in asked.options if (option in NO) is not agrees]
    return Input(asked.task, asked.subtask, options[0] if options else "go on")
