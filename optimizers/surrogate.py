"""The Gaussian process that the Bayesian strategy thinks with: scikit-optimize's, with noise per trial.

Matern 5/2 with a length scale per column. scikit-optimize's `Optimizer.tell` takes no noise per point, so its regressor
is used directly, with the variances on the diagonal (`alpha`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr
from sklearn.exceptions import ConvergenceWarning
from skopt.learning.gaussian_process import GaussianProcessRegressor
from skopt.learning.gaussian_process.kernels import ConstantKernel, Matern

from domain.space import Parameter, SearchSpace, Settings, to_unit

Array = NDArray[np.float64]
FLIP = 0.5  # distance that a change of a category counts, where a number's whole range counts 1
LEAST_SPREAD, MOST_SPREAD = 0.02, 3.0  # sd of effects over the space (log difference)
LENGTHS = (0.15, 5.0)


def encode(space: SearchSpace, settings: Sequence[Settings]) -> Array:
    """One row per settings: numbers on the unit interval, special values and categories as indicators."""
    return np.array([[x for p in space.parameters for x in _columns(p, each)] for each in settings], dtype=np.float64)


def _columns(parameter: Parameter, settings: Settings) -> list[float]:
    value = settings[parameter.name]
    if parameter.type == "categorical":
        place = to_unit(parameter, value)
        cell = min(int(place * len(parameter.choices)), len(parameter.choices) - 1)
        return [FLIP if i == cell else 0.0 for i in range(len(parameter.choices))]
    special = any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in parameter.special)
    columns = [to_unit(parameter, value)]
    return [*columns, FLIP if special else 0.0] if parameter.special else columns


class Surrogate:
    """Posterior of the effect (log difference against the original; prior mean 0) over encoded settings."""

    def __init__(self, rows: Array, effects: Array, variances: Array, seed: int) -> None:
        spread = float(np.clip(np.sqrt(np.mean(effects**2)), LEAST_SPREAD, MOST_SPREAD))
        kernel = ConstantKernel(spread**2, (LEAST_SPREAD**2, MOST_SPREAD**2)) * Matern(
            length_scale=np.full(rows.shape[1], 1.0), length_scale_bounds=LENGTHS, nu=2.5
        )
        self._model = GaussianProcessRegressor(
            kernel, alpha=variances + 1e-8, n_restarts_optimizer=1, normalize_y=False, noise=None, random_state=seed
        )
        with warnings.catch_warnings():
            # A length scale at its bound is no news: most parameters do not matter.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._model.fit(rows, effects)

    def at(self, rows: Array) -> tuple[Array, Array]:
        """Mean and sd of the effect at each row."""
        mean, sd = self._model.predict(rows, return_std=True)
        return np.asarray(mean, dtype=np.float64), np.maximum(np.asarray(sd, dtype=np.float64), 1e-9)


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
