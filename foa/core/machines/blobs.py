"""Reads bodies that were sent by reference: subscribes, checks digests, puts chunks together, gives up in time.

Under ``Key("blobs")`` in every node that handles payloads (agents, clients). Another machine of the node
sends `Fetch` and hears `Fetched`. What was read is kept a while, bounded by `MAX_HELD` bytes, oldest out first.
"""

from random import Random
from typing import Final, NamedTuple

import msgspec

from foa.core import effects as fx
from foa.core.dag.blobs import MAX_BODY, Fetch, Fetched, assemble, missing
from foa.core.effects import Effect, Event, Key
from foa.wire.ids import Digest, digest_of
from foa.wire.messages import Blob
from foa.wire.records import Ref
from foa.wire.topics import Topics

KEY: Final = Key("blobs")
MAX_HELD: Final = 64 * 1024 * 1024
PATIENCE_S: Final = 5.0


class Wanted(NamedTuple):
    """A fetch under way."""

    sender: Key
    token: str
    refs: dict[Digest, Ref]


class State(msgspec.Struct, frozen=True):
    """Fetches under way by their number, the blobs read so far (oldest first), the topics subscribed to."""

    topics: Topics
    wanted: dict[int, Wanted] = {}
    held: dict[Digest, Blob] = {}
    listening: frozenset[Digest] = frozenset()
    count: int = 0


def step(state: State, event: Event, now: float, rng: Random) -> tuple[State, list[Effect]]:
    """Take one event."""
    del rng
    match event:
        case fx.Told(sender, Fetch(token, refs)):
            return _fetch(state, sender, token, refs, now)
        case fx.Received(topic, Blob() as blob) if topic.kind == "blob":
            return _read(state, topic.name, blob, now)
        case fx.Elapsed(timer) if timer.startswith("late:"):
            return _late(state, int(timer.removeprefix("late:")))
        case _:
            return state, []


def _fetch(state: State, sender: Key, token: str, refs: tuple[Ref, ...], now: float) -> tuple[State, list[Effect]]:
    large = [ref for ref in refs if ref.size > MAX_BODY]
    if large:
        reason = f"a body of {large[0].size} bytes is over the limit of {MAX_BODY}"
        return state, [fx.Tell(sender, Fetched(token, {}, reason))]
    wanted = Wanted(sender, token, {ref.digest: ref for ref in refs})
    number = state.count + 1
    state = msgspec.structs.replace(state, wanted={**state.wanted, number: wanted}, count=number)
    state, effects = _go_on(state, number)
    if number in state.wanted:
        effects.append(fx.Wake(f"late:{number}", now + PATIENCE_S))
    return state, effects


def _go_on(state: State, number: int) -> tuple[State, list[Effect]]:
    """Finish fetch `number` if all of it is here, else subscribe to what is missing."""
    wanted = state.wanted[number]
    lacking = missing(wanted.refs, state.held)
    if not lacking:
        return _finish(state, number)
    new = tuple(digest for digest in lacking if digest not in state.listening)
    state = msgspec.structs.replace(state, listening=state.listening | set(new))
    return state, [fx.Subscribe(tuple(state.topics.blob(digest) for digest in new))] if new else []


def _finish(state: State, number: int) -> tuple[State, list[Effect]]:
    wanted = state.wanted[number]
    bodies = {digest: assemble(ref, state.held) for digest, ref in wanted.refs.items()}
    broken = sorted(digest for digest, body in bodies.items() if body is None)
    error = f"blob {broken[0][:12]} is not what its digest says" if broken else ""
    whole = {digest: body for digest, body in bodies.items() if body is not None}
    rest = {other: each for other, each in state.wanted.items() if other != number}
    state, effects = _distrust(msgspec.structs.replace(state, wanted=rest), broken)
    state, more = _trim(state)
    effects += more
    told = Fetched(wanted.token, whole, error, tuple(broken))
    return state, [fx.Sleep(f"late:{number}"), fx.Tell(wanted.sender, told), *effects]


def _distrust(state: State, broken: list[Digest]) -> tuple[State, list[Effect]]:
    """Forget manifests that do not lead to what their address says, so that the right ones can be read."""
    held = {digest: blob for digest, blob in state.held.items() if digest not in broken}
    patterns = tuple(state.topics.blob(digest) for digest in broken if digest in state.listening)
    state = msgspec.structs.replace(state, held=held, listening=state.listening - set(broken))
    return state, [fx.Unsubscribe(patterns)] if patterns else []


def _trim(state: State) -> tuple[State, list[Effect]]:
    """Stop listening where nobody waits any more, and keep within `MAX_HELD`."""
    effects: list[Effect] = []
    if not state.wanted and state.listening:
        patterns = tuple(state.topics.blob(digest) for digest in sorted(state.listening))
        effects.append(fx.Unsubscribe(patterns))
        state = msgspec.structs.replace(state, listening=frozenset())
    held = dict(state.held)
    size = sum(len(blob.body) for blob in held.values())
    while held and size > MAX_HELD and not state.wanted:
        size -= len(held.pop(next(iter(held))).body)
    return msgspec.structs.replace(state, held=held), effects


def _read(state: State, digest: Digest, blob: Blob, now: float) -> tuple[State, list[Effect]]:
    """Take a blob that somebody waits for; one whose bytes do not match its address is not believed."""
    del now
    if digest not in state.listening or digest in state.held:
        return state, []
    if not blob.chunks and digest_of(blob.body) != digest:
        return state, [fx.Measure("foa_blobs_refused_total"), fx.Log("blob_refused", {"digest": digest}, "warning")]
    state = msgspec.structs.replace(state, held={**state.held, digest: blob})
    effects: list[Effect] = []
    for number in sorted(state.wanted):
        state, more = _go_on(state, number)
        effects += more
    return state, effects


def _late(state: State, number: int) -> tuple[State, list[Effect]]:
    wanted = state.wanted.get(number)
    if wanted is None:
        return state, []
    lacking = missing(wanted.refs, state.held)
    gone = tuple(digest for digest, ref in wanted.refs.items() if assemble(ref, state.held) is None)
    rest = {other: each for other, each in state.wanted.items() if other != number}
    state, effects = _trim(msgspec.structs.replace(state, wanted=rest))
    error = f"blob {lacking[0][:12] if lacking else '?'} is not at the broker (expired, or never sent)"
    return state, [fx.Tell(wanted.sender, Fetched(wanted.token, {}, error, gone)), *effects]
