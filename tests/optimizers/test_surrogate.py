"""The Gaussian process, against finite differences, scikit-learn, and plain formulas."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from domain.space import Parameter, SearchSpace
from optimizers.surrogate import (
    FLIP,
    LENGTH_SPREAD,
    MEDIAN_LENGTH,
    PRIOR_SD,
    SD_SPREAD,
    Surrogate,
    _loss,
    encode,
    log_expected_improvement,
)


def data(seed: int, n: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = rng.random((n, width))
    return rows, np.sin(3 * rows[:, 0]) * 0.2 + rng.normal(0, 0.02, n), rng.uniform(1e-4, 1e-2, n)


# --- hyperparameters -------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 999), n=st.integers(2, 12), width=st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_the_gradient_is_that_of_finite_differences(seed: int, n: int, width: int) -> None:
    """Of the log posterior in every hyperparameter."""
    rows, effects, noise = data(seed, n, width)
    squares = (rows[:, None, :] - rows[None, :, :]) ** 2
    logs = np.random.default_rng(seed).uniform(-1, 1, width + 1)
    _, gradient = _loss(logs, squares, effects, noise)
    for at in range(width + 1):
        step = np.zeros(width + 1)
        step[at] = 1e-5
        up, down = (_loss(logs + sign * step, squares, effects, noise)[0] for sign in (1, -1))
        assert gradient[at] == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-5)


def test_the_loss_is_the_posterior_of_scikit_learn_with_its_prior() -> None:
    """Log marginal likelihood of the same kernel, and the log-normal priors on top."""
    kernels = pytest.importorskip("sklearn.gaussian_process.kernels")
    process = pytest.importorskip("sklearn.gaussian_process")
    rows, effects, noise = data(3, 10, 3)
    squares = (rows[:, None, :] - rows[None, :, :]) ** 2
    logs = np.array([0.3, -0.5, 0.2, 0.7])
    sd, lengths = PRIOR_SD * np.exp(logs[0]), MEDIAN_LENGTH * np.exp(logs[1:])
    kernel = kernels.ConstantKernel(sd**2) * kernels.Matern(lengths, nu=2.5)
    fitted = process.GaussianProcessRegressor(kernel, alpha=noise, optimizer=None).fit(rows, effects)
    likelihood = fitted.log_marginal_likelihood(fitted.kernel_.theta) + len(effects) / 2 * np.log(2 * np.pi)
    prior = 0.5 * ((logs / np.array([SD_SPREAD, *[LENGTH_SPREAD] * 3])) ** 2).sum()
    assert _loss(logs, squares, effects, noise)[0] == pytest.approx(prior - likelihood, rel=1e-6)


@pytest.mark.parametrize("library", ["skopt.learning.gaussian_process", "sklearn.gaussian_process"])
@pytest.mark.parametrize(("seed", "n", "width"), [(1, 1, 1), (2, 6, 2), (3, 25, 4)])
def test_the_posterior_is_that_of_the_libraries(library: str, seed: int, n: int, width: int) -> None:
    """Mean and sd with the same fixed hyperparameters and the same noise of each trial."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip(library)
        kernels = pytest.importorskip(f"{library}.kernels")
        rows, effects, noise = data(seed, n, width)
        ours = Surrogate(rows, effects, noise)
        kernel = kernels.ConstantKernel(ours.sd**2) * kernels.Matern(ours.lengths, nu=2.5)
        options = {"alpha": noise + 1e-8, "optimizer": None, "normalize_y": False}
        theirs = module.GaussianProcessRegressor(kernel, **options).fit(rows, effects)
        asked = np.random.default_rng(9).random((40, width))
        mean, sd = theirs.predict(asked, return_std=True)
    at = ours.at(asked)
    assert at[0] == pytest.approx(mean, abs=1e-7)
    assert at[1] == pytest.approx(sd, abs=1e-5)


def test_precise_data_are_met_and_far_from_them_the_prior_holds() -> None:
    """Next to nothing is doubted where it was measured, everything where it was not."""
    rows, effects, _ = data(5, 8, 2)
    model = Surrogate(rows, effects, np.full(8, 1e-8))
    mean, sd = model.at(rows)
    assert mean == pytest.approx(effects, abs=0.01)
    assert sd.max() < 0.02
    far_mean, far_sd = model.at(np.full((1, 2), 50.0))
    assert far_mean[0] == pytest.approx(0.0, abs=1e-6)
    assert far_sd[0] == pytest.approx(model.sd, rel=1e-6)


def test_a_noisy_trial_counts_less_than_a_precise_one() -> None:
    """Two trials of the same settings: the posterior lies near the precise one."""
    rows = np.array([[0.5], [0.5]])
    mean, _ = Surrogate(rows, np.array([-0.3, 0.3]), np.array([1e-4, 0.1])).at(rows[:1])
    assert mean[0] < -0.15


# --- encoding --------------------------------------------------------------------------------------------------------


def test_categories_and_special_values_are_indicators() -> None:
    """A flip counts half of a number's whole range, whichever category it goes to; special values stand apart."""
    space = SearchSpace(
        (
            Parameter("mode", "categorical", "a", choices=("a", "b", "c")),
            Parameter("cache", "integer", 1, low=1, high=100, special=("off",)),
            Parameter("x", "real", 0.0, low=0.0, high=1.0),
        )
    )
    rows = encode(space, np.array([[1 / 6, 0.1, 0.0], [0.5, 0.9, 1.0], [5 / 6, 0.9, 1.0]]))
    assert rows.shape == (3, 6)
    assert rows[:, :3].tolist() == (FLIP * np.eye(3)).tolist()
    assert rows[:, 4].tolist() == [FLIP, 0.0, 0.0]
    assert rows[:, 5].tolist() == [0.0, 1.0, 1.0]


# --- expected improvement --------------------------------------------------------------------------------------------


@given(mean=st.floats(-0.5, 0.5), sd=st.floats(0.01, 0.5), best=st.floats(-0.5, 0.5))
def test_log_expected_improvement_is_the_log_of_the_plain_formula(mean: float, sd: float, best: float) -> None:
    """Where the plain formula still has digits."""
    z = (best - mean) / sd
    plain = sd * (z * norm.cdf(z) + norm.pdf(z))
    if z > -6:
        ours = log_expected_improvement(np.array([mean]), np.array([sd]), best)
        assert ours[0] == pytest.approx(np.log(plain), rel=1e-6, abs=1e-6)


def test_far_from_any_improvement_there_is_still_something_to_choose_by() -> None:
    """Finite and strictly falling where the plain formula is 0; the asymptote is -z²/2 - log z²."""
    means = np.linspace(0.0, 40.0, 4001)
    scores = log_expected_improvement(means, np.full(4001, 1.0), 0.0)
    assert np.isfinite(scores).all()
    assert (np.diff(scores) < 0).all()
    assert scores[-1] == pytest.approx(-(40.0**2) / 2 - np.log(40.0**2) - 0.5 * np.log(2 * np.pi), abs=0.01)
