"""What a trust file says: which key may speak on which topics, under which names, and how its voice counts.

Who writes on a topic is said by `foa.wire.topics.TABLE`; which role that takes is said here. An unknown kind of
writer is nobody's: a topic added to the table is closed until its writer is known.
"""

from math import inf
from typing import Final, Literal

import msgspec

from foa.wire.topics import TABLE, Topic, TopicKind

Role = Literal["agent", "coordinator", "index", "submitter", "operator", "gateway"]
Voices = Literal["one", "each"]

ROLES: Final[tuple[Role, ...]] = ("agent", "coordinator", "index", "submitter", "operator", "gateway")
MAX_KEYS: Final = 10_000
"""Keys a trust file may name."""

PROBATION: Final = "?"
"""The voice of agents that no key in the trust file stands for: it counts nowhere."""

OPEN: Final[frozenset[TopicKind]] = frozenset({"blob", "ask", "embed"})
"""Anybody may write there: a blob is checked against its digest, questions change nothing."""

_ANY: Final[frozenset[Role]] = frozenset(ROLES)
_SUBMITTERS: Final[frozenset[Role]] = frozenset({"submitter", "operator", "gateway", "coordinator"})
_WRITERS: Final[dict[str, frozenset[Role]]] = {
    "agent": frozenset({"agent"}),
    "cluster member": frozenset({"agent"}),
    "coordinator": frozenset({"coordinator"}),
    "node": frozenset({"coordinator", "index", "gateway", "agent"}),
    "submitter": _SUBMITTERS,
    "operator": frozenset({"operator"}),
    "anyone": _ANY,
    "anyone asked": frozenset({"coordinator", "index", "gateway"}),
    "whoever refused it": _ANY,
}
_WRITER: Final[dict[TopicKind, str]] = {rule.kind: rule.writer for rule in TABLE}
_PLACES: Final[dict[str, Role]] = {
    "coordinator": "coordinator",
    "index": "index",
    "gateway": "gateway",
    "agent": "agent",
}

LOOKUP: Final = "lookup"
"""The reply topic on which index nodes answer, and nobody else; on the others they do not."""

_ANSWERERS: Final[frozenset[Role]] = frozenset({"coordinator", "gateway"})

STRANGERS: Final = frozenset({"agent", "cluster member"})
"""Writers that may be on probation: agents, never those who own, award or ask."""

BY_SUBMITTERS: Final[frozenset[TopicKind]] = frozenset(
    {"door", *(rule.kind for rule in TABLE if rule.writer == "submitter")}
)
"""Sealed only where the trust file names somebody who submits: else anybody may."""


class Grant(msgspec.Struct, frozen=True):
    """One role and the names it is held under: an identity, or what one begins with and ``*``."""

    role: Role
    name: str = "*"

    def fits(self, name: str) -> bool:
        """Tell whether `name` is meant."""
        if self.name.endswith("*"):
            return name.startswith(self.name[:-1])
        return name == self.name


class Entry(msgspec.Struct, frozen=True):
    """One public key: whose it is, what it may do, and from when to when (seconds since 1970).

    ``voices``: all agents of this key are "one" voice where voices count, or "each" has its own.
    """

    name: str
    key: str
    grants: tuple[Grant, ...]
    starts: float = 0.0
    ends: float = inf
    voices: Voices = "one"

    def holds(self, roles: frozenset[Role]) -> bool:
        """Tell whether the key holds one of `roles` under any name."""
        return any(grant.role in roles for grant in self.grants)

    def speaks_for(self, role: Role, name: str) -> bool:
        """Tell whether the key holds `role` under `name`."""
        return any(grant.role == role and grant.fits(name) for grant in self.grants)


class Trust(msgspec.Struct, frozen=True):
    """A trust file, read. Entries of one name are one holder's keys, an old and a new one for instance."""

    entries: tuple[Entry, ...] = ()

    def by_key(self) -> dict[str, Entry]:
        """Return the entries by public key."""
        return {entry.key: entry for entry in self.entries}

    def names_submitters(self) -> bool:
        """Tell whether somebody is named who submits: then nobody else may."""
        return any(entry.holds(frozenset({"submitter"})) for entry in self.entries)

    def voice(self, agent: str) -> str:
        """Return whose voice an agent has; `PROBATION` if no key in the file stands for it."""
        for entry in self.entries:
            if entry.speaks_for("agent", agent):
                return agent if entry.voices == "each" else entry.name
        return PROBATION


def is_sealed(kind: TopicKind, trust: Trust) -> bool:
    """Tell whether what stands on topics of `kind` must be sealed."""
    if kind in BY_SUBMITTERS:
        return trust.names_submitters()
    return kind not in OPEN


def refusal(entry: Entry, topic: Topic) -> str:
    """Return why the key of `entry` may not write on `topic`; empty if it may."""
    writer = _WRITER[topic.kind]
    roles = _SUBMITTERS if topic.kind == "door" else _roles(writer)
    if writer == "node":
        role = _PLACES.get(topic.name)
        if role is None or not _is_node(entry, role, topic.node):
            return f"the key of {entry.name!r} may not be {topic.name} {topic.node}"
    elif writer in STRANGERS:
        if not entry.speaks_for("agent", topic.agent):
            return f"the key of {entry.name!r} may not speak for agent {topic.agent}"
    elif topic.kind == "reply" and not entry.holds(_ANSWERERS if topic.name != LOOKUP else frozenset({"index"})):
        return f"the key of {entry.name!r} may not answer on reply/…/{topic.name}"
    elif not entry.holds(roles):
        return f"the key of {entry.name!r} holds none of the roles {', '.join(sorted(roles))}, as {topic.kind} asks"
    return ""


def _roles(writer: str) -> frozenset[Role]:
    """Return who writes as the table of topics words it: one kind of writer, or several after commas."""
    return frozenset[Role]().union(*(_WRITERS.get(each, frozenset()) for each in writer.split(", ")))


def _is_node(entry: Entry, role: Role, node: str) -> bool:
    if role == "agent":  # its name is its identity with dots
        return any(g.role == role and Grant(role, g.name.replace("/", ".")).fits(node) for g in entry.grants)
    return entry.speaks_for(role, node)


def may_be_strangers(kind: TopicKind) -> bool:
    """Tell whether agents on probation may write on topics of `kind`."""
    return _WRITER[kind] in STRANGERS


def unfit(entry: Entry, now: float) -> str:
    """Return why the key of `entry` is not good at `now` (seconds since 1970); empty if it is."""
    if now < entry.starts:
        return f"the key of {entry.name!r} is not good yet"
    return f"the key of {entry.name!r} is good no more" if now >= entry.ends else ""
