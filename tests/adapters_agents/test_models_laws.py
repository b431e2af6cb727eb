"""What holds of prompts, schemas, pace, prices and streams whatever they are given; no server, no clock."""

import contextlib
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.adapters.models.endpoint import Endpoint
from foa.adapters.models.limits import Pace, Prices, pause, prices_of, used
from foa.adapters.models.reading import Garbled, Stream, retry_after, whole
from foa.adapters.models.shape import Unfit, Unheld, checked, type_of
from foa.adapters.models.structured import json_in
from foa.adapters.models.template import Datum, fenced, fill, names, unknown
from foa.wire.records import Resources

TEXTS = st.text(max_size=80)
BRACED = st.lists(
    st.sampled_from(["{text}", "{inputs}", "{{text}}", "{", "}", "{1}", " a-", "{other}", "</data-"])
).map("".join)


@pytest.mark.slow
@given(BRACED, BRACED)
def test_what_is_put_in_is_not_looked_at_again(before: str, value: str) -> None:
    marked = fill(before, {"text": "\0", "inputs": "\1"})
    filled = fill(before, {"text": value, "inputs": value})
    assert filled == marked.replace("\0", value).replace("\1", value)


@pytest.mark.slow
@given(BRACED)
def test_a_template_without_values_keeps_its_unknown_words(template: str) -> None:
    assert unknown(template, ("text", "inputs", "other")) is None
    assert ("other" in names(template)) == (unknown(template, ("text", "inputs")) is not None)
    assert set(names(template)) <= {"text", "inputs", "other"}


def test_a_placeholder_misspelt() -> None:
    assert unknown("{txet}", ("text",)) == (
        "{txet} is no placeholder here: did you mean {text}?; write {{txet}} for the word in braces"
    )


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=4))
def test_nothing_inside_closes_its_tag(data: list[tuple[str, str, str]]) -> None:
    for each in data:
        shown = fenced([Datum(*each)])
        opening, _, rest = shown.partition("\n")
        tag = opening[1:].split(" ", 1)[0]
        assert opening.count("<") == opening.count(">") == 1
        assert rest == f"{each[2]}\n</{tag}>"
        assert tag not in each[2]


@given(st.integers(1, 5), st.lists(st.floats(0, 30), min_size=1, max_size=30))
def test_no_window_holds_more_than_its_number(per_minute: int, gaps: list[float]) -> None:
    pace, now, begun = Pace(per_minute), 0.0, []
    for gap in gaps:
        now += gap
        now += pace.wait(now)
        pace.begin(now)
        begun.append(now)
    for i in range(len(begun) - per_minute):
        assert begun[i + per_minute] - begun[i] >= 60 - 1e-6


def test_without_a_number_nobody_waits() -> None:
    pace = Pace(0)
    for _ in range(100):
        assert pace.wait(0.0) == 0.0
        pace.begin(0.0)


@given(st.integers(0, 100), st.integers())
def test_pauses_grow_within_bounds(attempt: int, seed: int) -> None:
    assert 0 <= pause(attempt, None, Random(seed)) <= min(30.0, 0.5 * 2 ** min(attempt, 16))
    assert pause(attempt, 7.5, Random(seed)) == 7.5


@given(
    st.floats(0, 10),
    st.floats(0, 0.01),
    st.floats(0, 0.01),
    st.floats(0, 0.1),
    st.integers(0, 5000),
    st.integers(0, 5000),
)
def test_the_worst_call_stays_within_its_budget(
    budget: float, token_in: float, token_out: float, call: float, size: int, wanted: int
) -> None:
    prices = Prices(call, token_in, token_out)
    longest = prices.longest(budget, size, 2, wanted)
    if longest is None:
        assert prices.of(size + 16, min(wanted or 16, 16)) > budget - 1e-9
    else:
        assert prices.of(size + 16, longest) <= budget + 1e-9
        assert not wanted or longest <= wanted


def test_prices_per_million_or_those_of_the_card() -> None:
    endpoint = Endpoint(base_url="http://x/v1", model="m", prompt="{text}")
    card = Resources(price_call=0.5, price_1k=2.0)
    assert prices_of(endpoint, card).of(1000, 500) == pytest.approx(0.5 + 3.0)
    own = msgspec.structs.replace(endpoint, price_in_per_1m=1.0, price_out_per_1m=4.0)
    assert prices_of(own, card).of(1_000_000, 500_000) == pytest.approx(3.0)


