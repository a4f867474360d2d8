"""Whole journals for tests, made from events as a worker would write them: a run that keeps and runs that do not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from random import Random

from domain.events import (
    Aborted,
    Advised,
    Applied,
    Applying,
    Calibrated,
    Closed,
    Conflicted,
    Event,
    GateOpened,
    Heard,
    Imaged,
    Judged,
    Measured,
    Opened,
    Outcome,
    Promoted,
    Proposed,
    Purpose,
    Refused,
    Restored,
    Restoring,
    Screened,
    Watched,
)
from domain.evidence import Missing, Pair, Reading, Role, Seen, Window
from domain.gate import couples, gate_alpha, interval, judge
from domain.journal import seal
from domain.ports import Record, RunInfo
from domain.profile import DEMO
from domain.signal import Signal
from domain.space import Parameter, SearchSpace, Settings, Value
from domain.target import Arm, Guardrail, Objective, Target

START = 1795529700.0  # 2026-11-24T14:15:00Z
RUN = "shop-front-20261124T141500-1a2b"
BEFORE: dict[str, Value] = {
    "gzip_comp_level": 6,
    "gzip_min_length": 20,
    "open_file_cache": "off",
    "sendfile": False,
    "tcp_nopush": False,
    "keepalive_requests": 100,
}


def target(name: str = "shop-front", **changes: object) -> Target:
    """A web server with two arms and one guardrail, under the demo profile."""
    space = SearchSpace(
        (
            Parameter("gzip_comp_level", "integer", 1, low=1, high=9),
            Parameter("gzip_min_length", "integer", 20, low=20, high=10000, log=True, unit="B"),
            Parameter("open_file_cache", "categorical", "off", choices=("off", "max=1000", "max=10000")),
            Parameter("sendfile", "categorical", False, choices=(False, True)),
            Parameter("tcp_nopush", "categorical", False, choices=(False, True)),
            Parameter("keepalive_requests", "integer", 1000, low=10, high=10000, log=True),
        )
    )
    made = Target(
        name=name,
        mode="act",
        actuator="nginx",
        arms=(Arm("a", {"config": "/run/a.conf"}), Arm("b", {"config": "/run/b.conf"})),
        space=space,
        objective=Objective("histogram_quantile(0.95, x{arm='$arm'}[$window])", unit="s"),
        profile=DEMO,
        guardrails=(Guardrail("bytes", "bytes{arm='$arm'}[$window]", "<", 1.5, relative=True),),
        when={"alertname": "HighLatency", "service": name},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


class Journalist:
    """Writes a journal event by event on a clock of its own. `noise` is the sd of a window's log objective."""

    def __init__(self, run: str = RUN, at: float = START, seed: int = 1, noise: float = 0.05) -> None:
        self.run, self.now = run, at
        self.records: list[Record] = []
        self.lots = Random(seed)
        self.noise = noise
        self.generation = 0
        self.level = 0.31

    def write(self, *events: Event, after: float = 0.1) -> None:
        """Append events `after` seconds later."""
        self.now += after
        self.records.extend(seal(events, self.now, self.records))

    def open(self, what: Target, summary: str = "p95 of shop-front is above 250 ms for 20 s") -> None:
        signal = Signal("fp-1", "alert", "firing", self.now - 2, summary, labels=dict(what.when))
        self.write(Opened(self.run, signal, what, seed=7), after=0)
        before = {arm.label: BEFORE for arm in what.arms}
        self.write(Imaged(before, {arm.label: f"v0-{arm.label}" for arm in what.arms}), after=0.6)
        start = self.now - 40
        pairs = tuple(self.pair(0.0, start + 4 * n, swapped=bool(n % 2)) for n in range(8))
        self.write(
            Calibrated(pairs, 0.062, 0.05, 0.83, 0.004, {"bytes": 24100.0}, False, healthy=0.118, noticed=self.level)
        )

    def window(self, arm: str, role: Role, start: float, effect: float) -> Window:
        value: Seen = Reading(self.level * 2.718281828 ** (effect + self.lots.gauss(0, self.noise)))
        return Window(arm, role, start, start + 4, value, {"bytes": Reading(24000.0)})

    def pair(self, effect: float, start: float, *, swapped: bool) -> Pair:
        ours, theirs = ("b", "a") if swapped else ("a", "b")
        return Pair(self.window(ours, "candidate", start, effect), self.window(theirs, "control", start, 0.0))

    def slot(self, candidate: Settings, control: Settings, purpose: Purpose, effect: float, *, swapped: bool) -> Pair:
        """Arrange both arms, wait, measure one pair."""
        self.generation += 1
        ours, theirs = ("b", "a") if swapped else ("a", "b")
        arms: Mapping[str, Settings] = {ours: candidate, theirs: control}
        self.write(Applying(arms, self.generation, purpose))
        self.write(Applied(arms, self.generation), after=0.4)
        pair = self.pair(effect, self.now + 2, swapped=swapped)
        self.write(Measured((pair.candidate, pair.control)), after=7)
        return pair

    def trial(self, number: int, settings: Settings, effect: float, why: str = "largest expected improvement") -> None:
        """A trial of four pairs with the given true effect."""
        self.write(Proposed(number, settings, 1000 + number, "bayesian", why))
        pairs = [self.slot(settings, BEFORE, "screen", effect, swapped=bool(n % 2)) for n in range(4)]
        ds = [pair.d for pair in pairs if pair.d is not None]
        mean = sum(ds) / len(ds)
        self.write(Screened(number, mean, 0.0012, len(ds)))
        self.write(Advised(settings, mean * 0.9, 0.03, 0.08, "the model expects more", settings))

    def aborted(self, number: int, settings: Settings) -> None:
        """A trial that is stopped after one pair."""
        self.write(Proposed(number, settings, 1000 + number, "bayesian", "explores"))
        self.slot(settings, BEFORE, "screen", 1.2, swapped=False)
        self.write(
            Aborted("three times the control", "3.32 times", "3 times in one window"),
            Screened(number, 1.2, 0.006, 1),
        )

    def refused(self, number: int, settings: Settings) -> None:
        """A trial that the target refuses."""
        self.write(Proposed(number, settings, 1000 + number, "bayesian", "explores"))
        self.generation += 1
        self.write(Applying({"a": settings, "b": BEFORE}, self.generation, "screen"))
        self.write(Refused(settings, 'nginx: [emerg] invalid value "max=10000" in /run/a.conf:7'))

    def gate(self, number: int, trial: int, settings: Settings, effect: float, most: int = 40) -> Judged:
        """A gate on fresh pairs, judged by the real rule."""
        alpha = gate_alpha(number, DEMO.alpha)
        self.write(GateOpened(number, trial, settings, alpha))
        pairs: list[Pair] = []
        while True:
            for swapped in (False, True):
                pairs.append(self.slot(settings, BEFORE, "gate", effect, swapped=swapped))
            ruling = judge(pairs, (), alpha=alpha, uneasy=False, profile=DEMO)
            if ruling.verdict is not None or len(pairs) >= most:
                verdict = ruling.verdict or "Inconclusive"
                judged = Judged(number, verdict, ruling.effect, ruling.interval, ruling.log_e, ruling.units, ruling.why)
                self.write(judged)
                return judged

    def watch(self, settings: Settings, effect: float) -> Watched:
        """Promotion and watch."""
        self.generation += 1
        arms: Mapping[str, Settings] = {"a": settings, "b": settings}
        self.write(Applying(arms, self.generation, "promote"))
        self.write(Applied(arms, self.generation), Promoted(settings), after=0.5)
        pairs = [self.slot(settings, BEFORE, "watch", effect, swapped=bool(n % 2)) for n in range(12)]
        units = couples(pairs)
        mean = sum(units) / len(units)
        watched = Watched(mean, interval(units, DEMO.alpha), len(units), False, "38 % better than the original")
        self.write(watched)
        return watched

    def restore(self, outcome: Outcome, why: str) -> None:
        self.generation += 1
        self.write(Restoring(outcome, why, self.generation))
        self.write(Restored("worker", why, outcome), after=0.8)
        self.write(Closed(outcome, why))

    def info(self) -> RunInfo:
        last = self.records[-1]
        closed = last.kind == "Closed"
        return RunInfo(
            self.run,
            self.records[0].data["target"]["name"],
            self.records[0].time,
            last.time if closed else None,
            last.data["outcome"] if closed else "",
        )


