"""All constants of measuring and judging, as named profiles. A run journals the profile that it was opened with."""

from __future__ import annotations

from dataclasses import dataclass, replace


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
    warm_up: float  # additional settle before a candidate's first window, and after each restart
    glance: float = 0.0  # while a slot lasts, the hard abort rules are looked at this often; 0: only at its end
    swap_every: int = 2  # pairs measured before the arms swap their settings
    replace_every: int = 5  # pairs on one placement, where a candidate needs a restart; the unit is their mean
    least_placements: int = 5  # placements that a Keep of such a candidate needs
    most_placements: int = 16  # ... and after which its gate ends
    calibration_pairs: int = 20  # A/A pairs of identical arms, read before the first trial
    onset_windows: int = 3  # the last windows before a run show the change itself, no steady state: no A/A
    prior_sd: float = 0.10  # sd of a pair's difference until the A/A pairs say better
    screening_pairs: int = 2
    mei: float = 0.03  # minimum effect of interest
    alpha: float = 0.05  # chance that a run keeps something that is no improvement
    gate_min_pairs: int = 6
    gate_max_pairs: int = 40
    max_gates: int = 5
    most_failed: int = 3  # failed gates in a row that end the search
    gate_from_trial: int = 8  # the ratchet looks for a winner from this trial on
    gate_mei: float = 1.5  # ... that promises to be this many MEI better: mu + sd below off minus as much
    later_gate_mei: float = 3.0  # ... and as many for a gate after the first, which needs more evidence
    early_gate_from_trial: int = 4  # ... and from this one on if the promise is large:
    early_gate_mei: float = 1.5  # mu + sd below off minus this many MEI
    dull_trials: int = 40  # advices in a row that promise next to nothing, until the search is over
    most_replicates: int = 3  # trials of the same settings
    careful: bool = False  # where nothing is safe in the surrogate's eyes, stop instead of taking the least risk
    last_gate: bool = True  # at the end of the budget, what looks better than what was kept gets a gate too
    radius: float = 0.10  # of the trust region around the incumbent, in the unit cube
    max_trials: int = 120
    max_seconds: float = 9600.0  # no trial starts later than this after the run opened
    watch_units: int = 10  # twice as many fresh pairs of original against kept, for the reported effect
    confirm: float = 0.5  # the watch confirms a change if it shows a gain of at least this many MEI
    rare_harm_pairs: int = 50  # pairs of the watch at least; twice as many if one of all was half as slow again
    promotion_pairs: int = 4  # pairs with the harm test at each step of a promotion that is not the last
    hold_back: float = 0.0  # seconds after the watch in which the original is measured again now and then; 0: none
    hold_back_every: float = 1800.0  # seconds between two looks of the hold-back
    headroom: float = 0.1823  # log 1.2: how far beyond its control no candidate may be, where no limit is further
    safe_share: float = 0.6  # of the headroom that a candidate may use up in the surrogate's eyes,
    safe_sd: float = 1.5  # ... with so many sd on top
    original_every: int = 4  # trials between two looks at the original settings on every arm
    most_looks: int = 10  # looks at a signal that goes away before the first trial
    patience: float = 300.0  # the watchdog restores a target whose run made no step for this long; above the lease
    load_precondition: bool = True  # a trial needs 0.5-2 x the load of the baseline


PRODUCTION = Profile(
    name="production",
    scrape=15.0,
    window=60.0,
    settle=30.0,
    warm_up=0.0,
    glance=30.0,
    radius=0.05,
    careful=True,
    hold_back=86400.0,
    hold_back_every=300.0,
    patience=600.0,
)
STAGING = Profile(name="staging", scrape=5.0, window=30.0, settle=20.0, warm_up=0.0, glance=10.0)
DEMO = Profile(
    name="demo",
    scrape=0.5,
    window=4.0,
    settle=2.0,
    warm_up=2.0,
    calibration_pairs=8,
    screening_pairs=4,
    radius=0.15,
    early_gate_from_trial=3,
    early_gate_mei=5.0,
    dull_trials=3,
    max_trials=12,
    max_seconds=150.0,
    last_gate=False,
    max_gates=3,
    most_failed=2,
    watch_units=7,
    rare_harm_pairs=14,
    promotion_pairs=0,
    patience=100.0,
    load_precondition=False,
)
DEMO_RESTART = replace(  # of settings that a restart activates: few placements, each long enough to warm up
    DEMO,
    name="demo-restart",
    warm_up=8.0,
    screening_pairs=3,
    replace_every=3,
    most_placements=12,
    radius=0.25,
    max_trials=8,
    max_seconds=300.0,
    max_gates=2,
    watch_units=5,
    rare_harm_pairs=15,
)

PROFILES = {profile.name: profile for profile in (PRODUCTION, STAGING, DEMO, DEMO_RESTART)}
