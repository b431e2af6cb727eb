"""Which partitions a coordinator owns, which it stands by for, and under which epoch.

Every coordinator shows itself on ``presence/coordinator/{node}`` and ranks all that live by rendezvous
hashing, partition by partition: the first owns it, the second is its heir and listens along. An owner
claims on the retained topic ``own/{partition}`` with an epoch above all seen; the claim counts once read
back as the highest (`design` 9.1). Tasks hear `Holds` and `Lost`; frames for tasks not known here come
through this machine, which knows whether they are to be worked on or only remembered.

States of one partition::

    none -> heir -> claiming -> owner -> heir | none      (a higher claim read back ends claiming and owner)

Who is told to leave (`Control` drain, SIGTERM) or flaps offers itself no more: the others claim what it owns, it
goes on serving each partition until then, and who leaves ends once it owns nothing (decisions/0024).
"""

from random import Random

import msgspec

from foa.core import effects as fx
from foa.core.effects import Effect, Event, Key
from foa.core.machines.ownership import roles
from foa.core.machines.ownership.entrance import through_the_door
from foa.core.machines.ownership.state import (
    FLAP_S,
    KEY,
    MAX_KNOCKED,
    MAX_PEERS,
    SHOW_S,
    WILL_S,
    Rules,
    State,
    Stepped,
    claim,
    hold_s,
    holdings,
    is_offered,
    owned,
    presence,
)
from foa.core.routing.ownership import Anew, Opened, Unshown
from foa.wire.messages import Blob, Cancel, Control, Own, Presence, Submit

__all__ = ["KEY", "Rules", "State", "owned", "step"]


def step(state: State, event: Event, now: float, rng: Random) -> Stepped:
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
        case fx.Cleared(topic) if topic.kind == "own" and owned(state, topic.partition) is not None:
            return state, [claim(state, topic.partition)]
        case fx.Restored(Own(partition, epoch)):
            return msgspec.structs.replace(state, kept={**state.kept, partition: epoch}), []
        case fx.Told(_, "leave"):
            return _leave(state, now, urged=True)
        case _:
            return state, []


def _elapsed(state: State, timer: str, now: float, rng: Random) -> Stepped:
    match timer:
        case "settle":
            return _settled(state, now, rng)
        case "refresh":
            return _refresh(state, now, rng)
        case "reclaim":
            return _reclaim(state, now)
        case "more":
            return roles.arrange(state, now)
        case "doubt":
            return _believed(state, now)
        case "unshown":
            ours = frozenset(p for p, role in state.roles.items() if role != "none")
            return state, [fx.TellAll("task", Unshown(ours))] if state.online else []
        case "hold":
            return _offered(msgspec.structs.replace(state, held=False), now)
        case _:
            return state, []


def _received(state: State, event: fx.Received, now: float, rng: Random) -> Stepped:
    match event:
        case fx.Received(_, Presence() as seen):
            return _peer(state, seen, now)
        case fx.Received(_, Own() as said):
            return roles.heard(state, said, now)
        case fx.Received(_, Control("drain", node)) if node == state.node and not event.retained:
            return _leave(state, now, urged=False)
        case fx.Received(_, Control("rebirth", node)) if node in {"", state.node}:
            return state, [presence(state), *(claim(state, p) for p in holdings(state))]
        case fx.Received(topic, Blob(document)) if topic.kind == "door":
            if not state.settled:
                return msgspec.structs.replace(state, knocked=(*state.knocked, event)[-MAX_KNOCKED:]), []
            return state, through_the_door(state, event, document, rng)
        case fx.Received(topic) if topic.partition >= 0:
            return state, _opened(state, event)
        case _:
            return state, []


# --- coming up --------------------------------------------------------------------------------------------


