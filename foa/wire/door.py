"""The door for strangers: a JSON document on ``{root}/tasks`` is a task, and what comes of it is JSON too.

Any MQTT client will do. Keys: ``text`` (needed), ``id``, ``inputs``, ``budget``, ``deadline_s``,
``policies``, ``skills``, ``team``, ``prefer``, ``priority``. An input is a string, any JSON value, or
``{"type": …, "text" | "json" | "base64": …}``. With an ``id`` the result is retained on
``{root}/tasks/{id}/result`` and the same document again is the same task; without one a Response Topic is
needed. Called by the ownership machine (in) and by the task machine (out).
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import Any, Final

import msgspec

from foa.errors import WireError
from foa.wire.codec import MAX_JSON
from foa.wire.ids import is_segment
from foa.wire.messages import Accepted, Rejected, Required, Result
from foa.wire.records import Given, Prefer, Task, Value

_JSON: Final = "application/json"


class Typed(msgspec.Struct, forbid_unknown_fields=True):
    """An input that says its type; exactly one of the three bodies is given."""

    type: str = ""
    text: str | None = None
    json: msgspec.Raw = msgspec.Raw()
    base64: str | None = None


class Document(msgspec.Struct, forbid_unknown_fields=True):
    """What a stranger may write; all but ``text`` may be left out."""

    text: str
    id: str = ""
    inputs: dict[str, msgspec.Raw] = {}
    budget: float | None = None
    deadline_s: float = 300.0
    policies: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    team: int = 0
    prefer: Prefer = "balanced"
    priority: int = 5


_document: Final = msgspec.json.Decoder(Document)
_typed: Final = msgspec.json.Decoder(Typed)
_packed: Final = msgspec.msgpack.Encoder()
_tasks: Final = msgspec.msgpack.Decoder(Task)


def read(payload: bytes, fresh_id: str) -> Task:
    """Return the task a document asks for; it is called `fresh_id` if it has no id.

    Raises WireError("door") with a line that names the key, the value and the mend.
    """
    if len(payload) > MAX_JSON:
        raise WireError("door", f"the document has {len(payload)} bytes, at most {MAX_JSON} are read")
    try:
        document = _document.decode(payload)
        task = _travelling(_task(document, fresh_id))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError, ValueError) as error:
        raise WireError("door", f"the document is no task: {error}; see docs/wire.md, 'The door'"[:400]) from error
    if not document.text.strip():
        raise WireError("door", "text is empty; say what is to be done")
    return task


def _task(document: Document, fresh_id: str) -> Task:
    return Task(
        id=document.id or fresh_id,
        text=document.text,
        inputs=tuple(_given(name, raw) for name, raw in document.inputs.items()),
        deadline_ms=int(document.deadline_s * 1000),
        budget=document.budget,
        skills=document.skills,
        policies=document.policies,
        submitter="door",
        prefer=document.prefer,
        priority=document.priority,
        team=document.team,
        format="json",
    )


def _travelling(task: Task) -> Task:
    """Return `task` as a peer would read it: what the types refuse is refused here, not on the bus."""
    return _tasks.decode(_packed.encode(task))


def _given(name: str, raw: msgspec.Raw) -> Given:
    if not is_segment(name):
        raise WireError("door", f"inputs: {name[:80]!r} must be 1 to 64 characters of A-Z a-z 0-9 _ . -")
    value: Any = msgspec.json.decode(raw)
    if isinstance(value, str):
        return Given(name, Value("text/plain", "text/plain", value.encode()))
    if isinstance(value, dict) and "type" in value:
        return Given(name, _value(name, raw))
    return Given(name, Value(_JSON, _JSON, bytes(raw)))


def _value(name: str, raw: msgspec.Raw) -> Value:
    typed = _typed.decode(raw)
    media = typed.type if "/" in typed.type else _JSON
    if typed.text is not None:
        return Value(typed.type, media if "/" in typed.type else "text/plain", typed.text.encode())
    if typed.base64 is not None:
        try:
            return Value(typed.type, media, b64decode(typed.base64, validate=True))
        except Base64Error as error:
            raise WireError("door", f"inputs.{name}.base64: {error}; write standard base64") from error
    if bytes(typed.json):
        return Value(typed.type, _JSON, bytes(typed.json))
    raise WireError("door", f"inputs.{name} has a type and no body; add text, json or base64")


def write(message: Accepted | Rejected | Required | Result) -> bytes:
    """Return the JSON document that tells a stranger what came of its task."""
    match message:
        case Accepted(task):
            return msgspec.json.encode({"id": task, "status": "accepted"})
        case Rejected(task, code, reason, after):
            later = {"after_ms": after} if after else {}
            return msgspec.json.encode({"id": task, "status": "rejected", "code": code, "reason": reason, **later})
        case Required(task, subtask, question, _, options):
            asked = {"subtask": subtask, "question": question, "options": options}
            return msgspec.json.encode({"id": task, "status": "input-required", **asked})
        case Result():
            return msgspec.json.encode(_result(message))


def _result(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": result.task,
        "status": result.status,
        "outputs": {given.name: _shown(given) for given in result.outputs},
        "cost": result.cost,
        "ms": result.ms,
        "agents": [{"subtask": part.subtask, "agents": part.agents} for part in result.parts],
    }
    if result.status != "done":
        found |= {"code": result.code, "reason": result.reason}
    return found


def _shown(given: Given) -> dict[str, Any]:
    value = given.value
    if value.ref is not None:
        return {"type": value.type, "media": value.media, "blob": value.ref.digest, "size": value.ref.size}
    body = value.body or b""
    shown: dict[str, Any] = {"type": value.type}
    if value.media == _JSON:
        try:
            return shown | {"json": msgspec.json.decode(body)}
        except msgspec.DecodeError:
            pass
    try:
        return shown | {"text": body.decode()}
    except UnicodeDecodeError:
        return shown | {"base64": b64encode(body).decode()}
