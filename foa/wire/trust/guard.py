"""The guard of a node: seals what leaves, and says of what arrives whether it is to be believed, cheapest check first.

It holds no key and reads no clock: signing, verifying and the time come in (`foa.adapters.keys` brings them). What is
not believed is a WireError whose reason is the word under which it is counted:

``unsigned`` · ``seal`` (not in its form) · ``unknown-key`` · ``expired-key`` · ``not-allowed`` (a known key, but not
for this topic or name) · ``stale`` (asks for something, and was sealed too long ago) · ``replayed`` (older than what
its signer said there last, or a word that is heard once) · ``forged`` (the signature is none of that key's) · ``rate``.
"""

from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

import msgspec

from foa.errors import WireError
from foa.wire.envelope import Frame
from foa.wire.topics import TABLE, Topic, TopicKind, Topics
from foa.wire.trust import policy, seal
from foa.wire.trust.jws import card_signers
from foa.wire.trust.policy import PROBATION, Entry, Grant, Trust
from foa.wire.trust.rates import Buckets
from foa.wire.trust.recent import Recent
from foa.wire.trust.seal import Seal, Stamp

MAX_SEEN: Final = 100_000
"""Frames remembered at least, and twice as many at most (18 MB): of those heard once, and apart of `LASTING` ones whose
seal was verified. Those heard once are forgotten as soon as they would be `stale`."""

MAX_PASSING: Final = 50_000
"""As many of tasks' stored frames, and of our own, whose seal need not be verified: as long as the others; 9 MB."""

MAX_LATEST: Final = 200_000
"""Topics of which the newest stamp is remembered, the oldest out first: 100,000 agents and what is known of each."""

MAX_PINNED: Final = 10_000
"""Agents on probation whose key is remembered; none is forgotten, and when full no further stranger is heard."""

ONCE: Final[frozenset[TopicKind]] = frozenset(
    rule.kind
    for rule in TABLE
    if not rule.retained and (rule.kind == "request" or rule.writer in {"submitter", "operator"})
)
"""Words that have something done: they must be fresh, and are heard once."""

NEWEST: Final[frozenset[TopicKind]] = frozenset({"discovery", "presence", "evidence", "learn"})
"""Stored words without an order of their own: of one signer the newest counts."""

KEPT: Final[frozenset[TopicKind]] = frozenset(rule.kind for rule in TABLE if rule.retained)

LASTING: Final[frozenset[TopicKind]] = frozenset(
    rule.kind for rule in TABLE if rule.retained and "{task}" not in rule.pattern
)
"""Stored words that are read again at every connection; those of a task are over when it is."""

_WRITER: Final[dict[TopicKind, str]] = {rule.kind: rule.writer for rule in TABLE}

QUIET: Final = frozenset({"rate", "replayed"})
"""Reasons that are counted and not shown one by one: floods, and a broker's honest redeliveries."""

MICRO: Final = 1_000_000

Sign = Callable[[bytes], bytes]
Verify = Callable[[str, bytes, bytes], bool]
"""Given a public key, a signature and what was signed: is it that key's?"""


class Rules(msgspec.Struct, frozen=True):
    """The knobs; ``rate`` 0: one sender may send any number of frames.

    ``skew_s`` is how far a stamp may be from our clock, ``refresh_s`` how often presence is said again, ``probation``
    whether agents that nobody named are heard.
    """

    skew_s: float = 120.0
    refresh_s: float = 10.0
    probation: bool = False
    rate: float = 0.0
    burst: int = 1000