def _online(state: State, now: float, *, resumed: bool) -> Stepped:
    """Show ourselves and listen to our peers; what we held is said again once it was not read back.

    Everyone gets a new term: after our own absence their silence says nothing, nor do wills for a while. Who comes up
    too often waits.
    """
    topics, rules = state.topics, state.rules
    ups = tuple(at for at in (*state.ups, now) if now - at <= FLAP_S)[-64:]
    pause = hold_s(ups, now)
    state = msgspec.structs.replace(
        state,
        online=True,
        ups=ups,
        held=pause > 0.0 and not state.leaving,
        heard=dict.fromkeys(state.peers, now),
        due=now + rules.refresh_s,
        term=now + rules.return_s if state.settled else 0.0,
        unread=frozenset(holdings(state)),
        away="resumed" if resumed else "lost",
    )
    effects: list[Effect] = [
        fx.Subscribe((topics("presence/coordinator/+"), topics("own/+"), topics("control/+"), topics("tasks"))),
        presence(state),
        fx.Wake("refresh", state.due),
    ]
    if state.doubted:
        effects.append(fx.Wake("doubt", max(state.term, now + WILL_S)))
    if state.held:
        log = fx.Log("held_back", {"seconds": pause, "ups": len(ups)}, "warning")
        effects += [fx.Wake("hold", now + pause), log, fx.Measure("foa_holds_total")]
    if not state.settled:
        effects.append(fx.Wake("settle", now + rules.settle_s))
    else:
        effects.append(fx.Wake("reclaim", now + rules.reclaim_s))
    return state, effects


def _unheard(state: State) -> State:
    """Give up claims that were not read back: an echo that comes later says nothing of who claimed above meanwhile."""
    given_up = {p: "heir" if role == "claiming" else role for p, role in state.roles.items()}
    return msgspec.structs.replace(state, roles=given_up)


def _offered(state: State, now: float) -> Stepped:
    """Take our part again after we held ourselves back."""
    state, effects = roles.arrange(state, now)
    return state, [presence(state), *effects]


def _settled(state: State, now: float, rng: Random) -> Stepped:
    """Our peers have been heard: take our part, and let in who knocked meanwhile."""
    knocked = state.knocked
    state, effects = roles.arrange(msgspec.structs.replace(state, settled=True, knocked=()), now)
    for event in knocked:
        assert isinstance(event.message, Blob)
        effects += through_the_door(state, event, event.message.body, rng)
    return state, [*effects, fx.Wake("reclaim", now + state.rules.reclaim_s)]


def _reclaim(state: State, now: float) -> Stepped:
    """Say again what was not read back: claims under way, and after an absence all that is still ours.

    Not while the bus is away again: it would leave unread with the reconnection.
    """
    if not state.online:
        return state, []
    effects: list[Effect] = [claim(state, p) for p in sorted(state.unread) if state.roles.get(p) == "owner"]
    if state.away:
        effects += [fx.TellAll("task", Anew(lost=state.away == "lost")), fx.Wake("unshown", now + SHOW_S)]
    state = msgspec.structs.replace(state, unread=frozenset(), away="")
    state, more = roles.arrange(state, now)
    return state, [*effects, *more, *roles.insist(state, now)]


# --- peers ------------------------------------------------------------------------------------------------


def _peer(state: State, seen: Presence, now: float) -> Stepped:
    """Take a peer's birth or death; a will is believed a moment later, or at our `term`."""
    if seen.node == state.node:
        return _ourselves(state, seen)
    known = state.peers.get(seen.node)
    is_will = not (seen.held or seen.partitions)
    dies = known is not None and known.alive and known.epoch == seen.epoch and not seen.alive
    if dies and (is_will or now < state.term):
        state = msgspec.structs.replace(state, doubted={**state.doubted, seen.node: seen})
        return state, [fx.Wake("doubt", max(state.term, now + WILL_S))]
    return _told(state, seen, now)


