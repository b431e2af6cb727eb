"""The guard: who may say what where, what is stale or heard before, and that cheap refusals cost no verification."""

import msgspec
import pytest

from foa.errors import WireError
from foa.wire.envelope import Frame
from foa.wire.topics import TABLE, Topic
from foa.wire.trust import guard as guards
from foa.wire.trust import policy, seal
from foa.wire.trust.guard import MICRO, Guard, Rules
from foa.wire.trust.policy import PROBATION, Trust
from tests.trust.holders import (
    ALICE,
    BOB,
    CAROL,
    INDEX,
    OWNER,
    PEOPLE,
    START,
    STRANGER,
    TOPICS,
    TRUST,
    VERIFY,
    WITH_PEOPLE,
    admit,
    entry,
    frame,
    guard,
)

AWARD = "request/acme/sales/bot"
LATER = START + 5 * MICRO


def _reason(by: Guard, sent: Frame, now: int = LATER) -> str:
    with pytest.raises(WireError) as caught:
        admit(by, sent, now)
    return caught.value.reason


@pytest.mark.parametrize(
    ("signer", "topic"),
    [
        (ALICE, "discovery/acme/sales/bot"),
        (ALICE, "vcv/1/acme/sales/bot"),
        (ALICE, "answer/1/t/acme/sales/bot"),
        (ALICE, "channel/t/c/acme/sales/bot"),
        (BOB, "answer/1/t/acme/books/bob"),
        (OWNER, AWARD),
        (OWNER, "own/1"),
        (OWNER, "presence/coordinator/c1"),
        (OWNER, "task/1/t/result"),
        (OWNER, "task/1/t/state/0"),
        (OWNER, "reply/u/t"),
        (OWNER, "evidence/1/acme/sales/bot"),
        (OWNER, "learn/c1/x"),
        (OWNER, "learn/c2/x"),  # who is there says again what a peer had published
        (INDEX, "presence/index/i1"),
        (INDEX, "reply/u/lookup"),
        (INDEX, "dead/shape"),
        (PEOPLE, "control/drain"),
        (PEOPLE, "task/1/t/submit"),
        (PEOPLE, "task/1/t/cancel"),
        (PEOPLE, "tasks"),
        (OWNER, "task/1/t/submit"),
    ],
)
def test_who_is_named_is_heard(signer: guards.Sign, topic: str) -> None:
    sealed = guard(signer).seal(frame(topic), LATER)  # type: ignore[arg-type]
    admit(guard(trust=WITH_PEOPLE), sealed, LATER)


@pytest.mark.parametrize(
    ("signer", "topic"),
    [
        (ALICE, "discovery/acme/books/bob"),
        (ALICE, "answer/1/t/acme/salesmen/x"),
        (BOB, "answer/1/t/acme/books/bobby"),
        (ALICE, "own/1"),
        (ALICE, AWARD),
        (ALICE, "task/1/t/result"),
        (ALICE, "presence/coordinator/c1"),
        (ALICE, "control/drain"),
        (OWNER, "control/drain"),
        (OWNER, "presence/coordinator/c2"),
        (OWNER, "presence/index/c1"),
        (OWNER, "discovery/acme/sales/bot"),
        (INDEX, "own/1"),
        (INDEX, "task/1/t/submit"),
        (INDEX, "reply/u/t"),
        (OWNER, "reply/u/lookup"),
        (PEOPLE, AWARD),
        (PEOPLE, "reply/u/t"),
    ],
)
def test_a_known_key_may_say_only_what_it_was_named_for(signer: guards.Sign, topic: str) -> None:
    sealed = guard(signer).seal(frame(topic), LATER)  # type: ignore[arg-type]
    assert _reason(guard(trust=WITH_PEOPLE), sealed) == "not-allowed"


def test_unsigned_unknown_and_forged_are_told_apart() -> None:
    by = guard(trust=TRUST)
    assert _reason(by, frame(AWARD)) == "unsigned"
    assert _reason(by, guard(STRANGER).seal(frame(AWARD), LATER)) == "unknown-key"
    sealed = guard(OWNER).seal(frame(AWARD), LATER)
    assert _reason(by, msgspec.structs.replace(sealed, payload=b"another")) == "forged"
    stolen = msgspec.structs.replace(
        guard(STRANGER).seal(frame(AWARD), LATER),
        properties=tuple(
            ("foa-key", OWNER.key) if name == "foa-key" else (name, value)
            for name, value in guard(STRANGER).seal(frame(AWARD), LATER).properties
        ),
    )
    assert _reason(by, stolen) == "forged"
    admit(by, sealed, LATER)


