"""Capability vectors: the filter, the vectors, the build, and which of two is accepted."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foa.core.vcv.blend import combine
from foa.core.vcv.bloom import bloom, may_have
from foa.core.vcv.build import accept, build_vcv, fingerprint, skill_ids, texts_of
from foa.core.vcv.profile import Profile, Skill, Spec
from foa.core.vcv.terms import terms_of
from foa.core.vcv.vector import cosine, is_unit, normalised, pack, unpack
from foa.wire.codec import decode, encode
from foa.wire.ids import Version
from foa.wire.messages import Vcv

SKILLS = st.lists(st.text(min_size=1, max_size=20), max_size=20)
VECTORS = st.lists(st.floats(-100, 100, width=32), min_size=8, max_size=8).filter(lambda v: np.linalg.norm(v) > 0.1)

PROFILE = Profile(
    "org/unit/clean",
    "Cleaner",
    "cleans tables",
    skills=(Skill("csv.clean", "Clean CSV", "drops bad rows", ("csv", "tables"), ("clean this file",)),),
    holds=("gdpr", "eu"),
    spec=Spec(goals=("tidy data",), donts=("lose rows",)),
)


@given(SKILLS, SKILLS)
def test_the_filter_never_denies_wrongly(skills: list[str], more: list[str]) -> None:
    assert may_have(bloom(skills + more), skills)
    assert len(bloom(skills)) == 32


def test_the_filter_is_stable_and_mostly_right() -> None:
    assert bloom(["csv.clean"]).hex() == bloom(["csv.clean", "csv.clean"]).hex()
    assert sum(byte.bit_count() for byte in bloom(["csv.clean"])) <= 4
    skills = [f"skill-{n}" for n in range(8)]
    wrong = sum(may_have(bloom(skills), [f"other-{n}"]) for n in range(2_000))
    assert wrong < 20
    assert not may_have(bloom([]), ["x"])


@given(VECTORS)
def test_packing_keeps_direction(vector: list[float]) -> None:
    body = pack(vector)
    assert len(body) == 16
    assert is_unit(body, 8)
    assert np.allclose(unpack(body), normalised(vector), atol=2e-3)
    assert cosine(body, body) == pytest.approx(1.0, abs=1e-5)


def test_vectors_of_strangers_are_checked() -> None:
    assert not is_unit(b"", 8)
    assert not is_unit(b"\0" * 15, 8)
    assert not is_unit(np.full(8, np.nan, "<f2").tobytes(), 8)
    assert not is_unit(np.full(8, np.inf, "<f2").tobytes(), 8)
    assert not is_unit(np.ones(8, "<f2").tobytes(), 8)
    assert not is_unit(bytes(16), 8)
    with pytest.raises(ValueError, match="not of one model"):
        cosine(pack([1, 0]), pack([1, 0, 0]))


def test_combining_is_a_normalised_weighted_sum() -> None:
    x, y = pack([1, 0, 0]), pack([0, 1, 0])
    assert np.allclose(unpack(combine([(3, x), (4, y)])), [0.6, 0.8, 0], atol=1e-3)
    assert combine([(0.4, x)]) == x


def test_texts_are_the_views_that_exist_and_a_spec_always() -> None:
    texts = texts_of(PROFILE)
    assert list(texts) == ["name", "description", "skills", "examples", "spec"]
    assert "tidy data" in texts["spec"]
    bare = texts_of(Profile("o/u/a", "doA_now", "does a"))
    assert bare == {"name": "do a now", "description": "does a", "spec": "do a now: does a"}
    assert texts_of(Profile("o/u/a", "...", "")) == {"name": "...", "spec": "...: "}
    assert skill_ids(PROFILE) == ("csv", "csv.clean", "tables")


def test_a_built_vector_travels_and_stays() -> None:
    vectors = {name: pack(np.eye(5)[at]) for at, name in enumerate(texts_of(PROFILE))}
    vcv = build_vcv(PROFILE, Version(1, 2), "m", vectors, "")
    assert decode(encode(vcv)) == vcv
    assert np.allclose(unpack(vcv.c)[:4] ** 2, np.array([25, 36, 25, 16]) / 102, atol=1e-3)
    assert vcv.terms == terms_of(PROFILE)
    assert vcv.e == vectors["spec"]
    assert list(vcv.views) == ["name", "description", "skills", "examples"]
    assert vcv.holds == ("eu", "gdpr")
    turned = msgspec.structs.replace(vcv, views=dict(reversed(vcv.views.items())))
    assert fingerprint(turned) == fingerprint(vcv)
    with pytest.raises(KeyError):
        build_vcv(PROFILE, Version(1, 2), "m", {"spec": vectors["spec"]})


VCVS = st.builds(
    lambda epoch, counter, name: Vcv("o/u/a", Version(epoch, counter), "m", b"", b"", bytes(32), name=name),
    st.integers(0, 3), st.integers(0, 3), st.sampled_from(("", "x")),
)  # fmt: skip
OPPOSITE = {"newer": "stale", "stale": "newer", "same": "same", "conflict": "conflict"}


@given(VCVS, VCVS, VCVS)
def test_acceptance_is_a_total_order_of_versions(a: Vcv, b: Vcv, c: Vcv) -> None:
    assert accept(None, a) == "newer"
    assert accept(a, a) == "same"
    assert accept(b, a) == OPPOSITE[accept(a, b)]
    if accept(a, b) == "newer" and accept(b, c) == "newer":
        assert accept(a, c) == "newer"
    if accept(a, b) == "same":
        assert a == b
