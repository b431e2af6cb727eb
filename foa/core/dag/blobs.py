"""Bodies by reference: how one is cut into content-addressed blobs, and how it is put together again.

A body up to ``chunk`` bytes is one blob at ``blob/{sha256}``. A larger one is a manifest at the digest of
the whole, naming the digests of its chunks. The digest is checked on read, so that nobody can put another
body in its place.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from foa.core import effects as fx
from foa.wire.ids import Digest, digest_of
from foa.wire.messages import Blob
from foa.wire.records import Given, Ref, Value
from foa.wire.topics import Topics

CHUNK: Final = 128 * 1024
MAX_BODY: Final = 64 * 1024 * 1024


def store(body: bytes, topics: Topics, expiry_s: int, chunk: int = CHUNK) -> tuple[Ref, list[fx.Publish]]:
    """Return the reference to `body` and the frames that keep it at the broker for ``expiry_s``."""
    digest = digest_of(body)
    if len(body) <= chunk:
        return Ref(digest, len(body)), [_publish(topics, digest, Blob(body), expiry_s)]
    parts = [body[at : at + chunk] for at in range(0, len(body), chunk)]
    digests = tuple(digest_of(part) for part in parts)
    frames = [_publish(topics, name, Blob(part), expiry_s) for name, part in zip(digests, parts, strict=True)]
    return Ref(digest, len(body)), [*frames, _publish(topics, digest, Blob(chunks=digests), expiry_s)]


def _publish(topics: Topics, digest: Digest, blob: Blob, expiry_s: int) -> fx.Publish:
    return fx.Publish(topics.blob(digest), blob, retain=True, expiry_s=expiry_s)


def outsource(
    given: tuple[Given, ...], topics: Topics, expiry_s: int, inline: int, chunk: int = CHUNK
) -> tuple[tuple[Given, ...], list[fx.Publish]]:
    """Return `given` with every body over ``inline`` bytes by reference, and the frames that keep those."""
    kept: list[Given] = []
    frames: list[fx.Publish] = []
    for each in given:
        value, body = each.value, each.value.body
        if body is not None and len(body) > inline:
            ref, more = store(body, topics, expiry_s, chunk)
            value = Value(value.type, value.media, ref=ref)
            frames += more
        kept.append(msgspec.structs.replace(each, value=value))
    return tuple(kept), frames


def missing(refs: Mapping[Digest, Ref], held: Mapping[Digest, Blob]) -> tuple[Digest, ...]:
    """Return the digests still to be read before every one of `refs` can be put together."""
    wanted: list[Digest] = []
    for digest in refs:
        blob = held.get(digest)
        if blob is None:
            wanted.append(digest)
        else:
            wanted += [chunk for chunk in blob.chunks if chunk not in held]
    return tuple(dict.fromkeys(wanted))


def assemble(ref: Ref, held: Mapping[Digest, Blob]) -> bytes | None:
    """Return the body of `ref`; None if it is not whole, or not what its digest says."""
    blob = held.get(ref.digest)
    if blob is None:
        return None
    body = b"".join(held[chunk].body for chunk in blob.chunks if chunk in held) if blob.chunks else blob.body
    return body if len(body) == ref.size and digest_of(body) == ref.digest else None


class Fetch(NamedTuple):
    """What a machine says to ``Key("blobs")`` of its node: read these bodies."""

    token: str
    refs: tuple[Ref, ...]


class Fetched(NamedTuple):
    """The bodies by digest; ``error`` is empty, or one line, and then bodies are missing; ``lacking`` are not there."""

    token: str
    bodies: dict[Digest, bytes]
    error: str = ""
    lacking: tuple[Digest, ...] = ()


def filled(given: tuple[Given, ...], bodies: Mapping[Digest, bytes]) -> tuple[Given, ...]:
    """Return `given` with the bodies that were fetched inline."""
    return tuple(
        msgspec.structs.replace(each, value=Value(each.value.type, each.value.media, bodies[each.value.ref.digest]))
        if each.value.ref is not None and each.value.ref.digest in bodies
        else each
        for each in given
    )


def references(given: tuple[Given, ...]) -> tuple[Ref, ...]:
    """Return every reference in `given`, once."""
    return tuple(dict.fromkeys(each.value.ref for each in given if each.value.ref is not None))
