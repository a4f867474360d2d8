"""All constants of measuring and judging, as named profiles. A run journals the profile that it was opened with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """Constants of one run. Times in seconds, effects as log differences (0.03 is about 3 %).

    Sources: the anytime-valid t-test of Wang and Ramdas for `alpha` and the gate; simulations in docs/measuring.md for
    the others.
    """

    name: str
    scrape: float  # Prometheus' scrape interval for the target's metrics
    window: float  # length of one measurement slot
    settle: float  # least time after a change of an arm that belongs to no window
    warm_up: float  # additional settle before a candidate's first window
    glance: float = 0.0  # while a slot lasts, the hard abort rules are looked at this often; 0: only at its end
    calibration_pairs: int = 20  # A/A pairs of identical arms, read before the first trial
    onset_windows: int = 3  # the last windows before a run show the change itself, no steady state: no A/A
    prior_sd: float = 0.10  # sd of a pair's difference until the A/A pairs say better
    screening_pairs: int = 4
    mei: float = 0.03  # minimum effect of interest
    alpha: float = 0.05  # chance that a run keeps something that is no improvement
    gate_min_pairs: int = 6
    gate_max_pairs: int = 40
    max_gates: int = 3
    gate_from_trial: int = 8  # the ratchet looks for a winner from this trial on
    early_gate_from_trial: int = 8  # ... and from this one on if the promise is large:
    early_gate_mei: float = 5.0  # mu + sd below off minus this many MEI
    radius: float = 0.15  # of the trust region around the incumbent, in the unit cube
    max_trials: int = 60
    max_seconds: float = 3 * 3600.0  # no trial starts later than this after the run opened
    watch_units: int = 10  # fresh units of original against kept, for the reported effect
    patience: float = 300.0  # the watchdog restores a target whose run made no step for this long; above the lease
    load_precondition: bool = True  # a trial needs 0.5-2 x the load of the baseline


PRODUCTION = Profile(
    name="production", scrape=15.0, window=60.0, settle=30.0, warm_up=15.0, glance=30.0, radius=0.05, patience=600.0
)
STAGING = Profile(name="staging", scrape=5.0, window=15.0, settle=10.0, warm_up=15.0, glance=10.0)
DEMO = Profile(
    name="demo",
    scrape=0.5,
    window=4.0,
    settle=2.0,
    warm_up=2.0,
    calibration_pairs=8,
    early_gate_from_trial=3,
    max_trials=12,
    max_seconds=150.0,
    watch_units=5,
    patience=100.0,
    load_precondition=False,
)

PROFILES = {profile.name: profile for profile in (PRODUCTION, STAGING, DEMO)}
