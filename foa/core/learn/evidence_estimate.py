"""What an agent's finished tasks say of a new one: Gaussian process regression on what the profile did not foretell.

    k(x, y) = exp((x·y - 1) / WIDTH)
    α = (K + diag(NOISE · 2^(age / half-life)))⁻¹ (rewards - priors)
    evidence(q) = Σ k(q, x_i) α_i

Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, equations 2.23 and 2.38, with the prior
mean that the profile gives and independent noise that grows with age, so that old exemplars fade into the prior. It
weighs like tasks together instead of counting them twice, a failure lowers what is near it and nothing else, and
where nothing is known it is 0. ``α`` changes only with the memory, so that a query costs one product.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from foa.core.vcv.vector import Floats

Numbers = npt.NDArray[np.float64]

WIDTH: Final = 0.2
NOISE: Final = 0.2
HALF_LIFE_S: Final = 30 * 86_400.0
"""After so many seconds an exemplar has half the weight of a new one."""

_OLDEST: Final = 40.0
"""Half-lives after which nothing is left; beyond, powers of two only overflow."""


def kernel(cosines: npt.ArrayLike) -> Numbers:
    """Return how much alike tasks with these cosines are, in (0, 1]."""
    return np.asarray(np.exp((np.asarray(cosines, dtype=np.float64) - 1.0) / WIDTH), dtype=np.float64)


def weights(vectors: Floats, rewards: Numbers, priors: Numbers, ages_s: Numbers) -> Numbers:
    """Return ``α`` (n,) of a memory: `vectors` (n, dim) normalised, `rewards` and `priors` in [0, 1]; seconds."""
    ages = np.clip(ages_s / HALF_LIFE_S, 0.0, _OLDEST)
    gram = kernel(vectors @ vectors.T)
    gram[np.diag_indices(len(gram))] = 1.0 + NOISE * np.exp2(ages)
    return np.asarray(np.linalg.solve(gram, rewards - priors), dtype=np.float64)
