"""What a coordinator knows of itself, its peers and the partitions, and what it says of them."""

from typing import Final, Literal

import msgspec

from foa.core import effects as fx
from foa.core.effects import Effect, Key
from foa.core.routing.members import MAX_MEMBERS
from foa.wire.codec import SPEAKS
from foa.wire.ids import NO_EPOCH, Epoch, NodeId
from foa.wire.messages import Own, Presence
from foa.wire.topics import Topics

Role = Literal["none", "heir", "claiming", "owner"]

KEY: Final = Key("ownership")

MAX_KNOCKED: Final = 256
"""Documents at the door that wait until we know our part."""

MAX_PEERS: Final = MAX_MEMBERS
"""Coordinators known, dead ones too; above it strangers are not taken in."""

AT_ONCE: Final = 8
"""Claims on partitions of living owners that may be under way at one time: they have tasks to hand over."""

MORE_S: Final = 0.05
"""When the next of those are claimed."""

WILL_S: Final = 0.1
"""How long a will waits to be believed: a broker that ends in good order publishes all wills, then ends our link."""

SHOW_S: Final = 1.0
"""How long the broker may take to show a snapshot, or a result, before it is held to have neither."""

FLAP_S: Final = 60.0
STEADY: Final = 3
HELD_MAX_S: Final = 32.0
"""Who came up more than `STEADY` times within `FLAP_S` holds itself back: 1 s, then twice as long, at most this."""


class Rules(msgspec.Struct, frozen=True):
    """The knobs of ownership, in seconds; ``return_s`` is how long peers may take to come back after a broker did."""

    refresh_s: float = 10.0
    settle_s: float = 0.25
    reclaim_s: float = 1.0
    return_s: float = 3.0


class State(msgspec.Struct, frozen=True):
    """What this coordinator knows of itself and its peers. ``claims`` holds the highest epoch seen.

    ``kept`` are the highest epochs we ever claimed with, as our journal has them. ``unread`` are partitions we own and
    whose claim was not read back since the bus is there again, ``givers`` those whose last owner hands them over.
    ``due`` is when presence is to be refreshed next. ``doubted`` are deaths heard of and not believed yet: what
    the broker kept while it was away may be old, and peers may be on their way back still, until ``term``.
    ``ups`` are the latest instants at which we came up (those of earlier lives below our clock's zero), ``held``:
    that was so often that we do not offer ourselves for now. ``away`` is what became of our session while the bus was
    gone, until tasks have been told. ``leaving``: never again, and ``urged`` even if nobody
    takes what we own.
    """

    node: NodeId
    birth: int
    topics: Topics
    rules: Rules = Rules()
    peers: dict[NodeId, Presence] = {}
    heard: dict[NodeId, float] = {}
    claims: dict[int, Epoch] = {}
    kept: dict[int, Epoch] = {}
    roles: dict[int, Role] = {}
    unread: frozenset[int] = frozenset()
    givers: frozenset[int] = frozenset()
    settled: bool = False
    knocked: tuple[fx.Received, ...] = ()
    ups: tuple[float, ...] = ()
    due: float = 0.0
    doubted: dict[NodeId, Presence] = {}
    term: float = 0.0
    online: bool = False
    away: Literal["", "resumed", "lost"] = ""
    held: bool = False
    leaving: bool = False
    urged: bool = False


Stepped = tuple[State, list[Effect]]


def owned(state: State, partition: int) -> Epoch | None:
    """Return the epoch under which we own `partition`, or None."""
    return state.claims.get(partition) if state.roles.get(partition) == "owner" else None


def is_offered(state: State) -> bool:
    """Tell whether peers shall rank us."""
    return not (state.leaving or state.held)


def holdings(state: State) -> tuple[int, ...]:
    """Return the partitions we own, ascending."""
    return tuple(sorted(p for p, role in state.roles.items() if role == "owner"))


def presence(state: State) -> fx.Publish:
    """Return the frame that says whether we offer ourselves, and what we own until others have claimed it."""
    message = Presence(
        state.node,
        "coordinator",
        state.birth,
        alive=is_offered(state),
        partitions=holdings(state),
        held=state.held and not state.leaving,
        speaks=SPEAKS,
    )
    expiry = max(2, int(3 * state.rules.refresh_s))
    return fx.Publish(state.topics.presence("coordinator", state.node), message, retain=True, expiry_s=expiry)


def claim(state: State, partition: int) -> fx.Publish:
    """Return the frame that says the highest claim we know of.

    One of our own leaves only once the journal has it: no later life of ours claims under the same epoch.
    """
    epoch = state.claims[partition]
    message = Own(partition, epoch)
    return fx.Publish(state.topics.own(partition), message, retain=True, promise=epoch.node == state.node)


def next_epoch(state: State, partition: int) -> Epoch:
    """Return an epoch above all seen, and all we ever claimed with."""
    highest = max(state.claims.get(partition, NO_EPOCH), state.kept.get(partition, NO_EPOCH))
    return Epoch(highest.n + 1, state.node)


def hold_s(ups: tuple[float, ...], now: float) -> float:
    """Return for how long who came up at these instants does not offer itself: 0 unless it flaps."""
    often = sum(now - at <= FLAP_S for at in ups) - STEADY
    return min(HELD_MAX_S, 2.0 ** (often - 1)) if often > 0 else 0.0
