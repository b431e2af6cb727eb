"""What an agent says of itself: its card, that it is there, its vector; and that it may end."""

import msgspec

from foa.core import effects as fx
from foa.core.effects import Effect
from foa.core.machines.agent.state import Agent, Context
from foa.wire.envelope import Envelope
from foa.wire.ids import Epoch, Version, partition_of
from foa.wire.messages import Presence

Stepped = tuple[Agent, list[Effect]]


def card(context: Context, status: str, source: str = "agent", birth: int = 0) -> fx.Publish:
    """Return the frame that shows the agent's card with its status; the will is the same, ``offline`` by ``lwt``.

    It names the life it is of, so that a late will of an older one is told apart. That somebody is there is said again
    and again, and expires: a will may never be sent.
    """
    topic = context.topics.discovery(context.profile.agent)
    life = Epoch(max(context.birth, birth), context.node)
    expiry = max(1, round(3 * context.rules.refresh_s)) if status == "online" else None
    envelope = Envelope(status=status, epoch=life, source=source)
    return fx.Publish(topic, context.card, envelope, retain=True, expiry_s=expiry)


def shown(context: Context, state: Agent) -> fx.Publish:
    """Return the frame that shows the card as things stand."""
    return card(context, "offline" if state.draining else "online", birth=state.birth)


def read_back(context: Context, state: Agent, event: fx.Received) -> Stepped:
    """Read what is said of us; a will of ours, of this life or an older one, is denied.

    If it is of a later life than this (another clock bore it) we go on as younger than that: nobody would believe us.
    """
    said, birth = event.envelope, max(context.birth, state.birth)
    life = said.epoch.n if said.epoch is not None else 0
    if life > birth:
        vcv = state.vcv
        if vcv is not None:
            vcv = msgspec.structs.replace(vcv, version=Version(life + 1, state.counter))
        state = msgspec.structs.replace(state, birth=life + 1, vcv=vcv)
        log = fx.Log("birth_raised", {"birth": state.birth}, "warning")
        return state, [shown(context, state), *([vector(context, state)] if vcv is not None else []), log]
    return state, [shown(context, state)] if said.status == "offline" and not state.draining else []


def vector(context: Context, state: Agent) -> fx.Publish:
    """Return the frame that shows the agent's capability vector."""
    partition = partition_of(context.profile.agent, context.topics.partitions)
    return fx.Publish(context.topics.vcv(partition, context.profile.agent), state.vcv, retain=True)


def departure(context: Context, state: Agent) -> list[Effect]:
    """Tell who told us to leave how much is left, and end once nothing runs and every answer was heard."""
    if not state.draining:
        return []
    left = len(state.running) + len(state.waiting) + len(state.answers)
    effects: list[Effect] = []
    if state.watcher:
        word = Presence(context.node, "agent", max(context.birth, state.birth), alive=left > 0, load=left)
        effects.append(fx.Publish(state.watcher, word))
    return effects if left else [*effects, fx.Stop("drained")]
