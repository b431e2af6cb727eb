"""Which partitions a coordinator owns, which it stands by for, and under which epoch.

Every coordinator shows itself on ``presence/coordinator/{node}`` and ranks all that live by rendezvous
hashing, partition by partition: the first owns it, the second is its heir and listens along. An owner
claims on the retained topic ``own/{partition}`` with an epoch above all seen; the claim counts once read
back as the highest (`design` 9.1). Tasks hear `Holds` and `Lost`; frames for tasks not known here come
through this machine, which knows whether they are to be worked on or only remembered.

States of one partition::

    none -> heir -> claiming -> owner -> heir | none      (a higher claim read back ends claiming and owner)
"""

from random import Random
from typing import Final, Literal

import msgspec

from foa.core import effects as fx
from foa.core.effects import Effect, Event, Key
from foa.core.routing.ownership import Anew, Holds, Lost, Opened
from foa.core.routing.rendezvous import order
from foa.errors import WireError
from foa.wire import door
from foa.wire.ids import NO_EPOCH, Epoch, NodeId, digest_of, partition_of
from foa.wire.messages import Blob, Dead, Own, Presence, Rejected, Submit
from foa.wire.topics import Topics

Role = Literal["none", "heir", "claiming", "owner"]

KEY: Final = Key("ownership")


MAX_KNOCKED: Final = 256
"""Documents at the door that wait until we know our part."""


class Rules(msgspec.Struct, frozen=True):
    """The knobs of ownership, in seconds."""

    refresh_s: float = 10.0
    settle_s: float = 0.25
    reclaim_s: float = 1.0


class State(msgspec.Struct, frozen=True):
    """What this coordinator knows of itself and its peers. ``claims`` holds the highest epoch seen."""

    node: NodeId
    birth: int
    topics: Topics
    rules: Rules = Rules()
    peers: dict[NodeId, Presence] = {}
    heard: dict[NodeId, float] = {}
    claims: dict[int, Epoch] = {}
    roles: dict[int, Role] = {}
    settled: bool = False
    knocked: tuple[fx.Received, ...] = ()
    online: bool = False
    leaving: bool = False


def step(state: State, event: Event, now: float, rng: Random) -> tuple[State, list[Effect]]:
    """Take one event; see the module's docstring for the states."""
    match event:
        case fx.Online(resumed):
            return _online(state, now, resumed=resumed)
        case fx.Offline():
            return _unheard(msgspec.structs.replace(state, online=False)), []
        case fx.Elapsed(timer):
            return _elapsed(state, timer, now, rng)
        case fx.Received():
            return _received(state, event, now, rng)
        case fx.Cleared(topic) if topic.kind == "presence":
            return _gone(state, topic.node, now)
        case fx.Told(_, "leave"):
            return _leave(state)
        case _:
            return state, []


def _elapsed(state: State, timer: str, now: float, rng: Random) -> tuple[State, list[Effect]]:
    match timer:
        case "settle":
            return _settled(state, now, rng)
        case "refresh":
            state, effects = _forget_silent(state, now)
            pause = state.rules.refresh_s * (0.8 + 0.2 * rng.random())
            return state, [*effects, _presence(state), fx.Wake("refresh", now + pause)]
        case "reclaim":
            state, effects = _arrange(state, now)
            return state, [*effects, *_insist(state, now)]
        case _:
            return state, []


def _received(state: State, event: fx.Received, now: float, rng: Random) -> tuple[State, list[Effect]]:
    match event:
        case fx.Received(_, Presence() as seen):
            return _peer(state, seen, now)
        case fx.Received(_, Own() as claim):
            return _claimed(state, claim, now)
        case fx.Received(topic, Blob(document)) if topic.kind == "door":
            if not state.settled:
                return msgspec.structs.replace(state, knocked=(*state.knocked, event)[-MAX_KNOCKED:]), []
            return state, _through_the_door(state, event, document, rng)
        case fx.Received(topic) if topic.partition >= 0:
            return state, _opened(state, event)
        case _:
            return state, []


def _settled(state: State, now: float, rng: Random) -> tuple[State, list[Effect]]:
    """Our peers have been heard: take our part, and let in who knocked meanwhile."""
    knocked = state.knocked
    state, effects = _arrange(msgspec.structs.replace(state, settled=True, knocked=()), now)
    for event in knocked:
        assert isinstance(event.message, Blob)
        effects += _through_the_door(state, event, event.message.body, rng)
    return state, effects


def _online(state: State, now: float, *, resumed: bool) -> tuple[State, list[Effect]]:
    """Show ourselves and listen to our peers; what we held is claimed again once they have been heard.

    Everyone gets a new term: after our own absence their silence says nothing.
    """
    topics = state.topics
    state = msgspec.structs.replace(state, online=True, heard=dict.fromkeys(state.peers, now))
    effects: list[Effect] = [
        fx.Subscribe((topics("presence/coordinator/+"), topics("own/+"), topics("tasks"))),
        _presence(state),
        fx.Wake("refresh", now + state.rules.refresh_s),
    ]
    if not state.settled:
        effects.append(fx.Wake("settle", now + state.rules.settle_s))
    else:
        effects += [_own(state, p, state.claims[p]) for p, role in sorted(state.roles.items()) if role == "owner"]
        effects.append(fx.TellAll("task", Anew(lost=not resumed)))
        effects.append(fx.Wake("reclaim", now + state.rules.reclaim_s))
    return state, effects


