"""Which partitions an index node holds, and when one is complete enough to answer for.

::

    (nothing) --gain--> filling --complete--> held --lose--> leaving --taken over, or grace--> (nothing)
                           |                   ^                |
                           +--lose--> (nothing) +-----gain-------+

A partition fills from the retained replay that follows SUBSCRIBE. MQTT does not say when that ends, and brokers
drop parts of long replays silently, so the rule of completeness is (ours), once nothing came for `settle_s`:

* a replica lists the partition: complete when our digest over (agent, version) equals its digest. If it
  does not, the replay is asked for again after `heal_s`; after `MAX_REPLAYS` that agree with each other the
  broker's word stands against the replica's.
* we kept it over a restart: held at once if its digest is that of a replica, or if nobody lists it (what is a moment
  old is better than nothing); the replay, which goes on as above, brings what is newer.
* nobody lists it: complete when every agent with a card in that partition has a vector, and every agent known
  before was replayed again; if not, the replay is asked for once more and then believed. A partition that was held
  before gives the writers `grace_s` to publish again, since the broker may have forgotten.

Agents known before a replay and not in it are forgotten when the partition completes. A held partition whose digest
differs from a replica's for `heal_s` is replayed in the same way, without being given up meanwhile.
"""

from collections.abc import Collection, Mapping
from typing import Final, Literal

import msgspec

from foa.core.routing.rendezvous import holders
from foa.wire.messages import Presence

MAX_REPLAYS: Final = 3

Phase = Literal["filling", "held", "leaving"]
Step = Literal["wait", "replay", "keep", "sweep", "overrule"]


class Pace(msgspec.Struct, frozen=True):
    """Seconds: how long silence ends a replay, a difference is borne, and a lost partition is still served."""

    settle_s: float = 0.25
    heal_s: float = 2.0
    grace_s: float = 30.0


class Holding(msgspec.Struct):
    """One partition. ``replays`` is 0 when none runs; ``unseen`` are agents known before it and not in it yet."""

    phase: Phase
    since: float
    quiet_since: float
    replays: int = 0
    began: float = 0.0
    unseen: set[str] = msgspec.field(default_factory=set)
    differs_since: float | None = None
    differs_from: int = 0


def replay(holding: Holding, known: tuple[str, ...], now: float) -> None:
    """Note that the retained messages are asked for, while `known` agents are in the catalogue."""
    holding.replays += 1
    holding.quiet_since = now
    if holding.replays == 1:
        holding.began = now
        holding.unseen = set(known)


def finish(holding: Holding) -> None:
    """Note that the replay was believed."""
    holding.replays = 0
    holding.unseen = set()
    holding.differs_since = None
    if holding.phase == "filling":
        holding.phase = "held"


def judge(
    holding: Holding, mine: int, swept: int, rivals: Collection[int], *, lacking: bool, pace: Pace, now: float
) -> Step:
    """Say how a replay goes on: ``keep`` and ``sweep`` believe it, the latter forgets the unseen.

    `mine` is our digest, `swept` that without the unseen, `rivals` those of replicas. ``lacking``: somebody with
    a card in this partition has no vector yet.
    """
    quiet = now - holding.quiet_since
    if quiet < pace.settle_s:
        return "wait"
    if not rivals:
        return _alone(holding, lacking=lacking, pace=pace, now=now)
    if mine in rivals:
        return "keep"
    if swept in rivals:
        return "sweep"
    if quiet < pace.heal_s:
        return "wait"
    return "replay" if holding.replays < MAX_REPLAYS else "overrule"


def _alone(holding: Holding, *, lacking: bool, pace: Pace, now: float) -> Step:
    """Say how a replay goes on that no replica can confirm."""
    if (lacking or holding.unseen) and holding.replays < 2:  # noqa: PLR2004 - twice is believed
        return "replay"
    if holding.phase != "filling" and holding.unseen and now - holding.began < pace.grace_s:
        return "wait"
    return "sweep"


def differs(holding: Holding, mine: int, rivals: Collection[int], pace: Pace, now: float) -> bool:
    """Tell whether a held partition has differed from a replica, unchanged, for so long that it needs healing."""
    if holding.replays or not rivals or mine in rivals:
        holding.differs_since = None
        return False
    if holding.differs_since is None or holding.differs_from != mine:
        holding.differs_since, holding.differs_from = now, mine
    return now - holding.differs_since >= pace.heal_s


def is_taken_over(
    partition: int, me: str, nodes: Collection[str], replicas: int, listed: Mapping[str, Presence]
) -> bool:
    """Tell whether all who should hold `partition` in place of `me` say that they do."""
    heirs = holders(partition, nodes, replicas)
    return bool(heirs) and me not in heirs and all(
        heir in listed and partition in listed[heir].partitions for heir in heirs
    )  # fmt: skip