def settings(**changes: Value) -> dict[str, Value]:
    """The settings before, with changes."""
    return {**BEFORE, **changes}


def kept(run: str = RUN, at: float = START) -> Journalist:
    """A run that tries five candidates, proves one and keeps it."""
    journal = Journalist(run, at)
    best = settings(gzip_comp_level=1, open_file_cache="max=1000")
    journal.open(target())
    journal.trial(1, settings(sendfile=True, tcp_nopush=True), -0.02, "known-good seed of the catalogue")
    journal.trial(2, settings(gzip_comp_level=4), -0.18)
    journal.aborted(3, settings(gzip_comp_level=9, gzip_min_length=20))
    journal.refused(4, settings(open_file_cache="max=10000"))
    journal.trial(5, best, -0.48)
    judged = journal.gate(1, 5, best, -0.48)
    if judged.verdict != "Keep":
        raise AssertionError(f"the example must keep, not {judged}")
    journal.write(Heard("resolved", "alert HighLatency is resolved"))
    journal.watch(best, -0.47)
    journal.write(Closed("kept", "38 % better than the original"))
    return journal


def null(run: str = "shop-front-20261124T151500-0c0c", at: float = START + 3600) -> Journalist:
    """A run in which nothing helps: one candidate reaches the gate by luck and is rolled back."""
    journal = Journalist(run, at, seed=3)
    journal.open(target())
    for number in range(1, 5):
        journal.trial(number, settings(keepalive_requests=100 * (number + 1)), 0.004)
    journal.gate(1, 2, settings(keepalive_requests=300), 0.004)
    journal.restore("nothing_to_gain", "the search expects nothing more that would be worth a trial")
    return journal


