"""A simulated federation under trust: a key for every seat, made from the seed, and one trust file that names them.

Set `World.notary` before the nodes are added. Everything is production code but the clock: guards, seals, real
signatures, which are the same for the same seed.
"""

from hashlib import sha256
from typing import Final, Protocol

from foa.adapters.keys.keyfile import Signer, Verifier, seeded
from foa.bus.port import Will
from foa.wire.envelope import Frame
from foa.wire.topics import Topic, Topics
from foa.wire.trust.guard import MICRO, Guard, Rules
from foa.wire.trust.policy import Entry, Grant, Role, Trust

ROLES: Final[dict[str, tuple[Role, ...]]] = {
    "coordinator": ("coordinator",),
    "index": ("index",),
    "agent": ("agent",),
    "client": ("submitter", "operator"),
}
EPOCH: Final = 1_800_000_000 * MICRO
"""When virtual time begins, µs since 1970."""


class Time(Protocol):
    """Who knows the virtual time."""

    def time(self) -> float:
        """Return virtual seconds."""


class Sealed:
    """The `foa.nodes.ports.Guard` of one life of a simulated node."""

    def __init__(self, guard: Guard, clock: Time) -> None:
        self._guard = guard
        self._clock = clock

    def seal(self, frame: Frame) -> Frame:
        """Return `frame` sealed."""
        return self._guard.seal(frame, _now(self._clock))

    def seal_will(self, frame: Frame) -> Frame:
        """Return a will sealed beforehand."""
        return self._guard.seal_will(frame)

    def admit(self, topic: Topic, frame: Frame) -> None:
        """Return if `frame` is to be believed; WireError says why it is not."""
        self._guard.admit(topic, frame, _now(self._clock))

    def will(self, will: Will | None) -> Will | None:
        """Return a node's will, sealed."""
        return None if will is None else Will(self.seal_will(will.frame), will.delay_s)


class Notary:
    """Who is trusted in one simulated federation."""

    def __init__(self, seed: int, topics: Topics, rules: Rules | None = None) -> None:
        self._seed = seed
        self._topics = topics
        self._rules = rules or Rules()
        self._entries: dict[str, Entry] = {}
        self._signers: dict[str, Signer] = {}
        self._verify = Verifier()

    def enrol(self, kind: str, name: str, identity: str) -> None:
        """Make a key for the seat `name`, and name it in the trust file; ``identity``: an agent's."""
        signer = self._signers[name] = seeded(sha256(f"{self._seed}/{name}".encode()).digest())
        grants = tuple(Grant(role, {"agent": identity, "client": "*"}.get(kind, name)) for role in ROLES[kind])
        self._entries[name] = Entry(name, signer.key, grants)

    def guard(self, name: str, clock: Time) -> Sealed:
        """Return the guard of a life that begins now, by the trust file as it is now."""
        signer = self._signers[name]
        guard = Guard(self._rules, self._topics, _now(clock), key=signer.key, sign=signer.sign, verify=self._verify)
        guard.trusting(Trust(tuple(self._entries.values())))
        return Sealed(guard, clock)


def _now(clock: Time) -> int:
    return EPOCH + round(clock.time() * MICRO)