def _told(state: State, seen: Presence, now: float) -> Stepped:
    """Believe what is said of a peer; a will of an older life than the one we know is late and means nothing."""
    known = state.peers.get(seen.node)
    if (known is None and len(state.peers) >= MAX_PEERS) or (known is not None and seen.epoch < known.epoch):
        return state, []
    peers = {**state.peers, seen.node: seen}
    before = (known.alive, known.held) if known is not None else (False, False)
    changed = before != (seen.alive, seen.held)
    doubted = {node: said for node, said in state.doubted.items() if node != seen.node}
    state = msgspec.structs.replace(state, peers=peers, heard={**state.heard, seen.node: now}, doubted=doubted)
    return roles.arrange(state, now) if changed else (state, [])


def _believed(state: State, now: float) -> Stepped:
    """Take for dead who was said to be, and has not said otherwise since; not while we hear nobody."""
    effects: list[Effect] = []
    if not state.online:
        return state, []
    for seen in [state.doubted[node] for node in sorted(state.doubted)]:
        state, more = _told(state, seen, now)
        effects += more
    return state, effects


def _ourselves(state: State, seen: Presence) -> Stepped:
    """Mend what is said of us: a will of this life or an older one. A later life than this had another clock.

    Peers ignore who is older than they know: we go on as younger than that.
    """
    if seen.epoch > state.birth:
        state = msgspec.structs.replace(state, birth=seen.epoch + 1)
        return state, [presence(state), fx.Log("birth_raised", {"birth": state.birth}, "warning")]
    return state, [presence(state)] if is_offered(state) and not seen.alive else []


def _gone(state: State, node: str, now: float) -> Stepped:
    if node == state.node and state.online and not state.leaving:
        return state, [presence(state)]
    if node not in state.peers:
        return state, []
    peers = {name: seen for name, seen in state.peers.items() if name != node}
    return roles.arrange(msgspec.structs.replace(state, peers=peers), now)


def _refresh(state: State, now: float, rng: Random) -> Stepped:
    """Be present, and take a peer for dead that has not been so: its will may never have been sent.

    Where we were stopped ourselves (the timer is late by a term) the silence was ours.
    """
    if now - state.due > state.rules.refresh_s:
        state = msgspec.structs.replace(state, heard=dict.fromkeys(state.peers, now))
    limit = 3 * state.rules.refresh_s
    silent = [node for node in sorted(state.peers) if now - state.heard.get(node, now) > limit]
    effects: list[Effect] = []
    if silent and state.online:
        peers = {node: seen for node, seen in state.peers.items() if node not in silent}
        heard = {node: at for node, at in state.heard.items() if node not in silent}
        state, effects = roles.arrange(msgspec.structs.replace(state, peers=peers, heard=heard), now)
    due = now + state.rules.refresh_s * (0.8 + 0.2 * rng.random())
    state = msgspec.structs.replace(state, due=due)
    return state, [*effects, presence(state), fx.Wake("refresh", due)]


# --- frames of tasks, and the end -------------------------------------------------------------------------


def _opened(state: State, event: fx.Received) -> list[Effect]:
    partition = event.topic.partition
    role = state.roles.get(partition, "none")
    if role == "none":
        return []
    epoch = state.claims.get(partition) if role == "owner" else None
    asks = isinstance(event.message, Submit | Cancel)  # whoever asks may ask for a task that ended long ago
    to = Key("memory") if asks else Key("task", event.topic.task)
    return [fx.Tell(to, Opened(partition, epoch, event))]


def _leave(state: State, now: float, *, urged: bool) -> Stepped:
    """Say goodbye: peers rank without us from now on; we go on serving until they have claimed.

    ``urged`` (by a signal): also where nobody is there to take over; what we own is in snapshots and journal.
    """
    state = msgspec.structs.replace(state, leaving=True, urged=state.urged or urged)
    said = presence(state)
    log = fx.Log("leaving", {"partitions": len(holdings(state)), "peers": len(roles.living(state))})
    state, effects = roles.arrange(state, now)
    return state, [said, log, *effects]