def _unheard(state: State) -> State:
    """Give up claims that were not read back: an echo that comes later says nothing of who claimed above meanwhile."""
    roles: dict[int, Role] = {p: "heir" if role == "claiming" else role for p, role in state.roles.items()}
    return msgspec.structs.replace(state, roles=roles)


def _presence(state: State, *, alive: bool = True) -> fx.Publish:
    owned = tuple(sorted(p for p, role in state.roles.items() if role == "owner"))
    message = Presence(state.node, "coordinator", state.birth, alive=alive, partitions=owned)
    expiry = max(2, int(3 * state.rules.refresh_s))
    return fx.Publish(state.topics.presence("coordinator", state.node), message, retain=True, expiry_s=expiry)


def _own(state: State, partition: int, epoch: Epoch) -> fx.Publish:
    return fx.Publish(state.topics.own(partition), Own(partition, epoch), retain=True)


def _peer(state: State, seen: Presence, now: float) -> tuple[State, list[Effect]]:
    """Take a peer's birth or death; a will of an older life than the one we know is late and means nothing."""
    if seen.node == state.node:
        lost = not seen.alive and seen.epoch == state.birth and not state.leaving
        return state, [_presence(state)] if lost else []
    known = state.peers.get(seen.node)
    if known is not None and seen.epoch < known.epoch:
        return state, []
    peers = {**state.peers, seen.node: seen}
    changed = (known is not None and known.alive) != seen.alive
    state = msgspec.structs.replace(state, peers=peers, heard={**state.heard, seen.node: now})
    return _arrange(state, now) if changed else (state, [])


def _gone(state: State, node: NodeId, now: float) -> tuple[State, list[Effect]]:
    if node not in state.peers:
        return state, []
    peers = {name: seen for name, seen in state.peers.items() if name != node}
    return _arrange(msgspec.structs.replace(state, peers=peers), now)


def _forget_silent(state: State, now: float) -> tuple[State, list[Effect]]:
    """Take a peer for dead that has not refreshed its presence: its will may never have been sent."""
    if not state.online:
        return state, []
    limit = 3 * state.rules.refresh_s
    silent = [node for node in sorted(state.peers) if now - state.heard.get(node, now) > limit]
    if not silent:
        return state, []
    peers = {node: seen for node, seen in state.peers.items() if node not in silent}
    return _arrange(msgspec.structs.replace(state, peers=peers), now)


def _insist(state: State, now: float) -> list[Effect]:
    """Say claims again that were never read back."""
    waiting = [p for p, role in sorted(state.roles.items()) if role == "claiming"]
    effects: list[Effect] = [_own(state, p, state.claims[p]) for p in waiting]
    return [*effects, fx.Wake("reclaim", now + state.rules.reclaim_s)] if waiting else []


def _wanted(state: State) -> dict[int, Role]:
    """Return our role in every partition, as the rendezvous of the living has it."""
    live = [seen.node for seen in state.peers.values() if seen.alive]
    if not state.leaving:
        live.append(state.node)
    wanted: dict[int, Role] = {}
    for partition in range(state.topics.partitions):
        ranked = order(partition, live)[:2]
        wanted[partition] = "none" if state.node not in ranked else "owner" if ranked[0] == state.node else "heir"
    return wanted


