"""The A2A 1.0 Agent Card as JSON: what an agent's discovery topic holds, readable by any A2A client.

Only what the standard has, in its camelCase; what is ours travels in ``capabilities.extensions`` (see
`foa.core.vcv.card`, which turns profiles into cards and back). Unknown fields of strangers are ignored,
sizes are capped by the types, and the bytes are deterministic (sorted keys), so that `digest` names them.
"""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from foa.errors import WireError
from foa.wire.ids import Digest, digest_of
from foa.wire.records import MAX_SKILLS, Name, Short, Text

MAX_CARD: Final = 65_536

Mode = Annotated[str, Meta(min_length=1, max_length=128)]
Modes = Annotated[tuple[Mode, ...], Meta(max_length=64)]


class Interface(msgspec.Struct, frozen=True, rename="camel"):
    """Where and how the agent is spoken to."""

    url: Annotated[str, Meta(max_length=2048)]
    protocol_binding: Short
    protocol_version: Short


class Extension(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Something beyond the standard, named by its ``uri``."""

    uri: Annotated[str, Meta(min_length=1, max_length=2048)]
    description: Text = ""
    required: bool = False
    params: dict[str, Any] = {}


class Capabilities(msgspec.Struct, frozen=True, rename="camel"):
    """What of A2A the agent supports."""

    streaming: bool | None = False
    push_notifications: bool | None = False
    extensions: Annotated[tuple[Extension, ...], Meta(max_length=64)] | None = ()


class CardSkill(msgspec.Struct, frozen=True, rename="camel"):
    """One thing the agent can do."""

    id: Name
    name: Short
    description: Text
    tags: Annotated[tuple[Short, ...], Meta(max_length=256)]
    examples: Annotated[tuple[Text, ...], Meta(max_length=256)] | None = ()


class Card(msgspec.Struct, frozen=True, rename="camel"):
    """An A2A 1.0 Agent Card: its required fields, all of them."""

    name: Annotated[str, Meta(min_length=1, max_length=512)]
    description: Text
    version: Short
    supported_interfaces: Annotated[tuple[Interface, ...], Meta(max_length=64)]
    capabilities: Capabilities
    default_input_modes: Modes
    default_output_modes: Modes
    skills: Annotated[tuple[CardSkill, ...], Meta(max_length=MAX_SKILLS)]


_encoder: Final = msgspec.json.Encoder(order="sorted")
_decoder: Final = msgspec.json.Decoder(Card)


def encode(card: Card) -> bytes:
    """Return `card` as JSON; WireError("card") if it is larger than `MAX_CARD`, as brokers' registries refuse it."""
    body = _encoder.encode(card)
    if len(body) > MAX_CARD:
        raise WireError("card", f"{card.name[:80]}: the card is {len(body)} bytes, at most {MAX_CARD} are allowed")
    return body


def decode(body: bytes) -> Card:
    """Return the card in `body`; WireError("card") says which field is missing, mistyped or over its cap."""
    if len(body) > MAX_CARD:
        raise WireError("card", f"{len(body)} bytes, at most {MAX_CARD} are read")
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise WireError("card", str(error)[:400]) from error


def extension(card: Card, uri: str) -> dict[str, Any] | None:
    """Return the params of the extension `uri`, or None if the card has no such one."""
    return next((each.params for each in card.capabilities.extensions or () if each.uri == uri), None)


def digest(body: bytes) -> Digest:
    """Return the content address of a card's bytes; a capability vector names the card it was made from."""
    return digest_of(body)
