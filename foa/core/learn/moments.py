"""What was learned of one agent, as sums that add: the one thing that learners share and keep.

Every observation is a row ``s = [z; x; r]``: ``z`` (m shared features), ``x`` (d features of the task), ``r`` (the
reward). Kept is its weighted Gram matrix ``Σ w s sᵀ`` as a packed upper triangle, which holds all that a linear
model needs: ``Σ w v vᵀ``, ``Σ w r v`` (v = [z; x]) and ``Σ w r²``. Beside it are ``Σ w`` and how many they were.

Forward decay (Cormode et al., ICDE 2009): an observation of time t weighs ``exp((t - L) / τ)`` for good, whatever comes
later, so sums of several nodes with the same landmark L add in any order. Moving L to M scales by ``exp((L - M) / τ)``.
"""

from math import exp, isfinite
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_WIDTH: Final = 256
"""Most shared and task features together: bounds what bytes from elsewhere can make us allocate."""

_ROUNDING: Final = 1e-5
"""How far below 0, relative to the trace, float32 may push the least eigenvalue of an honest Gram matrix."""


def decayed(at: float, landmark: float, tau: float) -> float:
    """Return the weight ``exp((at - landmark) / tau)`` of what happened at `at` (one unit for all three, tau > 0).

    An infinite tau means no decay. Raises OverflowError some 700 tau after the landmark: move it long before.
    """
    return exp((at - landmark) / tau)


class Moments:
    """The sums of one agent. Values of the same (m, d) and the same landmark may be combined.

    ``sums`` is float64 of `size_of(m, d)` entries: the packed triangle row by row, then ``Σ w``, then the count.
    The count says how many observations there were; scaling leaves it alone.
    """

    __slots__ = ("d", "m", "sums")

    def __init__(self, m: int, d: int, sums: Floats | None = None) -> None:
        if m < 1 or d < 1 or m + d > MAX_WIDTH:
            raise ValueError(f"m = {m} and d = {d}: both must be positive, together at most {MAX_WIDTH}")
        self.m = m
        self.d = d
        self.sums: Floats = np.zeros(size_of(m, d)) if sums is None else sums

    @property
    def weight(self) -> float:
        """Return ``Σ w``."""
        return float(self.sums[-2])

    @property
    def count(self) -> int:
        """Return how many observations are in it."""
        return round(float(self.sums[-1]))

    def observe(self, v: Floats, r: float, w: float = 1.0) -> None:
        """Count one observation in place: `v` = [z; x] of shape (m + d,), reward `r`, weight `w` >= 0.

        Raises ValueError, with nothing counted, for another shape or anything that is not finite.
        """
        row = np.append(np.asarray(v, np.float64), r)
        if row.shape != (self.m + self.d + 1,):
            raise ValueError(f"v has shape {np.shape(v)}, not ({self.m + self.d},)")
        if not np.isfinite(row).all() or not isfinite(w) or w < 0.0:
            raise ValueError("an observation must be finite, its weight not negative")
        self.sums[:-2] += w * np.outer(row, row)[_triangle(self.m + self.d + 1)]
        self.sums[-2] += w
        self.sums[-1] += 1.0

    @classmethod
    def of(cls, v: Floats, r: Floats, w: Floats, m: int) -> Self:
        """Return the moments of many observations at once: `v` (n, m + d), `r` (n,), `w` (n,) >= 0, all finite."""
        made = cls(m, v.shape[1] - m)
        rows = np.concatenate((v, r[:, None]), axis=1)
        if not (np.isfinite(rows).all() and np.isfinite(w).all() and (w >= 0.0).all()):
            raise ValueError("observations must be finite, their weights not negative")
        made.sums[:-2] = ((rows * w[:, None]).T @ rows)[_triangle(v.shape[1] + 1)]
        made.sums[-2:] = w.sum(), len(r)
        return made

    def add(self, v: Floats, r: float, w: float = 1.0) -> Self:
        """Return these moments and one more observation; see `observe`."""
        made = self.copy()
        made.observe(v, r, w)
        return made

    def merge(self, other: "Moments") -> Self:
        """Return the sum of both: commutative and, up to rounding, associative."""
        return self._like(self.sums + self._checked(other))

    def subtract(self, other: "Moments") -> Self:
        """Return these moments without `other`, which must have been merged into them; exact up to rounding."""
        return self._like(self.sums - self._checked(other))

    def scaled(self, factor: float) -> Self:
        """Return these moments with every weight times `factor` >= 0; the count stays."""
        if not isfinite(factor) or factor < 0.0:
            raise ValueError(f"a scale must be finite and not negative, not {factor}")
        sums = self.sums * factor
        sums[-1] = self.sums[-1]
        return self._like(sums)

    def copy(self) -> Self:
        """Return an independent copy."""
        return self._like(self.sums.copy())

    def gram(self) -> Floats:
        """Return ``Σ w s sᵀ`` in full, (m + d + 1) squared, in the order z, x, r."""
        width = self.m + self.d + 1
        full = np.zeros((width, width))
        full[_triangle(width)] = self.sums[:-2]
        return full + np.triu(full, 1).T

    def to_bytes(self) -> bytes:
        """Return the sums as they travel: float32, little-endian. Raises ValueError if one is beyond float32."""
        with np.errstate(over="ignore"):
            body = self.sums.astype("<f4")
        if not np.isfinite(body).all():
            raise ValueError("these moments are beyond float32; move the landmark nearer")
        return body.tobytes()

    @classmethod
    def from_bytes(cls, body: bytes, m: int, d: int) -> Self:
        """Return the moments that travelled as `body`; ValueError unless observations could have made them."""
        made = cls(m, d)
        if len(body) != 4 * made.sums.size:
            raise ValueError(f"{len(body)} bytes are no moments of m = {m}, d = {d}: those have {4 * made.sums.size}")
        sums = np.frombuffer(body, "<f4").astype(np.float64)
        if not np.isfinite(sums).all() or sums[-2] < 0.0 or sums[-1] < 0.0:
            raise ValueError("moments must be finite, weight and count not negative")
        made.sums = sums
        made._refuse_impossible()
        return made

    def _refuse_impossible(self) -> None:
        gram = self.gram()[:-1, :-1]  # a correction alone changes what rewards say, not how features vary
        trace = float(np.trace(gram))
        try:
            least = float(np.linalg.eigvalsh(gram)[0])
        except np.linalg.LinAlgError:
            raise ValueError("the Gram matrix has no eigenvalues") from None
        if least < -_ROUNDING * max(trace, 1.0):
            raise ValueError(f"no observations have such a Gram matrix: eigenvalue {least:.3g}, trace {trace:.3g}")

    def _checked(self, other: "Moments") -> Floats:
        if (other.m, other.d) != (self.m, self.d):
            raise ValueError(f"moments of ({other.m}, {other.d}) and ({self.m}, {self.d}) features do not add")
        return other.sums

    def _like(self, sums: Floats) -> Self:
        return type(self)(self.m, self.d, sums)


def size_of(m: int, d: int) -> int:
    """Return how many numbers the moments of m shared and d task features are."""
    width = m + d + 1
    return width * (width + 1) // 2 + 2


def _triangle(width: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    found = _TRIANGLES.get(width)
    if found is None:
        found = _TRIANGLES[width] = np.triu_indices(width)
    return found


_TRIANGLES: Final[dict[int, tuple[NDArray[np.intp], NDArray[np.intp]]]] = {}
"""By width, of which there are at most MAX_WIDTH + 1."""
