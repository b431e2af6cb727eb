"""From what a program or a person says to what travels: tasks, answers to a task's questions, values."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from foa.adapters import values
from foa.errors import ConfigError
from foa.wire.messages import Input
from foa.wire.records import Given, Joining, Plan, Prefer, Strategy, Task, Value


def task_of(
    text: str,
    *,
    id: str = "",  # noqa: A002 - the word users know
    inputs: Mapping[str, Any] | None = None,
    plan: Plan | None = None,
    budget: float | None = None,
    deadline_s: float = 300.0,
    retention_s: int = 3600,
    policies: Sequence[str] = (),
    skills: Sequence[str] = (),
    team: int = 0,
    prefer: Prefer = "balanced",
    attempts: int = 3,
    submitter: str = "",
    private: bool = False,
    strategy: Strategy = "",
    joining: Joining = "",
    attended: bool = False,
    priority: int = 5,
) -> Task:
    """Return a task. ``inputs`` are by name: str, bytes, a `Value`, or whatever JSON can say; USD, seconds.

    ``strategy`` is how teams come to one answer, ``joining`` how subtasks become the task's ("": as its owner sees
    fit). ``priority`` is 0 to 9: where work waits for agents, each has twice the turns of the one below.
    ``attended``: somebody hears `Submitted.questions`, so where nothing else helps a person is asked.
    """
    return Task(
        id or f"t-{secrets.token_hex(8)}",
        text,
        given_of(inputs),
        plan,
        int(deadline_s * 1000),
        retention_s,
        budget,
        tuple(skills),
        tuple(policies),
        submitter,
        prefer,
        team,
        attempts,
        private=private,
        strategy=strategy,
        joining=joining,
        attended=attended,
        priority=priority,
    )


def input_of(
    task: str,
    text: str = "",
    *,
    subtask: str = "",
    inputs: Mapping[str, Any] | None = None,
    approve: bool | None = None,
    refute: bool = False,
    submitter: str = "",
) -> Input:
    """Return what a person says to a task; ConfigError, in one line, for what says nothing or would not be read."""
    if refute and not (subtask and text.strip()):
        raise ConfigError("refute: name the finished subtask that is wrong, and say in the text why")
    if refute and approve is not None:
        raise ConfigError("refute: goes without approve; the one is about finished work, the other about work to come")
    if not text.strip() and not inputs and approve is None:
        raise ConfigError("the answer is empty: give a text, an input, or say whether to approve")
    said = Input(task, subtask, text, given_of(inputs), approve, refute, submitter)
    try:
        return msgspec.msgpack.decode(msgspec.msgpack.encode(said), type=Input)
    except (msgspec.ValidationError, OverflowError) as error:
        raise ConfigError(f"the answer cannot be sent: {error}") from error


def given_of(inputs: Mapping[str, Any] | None) -> tuple[Given, ...]:
    """Return inputs by name as they travel."""
    return tuple(Given(name, value_of(value)) for name, value in (inputs or {}).items())


def value_of(value: Any) -> Value:
    """Return a Python value as it travels."""
    if isinstance(value, Value):
        return value
    if isinstance(value, bytes):
        return Value(values.BYTES, values.BYTES, value)
    kind = values.TEXT if isinstance(value, str) else values.JSON
    return values.encode(value, kind)
