"""Topics, built and parsed in one place. The broker's ACL and AsyncAPI document are generated from `TABLE`.

`Topics.parse` and the builders are inverse; a topic that parses to nothing raises WireError("topic").
"""

import re
from typing import Final, Literal, NamedTuple

from foa.errors import WireError
from foa.wire.ids import is_segment

TopicKind = Literal[
    "discovery", "vcv", "presence", "own", "submit", "cancel", "state", "event", "result", "request", "answer",
    "reply", "ask", "embed", "channel", "blob", "evidence", "learn", "feedback", "input", "dead", "control", "door",
    "outcome", "letter", "ack",
]  # fmt: skip


class Topic(NamedTuple):
    """A parsed topic; what a kind does not have keeps its default. ``name`` is the last free segment."""

    kind: TopicKind
    partition: int = -1
    task: str = ""
    agent: str = ""
    node: str = ""
    name: str = ""


class Rule(NamedTuple):
    """One row of the wire: the pattern below the root, retained or not, QoS, and who writes."""

    kind: TopicKind
    pattern: str
    retained: bool
    qos: int
    writer: str


TABLE: Final[tuple[Rule, ...]] = (
    Rule("discovery", "discovery/{agent}", True, 1, "agent"),
    Rule("vcv", "vcv/{partition}/{agent}", True, 1, "agent"),
    Rule("presence", "presence/{name}/{node}", True, 1, "node"),
    Rule("own", "own/{partition}", True, 1, "coordinator"),
    Rule("submit", "task/{partition}/{task}/submit", False, 1, "submitter"),
    Rule("cancel", "task/{partition}/{task}/cancel", True, 1, "submitter"),
    Rule("feedback", "task/{partition}/{task}/feedback", False, 1, "submitter"),
    Rule("input", "task/{partition}/{task}/input", False, 1, "submitter"),
    Rule("state", "task/{partition}/{task}/state/{name}", True, 1, "coordinator"),
    Rule("event", "task/{partition}/{task}/event", False, 0, "coordinator"),
    Rule("result", "task/{partition}/{task}/result", True, 1, "coordinator"),
    Rule("request", "request/{agent}", False, 1, "coordinator"),
    Rule("answer", "answer/{partition}/{task}/{agent}", False, 1, "agent"),
    Rule("reply", "reply/{node}/{name}", False, 1, "anyone asked"),
    Rule("ask", "index/{node}/ask", False, 0, "anyone"),
    Rule("embed", "index/{node}/embed", False, 0, "anyone"),
    Rule("channel", "channel/{task}/{name}/{agent}", True, 1, "cluster member"),
    Rule("blob", "blob/{name}", True, 1, "anyone"),
    Rule("evidence", "evidence/{partition}/{agent}", True, 1, "coordinator"),
    Rule("learn", "learn/{node}/{name}", True, 1, "coordinator"),
    Rule("dead", "dead/{name}", False, 1, "whoever refused it"),
    Rule("control", "control/{name}", False, 1, "operator"),
    Rule("door", "tasks", False, 1, "anyone"),
    Rule("outcome", "tasks/{task}/result", True, 1, "coordinator"),
    Rule("letter", "dlq/{partition}/{task}", True, 1, "coordinator, operator"),
    Rule("ack", "task/{partition}/{task}/ack", False, 0, "submitter"),
)

_LEVELS: Final = {"partition": 1, "task": 1, "agent": 3, "node": 1, "name": 1}


_SEGMENT: Final = "[A-Za-z0-9_.-]{1,64}"
_LEVEL: Final = {
    "partition": "[0-9]{1,4}",
    "task": _SEGMENT,
    "agent": f"{_SEGMENT}/{_SEGMENT}/{_SEGMENT}",
    "node": _SEGMENT,
    "name": _SEGMENT,
}


def _compiled(rule: Rule) -> re.Pattern[str]:
    """Return the pattern of a rule; a blob's name is a digest."""
    kinds = _LEVEL | ({"name": "[0-9a-f]{64}"} if rule.kind == "blob" else {})
    levels = [
        f"(?P<{level[1:-1]}>{kinds[level[1:-1]]})" if level[0] == "{" else re.escape(level)
        for level in rule.pattern.split("/")
    ]
    return re.compile("/".join(levels) + r"\Z")


