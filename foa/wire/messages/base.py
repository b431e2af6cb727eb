"""The base of all that travels; `foa.wire.messages` has the messages themselves."""

import msgspec


class Message(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind"):
    """Base of all that travels."""
