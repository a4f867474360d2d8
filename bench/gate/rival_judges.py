"""How others decide: the paired t-test that is looked at too often, and the judge of Kayenta (Spinnaker).

Kayenta's `NetflixACAJudge` as read in its sources (github.com/spinnaker/kayenta: NetflixACAJudge.scala,
MannWhitneyClassifier.scala, MannWhitney.scala): the interval of a Mann-Whitney U test at confidence 0.98, in R's
asymptotic form with continuity correction, is held against +- 0.25 times the Hodges-Lehmann estimate of the shift (of
the shift, not of the level: the tolerance asks for no size of effect). Whole interval above: High; below: Low; else
Pass. Values are not logs, windows are not paired. The rest is Kayenta's defaults: outliers are kept (since 2019, issue
619), `effectSize` 1. For latency the direction `increase` is usual: then Low counts as Pass, and with one metric a Pass
scores 100.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Literal

import numpy as np
from scipy.special import ndtri, stdtr

Classification = Literal["High", "Low", "Pass"]
TOLERANCE, CONFIDENCE = 0.25, 0.98


def improvement_p(ds: Sequence[float]) -> float:
    """One-sided p-value of the ordinary t-test that the mean of these differences is below 0."""
    if len(ds) < 2:
        return 1.0
    sd = stdev(ds)
    if sd == 0:
        return 0.0 if ds[0] < 0 else 1.0
    return float(stdtr(len(ds) - 1, fmean(ds) / sd * math.sqrt(len(ds))))


def shift(experiment: Sequence[float], control: Sequence[float], confidence: float) -> tuple[float, float, float]:
    """(low, estimate, high) of the shift of the experiment against its control, by inversion of the Mann-Whitney test.

    Kayenta solves for the shift at which the statistic crosses its quantile. The statistic falls by one at each
    difference of the two samples, so that the crossing is one of the sorted differences."""
    differences = np.sort(np.subtract.outer(np.asarray(experiment), np.asarray(control)).ravel())
    count = len(differences)
    sigma = math.sqrt(count / 12 * (len(experiment) + len(control) + 1))
    reach = -float(ndtri((1 - confidence) / 2)) * sigma
    place = max(1, math.floor(count / 2 - 0.5 - reach) + 1)
    return float(differences[place - 1]), float(np.median(differences)), float(differences[count - place])


def classify(experiment: Sequence[float], control: Sequence[float]) -> Classification:
    """Kayenta's word on one metric, direction `either`."""
    if sorted(experiment) == sorted(control):
        return "Pass"
    low, estimate, high = shift(experiment, control, CONFIDENCE)
    bound = TOLERANCE * abs(estimate)
    if low > bound:
        return "High"
    return "Low" if high < -bound else "Pass"