def test_an_emptied_topic_must_be_sealed_too() -> None:
    by = guard(trust=TRUST)
    assert _reason(by, frame("discovery/acme/sales/bot", b"")) == "unsigned"
    admit(by, guard(ALICE).seal(frame("discovery/acme/sales/bot", b""), LATER), LATER)


def test_every_kind_of_topic_has_its_writers() -> None:
    """A kind that nobody thought of is closed, not open: its writer must be named in the policy."""
    for rule in TABLE:
        topic = Topic(rule.kind, agent="acme/sales/bot", node="c1", name="coordinator")
        everyone = [e for e in WITH_PEOPLE.entries if not policy.refusal(e, topic)]
        assert everyone, f"nobody may write {rule.kind}: name its writer {rule.writer!r} in foa.wire.trust.policy"
    unknown = entry("x", ALICE, *policy.ROLES)
    assert policy.refusal(unknown, Topic("own")) == ""


def test_submitters_are_asked_for_a_seal_only_where_some_are_named() -> None:
    admit(guard(trust=TRUST), frame("task/1/t/submit"), LATER)
    admit(guard(trust=TRUST), frame("tasks"), LATER)
    admit(guard(trust=TRUST), guard(STRANGER).seal(frame("task/1/t/submit"), LATER), LATER)
    for topic in ("task/1/t/submit", "task/1/t/cancel", "task/1/t/input", "task/1/t/feedback", "tasks"):
        assert _reason(guard(trust=WITH_PEOPLE), frame(topic)) == "unsigned"


def test_questions_and_bodies_are_open() -> None:
    for topic in ("index/i1/ask", "index/i1/embed", f"blob/{'0' * 64}"):
        admit(guard(trust=TRUST), frame(topic), LATER)
        admit(guard(trust=TRUST), guard(STRANGER).seal(frame(topic), LATER), LATER)


def test_refusals_that_need_no_key_cost_no_verification() -> None:
    asked: list[str] = []

    def verify(key: str, signature: bytes, body: bytes) -> bool:
        asked.append(key)
        return VERIFY(key, signature, body)

    by = Guard(Rules(), TOPICS, START, verify=verify)
    by.trusting(TRUST)
    old = guard(OWNER).seal(frame(AWARD), START)
    good = guard(OWNER).seal(frame(AWARD), LATER)
    refused = [
        frame(AWARD),
        guard(STRANGER).seal(frame(AWARD), LATER),
        guard(ALICE).seal(frame(AWARD), LATER),
        msgspec.structs.replace(good, retain=True),
    ]
    for sent in refused:
        _reason(by, sent)
    assert _reason(by, old, START + 1000 * MICRO) == "stale"
    assert asked == []
    admit(by, good, LATER)
    assert _reason(by, good) == "replayed"
    assert asked == [OWNER.key]


def test_a_stored_frame_is_verified_once() -> None:
    asked: list[str] = []

    def verify(key: str, signature: bytes, body: bytes) -> bool:
        asked.append(key)
        return VERIFY(key, signature, body)

    by = Guard(Rules(), TOPICS, START, verify=verify)
    by.trusting(TRUST)
    claim = guard(OWNER).seal(frame("own/1"), LATER)
    for _ in range(3):
        admit(by, claim, LATER)
    assert asked == [OWNER.key]
    by.trusting(Trust(TRUST.entries[:2]))
    assert _reason(by, claim) == "unknown-key", "what was verified once is still judged by the file of now"


def test_a_node_hears_its_own_stored_words_without_verifying_them() -> None:
    by = Guard(Rules(), TOPICS, START, key=OWNER.key, sign=OWNER.sign, verify=lambda *_: False)
    by.trusting(TRUST)
    admit(by, by.seal(frame("own/1", retain=True), LATER), LATER)


@pytest.mark.parametrize("topic", [AWARD, "control/drain", "task/1/t/submit", "task/1/t/input", "task/1/t/feedback"])
def test_words_that_have_something_done_are_heard_once_and_only_while_fresh(topic: str) -> None:
    by = guard(trust=WITH_PEOPLE)
    signer = OWNER if topic == AWARD else PEOPLE
    sealed = guard(signer).seal(frame(topic), LATER)
    admit(by, sealed, LATER)
    assert _reason(by, sealed, LATER + 1) == "replayed"
    assert _reason(by, sealed, LATER + 121 * MICRO) in {"stale", "replayed"}
    assert _reason(guard(trust=WITH_PEOPLE), sealed, LATER + 121 * MICRO) == "stale"
    assert _reason(guard(trust=WITH_PEOPLE), sealed, LATER - 121 * MICRO) == "stale"
    assert _reason(guard(trust=WITH_PEOPLE), msgspec.structs.replace(sealed, retain=True)) == "replayed"


