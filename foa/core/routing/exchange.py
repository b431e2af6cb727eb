"""What machines of one node say to each other about routing, and what they ask of the index service.

None of this travels: these are the messages inside `Told`/`Tell` and the arguments of `Request`.
"""

from typing import NamedTuple

from foa.wire.messages import Ask, Embed, Found, Vectors


class Asked(NamedTuple):
    """A machine wants agents found, or texts made vectors, by `Key("lookup")`; ``token`` comes back."""

    token: str
    ask: Ask | Embed


class Answer(NamedTuple):
    """The answer to the `Asked` of that token; ``found`` is None iff ``error`` says why."""

    token: str
    found: Found | Vectors | None
    error: str = ""


class Upsert(NamedTuple):
    """Service "index": keep these float16 vectors under `key`, in place of earlier ones. Returns nothing.

    ``others`` are further vectors by which the key is found: views of its profile, evidence.
    """

    key: str
    c: bytes
    e: bytes
    others: tuple[bytes, ...] = ()


class Remove(NamedTuple):
    """Service "index": forget `keys`; unknown ones are no error. Returns nothing."""

    keys: tuple[str, ...]


class Search(NamedTuple):
    """Service "index": the `k` nearest by ``c`` for each float16 vector, if given only among those keys.

    Returns one tuple of `Near` per vector, falling by cosine, ties by key.
    """

    vectors: tuple[bytes, ...]
    k: int
    among: tuple[str, ...] | None = None


class Near(NamedTuple):
    """One vector found: its exact cosine to ``c`` and to ``e``, both rounded to 6 digits."""

    key: str
    cosine: float
    spec: float


IndexCall = Upsert | Remove | Search