def conflict(run: str = "shop-front-20261124T161500-beef", at: float = START + 7200) -> Journalist:
    """A run whose target was changed by somebody else."""
    journal = Journalist(run, at)
    journal.open(target())
    journal.trial(1, settings(gzip_comp_level=4), -0.1)
    journal.write(Conflicted("b", "content is not ours (version 9f31c2)"))
    journal.write(Closed("conflict", "arm b was changed by somebody else: content is not ours (version 9f31c2)"))
    return journal


def failed(run: str = "shop-front-20261124T171500-dead", at: float = START + 10800) -> Journalist:
    """A run without any reading."""
    journal = Journalist(run, at)
    journal.open(target())
    for number in (1, 2):
        journal.write(Proposed(number, settings(gzip_comp_level=4 + number), number, "random", "random"))
        gone = Missing("no sample in the window")
        for _ in range(2):
            start, end = journal.now, journal.now + 4
            journal.write(
                Measured((Window("a", "candidate", start, end, gone), Window("b", "control", start, end, gone))),
                after=6,
            )
        journal.write(Aborted("no data", "2 pairs in a row without any number", "1"))
    journal.restore("failed", "two trials in a row could not be measured; no trial could be measured")
    return journal


def refused(run: str = "shop-front-20261124T181500-0bad", at: float = START + 14400) -> Journalist:
    """A run that may not write: it says what it would try."""
    journal = Journalist(run, at)
    journal.open(target(mode="observe"))
    proposal = settings(gzip_comp_level=1)
    journal.write(Advised(BEFORE, 0.0, 0.1, 0.2, "known-good seed", proposal))
    journal.write(Closed("refused", "mode is observe, so nothing was written; the first candidate would be level 1"))
    return journal


def prefixes(records: Iterable[Record]) -> Iterable[tuple[Record, ...]]:
    """Every prefix of a journal, the empty one first."""
    whole = tuple(records)
    return (whole[:length] for length in range(len(whole) + 1))