def test_an_operators_word_from_before_a_restart_is_stale() -> None:
    sealed = guard(PEOPLE).seal(frame("control/drain"), LATER)
    assert _reason(guard(trust=WITH_PEOPLE, life=LATER + MICRO), sealed, LATER + 2 * MICRO) == "stale"


def test_the_same_words_said_twice_are_two_frames() -> None:
    by, owner = guard(trust=TRUST), guard(OWNER)
    one, other = owner.seal(frame(AWARD), LATER), owner.seal(frame(AWARD), LATER)
    assert one != other
    admit(by, one, LATER)
    admit(by, other, LATER)


@pytest.mark.parametrize("topic", ["discovery/acme/sales/bot", "vcv/1/acme/sales/bot"])
def test_an_older_card_of_its_signer_changes_nothing(topic: str) -> None:
    by, alice = guard(trust=TRUST), guard(ALICE)
    old, new = alice.seal(frame(topic, b"old"), START + MICRO), alice.seal(frame(topic, b"new"), LATER)
    admit(by, old, LATER)
    admit(by, new, LATER)
    if topic.startswith("vcv"):  # a vector has a version of its own
        admit(by, old, LATER)
    else:
        assert _reason(by, old) == "replayed"
    admit(by, new, LATER)


def test_a_will_of_this_life_is_heard_and_one_of_an_earlier_life_is_not() -> None:
    topic = "discovery/acme/sales/bot"
    by, first = guard(trust=TRUST), guard(ALICE)
    second = guard(ALICE, life=START + 10 * MICRO)
    old_will, will = first.seal_will(frame(topic, b"off")), second.seal_will(frame(topic, b"off"))
    admit(by, first.seal(frame(topic, b"on"), LATER), LATER)
    admit(by, old_will, LATER)
    admit(by, second.seal(frame(topic, b"on"), START + 11 * MICRO), LATER)
    assert _reason(by, old_will) == "replayed"
    admit(by, will, LATER)


def test_presence_that_is_old_is_no_life() -> None:
    alive = guard(OWNER).seal(frame("presence/coordinator/c1", retain=True), LATER)
    admit(guard(trust=TRUST), alive, LATER + 60 * MICRO)
    assert _reason(guard(trust=TRUST), alive, LATER + 600 * MICRO) == "stale"
    admit(guard(trust=TRUST), guard(OWNER).seal_will(frame("presence/coordinator/c1")), LATER + 600 * MICRO)


def test_a_stored_claim_of_a_former_key_is_refused() -> None:
    claim = guard(OWNER).seal(frame("own/1", b"epoch 99", retain=True), LATER)
    by = guard(trust=TRUST)
    admit(by, claim, LATER)
    by.trusting(Trust((entry("owner", CAROL, "coordinator:c1"),)))
    assert _reason(by, claim) == "unknown-key"
    admit(by, guard(CAROL).seal(frame("own/1", b"epoch 1"), LATER), LATER)


def test_a_key_is_good_from_then_to_then() -> None:
    seconds = START / MICRO
    by = guard(trust=Trust((entry("owner", OWNER, "coordinator", starts=seconds + 10, ends=seconds + 20),)))
    sealed = [guard(OWNER).seal(frame("own/1"), START + at * MICRO) for at in (5, 15, 25)]
    assert _reason(by, sealed[0], START + 5 * MICRO) == "expired-key"
    admit(by, sealed[1], START + 15 * MICRO)
    assert _reason(by, sealed[2], START + 25 * MICRO) == "expired-key"


def test_agents_that_nobody_named_are_heard_on_probation_and_as_nobody_else() -> None:
    by = guard(trust=TRUST, rules=Rules(probation=True))
    stranger = guard(STRANGER)
    admit(by, stranger.seal(frame("discovery/else/where/bot"), LATER), LATER)
    admit(by, stranger.seal(frame("answer/1/t/else/where/bot"), LATER), LATER)
    assert by.voice("else/where/bot") == PROBATION
    assert by.voice("acme/sales/one") == by.voice("acme/sales/two") == "alice"
    assert _reason(by, guard(CAROL).seal(frame("discovery/else/where/bot"), LATER)) == "not-allowed"
    assert _reason(by, stranger.seal(frame("discovery/acme/sales/bot"), LATER)) == "not-allowed"
    assert _reason(by, stranger.seal(frame("own/1"), LATER)) == "unknown-key"
    assert _reason(by, stranger.seal(frame(AWARD), LATER)) == "unknown-key"
    forged = msgspec.structs.replace(stranger.seal(frame("discovery/new/comer/x"), LATER), payload=b"other")
    assert _reason(by, forged) == "forged"
    admit(by, guard(CAROL).seal(frame("discovery/new/comer/x"), LATER), LATER)


