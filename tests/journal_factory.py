"""Whole journals for tests, made from events as a worker would write them: a run that keeps and runs that do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from random import Random

from domain.block import Gate
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
    Looking,
    Measured,
    Opened,
    Outcome,
    Proposed,
    Purpose,
    Refused,
    Restored,
    Restoring,
    Screened,
)
from domain.evidence import Missing, Pair, Reading, Role, Window, differences
from domain.gate import gate_alpha
from domain.journal import seal
from domain.ports import Record, RunInfo
from domain.profile import DEMO
from domain.run import next_step
from domain.signal import Signal
from domain.space import Parameter, SearchSpace, Settings, Value
from domain.space import equal as same
from domain.state import Run, apply
from domain.steps import Apply, Close, Decide, Measure, TakeBack, Wait
from domain.target import Arm, Guardrail, Limits, Objective, Target

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
        profile=replace(DEMO, promotion_pairs=4, rare_harm_pairs=40),
        guardrails=(Guardrail("bytes", "bytes{arm='$arm'}[$window]", "<", 1.5, relative=True),),
        when={"alertname": "HighLatency", "service": name},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


class Journalist:
    """Writes a journal event by event on a clock of its own. `noise` is the sd of a window's log objective, `bias` what
    the first arm shows above the second under equal settings."""

    def __init__(self, run: str = RUN, at: float = START, seed: int = 1, noise: float = 0.05) -> None:
        self.run, self.now = run, at
        self.records: list[Record] = []
        self.lots = Random(seed)
        self.noise, self.bias = noise, 0.02
        self.generation = 0
        self.level = 0.31
        self._state: Run | None = None

    @property
    def state(self) -> Run:
        """The run so far, as a worker would see it."""
        if self._state is None:
            raise ValueError("the journal is not opened")
        return self._state

    def write(self, *events: Event, after: float = 0.1) -> None:
        """Append events `after` seconds later."""
        self.now += after
        self.records.extend(seal(events, self.now, self.records))
        for event in events:
            if self._state is None:
                self._state = Run.begin(event, self.now)
            else:
                apply(self._state, event, self.now)

    def open(
        self, what: Target, summary: str = "p95 of shop-front is above 250 ms for 20 s", mei: float | None = None
    ) -> None:
        signal = Signal("fp-1", "alert", "firing", self.now - 2, summary, labels=dict(what.when))
        self.write(Opened(self.run, signal, what, seed=7), after=0)
        before = {arm.label: BEFORE for arm in what.arms}
        self.write(Imaged(before, {arm.label: f"v0-{arm.label}" for arm in what.arms}), after=0.6)
        start = self.now - 40
        pairs = tuple(self.pair(0.0, start + 4 * n, swapped=bool(n % 2)) for n in range(8))
        noise, levels = (0.062, 0.05, 0.83, 0.004), {"bytes": 24100.0}
        self.write(
            Calibrated(
                pairs, *noise, levels, False, healthy=0.38 * self.level, noticed=self.level, bias=self.bias, mei=mei
            )
        )

    def window(self, arm: str, role: Role, start: float, effect: float) -> Window:
        lean = self.bias / 2 if arm == "a" else -self.bias / 2
        value = Reading(self.level * 2.718281828 ** (effect + lean + self.lots.gauss(0, self.noise)))
        return Window(arm, role, start, start + 4, value, {"bytes": Reading(24000.0)})

    def pair(self, effect: float, start: float, *, swapped: bool) -> Pair:
        ours, theirs = ("b", "a") if swapped else ("a", "b")
        return Pair(self.window(ours, "candidate", start, effect), self.window(theirs, "control", start, 0.0))

    def put(self, arms: Mapping[str, Settings], purpose: Purpose) -> None:
        self.generation += 1
        self.write(Applying(arms, self.generation, purpose))
        self.write(Applied(arms, self.generation), after=0.4)

    def rest(self) -> None:
        """The settings in force on every arm again."""
        self.put({arm.label: self.state.incumbent for arm in self.state.target.arms}, "restore")

    def slot(self, candidate: Settings, purpose: Purpose, effect: float, *, swapped: bool) -> Pair:
        """Arrange both arms, wait, measure one pair."""
        ours = "b" if swapped else "a"
        self.put({each.label: candidate if each.label == ours else BEFORE for each in self.state.target.arms}, purpose)
        pair = self.pair(effect, self.now + 2, swapped=swapped)
        self.write(Measured((pair.candidate, pair.control)), after=7)
        return pair

    def trial(
        self,
        number: int,
        settings: Settings,
        effect: float,
        why: str = "largest expected improvement",
        pairs: int = 4,
        max_ei: float = 0.08,
    ) -> None:
        """A trial with the given true effect."""
        self.write(Proposed(number, settings, 1000 + number, "bayesian", why))
        measured = [self.slot(settings, "screen", effect, swapped=bool(n // 2 % 2)) for n in range(pairs)]
        ds = differences(measured, self.bias)
        mean = sum(ds) / len(ds)
        self.write(Screened(number, mean, 0.0012 * 4 / pairs, len(ds)))
        self.rest()
        self.advise(settings, mean * 0.9, max_ei)

    def advise(self, settings: Settings = BEFORE, mu: float = 0.0, max_ei: float = 0.0) -> None:
        self.write(Advised(settings, mu, 0.03, max_ei, "the model expects more", settings))

    def aborted(self, number: int, settings: Settings, pairs: int = 1) -> None:
        """A trial that is stopped after its first pairs; its users were beyond what is allowed."""
        self.write(Proposed(number, settings, 1000 + number, "bayesian", "explores"))
        for _ in range(pairs):
            self.slot(settings, "screen", 1.2, swapped=False)
        self.write(
            Aborted("three times the control", "3.32 times", "3 times in one window"),
            Screened(number, 1.2, 0.006, 1),
        )
        self.rest()

    def refused(self, number: int, settings: Settings) -> None:
        """A trial that the target refuses."""
        self.write(Proposed(number, settings, 1000 + number, "bayesian", "explores"))
        self.generation += 1
        self.write(Applying({"a": settings, "b": BEFORE}, self.generation, "screen"))
        self.write(Refused(settings, 'nginx: [emerg] invalid value "max=10000" in /run/a.conf:7'))
        self.rest()

    def look(self, level: float) -> None:
        """A look at the original on every arm; the objective has this value."""
        usual, self.level = self.level, level
        self.write(Looking("is the original still as slow as at the signal?"))
        self.play(0.0, lambda run: run.look is None)
        self.level = usual

    def gate(self, number: int, trial: int, settings: Settings, effect: float) -> Gate:
        """A gate on fresh pairs, judged by the real rule."""
        alpha = gate_alpha(number, self.state.profile.alpha)
        self.write(GateOpened(number, trial, settings, alpha, len(self.state.trials)))
        self.play(effect, lambda run: run.gate is None)
        self.rest()
        return self.state.gates[-1]

    def watch(self, effect: float, later: float | None = None) -> None:
        """Promotion and watch, then hold-back (with the effect `later`) where the profile has one, and the end."""
        first, *others = (arm.label for arm in self.state.target.arms)
        self.put({first: self.state.incumbent, **dict.fromkeys(others, BEFORE)}, "promote")
        self.play(effect, lambda run: run.watched is not None)
        self.play(effect if later is None else later, lambda run: run.closed is not None)

    def play(self, effect: float, done: Callable[[Run], bool]) -> None:
        """What a worker does from here on, by the real rules. Arms that left the original settings have `effect`."""
        while not done(self.state):
            step = next_step(self.state, self.now)
            match step:
                case Decide():
                    self.write(*step.events)
                case Apply():
                    self.put(step.arms, step.purpose)
                case Wait():
                    self.now = max(self.now, step.until)
                case Measure():
                    carried = {span.arm: effect * (not same(self.state.arms[span.arm], BEFORE)) for span in step.spans}
                    self.write(Measured(tuple(self.window(s.arm, s.role, s.start, carried[s.arm]) for s in step.spans)))
                case TakeBack():
                    self.take_back(step.outcome, step.why)
                case Close():
                    self.write(Closed(step.outcome, step.reason))
                case _:
                    raise AssertionError(f"the journalist cannot play {step}")

    def finish(self) -> None:
        """The end, by the real rules, without another trial."""
        self.play(0.0, lambda run: run.closed is not None)

    def take_back(self, outcome: Outcome, why: str) -> None:
        self.generation += 1
        self.write(Restoring(outcome, why, self.generation))
        self.write(Restored("worker", why, outcome), after=0.8)

    def restore(self, outcome: Outcome, why: str) -> None:
        self.take_back(outcome, why)
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


BEST = settings(gzip_comp_level=1, open_file_cache="max=1000")


def kept(run: str = RUN, at: float = START) -> Journalist:
    """A run that looks at the original, tries five candidates, proves one and keeps it."""
    return _proven(Journalist(run, at, seed=31, noise=0.1), target(), -0.48, -0.47)


def unconfirmed() -> Journalist:
    """A gate that was lucky: on fresh pairs the settings show no gain any more, so they are not kept."""
    return _proven(Journalist("shop-front-20261125T141500-10c4", START + 86400), target(), -0.48, 0.005)


def harmful() -> Journalist:
    """Settings that turn out to be slower once every arm carries them."""
    return _proven(Journalist("shop-front-20261125T151500-4a12", START + 90000), target(), -0.48, 0.25)


def held(later: float = -0.45) -> Journalist:
    """Four arms: promotion in steps, and a hold-back of ten minutes after the watch, with the effect `later`."""
    profile = replace(DEMO, name="demo-held", promotion_pairs=4, hold_back=600.0, hold_back_every=30.0)
    arms = tuple(Arm(label, {"config": f"/run/{label}.conf"}) for label in "abcd")
    journal = Journalist("shop-front-20261125T161500-4e1d", START + 93600)
    return _proven(journal, target(profile=profile, arms=arms), -0.48, -0.47, later)


def _proven(journal: Journalist, what: Target, gated: float, watched: float, later: float | None = None) -> Journalist:
    journal.open(what)
    journal.look(journal.level)
    journal.trial(1, settings(sendfile=True, tcp_nopush=True), -0.02, "known-good seed of the catalogue")
    journal.trial(2, settings(gzip_comp_level=4), -0.18)
    journal.aborted(3, settings(gzip_comp_level=9, gzip_min_length=20))
    journal.refused(4, settings(open_file_cache="max=10000"))
    journal.look(journal.level)
    journal.trial(5, BEST, -0.48)
    gate = journal.gate(1, 5, BEST, gated)
    if gate.judged is None or gate.judged.verdict != "Keep":
        raise AssertionError(f"the example must keep, not {gate.judged}")
    journal.write(Heard("resolved", "alert HighLatency is resolved"))
    journal.watch(watched, later)
    return journal


def null(run: str = "shop-front-20261124T151500-0c0c", at: float = START + 3600) -> Journalist:
    """A run in which nothing helps, in more noise than the profile expects: one candidate reaches the gate by luck and
    is rolled back."""
    journal = Journalist(run, at, seed=3)
    journal.open(target(), mei=0.042)
    for number, why in enumerate(("largest expected improvement", "measured again: several candidates are close") * 2):
        journal.trial(number + 1, settings(keepalive_requests=100 * (number // 2 + 2)), 0.004, why, max_ei=0.001)
    journal.gate(1, 2, settings(keepalive_requests=200), 0.004)
    journal.advise()
    journal.finish()
    return journal


def recovered() -> Journalist:
    """A signal that goes away by itself: the original settings are back at their old level."""
    journal = Journalist("shop-front-20261125T171500-5e1f", START + 97200)
    journal.open(target())
    for level in (0.16, 0.13, 0.12, 0.125, 0.12, 0.12, 0.12, 0.12):
        if journal.state.recovered is None:
            journal.look(level)
    journal.finish()
    return journal


def overspent() -> Journalist:
    """Two candidates were so bad that the harm budget does not cover a third."""
    journal = Journalist("shop-front-20261125T181500-0e75", START + 100800)
    journal.open(target(limits=Limits(harm=12.0)))
    journal.trial(1, settings(gzip_comp_level=4), 0.01)
    journal.aborted(2, settings(gzip_comp_level=9), pairs=1)
    journal.trial(3, settings(gzip_comp_level=7), 0.16, pairs=2)
    journal.aborted(4, settings(gzip_comp_level=8), pairs=1)
    journal.advise()
    journal.finish()
    return journal


def conflict(run: str = "shop-front-20261124T161500-beef", at: float = START + 7200) -> Journalist:
    """A run whose target was changed by somebody else."""
    journal = Journalist(run, at)
    journal.open(target())
    journal.trial(1, settings(gzip_comp_level=4), -0.1)
    journal.write(Conflicted("b", "content is not ours (version 9f31c2)"))
    journal.finish()
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
        journal.write(Aborted("no data", "2 pairs in a row without any number", "1", beyond=False))
    journal.restore("failed", "two trials in a row could not be measured; no trial could be measured")
    return journal


def refused(run: str = "shop-front-20261124T181500-0bad", at: float = START + 14400) -> Journalist:
    """A run that may not write: it says what it would try."""
    journal = Journalist(run, at)
    journal.open(target(mode="observe"))
    proposal = settings(gzip_comp_level=1)
    journal.write(Advised(BEFORE, 0.0, 0.1, 0.2, "known-good seed", proposal))
    journal.finish()
    return journal


EVERY = (kept, null, conflict, failed, refused, unconfirmed, harmful, held, recovered, overspent)


def prefixes(records: Iterable[Record]) -> Iterable[tuple[Record, ...]]:
    """Every prefix of a journal, the empty one first."""
    whole = tuple(records)
    return (whole[:length] for length in range(len(whole) + 1))
