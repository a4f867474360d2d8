"""Every seam of Trimtab on one page. Implementations live in `adapters/`, `optimizers/` and `detectors/`.

Objects that cross a seam are values: what an implementation returned is never changed by a later call. Every
implementation runs through the contract suite of its port in `tests/contracts/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from domain.allowance import Adoption, Allowance
from domain.evidence import Seen
from domain.signal import Signal
from domain.space import SearchSpace, Settings

Json = dict[str, Any]


class Clock(Protocol):
    def now(self) -> float:
        """Unix seconds."""


# --- ledger ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a journal. `hash` covers everything else, `prev` included (see `domain/journal.py`)."""

    v: int
    seq: int
    time: float
    kind: str
    data: Json
    prev: str
    hash: str


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to carry one run forward until it expires. `token` grows with every lease of that run."""

    run: str
    target: str
    token: int


@dataclass(frozen=True, slots=True)
class RunInfo:
    """The index entry of one run. `outcome` is empty while the run is open."""

    run: str
    target: str
    opened: float
    closed: float | None
    outcome: str


@dataclass(frozen=True, slots=True)
class Journal:
    """The records of a run, oldest first, with the inbox messages that no record has taken up yet."""

    records: tuple[Record, ...]
    inbox: tuple[Json, ...] = ()


class Ledger(Protocol):
    """The store of all journals. Raises Transient when it cannot be reached; nothing is half written."""

    def submit(self, signal: Signal, lead: Lead | None = None) -> bool:
        """Queue a signal for admission. False if the same `id` and `status` were submitted before (within a day). With
        a `lead`, raises Stale and queues nothing once somebody else has taken that lead."""

    def submitted(self) -> Signal | None:
        """The oldest queued signal; it stays queued until `settle`."""

    def settle(self, signal: Signal) -> None:
        """Admission of this signal is done: remove it from the queue. Idempotent."""

    def open(self, run: str, target: str, locks: Sequence[str], first: Record, due: float) -> bool:
        """Start a journal with its first record. False if the target, or one of the locks, already has an open run."""

    def read(self, run: str) -> Journal:
        """Journal and inbox of a run, unverified; empty if unknown."""

    def append(
        self,
        lease: Lease,
        expected: int,
        records: Sequence[Record],
        *,
        heard: int = 0,
        due: float,
        outcome: str | None = None,
    ) -> None:
        """Append when the journal has `expected` records and the lease is still held, drop the `heard` oldest inbox
        messages, set when the run is due next. With `outcome` the run is closed: it leaves the due index and frees
        target and locks. All or nothing; `records` may be empty. Raises Stale if length or lease do not hold."""

    def hear(self, run: str, message: Json, at: float) -> bool:
        """Push a message into an open run's inbox and make the run due at `at`. False if the run is not open."""

    def ignore(self, target: str, record: Json) -> None:
        """Note an ignored signal with its reason in the capped, hash-chained list of that target."""

    def ignored(self, target: str) -> tuple[Json, ...]:
        """Noted ignored signals, oldest first; `dropped` in the first one counts those that fell out."""

    def lease(self, run: str, now: float, seconds: float) -> Lease | None:
        """Take the lease of a run that is open and due; None if it is held, not due, or closed."""

    def release(self, lease: Lease, due: float | None = None) -> None:
        """Give the lease back; with `due`, move the run's next time without writing a record."""

    def due(self, now: float, resend: float) -> tuple[str, ...]:
        """Names of open runs due at `now`. A name that was returned comes again only after `resend` seconds, unless
        its lease was taken or its due time was set since."""

    def open_run(self, target: str) -> str | None:
        """The open run of a target."""

    def runs(
        self,
        *,
        target: str | None = None,
        outcome: str | None = None,
        since: float | None = None,
        limit: int = 100,
    ) -> tuple[RunInfo, ...]:
        """Newest first."""


@dataclass(frozen=True, slots=True)
class Lead:
    """The right to do a `job` that one process should do. `token` grows each time that the lead is taken, so what an
    older leader still sends can be told and refused."""

    job: str
    token: int