def test_memories_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "MAX_SEEN", 4)
    monkeypatch.setattr(guards, "MAX_PASSING", 4)
    monkeypatch.setattr(guards, "MAX_LATEST", 8)
    monkeypatch.setattr(guards, "MAX_PINNED", 8)
    by = guard(trust=TRUST, rules=Rules(probation=True))
    owner, alice, strange = guard(OWNER), guard(ALICE), guard(STRANGER)
    for at in range(20):
        admit(by, owner.seal(frame(AWARD, b"%d" % at), LATER), LATER)
        admit(by, owner.seal(frame(f"task/1/t{at}/result"), LATER), LATER)
        admit(by, alice.seal(frame(f"discovery/acme/sales/b{at}"), LATER), LATER)
    assert len(by._once) == len(by._passing) == len(by._lasting) == len(by._latest) == 8
    strangers = [strange.seal(frame(f"discovery/else/where/b{at}"), LATER) for at in range(20)]
    for sealed in strangers[:8]:
        admit(by, sealed, LATER)
    assert {_reason(by, sealed) for sealed in strangers[8:]} == {"unknown-key"}
    assert len(by._pinned) == 8


def test_one_senders_flood_is_not_anothers() -> None:
    by = guard(trust=TRUST, rules=Rules(rate=10.0, burst=5))
    alice, bob = guard(ALICE), guard(BOB)
    for _ in range(5):
        admit(by, alice.seal(frame("answer/1/t/acme/sales/bot"), LATER), LATER)
    assert _reason(by, alice.seal(frame("answer/1/t/acme/sales/bot"), LATER)) == "rate"
    admit(by, bob.seal(frame("answer/1/t/acme/books/bob"), LATER), LATER)
    stored = alice.seal(frame("discovery/acme/sales/bot", retain=True), LATER)
    admit(by, stored, LATER)
    admit(by, alice.seal(frame("answer/1/t/acme/sales/bot"), LATER), LATER + MICRO)


def test_a_forger_does_not_spend_the_rate_of_whom_it_names() -> None:
    by = guard(trust=TRUST, rules=Rules(rate=1.0, burst=2))
    sealed = guard(ALICE).seal(frame("answer/1/t/acme/sales/bot"), LATER)
    for at in range(10):
        assert _reason(by, msgspec.structs.replace(sealed, payload=b"%d" % at)) == "forged"
    admit(by, sealed, LATER)


def test_without_a_trust_file_names_on_topics_are_senders() -> None:
    by = guard(rules=Rules(rate=1.0, burst=1))
    admit(by, frame("answer/1/t/acme/sales/bot"))
    admit(by, frame("answer/1/t/acme/books/bob"))
    assert _reason(by, frame("answer/1/t/acme/sales/bot"), START) == "rate"
    admit(by, frame("own/1"))
    assert _reason(by, frame("own/2"), START) == "rate"


def test_without_a_key_nothing_is_sealed_and_bodies_never_are() -> None:
    assert guard().seal(frame(AWARD), LATER) == frame(AWARD)
    body = frame(f"blob/{'0' * 64}")
    assert guard(OWNER).seal(body, LATER) == body
    assert seal.seal_of(guard(OWNER).seal(frame(AWARD), LATER)) is not None


def test_work_that_goes_on_leaves_no_more_behind_than_is_still_fresh() -> None:
    by, owner, people = guard(OWNER, trust=WITH_PEOPLE), guard(OWNER), guard(PEOPLE)
    rules = Rules()
    sizes: list[int] = []
    for at in range(40):
        now = LATER + int(at * rules.skew_s / 5 * MICRO)
        for one in range(5):
            admit(by, people.seal(frame(f"task/1/t{at}-{one}/submit"), now), now)
            admit(by, owner.seal(frame(f"task/1/t{at}-{one}/result", retain=True), now), now)
            by.seal(frame(f"task/1/t{at}-{one}/state/0", retain=True), now)
            by.seal(frame("request/acme/sales/bot"), now)
        sizes.append(len(by._once) + len(by._passing))
    assert max(sizes[20:]) == max(sizes[:21]), "twice the time to be stale fills it, and nothing more does"
    assert len(by._lasting) == 0, "what is a task's does not push out what is read again at every connection"
