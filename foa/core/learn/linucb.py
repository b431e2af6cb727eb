"""Hybrid LinUCB (Li et al., WWW 2010, Algorithm 2): shared weights for all agents, own weights for each.

The model of a reward is ``z·β + x·θ_a``: β is shared by all agents, θ_a is what agent a is beyond that. In the paper's
terms, with ``A_a = λI + Σ x xᵀ``, ``B_a = Σ x zᵀ``, ``b_a = Σ r x``, kept per agent are the three things that a score
multiplies by x, stacked as rows of one matrix: ``A_a⁻¹`` (d rows), ``G_a = (A_a⁻¹ B_a)ᵀ`` (m rows) and
``g_a = A_a⁻¹ b_a`` (one row). So all agents are scored by one matrix-vector product, and an observation changes its
agent by one outer product (Sherman-Morrison), since with ``u = A_a⁻¹ x``, ``w = z - G_a x``, ``e = r - g_a·x`` and
``s = 1 + x·u``::

    A_a⁻¹ -= u uᵀ / s      G_a += w uᵀ / s      g_a += e u / s
    A_0   += w wᵀ / s      b_0 += w e / s       (the Schur complement of a rank-one update has rank one)

and the shared part is updated by Sherman-Morrison again. A weight ω of an observation is ``s = 1/ω + x·u``.

Rewards are learned as differences from ``z·prior``, so that ridge pulls β toward the prior, not toward 0: without
evidence the order of agents is the prior's, and all that is learned is a correction of it.
"""

from collections.abc import Mapping, Sequence
from math import isfinite, log, sqrt
from typing import Final

import numpy as np

from foa.core.learn.moments import Floats, Moments

MAX_AGENTS: Final = 10_000
"""Most agents with weights of their own; whoever comes later is scored by the shared weights alone."""

_UNKNOWN: Final = 0
"""The row of all agents without evidence: A = λI and nothing else."""


def width_factor(d: int, t: float, *, alpha: float, ridge: float, delta: float, norm: float) -> float:
    """Return β_t = α·sqrt(d·ln(1 + t/λ) + 2·ln(1/δ)) + sqrt(λ)·S (Abbadi-Yadkori et al., NeurIPS 2011, theorem 2).

    ``alpha`` scales the noise (σ in the paper; 0 turns exploration off but for the second term), ``ridge`` is λ,
    ``delta`` in (0, 1) the chance to be wrong, ``norm`` is S, a bound on the weights' distance from the prior.
    """
    return alpha * sqrt(d * log(1.0 + t / ridge) + 2.0 * log(1.0 / delta)) + sqrt(ridge) * norm


def waning_factor(weight: float, *, alpha: float, patience: float) -> float:
    """Return ``alpha / sqrt(1 + weight/patience)``: wide at first, then ever less (ours).

    ``weight`` is the weight of all that was learned. The theorem's factor grows with t and with d, which buys a bound
    for the worst case at the price of exploring to the end of any horizon that occurs; decay keeps this one above 0.
    """
    return alpha / sqrt(1.0 + weight / patience)


def second_look(evidence: Floats, weight: float, *, alpha: float) -> Floats:
    """Return the bonus (n,) ``alpha·sqrt(ln(1 + weight/(n·e)) / e)`` of agents with `evidence` (n,), e = evidence + 1.

    MOSS (Audibert and Bubeck, COLT 2009) over agents as wholes: whoever had bad luck with its first few tasks is tried
    again as all others earn more evidence, however little the model still doubts.
    """
    e = evidence + 1.0
    return np.asarray(alpha * np.sqrt(np.log1p(weight / (e.size * e)) / e))


