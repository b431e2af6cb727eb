"""The door for strangers: a JSON document on ``tasks`` becomes an ordinary submission at once."""

from random import Random

from foa.core import effects as fx
from foa.core.effects import Effect
from foa.core.machines.ownership.state import State
from foa.errors import WireError
from foa.wire import door
from foa.wire.ids import digest_of, partition_of
from foa.wire.messages import Dead, Rejected, Submit


def through_the_door(state: State, event: fx.Received, document: bytes, rng: Random) -> list[Effect]:
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