class Leadership(Protocol):
    """Who of several processes does a job. Raises Transient when it cannot be asked."""

    def lead(self, job: str, holder: str, seconds: float) -> Lead | None:
        """Take the lead for `seconds`, or keep it for so long from now; None while another `holder` has it."""

    def resign(self, lead: Lead) -> None:
        """Give the lead back, so that the next one need not wait; nothing if somebody took it since. Idempotent."""


class Queue(Protocol):
    def send(self, run: str) -> None:
        """Ask some worker to advance this run. May be lost, doubled or late. Raises Transient."""


# --- telemetry and load ----------------------------------------------------------------------------------------------


class Telemetry(Protocol):
    def read(self, query: str, *, arm: str, start: float, end: float, scrape: float) -> Seen:
        """The value of a PromQL template (`$arm`, `$window`) over the window from `start` to `end` (Unix seconds).
        Missing when the result is empty, not one number, not finite, came with a warning, timed out, or rests on
        less than 80 % of the samples that `scrape` promises. Never raises for a bad answer."""

    def series(self, query: str, *, start: float, end: float, step: float) -> tuple[tuple[float, Seen], ...]:
        """A range of values of plain PromQL, one per step."""

    def now(self) -> float | None:
        """Prometheus' own clock, Unix seconds; None if it does not answer."""


# --- actuator --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who wrote the content of an arm. `generation` only ever grows on one arm."""

    run: str
    generation: int


@dataclass(frozen=True, slots=True)
class Image:
    """What an arm carries. `version` changes with every write, by whomever; `stamp` is None for content that nobody of
    ours wrote or that somebody edited since; `settings` are the values of the parameters of this target.
    `protected` names the run whose before-image lies on the arm; `reaped` says that the watchdog restored it."""

    version: str
    stamp: Stamp | None
    settings: Settings
    generation: int = 0
    protected: str = ""
    reaped: bool = False


class Actuator(Protocol):
    """Reads and writes the settings of one arm. Raises Transient, Stale, Rejected, Conflict, Misconfigured only."""

    def read(self) -> Image:
        """The arm as it is now, from its stored configuration."""

    def protect(self, run: str, deadline: float, expected: str | None = None) -> None:
        """Put the before-image on the target, or move its deadline. The first call of a run keeps the content that is
        there now; later calls change the deadline only. Raises Stale or Conflict if the version is no longer
        `expected` (None: whatever it is), Conflict if another run's before-image lies there."""

    def write(self, settings: Settings, stamp: Stamp, expected: str) -> Image:
        """Replace the settings if the version is still `expected`, activate them and prove that the running target
        carries them. Raises Stale (another writer of ours was faster), Conflict (foreign content), Rejected (the
        target refuses these settings; the former content is back in force), Transient (try again: still draining)."""

    def effective(self) -> Settings:
        """The settings in force in the running target; Transient if it cannot be proven."""

    def renew(self, since: float) -> None:
        """Put the arm onto a new placement with the settings that are stored: another node, a re-created pod, a started
        process; unless it went onto one after `since` (Unix seconds). Raises Transient, and Misconfigured for a kind of
        arm that has no placements."""

    def disturbed(self, start: float, end: float) -> str:
        """What the target did by itself between two times (Unix seconds) that a window should not show, in words: a
        checkpoint, a vacuum. Empty if nothing is known. Raises Transient."""

    def restore(self, stamp: Stamp, expected: str | None) -> Image:
        """Bring the before-image back into force under a new stamp. `expected` None forces."""

    def release(self, run: str, *, keep: bool = False) -> None:
        """Remove the before-image of `run`; with `keep`, set it aside under another name. Idempotent."""


# --- stage ------------------------------------------------------------------------------------------------------------