def _shape(rule: Rule) -> tuple[str, int]:
    """Return the first level and the number of slashes: what `Topics.parse` looks rules up by."""
    slashes = rule.pattern.count("/") + 2 * rule.pattern.count("{agent}")
    return rule.pattern.partition("/")[0], slashes


_BY_SHAPE: Final[dict[tuple[str, int], tuple[tuple[TopicKind, re.Pattern[str]], ...]]] = {
    shape: tuple((rule.kind, _compiled(rule)) for rule in TABLE if _shape(rule) == shape)
    for shape in map(_shape, TABLE)
}

_PATTERNS: Final = {rule.kind: rule.pattern for rule in TABLE}


class Topics:
    """The topics below one root. ``partitions`` bounds what `parse` takes."""

    def __init__(self, root: str = "foa/v1", partitions: int = 64) -> None:
        """Raise WireError("topic") if `root` is not one or two plain levels (``$a2a/v1`` is allowed)."""
        levels = root.split("/")
        if not 1 <= len(levels) <= 2 or not all(is_segment(level.removeprefix("$")) for level in levels):  # noqa: PLR2004 - as said
            raise WireError("topic", f"root {root!r} must be one or two levels such as foa/v1")
        self.root = root
        self.partitions = partitions
        self._prefix = root + "/"

    def __call__(self, path: str) -> str:
        """Return `path`, or a filter, below the root."""
        return self._prefix + path

    def build(self, topic: Topic) -> str:
        """Return the text of `topic`: the inverse of `parse`. The builders below say the same by name."""
        return self._prefix + _PATTERNS[topic.kind].format_map(topic._asdict())

    def discovery(self, agent: str) -> str:
        """Where an agent keeps its card."""
        return f"{self._prefix}discovery/{agent}"

    def vcv(self, partition: int, agent: str) -> str:
        """Where an agent keeps its capability vector."""
        return f"{self._prefix}vcv/{partition}/{agent}"

    def presence(self, role: str, node: str) -> str:
        """Where a node says that it lives."""
        return f"{self._prefix}presence/{role}/{node}"

    def own(self, partition: int) -> str:
        """Where claims on a partition stand."""
        return f"{self._prefix}own/{partition}"

    def task(self, partition: int, task: str, leaf: str) -> str:
        """One of a task's topics: submit, cancel, state/{group}, event, result, ack."""
        return f"{self._prefix}task/{partition}/{task}/{leaf}"

    def request(self, agent: str) -> str:
        """Say where an agent takes awards."""
        return f"{self._prefix}request/{agent}"

    def answer(self, partition: int, task: str, agent: str) -> str:
        """Where an agent answers the owner of a task, whoever that is."""
        return f"{self._prefix}answer/{partition}/{task}/{agent}"

    def reply(self, node: str, name: str) -> str:
        """Name a Response Topic."""
        return f"{self._prefix}reply/{node}/{name}"

    def index(self, node: str, leaf: str) -> str:
        """Say where an index node is asked: ask or embed."""
        return f"{self._prefix}index/{node}/{leaf}"

    def channel(self, task: str, cluster: str, agent: str) -> str:
        """Where a member of a cluster speaks."""
        return f"{self._prefix}channel/{task}/{cluster}/{agent}"

    def blob(self, digest: str) -> str:
        """Where a body lies."""
        return f"{self._prefix}blob/{digest}"

    def letter(self, partition: int, task: str) -> str:
        """Where the letter of a task that was given up lies."""
        return f"{self._prefix}dlq/{partition}/{task}"

    def dead(self, reason: str) -> str:
        """Where what was refused is shown."""
        return f"{self._prefix}dead/{reason}"

    def parse(self, topic: str) -> Topic:
        """Return what `topic` means; WireError("topic") if it is none of ours."""
        if not topic.startswith(self._prefix):
            raise WireError("topic", f"{topic[:200]!r} is not below {self.root}")
        path = topic[len(self._prefix) :]
        for kind, pattern in _BY_SHAPE.get((path.partition("/")[0], path.count("/")), ()):
            found = pattern.match(path)
            if found is not None:
                fields = found.groupdict()
                text = fields.pop("partition", None)
                partition = -1 if text is None else self._partition(text)
                if partition is not None:
                    return Topic(kind, partition, **fields)
        raise WireError("topic", f"{topic[:200]!r} is no topic of the federation")

    def _partition(self, text: str) -> int | None:
        """Return the partition, None if it is out of range or not written plainly."""
        number = int(text)
        return number if number < self.partitions and str(number) == text else None
