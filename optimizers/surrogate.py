"""The Gaussian process that the Bayesian strategy thinks with: Matern 5/2, a length scale per column, noise per trial.

Hyperparameters by maximum a posteriori: a log-normal prior on length scales (median 0.5 of a parameter's range) and on
the variance. scikit-optimize has neither such priors nor noise per point in its `Optimizer`, and its regressor takes
twenty times as long (docs/decisions/own-surrogate.md), so these few lines are ours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, lapack, solve_triangular
from scipy.optimize import minimize
from scipy.special import erfcx, log_ndtr

from domain.space import Parameter, SearchSpace

Array = NDArray[np.float64]
FLIP = 0.5  # distance that a change of a category counts, where a number's whole range counts 1
MEDIAN_LENGTH, LENGTH_SPREAD = 0.5, 0.7  # of the log-normal prior on length scales
PRIOR_SD, SD_SPREAD = 0.10, 0.7  # of effects over the space (log difference), and of its logarithm
BOUNDS = (-4.0, 4.0)  # of the logarithms, around their prior medians
SQRT5 = np.sqrt(5.0)


def encode(space: SearchSpace, places: Array) -> Array:
    """Columns for the surrogate: numbers on the unit interval, special values and categories as indicators."""
    columns = [column for at, p in enumerate(space.parameters) for column in _columns(p, places[:, at])]
    return np.column_stack(columns)


def _columns(parameter: Parameter, xs: Array) -> list[Array]:
    if parameter.type == "categorical":
        count = len(parameter.choices)
        cell = np.minimum((xs * count).astype(int), count - 1)
        return [np.where(cell == i, FLIP, 0.0) for i in range(count)]
    if parameter.special:
        return [xs, np.where(xs < 0.2, FLIP, 0.0)]
    return [xs]


class Surrogate:
    """Posterior of the effect (log difference against the original; prior mean 0) over encoded settings."""

    def __init__(self, rows: Array, effects: Array, variances: Array) -> None:
        self._rows, self._effects = rows, effects
        noise = variances + 1e-8
        squares = (rows[:, None, :] - rows[None, :, :]) ** 2
        start = np.zeros(rows.shape[1] + 1)
        found = minimize(
            _loss, start, args=(squares, effects, noise), jac=True, method="L-BFGS-B", bounds=[BOUNDS] * len(start),
            options={"maxiter": 40},
        )  # fmt: skip
        self.sd, self.lengths = _unpacked(found.x)
        covariance = self.sd**2 * _matern(squares @ self.lengths**-2.0)
        self._factor = np.linalg.cholesky(covariance + np.diag(noise))
        self._weights = cho_solve((self._factor, True), effects)

    def at(self, rows: Array) -> tuple[Array, Array]:
        """Mean and sd of the effect at each row."""
        ours, theirs = rows / self.lengths, self._rows / self.lengths
        squares = (ours**2).sum(1)[:, None] + (theirs**2).sum(1)[None, :] - 2 * ours @ theirs.T
        across = self.sd**2 * _matern(np.maximum(squares, 0.0))
        explained = solve_triangular(self._factor, across.T, lower=True, check_finite=False)
        variance = self.sd**2 - (explained**2).sum(0)
        return across @ self._weights, np.sqrt(np.maximum(variance, 1e-12))


def _unpacked(logs: Array) -> tuple[float, Array]:
    return PRIOR_SD * float(np.exp(logs[0])), MEDIAN_LENGTH * np.exp(logs[1:])


def _matern(squares: Array) -> Array:
    r = SQRT5 * np.sqrt(squares)
    return np.asarray((1 + r + r**2 / 3) * np.exp(-r))


def _loss(logs: Array, squares: Array, effects: Array, noise: Array) -> tuple[float, Array]:
    """Negative log posterior of (log sd, log lengths) and its gradient (Rasmussen and Williams, 2006, eq. 5.9)."""
    sd, lengths = _unpacked(logs)
    scaled = squares * lengths**-2.0
    r = SQRT5 * np.sqrt(scaled.sum(-1))
    decay = sd**2 * np.exp(-r)
    signal = decay * (1 + r + r**2 / 3)
    covariance = signal.copy()
    covariance.flat[:: len(effects) + 1] += noise
    factor, failed = lapack.dpotrf(covariance, lower=1)
    if failed:
        return 1e10, np.zeros_like(logs)
    inverse = lapack.dpotri(factor, lower=1)[0]
    inverse = inverse + np.tril(inverse, -1).T
    weights = inverse @ effects
    inner = np.outer(weights, weights) - inverse
    # d k / d log length_j = sd^2 * 5/3 * (1 + r) * exp(-r) * (x_j - x'_j)^2 / length_j^2
    slope = (inner * decay * (1 + r) * (5 / 3)).ravel() @ scaled.reshape(-1, len(lengths))
    gradient = -0.5 * np.concatenate(([2 * float((inner * signal).sum())], slope))
    spread = np.concatenate(([SD_SPREAD], np.full(len(lengths), LENGTH_SPREAD)))
    loss = (
        0.5 * float(effects @ weights)
        + float(np.log(np.diag(factor)).sum())
        + 0.5 * float(((logs / spread) ** 2).sum())
    )
    return loss, gradient + logs / spread**2


def log_expected_improvement(mean: Array, sd: Array, best: float) -> Array:
    """log E[max(best - f, 0)] in the stable form (Ament et al., 2023: "Unexpected Improvements to Expected
    Improvement"): the plain form is 0 where nothing is left to choose by."""
    z = (best - mean) / sd
    result = np.empty_like(z)
    far = z <= -1.0
    near = ~far
    density = np.exp(-0.5 * z[near] ** 2) / np.sqrt(2 * np.pi)
    result[near] = np.log(z[near] * np.exp(log_ndtr(z[near])) + density)
    w = z[far]
    ratio = np.log(erfcx(-w / np.sqrt(2)) * np.abs(w)) + 0.5 * np.log(np.pi / 2)
    result[far] = -0.5 * w**2 - 0.5 * np.log(2 * np.pi) + np.log1p(-np.exp(np.minimum(ratio, -1e-16)))
    return np.asarray(result + np.log(sd), dtype=np.float64)
