"""One live gate: a run of the product on a lane, from its signal to a verdict or to the end of the time.

The run is carried by `workers.advance.advance`, the same code that a worker calls. Only what surrounds it is ours: a
ledger in memory, a strategy that knows one candidate, disturbances, and a stop when the time is over.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from adapters.actuators.registry import actuators_for
from adapters.clock import SystemClock
from adapters.memory_ledger import MemoryLedger
from adapters.prometheus import PrometheusTelemetry
from bench.gate.backend import BASE, JITTER
from bench.gate.live_book import Job
from bench.gate.live_noise import LoadBursts, Neighbour
from bench.gate.live_site import SCRAPE, VERSION, Lane
from domain.errors import Transient, TrimtabError
from domain.estimate import interval, log_e, of_pairs, proven_r1
from domain.events import Calibrated, GateOpened, Judged, Opened
from domain.evidence import Pair, Reading, differences
from domain.journal import event_of, seal
from domain.ports import Advice, Record, Request, Stamp
from domain.profile import PROFILES, Profile
from domain.run import replay
from domain.signal import Signal
from domain.space import Settings
from domain.space import equal as same
from domain.state import Run
from workers.advance import Ports, advance

GATE_SECONDS = 120.0  # since the gate opened; what is not proven by then is not proven
ATTEMPT_SECONDS = 300.0  # for everything: a run that never opens its gate must not hold up the lane
CLOSE_SECONDS = 30.0
ATTEMPTS = 3
LOOK_SECONDS = 0.05
FIRST_QUIET_SECONDS = 60.0  # under load before the first gate of a lane
MARGIN_SECONDS = 2.0  # arms that were just restored belong to no A/A window
_CODE = [path for room in ("domain", "workers") for path in sorted((Path(__file__).parents[2] / room).glob("*.py"))]
CODE = hashlib.sha256(b"".join(path.read_bytes() for path in _CODE)).hexdigest()[:12]


class Halted(Exception):
    """Somebody wants the bench to end; the gate under way is not counted."""


def live_profile() -> Profile:
    """`staging` with shorter times, ready for a gate after one trial. What decides (alpha, MEI, least and most pairs,
    abort rules) stays as it is."""
    wanted: dict[str, Any] = {
        "name": "live",
        "scrape": SCRAPE,
        "window": 5.0,
        "settle": 2.0,
        "warm_up": 0.0,
        "glance": 0.0,
        "calibration_pairs": 8,
        "onset_windows": 0,  # there is no onset: nothing regressed
        "screening_pairs": 2,
        "gate_from_trial": 1,
        "early_gate_from_trial": 1,
        "max_trials": 3,
        "original_every": 0,  # nothing can go away by itself, so nobody looks whether it did
        "patience": 100.0,
        "load_precondition": False,
    }
    known = {each.name for each in fields(Profile)}
    return replace(PROFILES["staging"], **{name: value for name, value in wanted.items() if name in known})


def constants(lane: Lane) -> dict[str, Any]:
    """What a gate was measured with. Gates with different constants do not belong into one table."""
    setup = {
        "objective": "mean",
        "gate_seconds": GATE_SECONDS,
        "rate": lane.kind.rate,
        "delay": BASE if lane.kind.name == "delay" else None,
        "jitter": JITTER if lane.kind.name == "delay" else None,
        "nginx": VERSION,
    }
    return {**setup, "profile": asdict(live_profile())}


def quiet_seconds(profile: Profile) -> float:
    """How long identical arms must have been left alone before a run may read its A/A pairs."""
    return (profile.calibration_pairs + profile.onset_windows) * profile.window + 2 * SCRAPE + MARGIN_SECONDS


@dataclass
class OneCandidate:
    """A strategy that proposes one candidate and is sure of it once it was measured."""

    candidate: Settings

    def advise(self, request: Request) -> Advice:
        if any(same(each.settings, self.candidate) for each in request.history):
            return Advice((), self.candidate, effect=-0.3, sd=0.01, max_ei=0.1, why="scripted")
        return Advice((self.candidate,), request.incumbent, effect=0.0, sd=0.01, max_ei=0.1, why="scripted")


@dataclass
class Attempt:
    """One run on one lane."""

    lane: Lane
    job: Job
    name: str
    telemetry: PrometheusTelemetry
    halt: threading.Event
    clock: SystemClock = field(default_factory=SystemClock)
    opened: float | None = None  # when the gate opened, Unix seconds
    neighbour: Neighbour | None = None
    stopped: float | None = None

    def __post_init__(self) -> None:
        self.ledger = MemoryLedger(self.clock)
        self.target = self.lane.target(live_profile())
        self.bursts = LoadBursts.drawn(self.job.seed, GATE_SECONDS)
        self.factor = 1.0

    def run(self) -> tuple[Record, ...]:
        """The journal of the closed run. The arms carry the original settings afterwards, whatever happened."""
        self.lane.set_effect(self.job.effect or 0.0)
        try:
            self._open()
            self._drive()
        finally:
            self._calm()
            clean(self.lane)
        return self.ledger.read(self.name).records

    def _open(self) -> None:
        now = self.clock.now()
        signal = Signal(self.name, "person", "firing", now, "live gate", target=self.target.name)
        first = seal([Opened(self.name, signal, self.target, self.job.seed)], now, ())[0]
        if not self.ledger.open(self.name, self.target.name, [], first, now):
            raise Transient(f"{self.target.name} has an open run")

    def _drive(self) -> None:
        strategy = OneCandidate(self.lane.kind.settings(candidate=True))
        ports = Ports(
            ledger=self.ledger,
            telemetry=self.telemetry,
            actuators=actuators_for,
            optimizer=lambda name: strategy,
            clock=self.clock,
            targets={self.target.name: self.target},
            closed=lambda run, records: None,
        )
        began = self.clock.now()
        while self.ledger.open_run(self.target.name) is not None:
            if self.halt.is_set():
                raise Halted
            now = self.clock.now()
            due = self.ledger.due(now, CLOSE_SECONDS)
            for name in due:
                advance(name, ports)
            if due:
                self._look()
            self._disturb()
            if self.stopped is None and now > began + ATTEMPT_SECONDS:
                self._stop("the attempt took too long")
            elif self.stopped is None and self.opened is not None and now >= self.opened + GATE_SECONDS:
                self._stop(f"{GATE_SECONDS:.0f} s of gate are over")
            elif self.stopped is not None and now > self.stopped + CLOSE_SECONDS:
                raise Transient("the run did not close after its stop")
            time.sleep(LOOK_SECONDS)

    def _look(self) -> None:
        """Note when the gate opens; a verdict is all that is wanted, so the run is stopped at once then."""
        records = self.ledger.read(self.name).records
        opened, judged = _first(records, "GateOpened"), _first(records, "Judged")
        if self.opened is None and opened is not None:
            self.opened = opened.time
            self.neighbour = self.lane.neighbour(self.job.seed, GATE_SECONDS + CLOSE_SECONDS)
        if judged is not None and self.stopped is None:
            self._stop("the gate has its verdict")

    def _stop(self, why: str) -> None:
        self.stopped = self.clock.now()
        self.ledger.hear(self.name, {"kind": "stop", "text": why}, self.stopped)
        self._calm()

    def _disturb(self) -> None:
        if self.opened is None or self.stopped is not None:
            return
        factor = self.bursts.factor(self.clock.now() - self.opened)
        if factor != self.factor:
            self.lane.set_rate(factor)
            self.factor = factor

    def _calm(self) -> None:
        if self.neighbour is not None:
            self.neighbour.close()
            self.neighbour = None
        if self.factor != 1.0:
            self.lane.set_rate(1.0)
            self.factor = 1.0


def clean(lane: Lane) -> None:
    """The original settings on every arm and no before-image left, after whatever a run left behind."""
    target = lane.target(live_profile())
    for arm in actuators_for(target).values():
        image = arm.read()
        if image.protected:
            image = arm.restore(Stamp(image.protected, image.generation + 1), None)
            arm.release(image.stamp.run if image.stamp is not None else image.protected)
        if not same(image.settings, lane.kind.settings(candidate=False)):
            arm.write(lane.kind.settings(candidate=False), Stamp("live-clean", image.generation + 1), image.version)


def measure(
    lane: Lane, job: Job, telemetry: PrometheusTelemetry, halt: threading.Event, rest: Callable[[], None]
) -> dict[str, Any]:
    """The line of one gate. A run that opens no gate (noise in A/A or in screening closed it) says nothing about gates:
    it is tried again. `rest` waits until the past is long enough for A/A. Raises what kept the last attempt from
    closing: a broken lane is no result."""
    line: dict[str, Any] = {}
    for number in range(1, ATTEMPTS + 1):
        rest()
        name, began = f"{lane.service}-{job.seed}-{number}", time.time()
        try:
            records = Attempt(lane, job, name, telemetry, halt).run()
        except (TrimtabError, OSError):
            if halt.is_set():
                raise Halted from None  # whatever broke on the way out
            if number == ATTEMPTS:
                raise
            continue
        told = told_by(records, job)
        line = {**job.key(), "lane": lane.number, "started": round(began, 1), "attempts": number, **told}
        if told["verdict"] != "NoGate":
            break
    return {**line, "served": lane.served(), "code": CODE, "constants": constants(lane)}


def told_by(records: Sequence[Record], job: Job) -> dict[str, Any]:
    """What the journal of one run says about its gate."""
    run = replay(records)
    opened, judged = _first(records, "GateOpened"), _first(records, "Judged")
    if opened is None or not run.gates:
        return {"verdict": "NoGate", "why": run.closed.reason if run.closed is not None else "the run did not close"}
    pairs = run.gates[-1].block.pairs()
    event = event_of(judged) if judged is not None else None
    if judged is not None and isinstance(event, Judged) and judged.time - opened.time <= GATE_SECONDS:
        seconds = judged.time - opened.time
        told = _ruled(event, event_of(opened))
    else:
        seconds = GATE_SECONDS
        told = _unproven(run, pairs)
    return {**told, **_around(run, pairs, job), "seconds": round(seconds, 2)}


def _ruled(event: Judged, opened: object) -> dict[str, Any]:
    alpha = opened.alpha if isinstance(opened, GateOpened) else 0.0
    crossed = alpha > 0 and event.log_e >= math.log(1 / (2 * alpha))
    told = {
        "verdict": event.verdict,
        "why": event.why,
        "effect_seen": event.effect,
        "interval": list(event.interval),
        "log_e": event.log_e,
        "proven_no_gain": event.verdict == "RollBack" and crossed,
        "units": event.units,
    }
    return {**told, "e": math.exp(min(event.log_e, 700.0))}


def _unproven(run: Run, pairs: Sequence[Pair]) -> dict[str, Any]:
    """The time is over: estimate, interval and evidence of the pairs so far, by the gate's own formulas."""
    seen = of_pairs(pairs, proven_r1(run.calibrated.pairs if run.calibrated is not None else ()), clip=True)
    evidence = log_e(seen, -run.mei / 3)
    return {
        "verdict": "Inconclusive",
        "why": f"not proven within {GATE_SECONDS:.0f} s",
        "effect_seen": seen.mean if seen is not None else None,
        "interval": list(interval(seen, run.profile.alpha)),
        "log_e": evidence,
        "proven_no_gain": False,
        "units": sum(pair.d is not None for pair in pairs),
        "e": math.exp(min(evidence, 700.0)),
    }