def filters(topics: Topics, partition: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what an owner or heir listens to: with its own frames left out, and with them.

    Own snapshots need not come back; own results must: the first in broker order is final (`design` 9.2).
    """
    task = f"task/{partition}/+/"
    return (topics(task + "state/+"),), (
        topics(task + "submit"),
        topics(task + "cancel"),
        topics(task + "feedback"),
        topics(task + "input"),
        topics(task + "result"),
        topics(f"answer/{partition}/#"),
    )


def _arrange(state: State, now: float) -> tuple[State, list[Effect]]:
    """Move every partition towards the role we should have in it."""
    if not state.settled:
        return state, []
    roles = dict(state.roles)
    claims = dict(state.claims)
    effects: list[Effect] = []
    for partition, want in _wanted(state).items():
        have = roles.get(partition, "none")
        if have == "none" and want != "none":
            local, echoed = filters(state.topics, partition)
            effects += [fx.Subscribe(local, no_local=True), fx.Subscribe(echoed)]
        if want == "owner" and have in {"none", "heir"}:
            claims[partition] = Epoch(claims.get(partition, NO_EPOCH).n + 1, state.node)
            effects.append(_own(state, partition, claims[partition]))
            roles[partition] = "claiming"
        elif want != "owner" and have in {"none", "heir"}:
            roles[partition] = want
            if want == "none" and have == "heir":
                effects.append(_unsubscribe(state, partition))
    if "claiming" in roles.values():
        effects.append(fx.Wake("reclaim", now + state.rules.reclaim_s))
    return msgspec.structs.replace(state, roles=roles, claims=claims), effects


def _unsubscribe(state: State, partition: int) -> fx.Unsubscribe:
    local, echoed = filters(state.topics, partition)
    return fx.Unsubscribe(local + echoed)


def _claimed(state: State, claim: Own, now: float) -> tuple[State, list[Effect]]:
    """Read a claim: our own as the highest makes us owner, a higher one of another ends our ownership."""
    highest = state.claims.get(claim.partition, NO_EPOCH)
    if claim.epoch < highest:
        mine = highest.node == state.node and state.roles.get(claim.partition) == "owner"
        return state, [_own(state, claim.partition, highest)] if mine else []
    claims = {**state.claims, claim.partition: claim.epoch}
    state = msgspec.structs.replace(state, claims=claims)
    role = state.roles.get(claim.partition, "none")
    if claim.epoch.node == state.node:
        return _confirmed(state, claim, role)
    if role in {"owner", "claiming"}:
        return _superseded(state, claim, role, now)
    return state, []


def _confirmed(state: State, claim: Own, role: Role) -> tuple[State, list[Effect]]:
    if role != "claiming":
        return state, []
    roles: dict[int, Role] = {**state.roles, claim.partition: "owner"}
    state = msgspec.structs.replace(state, roles=roles)
    holds = Holds(claim.partition, claim.epoch)
    effects: list[Effect] = [fx.TellAll("task", holds), fx.TellAll("match", holds), fx.Measure("foa_claims_total")]
    if "claiming" not in roles.values():
        effects.append(_presence(state))
        effects.append(fx.Log("owns", {"partitions": sum(role == "owner" for role in roles.values())}))
    return state, effects


def _superseded(state: State, claim: Own, role: Role, now: float) -> tuple[State, list[Effect]]:
    """Step back; if the rendezvous still has us first, claim above it after a moment (views may differ)."""
    roles: dict[int, Role] = {**state.roles, claim.partition: "heir"}
    state = msgspec.structs.replace(state, roles=roles)
    effects: list[Effect] = []
    if role == "owner":
        effects += [fx.TellAll(kind, Lost(claim.partition)) for kind in ("task", "match")]
    if _wanted(state)[claim.partition] == "owner":
        return state, [*effects, fx.Wake("reclaim", now + state.rules.reclaim_s)]
    arranged, more = _arrange(state, now)
    return arranged, effects + more


def _opened(state: State, event: fx.Received) -> list[Effect]:
    partition = event.topic.partition
    role = state.roles.get(partition, "none")
    if role == "none":
        return []
    epoch = state.claims.get(partition) if role == "owner" else None
    return [fx.Tell(Key("task", event.topic.task), Opened(partition, epoch, event))]


def _through_the_door(state: State, event: fx.Received, document: bytes, rng: Random) -> list[Effect]:
    """Make a stranger's document an ordinary submission.

    Every coordinator hears it; with an id the owner and the heir both pass it on (it is the same task),
    without one only the owner does. A document that cannot be read is told so where it asked for a reply.
    """
    fresh = f"door-{rng.getrandbits(64):016x}"
    try:
        task = door.read(document, fresh)
    except WireError as error:
        return _turned_away(state, event, error, document)
    partition = partition_of(task.id, state.topics.partitions)
    role = state.roles.get(partition, "none")
    named = task.id != fresh
    if role == "none" or (role == "heir" and not named):
        return []
    if not named and not event.reply_to:
        missing = WireError("door", "a document without id needs a Response Topic; add an id or a Response Topic")
        return _turned_away(state, event, missing, document)
    topic = state.topics.task(partition, task.id, "submit")
    reply_to = event.reply_to or state.topics(f"tasks/{task.id}/result")
    return [fx.Publish(topic, Submit(task), event.envelope, reply_to=reply_to, correlation=event.correlation)]


def _turned_away(state: State, event: fx.Received, error: WireError, document: bytes) -> list[Effect]:
    """Say no once, not once per coordinator: the owner of the document's own partition does."""
    partition = partition_of(digest_of(document), state.topics.partitions)
    if state.roles.get(partition) not in {"owner", "claiming"}:
        return []
    dead = Dead(error.reason, error.detail[:500], state.topics("tasks"), state.node, document[:256])
    effects: list[Effect] = [
        fx.Publish(state.topics.dead(error.reason), dead, qos=0),
        fx.Measure("foa_dead_letters_total", label=error.reason),
        fx.Log("door_refused", {"detail": error.detail}, "warning"),
    ]
    if event.reply_to:
        refused = door.write(Rejected("unknown", "door", error.detail[:500]))
        effects.append(fx.Publish(event.reply_to, refused, correlation=event.correlation))
    return effects


def _leave(state: State) -> tuple[State, list[Effect]]:
    """Say goodbye: peers rank without us from now on; we go on serving until they have claimed."""
    state = msgspec.structs.replace(state, leaving=True)
    return state, [_presence(state, alive=False)]


def owned(state: State, partition: int) -> Epoch | None:
    """Return the epoch under which we own `partition`, or None."""
    return state.claims.get(partition) if state.roles.get(partition) == "owner" else None
