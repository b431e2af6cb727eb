"""Every decoder of a stranger's bytes as a fuzz target: it returns, or raises what it is documented to raise."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from foa.core.dag import planfile
from foa.core.dag.cases.document import read_cases
from foa.core.vcv import terms
from foa.core.vcv.card import card_of, profile_of
from foa.errors import ConfigError, ProposalError, WireError
from foa.nodes.window import event_of
from foa.testing.agents import profile
from foa.testing.fuzzing.mutate import damaged, hostile
from foa.testing.fuzzing.tape import Tape
from foa.wire import codec, door
from foa.wire.envelope import Envelope, Frame, to_properties
from foa.wire.examples import EXAMPLES
from foa.wire.ids import Epoch
from foa.wire.messages import Submit
from foa.wire.topics import TABLE, Topic, Topics

AGENT: Final = "acme/tools/a1"
MOST_SAID: Final = 2048
"""Characters of a refusal, at most: it goes into logs and dead letters."""

TOPICS: Final = Topics()

DOCUMENTS: Final[tuple[bytes, ...]] = (
    b'{"id": "t1", "text": "count the words", "inputs": {"text": "a b c"}, "deadline_s": 9.5, "budget": 0.5}',
    b'{"text": "x", "inputs": {"t": {"type": "text/csv", "base64": "YQ=="}, "j": {"json": [1, {}]}}, "team": 2}',
    b'{"text": "x", "policies": ["eu"], "skills": ["echo"], "prefer": "cost"}',
)
PLANS: Final[tuple[bytes, ...]] = (
    b'{"subtasks": [{"id": "a", "text": "read"}, {"id": "b", "text": "write", "after": ["a"], "team": 3}]}',
    b'{"subtasks": [{"text": "read", "skills": ["csv"], "produces": ["columns"], "approve": true}]}',
)


def _examples() -> tuple[Frame, ...]:
    """Return a frame of every kind of message on every kind of topic that carries it, with headers."""
    headers = to_properties(Envelope(Epoch(3, "c1"), 1, 5000, 0.5, ("a/b/c",), "00-1-2-01", None, "online"))
    found = []
    for rule in TABLE:
        name = "0" * 64 if rule.kind == "blob" else "n1"
        topic = TOPICS.build(Topic(rule.kind, 7, "t1", AGENT, "c1", name))
        bodies = [codec.encode(each) for each in EXAMPLES if isinstance(each, codec.CARRIES[rule.kind])]
        found += [Frame(topic, body, retain=rule.retained, properties=headers) for body in bodies or DOCUMENTS]
    return tuple(found)


FRAMES: Final = _examples()
CARD: Final = card_of(profile(AGENT, takes="text/csv"), TOPICS)


class Decoder(NamedTuple):
    """A decoder, honest input to start from, and the errors it may raise."""

    decode: Callable[[bytes], Any]
    samples: tuple[bytes, ...]
    errors: tuple[type[Exception], ...]

    def attack(self, data: bytes) -> None:
        """Feed it what `data` makes of a sample; anything but a value or a documented error is raised."""
        tape = Tape(data)
        given = tape.bytes(4096) if tape.chance(4) else damaged(tape, tape.choice(self.samples), self.samples)
        try:
            self.decode(given)
        except self.errors:
            return


def _again(payload: bytes) -> None:
    """Decode; what was read is written and read again as the same."""
    message = codec.decode(payload)
    body = codec.encode(message)
    assert codec.encode(codec.decode(body)) == body


def _door(payload: bytes) -> None:
    task = door.read(payload, "fresh")
    assert codec.decode(codec.encode(Submit(task))) == Submit(task)


def _plan(payload: bytes) -> None:
    planfile.read(msgspec.json.decode(payload, type=dict[str, Any]))


def frames(data: bytes) -> None:
    """Attack the window of a node: topic, headers and body together."""
    refused: WireError | None = None
    try:
        event_of(hostile(Tape(data), FRAMES), TOPICS)
    except WireError as error:
        refused = error
    assert refused is None or (refused.reason and len(refused.detail) <= MOST_SAID), refused


_BODIES: Final = tuple(frame.payload for frame in FRAMES)
DECODERS: Final[dict[str, Decoder]] = {
    "codec": Decoder(_again, _BODIES, (WireError,)),
    "door": Decoder(_door, DOCUMENTS, (WireError,)),
    "card": Decoder(lambda body: profile_of(body, AGENT), (CARD,), (WireError,)),
    "planfile": Decoder(_plan, PLANS, (ProposalError, ConfigError, msgspec.DecodeError, UnicodeDecodeError)),
    "cases": Decoder(
        lambda body: read_cases(msgspec.json.decode(body)),
        (b'{"cases": []}',),
        (msgspec.DecodeError, UnicodeDecodeError),
    ),
    "terms": Decoder(terms.unpacked, (terms.terms_of(profile(AGENT)),), (WireError, ValueError)),
}