def _around(run: Run, pairs: Sequence[Pair], job: Job) -> dict[str, Any]:
    """Noise, the pairs themselves, and the true effect on this objective."""
    ds = differences(pairs)
    controls = [pair.control.objective.value for pair in pairs if isinstance(pair.control.objective, Reading)]
    control = fmean(controls) if controls else None
    calibrated = run.calibrated if isinstance(run.calibrated, Calibrated) else None
    return {
        "pairs": len(pairs),
        "missing": len(pairs) - len(ds),
        "mei": run.mei,
        "ds": [round(d, 5) for d in ds],
        "pair_sd": stdev(ds) if len(ds) >= 2 else None,
        "aa_sd": calibrated.sd if calibrated is not None else None,
        "aa_offset": calibrated.offset if calibrated is not None else None,
        "uneasy": calibrated.uneasy if calibrated is not None else None,
        "control_mean": control,
        "truth": true_effect(job, control),
    }


def true_effect(job: Job, control: float | None) -> float | None:
    """The log effect on the mean latency: the delay is shorter by a known part, everything else that a request takes
    (nginx, network, timers: what the control shows beyond the mean delay) is not. None where the size is unknown."""
    if job.effect is None or control is None:
        return None
    return math.log1p(-job.effect * min(1.0, BASE / control)) if job.effect else 0.0


def _first(records: Sequence[Record], kind: str) -> Record | None:
    return next((record for record in records if record.kind == kind), None)


def resting(seconds: float, since: Callable[[], float], halt: threading.Event) -> None:
    """Wait until `seconds` have passed since the lane was last disturbed. Raises Halted."""
    while (left := since() + seconds - time.time()) > 0:
        if halt.wait(min(left, 1.0)):
            raise Halted


def describe(line: Mapping[str, Any]) -> str:
    """One gate in a few words, for progress."""
    size = "?" if line["effect"] is None else f"{100 * line['effect']:+.0f} %"
    text = f"{line['kind']} {size} #{line['index']}: {line['verdict']}"
    if line["verdict"] == "NoGate":
        return f"{text} ({line['why']})"
    low, high = line["interval"]
    bounds = "open" if low is None or high is None else f"{100 * low:+.1f}..{100 * high:+.1f}"
    seen = "?" if line["effect_seen"] is None else f"{100 * line['effect_seen']:+.1f}"
    return (
        f"{text} after {line['seconds']:.0f} s, {line['pairs']} pairs, log effect {seen} % ({bounds}), "
        f"e {line['e']:.3g}, pair sd {100 * (line['pair_sd'] or 0):.1f} %"
    )
