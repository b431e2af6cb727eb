"""Key holders, a trust file that names some of them, and guards with a clock in hand."""

from foa.adapters.keys.keyfile import Signer, Verifier, seeded
from foa.wire.envelope import Frame
from foa.wire.topics import Topics
from foa.wire.trust.guard import MICRO, Guard, Rules
from foa.wire.trust.policy import Entry, Grant, Trust

TOPICS = Topics("foa/v1", 4)
START = 1_790_000_000 * MICRO
VERIFY = Verifier()

ALICE = seeded(b"alice".ljust(32))
BOB = seeded(b"bob".ljust(32))
CAROL = seeded(b"carol".ljust(32))
OWNER = seeded(b"owner".ljust(32))
INDEX = seeded(b"index".ljust(32))
PEOPLE = seeded(b"people".ljust(32))
STRANGER = seeded(b"stranger".ljust(32))


def entry(name: str, signer: Signer, *grants: str, **more: object) -> Entry:
    """Return an entry of a trust file; grants are ``role`` or ``role:name``."""
    parts = [text.partition(":") for text in grants]
    return Entry(name, signer.key, tuple(Grant(role, name or "*") for role, _, name in parts), **more)  # type: ignore[arg-type]


TRUST = Trust(
    (
        entry("alice", ALICE, "agent:acme/sales/*"),
        entry("bob", BOB, "agent:acme/books/bob"),
        entry("owner", OWNER, "coordinator:c1"),
        entry("index", INDEX, "index"),
    )
)
WITH_PEOPLE = Trust((*TRUST.entries, entry("people", PEOPLE, "submitter", "operator")))


def guard(
    signer: Signer | None = None, trust: Trust | None = None, life: int = START, rules: Rules | None = None
) -> Guard:
    """Return a guard that signs as `signer` and goes by `trust`."""
    made = Guard(
        rules or Rules(),
        TOPICS,
        life,
        key=signer.key if signer else "",
        sign=signer.sign if signer else None,
        verify=VERIFY,
    )
    if trust is not None:
        made.trusting(trust)
    return made


def frame(topic: str, payload: bytes = b"body", **more: object) -> Frame:
    return Frame(f"foa/v1/{topic}", payload, **more)  # type: ignore[arg-type]


def admit(by: Guard, sent: Frame, now: int = START) -> None:
    by.admit(TOPICS.parse(sent.topic), sent, now)
