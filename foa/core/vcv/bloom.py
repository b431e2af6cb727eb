"""The ``s`` of a capability vector: a Bloom filter over skill ids, 256 bits, 4 hashes (sizes ours).

It screens (a clear bit proves absence), the exact skill set decides. A hash is one byte of the stable hash
of the skill, so that one byte is one bit position: no modulus, the same on every machine.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from foa.wire.ids import stable_hash

BYTES: Final = 32
HASHES: Final = 4


@lru_cache(maxsize=4096)
def _mask(skill: str) -> int:
    """Return the bits of one skill."""
    positions = stable_hash(skill).to_bytes(8, "big")[:HASHES]
    mask = 0
    for position in positions:
        mask |= 1 << position
    return mask


def mask_of(skills: Iterable[str]) -> int:
    """Return the filter over `skills` as a number; that of a query must lie within that of an agent."""
    mask = 0
    for skill in skills:
        mask |= _mask(skill)
    return mask


def bloom(skills: Iterable[str]) -> bytes:
    """Return the filter over `skills` as it travels: 32 bytes."""
    return mask_of(skills).to_bytes(BYTES, "big")


def may_have(s: bytes, skills: Iterable[str]) -> bool:
    """Tell whether an agent with filter `s` may have all `skills`; False is certain, True is not."""
    wanted = mask_of(skills)
    return int.from_bytes(s, "big") & wanted == wanted