@given(st.lists(TEXTS, max_size=6), st.integers(1, 40), st.sampled_from([b"\n", b"\r\n"]))
def test_a_stream_is_the_same_however_it_is_cut(texts: list[str], step: int, end: bytes) -> None:
    events: list[Any] = [{"choices": [{"delta": {"content": text}}]} for text in texts]
    events += [{"choices": [{"delta": {}, "finish_reason": "stop"}]}]
    events += [{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}]
    sent = b": hello" + end + b"".join(b"data: " + msgspec.json.encode(each) + end * 2 for each in events)
    sent += b"data: [DONE]" + end * 2
    stream, heard = Stream(), []
    for at in range(0, len(sent), step):
        heard += stream.feed(sent[at : at + step])
    assert "".join(heard) == stream.said.text == "".join(texts)
    assert stream.ended
    assert (stream.said.finish, used(stream.said.counted, 9, 9).tokens_out) == ("stop", 4)


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_garbled(body: bytes) -> None:
    for call in (lambda: whole(body), lambda: Stream().feed(b"data: " + body + b"\n")):
        with contextlib.suppress(Garbled):  # and nothing else
            call()


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": -1, "completion_tokens": 2}, {"prompt_tokens": "3"}, 7])
def test_a_count_that_makes_no_sense_is_none(usage: Any) -> None:
    said = whole(msgspec.json.encode({"choices": [{"message": {"content": "abcd"}}], "usage": usage}))
    assert said.counted is None
    assert used(said.counted, 8, 4).estimated


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("99999", 3600.0),
        ("Sat, 01 Jan 2000 00:00:30 GMT", 30.0),
        ("Fri, 31 Dec 1999 23:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("-1", None),
    ],
)
def test_retry_after(header: str, seconds: float | None) -> None:
    assert retry_after(header, "Sat, 01 Jan 2000 00:00:00 GMT") == seconds


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "pattern": "^[a-z]+$"},
        "age": {"type": ["integer", "null"]},
        "kind": {"enum": ["a", "b"]},
        "scores": {"type": "array", "items": {"type": "number", "maximum": 1}, "minItems": 1},
        "more": {"type": "object", "additionalProperties": {"type": "boolean"}},
        "any": {},
    },
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('{"name": "x", "age": null, "kind": "a", "scores": [0.5, 1], "more": {"x": true}, "any": [1]}', ""),
        ('{"name": "x", "age": 3}', ""),
        ('{"name": ""}', "$.name"),
        ('{"name": "X"}', "matching regex"),
        ('{"age": 3}', "missing required field `name`"),
        ('{"name": "x", "age": "3"}', "$.age"),
        ('{"name": "x", "kind": "c"}', "'c'"),
        ('{"name": "x", "scores": []}', "length >= 1"),
        ('{"name": "x", "scores": [2]}', "<= 1.0"),
        ('{"name": "x", "more": {"x": 1}}', "$.more[...]"),
        ('{"name": "x", "else": 1}', "unknown field `else`"),
        ('{"name": "x"', "truncated"),
        ("[" * 5000, "recursion"),
    ],
)
def test_an_answer_is_held_to_its_schema(body: str, fault: str) -> None:
    wanted = type_of(PERSON)
    if not fault:
        assert checked(body.encode(), wanted) == msgspec.json.decode(body)
        return
    with pytest.raises(Unfit) as caught:
        checked(body.encode(), wanted)
    assert fault in str(caught.value) or fault == "recursion"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strin"},
        {"$ref": "#/x"},
        {"type": "string", "format": "date"},
        {"type": "object", "properties": {"a": {"oneOf": []}}},
        {"type": "object", "properties": {"a": {}}, "required": ["b"]},
        {"anyOf": []},
        {"enum": []},
        {"type": "string", "pattern": "("},
        [1],
    ],
)
def test_what_a_schema_asks_and_nobody_holds_is_refused(schema: Any) -> None:
    with pytest.raises(Unheld):
        type_of(schema)


@pytest.mark.slow
@given(st.recursive(st.none() | st.booleans() | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_json_is_found_alone_and_in_a_fence(document: Any) -> None:
    text = msgspec.json.encode({"it": document}).decode()
    assert json_in(text) == text
    assert msgspec.json.decode(json_in(f"Well:\n{text}\nThat is it.")) == {"it": document}
    if "```" not in text:
        assert json_in(f"Well, {{hm}}:\n```json\n{text}\n```\nThat is it.") == text
