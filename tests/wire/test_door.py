"""The door: whatever a stranger writes is a task that the wire takes as it stands, or one line of refusal."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.errors import WireError
from foa.wire.codec import decode, encode
from foa.wire.door import read, write
from foa.wire.examples import EXAMPLES
from foa.wire.messages import Accepted, Rejected, Result, Submit
from tests.wire.strategies import LAWS, messages_of

_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_typed = st.fixed_dictionaries(
    {"type": st.text(max_size=140)},
    optional={"text": st.text(max_size=9), "json": _plain, "base64": st.text(max_size=9), "more": _plain},
)
_names = st.text("ab.", min_size=1, max_size=6)
_good = {
    "id": st.text("ab-1", min_size=1, max_size=8),
    "inputs": st.dictionaries(_names, _plain | _typed, max_size=4),
    "budget": st.floats(0, 1e9) | st.none(),
    "deadline_s": st.floats(0.01, 1e5),
    "policies": st.lists(_names, max_size=3),
    "skills": st.lists(_names, max_size=3),
    "team": st.integers(0, 16),
    "prefer": st.sampled_from(["balanced", "cost"]),
}
_odd = {key: st.text(max_size=70) | st.floats(allow_nan=False) | _plain for key in (*_good, "text", "colour")}
_texts = st.fixed_dictionaries({"text": st.text(max_size=40)}, optional=_good)
_documents = _texts | st.builds(
    lambda good, odd: good | odd,
    _texts,
    st.sampled_from(sorted(_odd)).flatmap(lambda key: st.fixed_dictionaries({key: _odd[key]})),
)


def _taken(payload: bytes) -> bool:
    """Read a document; what is taken must travel, and what is refused must say why in a line."""
    try:
        task = read(payload, "fresh")
    except WireError as error:
        return bool(error.reason == "door" and error.detail and "\n" not in error.detail)
    return decode(encode(Submit(task))) == Submit(task) and task.format == "json"


@LAWS
@given(_documents | _plain)
def test_any_document_is_a_task_that_travels_or_is_refused(document: Any) -> None:
    assert _taken(json.dumps(document).encode())


@LAWS
@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_a_task(payload: bytes) -> None:
    assert _taken(payload)


@pytest.mark.parametrize(
    "document",
    [
        {"text": "x", "inputs": {f"n{number}": "" for number in range(1000)}},
        {"text": "x", "inputs": {"a": {"type": "", "text": "b"}}},
        {"text": "x", "inputs": {"a": {"type": "t" * 200, "text": "b"}}},
        {"text": "x" * 70_000},
        {"text": "x", "budget": 1e300},
        {"text": "x", "deadline_s": 1e300},
        {"text": "x", "id": "a/#"},
    ],
)
def test_what_would_not_travel_is_refused_at_the_door(document: dict[str, Any]) -> None:
    with pytest.raises(WireError) as caught:
        read(json.dumps(document).encode(), "fresh")
    assert caught.value.reason == "door"


def test_a_document_with_everything_becomes_the_task_it_says() -> None:
    document = {
        "id": "t-1",
        "text": "describe this",
        "inputs": {"note": "hello", "rows": [1, 2], "table": {"type": "text/csv", "base64": "YQ=="}},
        "budget": 0.5,
        "deadline_s": 12.5,
        "policies": ["eu-data"],
        "skills": ["csv.profile"],
        "team": 2,
        "prefer": "cost",
    }
    task = read(json.dumps(document).encode(), "fresh")
    assert (task.id, task.text, task.deadline_ms, task.budget) == ("t-1", "describe this", 12_500, 0.5)
    assert (task.policies, task.skills, task.team, task.prefer) == (("eu-data",), ("csv.profile",), 2, "cost")
    bodies = {given.name: (given.value.type, given.value.body) for given in task.inputs}
    assert bodies["note"] == ("text/plain", b"hello")
    assert bodies["rows"][0] == "application/json"
    assert json.loads(bodies["rows"][1] or b"") == [1, 2]
    assert bodies["table"] == ("text/csv", b"a")


@LAWS
@given(messages_of(Result))
def test_any_result_is_written_as_json(result: Any) -> None:
    assert json.loads(write(result))["status"] == result.status


def test_replies_name_the_task_and_how_it_stands() -> None:
    for example in EXAMPLES:
        if isinstance(example, Accepted | Rejected | Result):
            said = json.loads(write(example))
            assert said["id"] == example.task
            assert said["status"] in {"accepted", "rejected", "done"}
