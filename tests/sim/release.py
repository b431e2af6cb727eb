"""The next release, as far as the wire goes: nodes that speak version n+1 beside those of today (decisions/0025).

A `Release` stands between one node of today and its bus. What leaves gets fields nobody knows yet; `state` and `award`
go in a second version, in which a required field means something else, wherever every reader says that it reads that;
a kind of message and a topic that nobody knows are said now and then. What comes in is read in either version. When a
reader comes that speaks less, what is retained is said again so that it can read it: the rule every writer obeys.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from foa.errors import WireError
from foa.wire.envelope import Frame
from foa.wire.topics import Topic, Topics

SPEAKS: Final = ("award.2", "state.2")
NEWS: Final = "weather.1"
EVERY: Final = 7
"""Of so many frames one is followed by a message of a kind, and one on a topic, that today's nodes do not know."""

JSON: Final = frozenset({"discovery", "door", "outcome"})


class Release:
    """The shim of one node's life. ``said`` counts what it wrote in a second version."""

    def __init__(self, topics: Topics, send: Callable[[Frame], None]) -> None:
        self._topics = topics
        self._send = send
        self._coordinators: dict[str, bool] = {}
        self._agents: dict[str, bool] = {}
        self._retained: dict[str, Frame] = {}
        self._frames = 0
        self.said = 0

    # --- what leaves ----------------------------------------------------------------------------------------

    def out(self, frame: Frame) -> Frame:
        """Return what leaves in place of a frame of today."""
        self._frames += 1
        body = _record(self._topics.parse(frame.topic), frame)
        if body is None:
            self._retained.pop(frame.topic, None)
            return frame
        if self._frames % EVERY == 0:
            self._send(Frame(self._topics("control/weather"), _packed({"kind": NEWS, "sky": ["blue", 7]})))
            self._send(Frame(self._topics("weather/today"), b"\x01"))
        return self._written(frame, body)

    def _written(self, frame: Frame, body: dict[str, Any]) -> Frame:
        kind, topic = body["kind"], self._topics.parse(frame.topic)
        body["later"] = {"what": [1, "two", None]}
        if kind in {"presence.1", "vcv.1"}:
            body["speaks"] = SPEAKS
        elif kind == "state.1":
            if self._is_spoken():
                body = {**body, "kind": "state.2", "lasts_ms": body["left_ms"] + 1}
                del body["left_ms"]
                self.said += 1
                self._retained[frame.topic] = frame
            else:
                self._retained.pop(frame.topic, None)
        elif kind == "award.1" and self._agents.get(topic.agent, False):
            body = {**body, "kind": "award.2", "lasts_ms": body["lease_ms"] + 1}
            del body["lease_ms"]
            self.said += 1
        return msgspec.structs.replace(frame, payload=_packed(body))

    def _is_spoken(self) -> bool:
        """Tell whether every coordinator that may read a snapshot reads its second version."""
        return bool(self._coordinators) and all(self._coordinators.values())

    # --- what comes in --------------------------------------------------------------------------------------

    def into(self, frame: Frame) -> Frame | None:
        """Return what a node of today is given in place of a frame; None: it is for the next release alone."""
        try:
            topic = self._topics.parse(frame.topic)
        except WireError:  # a topic of the next release
            return None
        body = _record(topic, frame)
        if body is None:
            if topic.kind == "presence" and topic.name == "coordinator":
                self._learn(topic.node, speaks=None)
            return frame
        self._heard(topic, body)
        for name, field in (("state", "left_ms"), ("award", "lease_ms")):
            if body["kind"] == f"{name}.2":
                body = {**body, "kind": f"{name}.1", field: body["lasts_ms"] - 1}
                return msgspec.structs.replace(frame, payload=_packed(body))
        return None if body["kind"] == NEWS else frame

    def _heard(self, topic: Topic, body: Mapping[str, Any]) -> None:
        speaks = set(body.get("speaks", ())) >= set(SPEAKS)
        if body["kind"] == "presence.1" and topic.name == "coordinator":
            there = body.get("alive", True) or body.get("partitions")
            self._learn(topic.node, speaks=speaks if there else None)
        for hits in body.get("hits", ()):
            for hit in hits:
                self._agents[hit["agent"]] = set(hit.get("speaks", ())) >= set(SPEAKS)

    def _learn(self, node: str, *, speaks: bool | None) -> None:
        """Take in what a coordinator reads; if all did before and this one does not, say again what is retained."""
        before = self._is_spoken()
        if speaks is None:
            self._coordinators.pop(node, None)
        else:
            self._coordinators[node] = speaks
        if before and not self._is_spoken():
            for frame in tuple(self._retained.values()):
                self._send(frame)


def _record(topic: Topic, frame: Frame) -> dict[str, Any] | None:
    """Return the message in a frame; None where there is none."""
    if not frame.payload or topic.kind in JSON:
        return None
    body = msgspec.msgpack.decode(frame.payload)
    return body if isinstance(body, dict) and "kind" in body else None


def _packed(body: Mapping[str, Any]) -> bytes:
    return msgspec.msgpack.encode(body)
