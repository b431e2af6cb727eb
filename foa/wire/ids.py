"""Names of things on the wire, and the hash that spreads them over partitions.

Every id is plain text that fits a topic: an agent is ``org/unit/agent``, everything else is one segment.
"""

import re
from functools import lru_cache
from hashlib import blake2b, sha256
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from foa.errors import WireError

PARTITIONS: Final = 64
MAX_SEGMENT: Final = 64

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")

# Ids in a body become levels of a topic, so a decoded one is already fit for that: a peer cannot slip in a
# wildcard. The end is written (?![\s\S]) because $ admits a final newline here and \Z is no JSON Schema.
_PLAIN: Final = "[A-Za-z0-9_.-]{1,64}"
_END: Final = r"(?![\s\S])"

Segment = Annotated[str, Meta(pattern=f"^{_PLAIN}{_END}")]
AgentId = Annotated[str, Meta(pattern=f"^{_PLAIN}/{_PLAIN}/{_PLAIN}{_END}")]
TaskId = Segment
NodeId = Segment
Digest = Annotated[str, Meta(pattern=f"^[0-9a-f]{{64}}{_END}")]


def node_of(identity: str) -> str:
    """Return the one-segment name under which an identity takes replies: a node's own, an agent's with dots."""
    return identity.replace("/", ".")[-MAX_SEGMENT:]


class Epoch(msgspec.Struct, frozen=True, order=True, array_like=True):
    """A number that grows with every change of ownership; ordered by ``(n, node)``, the lower one is ignored."""

    n: Annotated[int, Meta(ge=0, le=2**53)]
    node: Annotated[str, Meta(max_length=64)]


class Version(msgspec.Struct, frozen=True, order=True, array_like=True):
    """The ``v`` of a capability vector: ``(epoch, counter)``; a higher one replaces a lower one."""

    epoch: Annotated[int, Meta(ge=0, le=2**53)]
    counter: Annotated[int, Meta(ge=0, le=2**53)]


NO_EPOCH: Final = Epoch(0, "")


def is_segment(text: str) -> bool:
    """Tell whether `text` may stand as one level of a topic."""
    return _SEGMENT.match(text) is not None


def segment(text: str, what: str) -> str:
    """Return `text` if it may stand as one level of a topic; WireError("id") names `what` otherwise."""
    if _SEGMENT.match(text) is None:
        raise WireError("id", f"{what} {text[:80]!r} must be 1 to {MAX_SEGMENT} characters of A-Z a-z 0-9 _ . -")
    return text


def agent_id(text: str) -> AgentId:
    """Return `text` if it is ``org/unit/agent``; WireError("id") otherwise."""
    parts = text.split("/")
    if len(parts) != 3 or not all(map(is_segment, parts)):  # noqa: PLR2004 - org, unit, agent
        raise WireError("id", f"agent {text[:200]!r} must be org/unit/agent, each of A-Z a-z 0-9 _ . -")
    return text


def digest_of(body: bytes) -> Digest:
    """Return the content address of `body`: its SHA-256 in hex."""
    return sha256(body).hexdigest()


def stable_hash(text: str) -> int:
    """Return 64 bits of BLAKE2b of `text`: the same on every machine and in every run."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


@lru_cache(maxsize=4096)
def idempotency_key(task: str, subtask: str) -> str:
    """Return the idempotency key of a subtask: the same over retries, re-planning and owners."""
    return f"{stable_hash(task + '/' + subtask):016x}{stable_hash(subtask + '/' + task):016x}"


def partition_of(identity: str, partitions: int = PARTITIONS) -> int:
    """Return the partition, ``0 <= p < partitions``, to which a task or agent belongs for good."""
    return stable_hash(identity) % partitions
