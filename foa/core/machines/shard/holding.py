"""Which partitions this index node holds: membership, filling, handing over, presence.

Every function mutates the state's tables and returns the state with its small parts replaced.
"""

from dataclasses import replace
from typing import Final

from foa.core.effects import Effect, Log, Measure, Publish, Request, Stop, Subscribe, Unsubscribe, Wake
from foa.core.machines.shard.filling import Holding, differs, finish, is_taken_over, judge, replay
from foa.core.machines.shard.state import Shard, Stepped, index
from foa.core.routing.exchange import Place
from foa.core.routing.rendezvous import share
from foa.wire.codec import SPEAKS
from foa.wire.messages import Presence

SETTLE: Final = "settle"
REFRESH: Final = "refresh"
ANNOUNCE: Final = "announce"
MAX_RESCANS: Final = 3
"""How often all cards are asked for again after a change of partitions, while some are missing."""


def open_up(state: Shard, *, resumed: bool, now: float) -> Stepped:
    """Answer `Online`: at first subscribe and wait for who else is there; later doubt what may have been missed."""
    setup = state.setup
    state.catalogue.lives.renew(now)
    effects: list[Effect] = []
    if not state.opened:
        own = (setup.topics.index(setup.node, "ask"), setup.topics.index(setup.node, "embed"))
        paths = (setup.topics("presence/index/+"), setup.topics("discovery/#"), setup.topics("control/+"))
        effects = [Subscribe(own + paths), Wake(REFRESH, now + setup.refresh_s)]
        if state.catalogue.columns.agents:  # kept over a restart
            effects.append(Request("index", "", Place(tuple(state.catalogue.columns.agents))))
        state = replace(state, doubt_ends=now + setup.pace.grace_s)
    elif not resumed:
        for partition, holding in state.holdings.items():
            holding.replays = 0
            replay(holding, state.catalogue.members(partition), now)
        state.catalogue.doubt()
        state = replace(state, doubt_ends=now + setup.pace.grace_s)
    state = replace(state, opened=True, members=state.members.touched(now), rescans=0)
    return state, [*effects, presence(state), Wake(SETTLE, now + setup.pace.settle_s)]


def presence(state: Shard) -> Publish:
    """Return the publication that says what this node serves completely right now."""
    setup = state.setup
    served = covered(state)
    over = state.draining and _is_free(state)
    word = Presence(
        node=setup.node,
        role="index",
        epoch=epoch_of(state),
        alive=not over,
        held=state.draining and not over,
        partitions=served,
        digests={p: state.catalogue.digest(p) for p in served},
        load=len(state.work.jobs),
        model=setup.model,
        software=setup.software,
        speaks=SPEAKS,
    )
    return Publish(setup.topics.presence("index", setup.node), word, retain=True, expiry_s=max(1, round(setup.ttl_s)))


def epoch_of(state: Shard) -> int:
    """Return the number of this life: above a later one of another clock that was read back."""
    return max(state.setup.epoch, state.epoch)


def covered(state: Shard) -> tuple[int, ...]:
    """Return the partitions that are complete here, ascending, those that are being handed over too."""
    return tuple(sorted(p for p, holding in state.holdings.items() if holding.phase != "filling"))


def announce_soon(state: Shard, now: float) -> Stepped:
    """Publish the presence shortly, once for all changes until then."""
    if state.announcing:
        return state, []
    return replace(state, announcing=True), [Wake(ANNOUNCE, now + state.setup.announce_s)]


def on_presence(state: Shard, word: Presence, now: float) -> Stepped:
    """Take in what an index node says; what is said about ourselves is corrected if it is wrong."""
    if word.node == state.setup.node:
        if word.epoch > epoch_of(state):  # a later life than this: another clock bore it, and nobody would believe us
            state = replace(state, epoch=word.epoch + 1)
            return state, [presence(state)]
        wrong = not word.alive and not (state.draining and _is_free(state))
        return state, [presence(state)] if wrong else []
    return rebalance(replace(state, members=state.members.heard(word, now)), now)


def rebalance(state: Shard, now: float) -> Stepped:
    """Gain and lose partitions as the live nodes have it, and give up what others have taken over."""
    if not state.settled:
        return state, []
    setup = state.setup
    me = set() if state.draining else {setup.node}
    ranked = {node for node, member in state.members.live.items() if not member.presence.held}
    nodes = tuple(sorted((ranked - {setup.node}) | me))
    gained: list[int] = []
    effects: list[Effect] = []
    if nodes != state.nodes:
        wanted = frozenset(share(setup.node, nodes, setup.topics.partitions, setup.replicas))
        gained = _turn(state, wanted, now)
        strange = [p for p in state.catalogue.partitions() if p not in state.holdings]  # kept, and not ours any more
        effects += [effect for p in strange for effect in index(state.catalogue.release(p))]
        state = replace(state, nodes=nodes, rescans=0 if gained else state.rescans)
    lost = [p for p in list(state.holdings) if _is_over(state, p, now)]
    effects += [effect for p in lost for effect in index(state.catalogue.release(p))]
    for partition in lost:
        del state.holdings[partition]
    if gained:
        effects += [Subscribe(_patterns(state, gained)), Wake(SETTLE, now + setup.pace.settle_s)]
    if lost:
        effects += [Unsubscribe(_patterns(state, lost)), presence(state)]
    if state.draining and _is_free(state):
        effects += [presence(state), Stop("drained")]
    return state, effects


def _is_free(state: Shard) -> bool:
    """Tell whether a node that leaves may end: others hold all it held, or nobody is there and it was urged."""
    return not state.holdings or (state.urged and not state.nodes)