class Hybrid:
    """Hybrid LinUCB over agents by id, with `m` shared and `d` task features.

    ``prior`` (m,) is where the shared weights start, ``ridge`` the λ of an agent's own weights, ``shared_ridge``
    that of the shared ones (the same unless given). Not thread-safe. Memory: (d + m + 1)·d doubles per agent seen.
    """

    def __init__(self, m: int, d: int, prior: Floats, ridge: float = 1.0, shared_ridge: float | None = None) -> None:
        if np.shape(prior) != (m,) or not np.isfinite(prior).all():
            raise ValueError(f"the prior must be {m} finite weights, not of shape {np.shape(prior)}")
        self.m = m
        self.d = d
        self.prior: Floats = np.array(prior, np.float64)
        self.ridge = ridge
        self.shared_ridge = ridge if shared_ridge is None else shared_ridge
        self.weight = 0.0
        self._rows: dict[str, int] = {}
        self._stack: Floats = np.zeros((1, d + m + 1, d))
        self._stack[_UNKNOWN, :d] = np.eye(d) / ridge
        self._inverse: Floats = np.eye(m) / self.shared_ridge
        self._beta: Floats = np.zeros(m)
        self._evidence: Floats = np.zeros(1)
        self._left: Floats = np.zeros((1, m, m))
        self._right: Floats = np.zeros((1, m))

    @property
    def beta(self) -> Floats:
        """Return the shared weights (m,), the prior included."""
        return self.prior + self._beta

    def own(self, agent: str) -> Floats:
        """Return the agent's own weights θ_a = A_a⁻¹(b_a - B_a β) (d,); zeros for an unknown agent."""
        rows = self._stack[self._rows.get(agent, _UNKNOWN), self.d :]
        return np.asarray(rows[-1] - self._beta @ rows[:-1])

    def load(self, moments_by_agent: Mapping[str, Moments], scale: float = 1.0) -> None:
        """Forget everything and derive the model from `moments_by_agent`, every weight in them times `scale`.

        With forward decay ``scale`` is exp((L - now)/τ), which makes an observation of now weigh 1.
        Raises ValueError if moments are of other features.
        """
        self._rows = {}
        self._stack, self._evidence = self._stack[:1], self._evidence[:1]
        self._left, self._right = self._left[:1], self._right[:1]
        self.replace(moments_by_agent, scale)

    def replace(self, moments_by_agent: Mapping[str, Moments], scale: float = 1.0) -> None:
        """Derive these agents anew, as `load` does, and leave the others: the cost is that of these agents alone."""
        m, d = self.m, self.d
        known = sorted(agent for agent in moments_by_agent if self._row(agent) != _UNKNOWN)
        rows = [self._rows[agent] for agent in known]
        grams = np.zeros((len(known), m + d + 1, m + d + 1))
        for at, agent in enumerate(known):
            moments = moments_by_agent[agent]
            if (moments.m, moments.d) != (m, d):
                raise ValueError(f"moments of ({moments.m}, {moments.d}) features, the model has ({m}, {d})")
            grams[at] = moments.gram() * scale
        grams[:, :-1, -1] -= grams[:, :-1, :m] @ self.prior
        a_zz, a_xz, b_z, b_x = grams[:, :m, :m], grams[:, m:-1, :m], grams[:, :m, -1], grams[:, m:-1, -1]
        inverse = np.linalg.inv(grams[:, m:-1, m:-1] + self.ridge * np.eye(d))
        shared = inverse @ a_xz
        rest = (inverse @ b_x[:, :, None])[:, :, 0]
        self._stack[rows, :d] = inverse
        self._stack[rows, d:-1] = shared.transpose(0, 2, 1)
        self._stack[rows, -1] = rest
        own = a_xz.transpose(0, 2, 1)
        self._left[rows] = a_zz - own @ shared
        self._right[rows] = b_z - (own @ rest[:, :, None])[:, :, 0]
        self._evidence[rows] = [scale * moments_by_agent[agent].weight for agent in known]
        total = self._left.sum(axis=0) + self.shared_ridge * np.eye(m)
        self._inverse = np.linalg.inv((total + total.T) / 2.0)
        self._beta = self._inverse @ self._right.sum(axis=0)
        self.weight = float(self._evidence.sum())

    def score(self, agents: Sequence[str], z: Floats, x: Floats) -> tuple[Floats, Floats]:
        """Return expected rewards (n,) and their standard widths sqrt(variance) (n,) of `agents` for one task.

        `z` is (n, m), one row of shared features per agent, `x` is (d,). An upper bound is mean + β_t·width.
        """
        rows = [self._rows.get(agent, _UNKNOWN) for agent in agents]
        d = self.d
        products = (self._stack.reshape(-1, d) @ x).reshape(-1, d + self.m + 1)[rows]
        w = z - products[:, d:-1]
        means = z @ self.prior + products[:, -1] + w @ self._beta
        variances = products[:, :d] @ x + ((w @ self._inverse) * w).sum(axis=1)
        return means, np.sqrt(np.maximum(variances, 0.0))

    def evidence(self, agents: Sequence[str]) -> Floats:
        """Return the weight (n,) of what was observed of each of `agents`."""
        return np.asarray(self._evidence[[self._rows.get(agent, _UNKNOWN) for agent in agents]])

    def observe(self, agent: str, z: Floats, x: Floats, r: float, w: float = 1.0) -> float:
        """Learn that `agent` earned `r` with the features `z` (m,) and `x` (d,); the observation weighs `w`.

        Return what was expected of it before. A weight of 0 changes nothing. Raises ValueError, with nothing learned,
        for what is not finite.
        """
        if not (isfinite(r) and isfinite(w) and w >= 0.0 and np.isfinite(z).all() and np.isfinite(x).all()):
            raise ValueError("an observation must be finite, its weight not negative")
        d, row = self.d, self._row(agent)
        stack = self._stack[row]
        products = stack @ x
        rest = z - products[d:-1]
        shared = float(rest @ self._beta)
        error = r - float(z @ self.prior) - float(products[-1])
        if w > 0.0 and row != _UNKNOWN:
            u = products[:d]
            spread = 1.0 / w + float(x @ u)
            stack += np.outer(np.concatenate((-u, rest, [error])), u / spread)
            v = self._inverse @ rest
            base = spread + float(rest @ v)
            self._beta += v * ((error - shared) / base)
            self._inverse -= np.outer(v, v / base)
            self._left[row] += np.outer(rest, rest / spread)
            self._right[row] += rest * (error / spread)
            self._evidence[row] += w
            self.weight += w
        return r - error + shared

    def _row(self, agent: str) -> int:
        row = self._rows.get(agent)
        if row is None:
            if len(self._rows) >= MAX_AGENTS:
                return _UNKNOWN
            row = self._rows[agent] = len(self._rows) + 1
            if row >= len(self._stack):
                more = np.repeat(self._stack[:1], max(8, len(self._stack) // 4), axis=0)
                self._stack = np.concatenate((self._stack, more))
                self._evidence = np.concatenate((self._evidence, np.zeros(len(more))))
                self._left = np.concatenate((self._left, np.zeros((len(more), self.m, self.m))))
                self._right = np.concatenate((self._right, np.zeros((len(more), self.m))))
        return row
