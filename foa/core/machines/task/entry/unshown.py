"""What is remembered of another's task and the broker does not show: said again, or nobody would ever know of it.

A broker may forget a part while the task's owner is away; who owns the partition then never heard of the task, and who
did has it in memory or journal. So whoever remembers a snapshot reads it back once the bus is there again, and who was
its owner forgets it only once the next was heard of.
"""

import msgspec

from foa.core import effects as fx
from foa.core.dag.blobs import store
from foa.core.effects import Effect
from foa.core.machines.task.live import Context, Shadow
from foa.wire.envelope import Envelope
from foa.wire.messages import State


def doubted(context: Context, shadow: Shadow) -> tuple[Shadow, list[Effect]]:
    """Have the broker show what it keeps of a task that somebody else owns."""
    if shadow.snapshot is None or shadow.epoch is not None:
        return shadow, []
    ident = shadow.snapshot.task.id
    topics = tuple(context.topics.task(shadow.partition, ident, kind) for kind in ("state/0", "result"))
    effects: list[Effect] = [fx.Subscribe(topics), fx.Unsubscribe(topics)]
    return msgspec.structs.replace(shadow, unshown=True), effects


def shown(shadow: Shadow, received: fx.Received) -> Shadow:
    """Take a frame as the broker's word that it knows at least as much as we remember."""
    seen, kept = received.message, shadow.snapshot
    if not shadow.unshown or kept is None or not isinstance(seen, State) or seen.group:
        return shadow
    if (seen.epoch, seen.seq) < (kept.epoch, kept.seq):
        return shadow
    return msgspec.structs.replace(shadow, unshown=False)


def said(context: Context, shadow: Shadow, now: float) -> tuple[Shadow, list[Effect]]:
    """Say what we remember, of a large plan all its parts; its owner takes it over, or says that it is over."""
    kept = shadow.snapshot
    if not shadow.unshown or kept is None or shadow.epoch is not None:
        return shadow, []
    shadow = msgspec.structs.replace(shadow, unshown=False)
    left = kept.left_ms - int((now - shadow.since) * 1000)
    if left < -1000 * kept.task.retention_s:  # its result was kept no longer than that
        return shadow, []
    left = max(0, left)
    expiry = left // 1000 + kept.task.retention_s + 1
    effects: list[Effect] = []
    if kept.plan_ref and shadow.plan is not None:
        effects += store(msgspec.msgpack.encode(shadow.plan), context.topics, expiry)[1]
    elif kept.plan_ref and kept.plan_ref in shadow.blobs:
        effects += [
            fx.Publish(context.topics.blob(digest), blob, retain=True, expiry_s=expiry)
            for digest, blob in shadow.blobs.items()
            if digest
        ]
    for held in (*(shadow.groups[at] for at in sorted(shadow.groups)), kept):
        topic = context.topics.task(shadow.partition, kept.task.id, f"state/{held.group}")
        record = msgspec.structs.replace(held, left_ms=left, last=False)
        effects.append(fx.Publish(topic, record, Envelope(epoch=record.epoch), retain=True, expiry_s=expiry))
    effects.append(fx.Log("snapshot_said_again", {"task": kept.task.id}, "warning"))
    return shadow, [*effects, fx.Measure("foa_snapshots_said_again_total")]