class Stage(Protocol):
    """Where the arms of a target are made for each run, and where what is kept belongs: a workload of a cluster. Its
    before-image is that of its arms (`Actuator.protect`). Raises Transient (also while it is still at it), Stale,
    Rejected, Conflict, Misconfigured only; every call may be made again."""

    def survey(self) -> Allowance:
        """What is allowed here. Changes nothing."""

    def prepare(self, stamp: Stamp, until: float) -> None:
        """Make the arms, with the settings in force, and wait until they serve in the place of others. They leave by
        themselves some time after `until` (Unix seconds). Rejected if they do not come up."""

    def adopt(self, settings: Settings, stamp: Stamp) -> Adoption:
        """Put proven settings into the workload itself and wait until all of it carries them. Rejected if it does not
        come up with them; what was in force before is back then."""

    def retire(self, run: str) -> None:
        """The arms of this run leave, once what they replaced serves again."""


# --- diagnosis --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Examination:
    """What a look at the target found. `layer` names the bottleneck, `evidence` says why, in words with numbers and
    limits; `parameters` are those that can matter (none: nothing is known about that). With a `refusal` nothing should
    be tuned, and it says why."""

    layer: str
    headline: str
    evidence: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    refusal: str = ""


class Examiner(Protocol):
    """Looks at one target before anything is searched. Changes nothing there."""

    def sample(self) -> Json:
        """Counters as they are now, for the journal. Takes at most a few seconds. Raises Misconfigured."""

    def examine(self, first: Json, second: Json) -> Examination:
        """What two samples say, and Prometheus about the time in between."""


# --- skills ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Observation:
    """One trial as a strategy sees it: `effect` against the run's original settings (log difference, below 0 better)
    with its `variance`; both None where nothing was measured."""

    settings: Settings
    effect: float | None
    variance: float | None
    outcome: Literal["measured", "aborted", "refused", "crashed"]


@dataclass(frozen=True, slots=True)
class Request:
    """What should be tried next? `seeds` are tried first, in order.

    `radius` is that of the trust region around the incumbent (unit cube). `off` is the incumbent's effect, `headroom`
    how far above it a candidate may be (both log differences; None: anywhere): safe is what uses up at most
    `safe_share` of it with `safe_sd` sd on top. `careful`: where nothing is safe, nothing is proposed. `mei` is the
    effect that is worth having."""

    space: SearchSpace
    history: tuple[Observation, ...]
    incumbent: Settings
    seed: int
    n: int = 1
    budget: int = 50
    seeds: tuple[Settings, ...] = ()
    radius: float = 0.5
    off: float = 0.0
    headroom: float | None = None
    safe_share: float = 0.6
    safe_sd: float = 1.5
    careful: bool = False
    mei: float = 0.03


@dataclass(frozen=True, slots=True)
class Advice:
    """`recommend` is what the strategy would keep if it had to stop now, `effect` and `sd` its estimate of it;
    `max_ei` the largest expected improvement left. No proposals: the space is exhausted, or nothing in it is safe.

    `expected` and `expected_sd` are what the first proposal promises, `p_bad` the chance that it is beyond the
    headroom. `simpler` are the recommended settings without what does not seem to matter, if that was not measured yet;
    `replicate` are settings to measure again, because several are close and the best is in doubt."""

    proposals: tuple[Settings, ...]
    recommend: Settings
    effect: float
    sd: float
    max_ei: float
    why: str
    expected: float | None = None
    expected_sd: float | None = None
    p_bad: float | None = None
    simpler: Settings | None = None
    replicate: Settings | None = None


class Optimizer(Protocol):
    def advise(self, request: Request) -> Advice:
        """Deterministic in the request; keeps no state. Raises Misconfigured naming the field."""


State = Literal["learning", "normal", "suspect", "regressed", "missing"]


@dataclass(frozen=True, slots=True)
class Point:
    series: str
    t: float
    v: float | None
    step: float
    direction: Literal["up", "down"] = "up"


@dataclass(frozen=True, slots=True)
class Finding:
    series: str
    t: float
    state: State
    baseline: float | None
    score: float | None
    since: float | None = None


class Detector(Protocol):
    def update(self, point: Point) -> Finding:
        """Streaming: a decision at t uses nothing after t."""