class Guard:
    """Seals with one key and admits by one trust file; either may be missing. Tables are mutable and bounded."""

    def __init__(
        self,
        rules: Rules,
        topics: Topics,
        life: int,
        *,
        key: str = "",
        sign: Sign | None = None,
        verify: Verify | None = None,
    ) -> None:
        """Begin at ``life`` (µs since 1970). Without ``sign`` nothing is sealed, before `trusting` nothing checked."""
        self._bodies = topics.blob("")
        self._rules = rules
        self._life = life
        self._key = key
        self._sign = sign
        self._verify = verify
        self._last = 0
        self._trust: Trust | None = None
        self._entries: dict[str, Entry] = {}
        self._buckets = Buckets(rules.rate, rules.burst) if rules.rate else None
        life_us = int(2 * rules.skew_s * MICRO)  # a stamp may lie ahead by as much as behind
        self._once = Recent(MAX_SEEN, life_us)
        self._passing = Recent(MAX_PASSING, life_us)
        self._lasting = Recent(MAX_SEEN)
        self._latest: OrderedDict[bytes, Stamp] = OrderedDict()
        self._pinned: dict[str, str] = {}
        self._voices: dict[str, str] = {}

    def trusting(self, trust: Trust) -> None:
        """Go by `trust` from now on; what was verified before stays verified, and is judged by the new file."""
        self._trust = trust
        self._entries = trust.by_key()
        self._voices.clear()
        self._pinned = {agent: key for agent, key in self._pinned.items() if key not in self._entries}

    def voice(self, agent: str) -> str:
        """Return whose voice an agent has: its own where nothing is checked, `PROBATION` if no key stands for it."""
        if self._trust is None:
            return agent
        known = self._voices.get(agent)
        if known is None:
            if len(self._voices) >= MAX_PINNED:
                self._voices.clear()
            known = self._voices[agent] = self._trust.voice(agent)
        return known

    # --- what leaves ------------------------------------------------------------------------------------

    def seal(self, frame: Frame, now: int) -> Frame:
        """Return `frame` sealed at `now` (µs since 1970); as it is without a key, and if its digest is its name."""
        if self._sign is None or frame.topic.startswith(self._bodies):
            return frame
        self._last = max(now - self._life, self._last + 1, 1)
        return self._signed(frame, self._last, now)

    def seal_will(self, frame: Frame) -> Frame:
        """Return a will sealed beforehand: its stamp is the start of this life."""
        return frame if self._sign is None else self._signed(frame, 0, self._life)

    def _signed(self, frame: Frame, since: int, now: int) -> Frame:
        assert self._sign is not None
        stamped = seal.stamped(frame, self._key, Stamp(self._life, since))
        body = seal.covered(stamped)
        signature = self._sign(body)
        if frame.retain:  # our own stored words come back to us
            self._passing.add(_digest(body, signature), now)
        return seal.signed(stamped, signature)

    # --- what arrives -----------------------------------------------------------------------------------

    def admit(self, topic: Topic, frame: Frame, now: int) -> None:
        """Return if `frame` is to be believed at `now` (µs since 1970); WireError says why it is not."""
        sender = self._sender(topic, frame, now)
        if self._buckets is None or frame.retain:  # stored frames come in bursts as large as the federation
            return
        if not self._buckets.take(sender or _claimed(topic), len(frame.payload), now / MICRO):
            raise WireError("rate", f"{sender or _claimed(topic)} sends more than {self._rules.rate:g} frames a second")

    def _sender(self, topic: Topic, frame: Frame, now: int) -> str:
        """Return the key that sealed `frame`, "" where none is asked for."""
        if self._trust is None:
            return ""
        asked = policy.is_sealed(topic.kind, self._trust)
        if not asked and self._buckets is None:  # who asks is of interest only where senders are counted
            return ""
        found = seal.seal_of(frame)
        if found is None or not (asked or found.key in self._entries):
            if asked:
                self._unsealed(topic, frame, now)
            return ""
        if frame.retain and topic.kind not in KEPT:
            raise WireError("replayed", f"nothing is stored on topics of kind {topic.kind}")
        entry = self._entry(found.key, topic)
        if why := policy.unfit(entry, now / MICRO):
            raise WireError("expired-key", why)
        if asked and (why := policy.refusal(entry, topic)):
            raise WireError("not-allowed", why)
        self._authentic(found, topic, frame, now)
        if entry.name == PROBATION:
            self._pinned[topic.agent] = found.key
        return found.key

    def _unsealed(self, topic: Topic, frame: Frame, now: int) -> None:
        """Let a card pass that is signed as A2A says, by a key that may speak for its agent."""
        if topic.kind == "discovery" and self._verify is not None:
            for key in card_signers(frame.payload, self._entries, self._verify):
                entry = self._entries[key]
                if not policy.unfit(entry, now / MICRO) and not policy.refusal(entry, topic):
                    return
        raise WireError("unsigned", f"what stands on topics of kind {topic.kind} must be sealed")

    def _entry(self, key: str, topic: Topic) -> Entry:
        """Return what is known of a key; of one nobody named, what probation allows."""
        entry = self._entries.get(key)
        if entry is not None:
            return entry
        if not (self._rules.probation and policy.may_be_strangers(topic.kind)):
            raise WireError("unknown-key", f"the trust file does not name the key {key}")
        pinned = self._pinned.get(topic.agent, key)
        if self.voice(topic.agent) != PROBATION or pinned != key:
            raise WireError("not-allowed", f"another key stands for agent {topic.agent}")
        if topic.agent not in self._pinned and len(self._pinned) >= MAX_PINNED:
            raise WireError("unknown-key", f"{MAX_PINNED} agents are on probation already")
        return Entry(PROBATION, key, (Grant("agent", topic.agent),))

    def _authentic(self, found: Seal, topic: Topic, frame: Frame, now: int) -> None:
        """Check what is cheap, then the signature, and remember what must not be heard again."""
        body = seal.covered(frame)
        digest = _digest(body, found.signature)
        place = _digest(found.key.encode(), frame.topic.encode())
        self._timely(found.stamp, topic.kind, place, digest, now)
        if digest not in self._passing and digest not in self._lasting:
            if self._verify is None or not self._verify(found.key, found.signature, body):
                raise WireError("forged", f"the signature is not that of the key {found.key}")
            if topic.kind in KEPT:
                (self._lasting if topic.kind in LASTING else self._passing).add(digest, now)
        if topic.kind in ONCE:
            self._once.add(digest, now)
        elif topic.kind in NEWEST and found.stamp.since:
            self._latest.pop(place, None)
            self._latest[place] = found.stamp
            if len(self._latest) > MAX_LATEST:
                self._latest.popitem(last=False)

    def _timely(self, stamp: Stamp, kind: TopicKind, place: bytes, digest: bytes, now: int) -> None:
        rules = self._rules
        if kind in ONCE:
            if digest in self._once:
                raise WireError("replayed", "this was heard before")
            if abs(now - stamp.at) > rules.skew_s * MICRO or (kind == "control" and stamp.at < self._life):
                raise WireError("stale", f"sealed {(now - stamp.at) / MICRO:.0f} s ago; check both clocks")
        if kind == "presence" and stamp.since and now - stamp.at > (rules.skew_s + 3 * rules.refresh_s) * MICRO:
            raise WireError("stale", f"sealed {(now - stamp.at) / MICRO:.0f} s ago, and presence is said again sooner")
        known = self._latest.get(place) if kind in NEWEST else None
        if known is not None and (stamp.life < known.life or (stamp.since and stamp < known)):
            raise WireError("replayed", "its signer said something newer here")


def _claimed(topic: Topic) -> str:
    """Return who sent a frame that nobody sealed, as far as its topic says; else the kind of topic."""
    return {"agent": topic.agent, "cluster member": topic.agent, "node": topic.node}.get(
        _WRITER[topic.kind], topic.kind
    )


def _digest(*parts: bytes) -> bytes:
    """Return 16 bytes that stand for two parts, one of which is always of one length."""
    return blake2b(b"".join(parts), digest_size=16).digest()