def _turn(state: Shard, wanted: frozenset[int], now: float) -> list[int]:
    """Bring every holding's phase in line with `wanted`; return the partitions that are new."""
    for partition, holding in state.holdings.items():
        if partition in wanted and holding.phase == "leaving":
            holding.phase, holding.since = "held", now
        elif partition not in wanted and holding.phase != "leaving":
            was = holding.phase
            holding.phase, holding.since = "leaving", now
            if was == "filling":
                holding.since = float("-inf")
    gained = [partition for partition in sorted(wanted) if partition not in state.holdings]
    for partition in gained:
        state.holdings[partition] = _begun(state, partition, now)
    return gained


def _begun(state: Shard, partition: int, now: float) -> Holding:
    """Begin to fill a partition, with what was kept of it if anything was."""
    known, rivals = state.catalogue.members(partition), _rivals(state, partition)
    holding = Holding("filling", now, now)
    replay(holding, known, now)
    if known and (not rivals or state.catalogue.digest(partition) in rivals):
        holding.phase = "held"
    return holding


def _is_over(state: Shard, partition: int, now: float) -> bool:
    holding, setup = state.holdings[partition], state.setup
    if holding.phase != "leaving":
        return False
    if now - holding.since >= setup.pace.grace_s and state.nodes:
        return True
    listed = {node: member.presence for node, member in state.members.live.items()}
    return is_taken_over(partition, setup.node, state.nodes, setup.replicas, listed)


def _patterns(state: Shard, partitions: list[int]) -> tuple[str, ...]:
    return tuple(
        state.setup.topics(f"{kind}/{partition}/#") for partition in partitions for kind in ("vcv", "evidence")
    )


def settle(state: Shard, now: float) -> Stepped:
    """Go on with every replay that has been quiet for long enough; list what became complete."""
    if not state.settled:
        state, effects = rebalance(replace(state, settled=True), now)
        return state, [*effects, presence(state)] if covered(state) else effects
    before = covered(state)
    effects = []
    again: list[int] = []
    for partition, holding in state.holdings.items():
        if holding.replays:
            effects += _proceed(state, partition, holding, again, now)
    if again:
        effects.append(Subscribe(_patterns(state, again)))
    if covered(state) != before:
        effects.append(presence(state))
    if any(holding.replays for holding in state.holdings.values()):
        effects.append(Wake(SETTLE, now + state.setup.pace.settle_s))
    return state, effects


def _proceed(state: Shard, partition: int, holding: Holding, again: list[int], now: float) -> list[Effect]:
    """Take one replay a step further; append the partition to `again` if it is to be repeated."""
    catalogue, pace = state.catalogue, state.setup.pace
    if now - holding.quiet_since < pace.settle_s:
        return []
    mine, swept = catalogue.digest(partition), catalogue.digest(partition, holding.unseen)
    lacking = bool(catalogue.lacking(partition))
    verdict = judge(holding, mine, swept, _rivals(state, partition), lacking=lacking, pace=pace, now=now)
    if verdict == "wait":
        return []
    if verdict == "replay":
        again.append(partition)
        replay(holding, catalogue.members(partition), now)
        return []
    effects: list[Effect] = []
    if verdict != "keep":
        effects = [effect for agent in sorted(holding.unseen) for effect in index(catalogue.drop(agent))]
    if verdict == "overrule":
        effects.append(Log("shard.replica_differs", {"partition": partition}, "warning"))
        effects.append(Measure("shard_overruled"))
    finish(holding)
    return effects


def _rivals(state: Shard, partition: int) -> tuple[int, ...]:
    """Return the digests of the replicas that list `partition`."""
    words = (member.presence for member in state.members.live.values())
    return tuple(w.digests[partition] for w in words if partition in w.partitions and partition in w.digests)


def refresh(state: Shard, now: float) -> Stepped:
    """Do what is due now and then: forget the silent, heal what differs, ask for missing cards, be present."""
    state = replace(state, members=state.members.expired(now))
    state, effects = rebalance(state, now)
    ill = [p for p, holding in state.holdings.items() if holding.phase == "held" and _is_ill(state, p, now)]
    for partition in ill:
        replay(state.holdings[partition], state.catalogue.members(partition), now)
    if ill:
        effects += [Subscribe(_patterns(state, ill)), Wake(SETTLE, now + state.setup.pace.settle_s)]
        effects.append(Measure("shard_healed", amount=len(ill)))
    quiet = now - state.catalogue.carded_at >= state.setup.pace.heal_s  # else the replay of cards still runs
    if quiet and state.catalogue.doubted and now >= state.doubt_ends:
        effects += index(state.catalogue.disbelieve())
    if quiet and state.rescans < MAX_RESCANS and _misses_cards(state):
        state = replace(state, rescans=state.rescans + 1)
        effects.append(Subscribe((state.setup.topics("discovery/#"),)))
    return state, [*effects, presence(state), Wake(REFRESH, now + state.setup.refresh_s)]


def _is_ill(state: Shard, partition: int, now: float) -> bool:
    mine = state.catalogue.digest(partition)
    return differs(state.holdings[partition], mine, _rivals(state, partition), state.setup.pace, now)


def _misses_cards(state: Shard) -> bool:
    catalogue = state.catalogue
    return bool(catalogue.doubted) or any(
        catalogue.cardless(p) or any(agent not in state.strangers for agent in catalogue.lacking(p))
        for p in state.holdings
    )


def drain(state: Shard, now: float, *, urged: bool = False) -> Stepped:
    """Leave in good order: tell everybody, serve until others have taken over, then stop.

    ``urged`` (by a signal): also where nobody else is there.
    """
    state, effects = rebalance(replace(state, draining=True, urged=state.urged or urged), now)
    return state, [presence(state), *effects]
