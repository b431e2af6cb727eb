"""Bodies by reference: read, put together, checked, given up."""

from random import Random

from foa.core import effects as fx
from foa.core.dag.blobs import MAX_BODY, Fetch, Fetched, store
from foa.core.effects import Effect, Event, Key
from foa.core.machines.blobs import MAX_HELD, PATIENCE_S, State, step
from foa.wire.ids import digest_of
from foa.wire.messages import Blob
from foa.wire.records import Ref
from foa.wire.topics import Topic, Topics

TOPICS = Topics("foa/v1", 4)
ASKER = Key("award", "x")


class Reader:
    def __init__(self) -> None:
        self.state = State(TOPICS)

    def feed(self, event: Event) -> list[Effect]:
        self.state, effects = step(self.state, event, 0.0, Random(0))
        return effects

    def fetch(self, *refs: Ref, token: str = "f") -> list[Effect]:
        return self.feed(fx.Told(ASKER, Fetch(token, refs)))

    def hear(self, frame: fx.Publish) -> list[Effect]:
        assert isinstance(frame.message, Blob)
        return self.feed(fx.Received(TOPICS.parse(frame.topic), frame.message, retained=True))


def fetched(effects: list[Effect]) -> list[Fetched]:
    return [one.message for one in effects if isinstance(one, fx.Tell) and isinstance(one.message, Fetched)]


def patterns(effects: list[Effect]) -> list[str]:
    return [pattern for one in effects if isinstance(one, fx.Subscribe) for pattern in one.patterns]


def test_a_body_is_read_by_its_digest() -> None:
    reader, (ref, (frame,)) = Reader(), store(b"body", TOPICS, 60)
    assert patterns(reader.fetch(ref)) == [TOPICS.blob(ref.digest)]
    effects = reader.hear(frame)
    assert fetched(effects) == [Fetched("f", {ref.digest: b"body"})]
    assert any(isinstance(one, fx.Unsubscribe) for one in effects)
    assert fetched(reader.fetch(ref)) == [Fetched("f", {ref.digest: b"body"})], "what was read is kept"


def test_chunks_are_put_together_in_whatever_order_they_come() -> None:
    body = bytes(range(256)) * 4
    reader, (ref, frames) = Reader(), store(body, TOPICS, 60, chunk=100)
    reader.fetch(ref)
    manifest = frames[-1]
    wanted = patterns(reader.hear(manifest))
    assert sorted(wanted) == sorted({frame.topic for frame in frames[:-1]})
    for frame in reversed(frames[:-1]):
        effects = reader.hear(frame)
    assert fetched(effects)[0].bodies == {ref.digest: body}


def test_bytes_that_do_not_match_their_address_are_not_believed() -> None:
    reader, (ref, (frame,)) = Reader(), store(b"body", TOPICS, 60)
    reader.fetch(ref)
    assert fetched(reader.hear(frame._replace(message=Blob(b"else")))) == []
    assert fetched(reader.hear(frame))[0].error == ""


def test_a_forged_manifest_is_told_and_forgotten_so_that_the_right_one_can_come() -> None:
    body = b"x" * 250
    reader, (ref, frames) = Reader(), store(body, TOPICS, 60, chunk=100)
    other = b"forged"
    reader.fetch(ref)
    reader.hear(frames[-1]._replace(message=Blob(chunks=(digest_of(other),))))
    (forged,) = fetched(reader.feed(fx.Received(Topic("blob", name=digest_of(other)), Blob(other))))
    assert "digest" in forged.error
    assert patterns(reader.fetch(ref)) == [TOPICS.blob(ref.digest)]
    told = [one for frame in frames[::-1] for one in fetched(reader.hear(frame))]
    assert told[-1].bodies == {ref.digest: body}


def test_what_does_not_come_is_given_up_by_name() -> None:
    reader, (ref, _) = Reader(), store(b"body", TOPICS, 60)
    (timer,) = [one for one in reader.fetch(ref) if isinstance(one, fx.Wake)]
    assert timer.at == PATIENCE_S
    (late,) = fetched(reader.feed(fx.Elapsed(timer.timer)))
    assert ref.digest[:12] in late.error
    assert late.lacking == (ref.digest,)
    assert reader.state.wanted == {}
    assert reader.feed(fx.Elapsed(timer.timer)) == []


def test_two_fetches_of_one_body_subscribe_once_and_are_both_told() -> None:
    reader, (ref, (frame,)) = Reader(), store(b"body", TOPICS, 60)
    reader.fetch(ref, token="one")
    assert patterns(reader.fetch(ref, token="two")) == []
    assert [one.token for one in fetched(reader.hear(frame))] == ["one", "two"]


def test_a_body_over_the_limit_is_not_even_asked_for() -> None:
    (told,) = fetched(Reader().fetch(Ref(digest_of(b"x"), MAX_BODY + 1)))
    assert str(MAX_BODY) in told.error


def test_what_nobody_waits_for_is_not_kept() -> None:
    reader = Reader()
    reader.feed(fx.Received(Topic("blob", name=digest_of(b"x")), Blob(b"x")))
    assert reader.state.held == {}
    assert MAX_HELD >= MAX_BODY
