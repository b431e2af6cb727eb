"""Which partitions are to be ours: ranked with the living, claimed, read back, given up."""

import msgspec

from foa.core import effects as fx
from foa.core.effects import Effect
from foa.core.machines.ownership.state import (
    AT_ONCE,
    MORE_S,
    SHOW_S,
    Role,
    State,
    Stepped,
    claim,
    holdings,
    is_offered,
    next_epoch,
    presence,
)
from foa.core.routing.ownership import Holds, Left, Lost
from foa.core.routing.rendezvous import order
from foa.wire.ids import NO_EPOCH
from foa.wire.messages import Own
from foa.wire.topics import Topics


def living(state: State) -> list[str]:
    """Return the peers that offer themselves."""
    return [seen.node for seen in state.peers.values() if seen.alive]


def _ranked(state: State) -> list[str]:
    """Return who is ranked: all that offer themselves; where nobody does, those that only hold themselves back."""
    offered = living(state) + ([state.node] if is_offered(state) else [])
    if offered:
        return offered
    held = [seen.node for seen in state.peers.values() if seen.held]
    return held + ([state.node] if state.held and not state.leaving else [])


def _role(node: str, ranked: list[str], partition: int) -> Role:
    first = order(partition, ranked)[:2]
    return "none" if node not in first else "owner" if first[0] == node else "heir"


def wanted(state: State) -> dict[int, Role]:
    """Return our role in every partition, as the rendezvous of the living has it."""
    ranked = _ranked(state)
    return {partition: _role(state.node, ranked, partition) for partition in range(state.topics.partitions)}


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
        topics(task + "ack"),
        topics(f"answer/{partition}/#"),
    )


def arrange(state: State, now: float) -> Stepped:
    """Move every partition towards the role we should have in it.

    What nobody alive owns is claimed at once. Of what a living owner hands over only `AT_ONCE` are under way at a time,
    so that who joins under load does not stop everybody.
    """
    if not state.settled:
        return state, []
    roles = dict(state.roles)
    claims = dict(state.claims)
    effects: list[Effect] = []
    givers = set(state.givers)
    live = set(living(state))
    room = AT_ONCE - sum(role == "claiming" for role in roles.values())
    waiting = False
    for partition, want in wanted(state).items():
        have = roles.get(partition, "none")
        if have == "none" and want != "none":
            local, echoed = filters(state.topics, partition)
            effects += [fx.Subscribe(local, no_local=True), fx.Subscribe(echoed)]
            have = roles[partition] = "heir"
        if want == "owner" and have == "heir":
            holder = claims.get(partition, NO_EPOCH).node
            if holder in live and room <= 0:
                waiting = True
                continue
            room -= holder in live
            (givers.add if holder in live or is_leaving(state, holder, partition) else givers.discard)(partition)
            claims[partition] = next_epoch(state, partition)
            roles[partition] = "claiming"
            effects += _claims(msgspec.structs.replace(state, claims=claims), partition)
        elif want == "none" and have == "heir":
            roles[partition] = "none"
            effects += [_unsubscribe(state, partition), fx.TellAll("task", Left(partition))]
    if waiting:
        effects.append(fx.Wake("more", now + MORE_S))
    if "claiming" in roles.values():
        effects.append(fx.Wake("reclaim", now + state.rules.reclaim_s))
    state = msgspec.structs.replace(state, roles=roles, claims=claims, givers=frozenset(givers))
    return state, [*effects, *departure(state)]


def is_leaving(state: State, node: str, partition: int) -> bool:
    """Tell whether `node` leaves in good order and still owns `partition`: a will lists none."""
    seen = state.peers.get(node)
    return seen is not None and partition in seen.partitions


def _claims(state: State, partition: int) -> list[Effect]:
    """Put a claim on record, then say it."""
    return [fx.Persist(Own(partition, state.claims[partition]), str(partition)), claim(state, partition)]


def departure(state: State) -> list[Effect]:
    """End the node that leaves, once nothing is its own any more; or at once where nobody is there to take it."""
    if not state.leaving:
        return []
    held = any(role in {"owner", "claiming"} for role in state.roles.values())
    if held and not (state.urged and not living(state)):
        return []
    return [presence(state), fx.Stop("drained")]


def _unsubscribe(state: State, partition: int) -> fx.Unsubscribe:
    local, echoed = filters(state.topics, partition)
    return fx.Unsubscribe(local + echoed)


def heard(state: State, said: Own, now: float) -> Stepped:
    """Read a claim: our own as the highest makes us owner, a higher one of another ends our ownership."""
    highest = state.claims.get(said.partition, NO_EPOCH)
    if said.epoch < highest:
        mine = highest.node == state.node and state.roles.get(said.partition) == "owner"
        return state, [claim(state, said.partition)] if mine else []
    claims = {**state.claims, said.partition: said.epoch}
    state = msgspec.structs.replace(state, claims=claims, unread=state.unread - {said.partition})
    role = state.roles.get(said.partition, "none")
    if said.epoch.node == state.node:
        return _confirmed(state, said, role)
    if role in {"owner", "claiming"}:
        return _superseded(state, said, role, now)
    return state, []


def _confirmed(state: State, said: Own, role: Role) -> Stepped:
    if role != "claiming":
        return state, []
    roles: dict[int, Role] = {**state.roles, said.partition: "owner"}
    state = msgspec.structs.replace(state, roles=roles)
    holds = Holds(said.partition, said.epoch, handed=said.partition in state.givers)
    effects: list[Effect] = [fx.TellAll("task", holds), fx.TellAll("match", holds), fx.Measure("foa_claims_total")]
    if "claiming" not in roles.values():
        effects.append(presence(state))
        effects.append(fx.Log("owns", {"partitions": len(holdings(state))}))
    return state, effects


def _superseded(state: State, said: Own, role: Role, now: float) -> Stepped:
    """Step back; if the rendezvous still has us first, claim above it after a moment (views may differ)."""
    want = _role(state.node, _ranked(state), said.partition)
    roles: dict[int, Role] = {**state.roles, said.partition: "none" if want == "none" else "heir"}
    state = msgspec.structs.replace(state, roles=roles)
    effects: list[Effect] = []
    if role == "owner":
        effects += [fx.TellAll(kind, Lost(said.partition)) for kind in ("task", "match")]
        effects.append(fx.Wake("unshown", now + SHOW_S))
    if want == "owner":
        return state, [*effects, fx.Wake("reclaim", now + state.rules.reclaim_s)]
    if want == "none":
        effects.append(_unsubscribe(state, said.partition))
    if state.leaving:  # whoever told us to leave sees how far we are
        effects.append(presence(state))
    return state, [*effects, *departure(state)]


def insist(state: State, now: float) -> list[Effect]:
    """Say claims again that were never read back."""
    waiting = [p for p, role in sorted(state.roles.items()) if role == "claiming"]
    effects: list[Effect] = [claim(state, p) for p in waiting]
    return [*effects, fx.Wake("reclaim", now + state.rules.reclaim_s)] if waiting else []
