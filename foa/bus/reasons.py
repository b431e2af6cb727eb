"""What becomes of a session that a broker refused or ended, and the words for it: the same in every client."""

from typing import Final

from foa.bus.port import Options

TAKEN_OVER: Final = 0x8E

# CONNACK codes after which another try may succeed: unspecified, implementation, unavailable, busy, quota, rate.
TRY_AGAIN: Final = frozenset({0x80, 0x83, 0x88, 0x89, 0x97, 0x9F})
# DISCONNECT codes after which it may not: not authorised, taken over, administrative action.
FOR_GOOD: Final = frozenset({0x87, TAKEN_OVER, 0x98})


def refusal(options: Options, why: str) -> str:
    """Say that the broker did not take our CONNECT; `why` are the words of its reason code."""
    who = f"user {options.username!r}" if options.username else f"client {options.client_id!r}"
    return f"broker {options.host}:{options.port} refused {who}: {why}"


def dismissal(options: Options, code: int, what: str) -> str:
    """Say that the broker sent a DISCONNECT; `what` are the words of its reason `code`."""
    if code == TAKEN_OVER:
        what = f"another process connected as {options.client_id!r}: session taken over (0x{code:02X})"
    return f"the broker ended it: {what}"
