"""What a client's driver runs: the machines of its submissions, its desk, and what they share."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from foa.core import effects as fx
from foa.core.effects import Key, Step
from foa.core.machines import blobs, client, lookup
from foa.core.machines.client import Idle
from foa.settings import Settings
from foa.wire.messages import Result
from foa.wire.topics import Topics

_TASK_KINDS: Final = frozenset({"result", "event"})
_DESK_REPLIES: Final = frozenset({"control", "feedback", "input"})


class ClientProgram:
    """The machines of a client: one per submission, the desk, and the lookup and blobs they share."""

    def __init__(self, node: str, settings: Settings, topics: Topics) -> None:
        """`node` names the reply topic."""
        self.roots: tuple[Key, ...] = (client.DESK, lookup.KEY, blobs.KEY)
        context = client.Context(topics, node, settings.wire.inline_limit, settings.wire.chunk)
        self._first: dict[str, Callable[[], Any]] = {
            client.DESK.kind: lambda: client.Desk(context),
            lookup.KEY.kind: lambda: lookup.new(
                lookup.Setup(
                    topics=topics,
                    node=node,
                    answer_s=settings.index.ask_ms / 1000,
                    ttl_s=3 * settings.coordinator.refresh_s,
                )
            ),
            blobs.KEY.kind: lambda: blobs.State(topics),
        }
        self.steps: Mapping[str, Step[Any]] = {
            client.DESK.kind: client.desk_step,
            "client": partial(client.task_step, context),
            lookup.KEY.kind: lookup.step,
            blobs.KEY.kind: blobs.step,
        }

    def birth(self, key: Key) -> Any | None:
        """Return the first state of a machine."""
        if key.kind == "client":
            return Idle(key.id)
        first = self._first.get(key.kind)
        return None if first is None else first()

    def route(self, event: fx.Received | fx.Cleared, known: Callable[[Key], bool]) -> tuple[Key, ...]:
        """Say whose event it is; what is collected goes to the desk as well."""
        topic = event.topic
        if topic.kind == "reply":
            if topic.name == "lookup":
                return (lookup.KEY,)
            if topic.name in _DESK_REPLIES:
                return (client.DESK,)
            message = event.message if isinstance(event, fx.Received) else None
            key = Key("client", getattr(message, "task", ""))
            return (key,) if known(key) else (client.DESK,) if isinstance(message, Result) else ()
        if topic.kind in _TASK_KINDS and known(Key("client", topic.task)):
            return (Key("client", topic.task), client.DESK)
        if topic.kind == "blob":
            return (blobs.KEY, client.DESK)
        return (lookup.KEY, client.DESK) if topic.kind == "presence" else (client.DESK,)
