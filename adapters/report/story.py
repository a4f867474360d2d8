"""What the page says, in words and numbers; `charts.py` draws, `page.html` lays out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from adapters.report import charts
from domain.errors import Corrupt
from domain.events import Aborted, Closed, Conflicted, GateOpened, Judged, Proposed, Refused, Screened, Watched
from domain.gate import couples, judge
from domain.journal import event_of, verify
from domain.ports import Record, RunInfo
from domain.profile import Profile
from domain.run import replay
from domain.space import Settings, Value
from domain.state import Gate, Run, apply
from domain.summary import Summary, changes, interval_text, percent, percent_text, summarise

TONES = {
    "kept": "good",
    "recovered": "good",
    "nothing_to_gain": "calm",
    "inconclusive": "calm",
    "refused": "calm",
    "restored": "warn",
    "conflict": "bad",
    "failed": "bad",
    "": "open",
}
BADGES = {
    "kept": "kept",
    "recovered": "recovered by itself",
    "nothing_to_gain": "nothing to gain",
    "inconclusive": "inconclusive",
    "refused": "refused",
    "restored": "restored",
    "conflict": "conflict",
    "failed": "failed",
    "": "still open",
}
SIGNALS = {
    "alert": "An alert of Alertmanager",
    "regression": "A regression that the watcher saw",
    "person": "A person",
    "schedule": "A schedule",
}


@dataclass
class TrialRow:
    """One trial of the table. `effect` and `sd` are log differences against the original."""

    number: int
    at: float
    until: float
    changed: str
    why: str
    seed: int
    result: str = "open"
    note: str = ""
    effect: float | None = None
    sd: float | None = None
    gate: str = ""


@dataclass
class GateStory:
    number: int
    trial: int
    verdict: str
    why: str
    effect: str
    interval: str
    pairs: int
    units: int
    level: str
    needed: str
    evidence: str
    pairs_chart: Markup
    evidence_chart: Markup | None


@dataclass
class SettingRow:
    name: str
    before: str
    after: str
    unit: str


@dataclass
class Story:
    """Everything that the template prints."""

    run: str
    target: str
    tone: str
    badge: str
    headline: str
    lead: str
    tiles: list[tuple[str, str, str]]
    noticed: list[tuple[str, str]]
    changed: list[SettingRow]
    unchanged: list[SettingRow]
    settings_note: str
    timeline: Markup | None
    gates: list[GateStory]
    forest: Markup | None
    forest_note: str
    trials: list[TrialRow]
    ending: str
    undo: list[tuple[str, str]]
    provenance: list[tuple[str, str]]
    profile: list[tuple[str, str]]
    hashes: list[tuple[int, str, str, str]]
    summary: Summary
    scale: charts.Percent


def tell(records: Sequence[Record]) -> Story:
    """The story of a journal. ValueError if it does not begin with `Opened` or cannot be read."""
    run = replay(records)
    summary = summarise(RunInfo(run.opened.run, run.target.name, records[0].time, None, ""), records)
    trials, steps, shades = _course(records)
    scale = charts.Percent(summary.minimise)
    changed, unchanged = _settings(run, summary)
    headline, lead = _headline(run, summary)
    gates = [_gate(gate, run, scale) for gate in run.gates]
    for trial in trials:
        trial.gate = ", ".join(f"gate {g.number}: {g.verdict}" for g in gates if g.trial == trial.number)
    return Story(
        run=summary.run,
        target=summary.target,
        tone=TONES[summary.outcome],
        badge=BADGES[summary.outcome],
        headline=headline,
        lead=lead,
        tiles=_tiles(run, summary),
        noticed=_noticed(run, summary),
        changed=changed,
        unchanged=unchanged,
        settings_note=_settings_note(summary),
        timeline=charts.timeline(records[0].time, records[-1].time, trials, steps, shades, scale) if trials else None,
        gates=gates,
        forest=_forest(run, scale),
        forest_note=f"{_objective(summary).capitalize()}: change against the original settings, with its interval.",
        trials=trials,
        ending=_ending(summary),
        undo=_undo(summary, changed),
        provenance=_provenance(run, summary, records),
        profile=_profile(run.profile),
        hashes=[(record.seq, moment(record.time), record.kind, record.hash) for record in records],
        summary=summary,
        scale=scale,
    )


# --- words -----------------------------------------------------------------------------------------------------------


def moment(time: float) -> str:
    """Unix seconds as `2026-11-24 14:15:00 UTC`."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(seconds: float) -> str:
    """Seconds as `4 min 12 s`."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def written(value: Value | None) -> str:
    """A setting as a person would write it."""
    if value is None:
        return "(absent)"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def difference(before: Settings, after: Settings) -> str:
    """`gzip_comp_level 6 → 1, sendfile off → on`."""
    found = changes(before, after)
    if not found:
        return "the original settings"
    return ", ".join(f"{name} {written(each.before)} → {written(each.after)}" for name, each in found.items())


def _objective(summary: Summary) -> str:
    return "the objective (lower is better)" if summary.minimise else "the objective (higher is better)"


def _headline(run: Run, summary: Summary) -> tuple[str, str]:
    effect = percent_text(summary.effect, minimise=summary.minimise)
    target, best = summary.target, _best(run, summary)
    match summary.outcome:
        case "kept":
            if summary.effect is None:
                return (f"{target} keeps new settings", "The gate proved them; the watch afterwards could not be read.")
            spread = interval_text(summary.interval, minimise=summary.minimise)
            return (
                f"{target} is {effect} and keeps its new settings",
                f"Objective under the kept settings against the original ones, both measured again side by side after "
                f"the decision: {effect} ({spread}, {_confidence(run)} confidence).",
            )
        case "nothing_to_gain":
            return (f"Nothing to gain on {target}", f"No candidate proved better by what is worth keeping. {best}")
        case "inconclusive":
            return (f"Not proven on {target}", f"The best candidate was not proven, so it was not kept. {best}")
        case "recovered":
            return (f"{target} recovered without a change", "The original settings are back at their healthy level.")
        case "refused":
            return (f"Nothing was tried on {target}", "The run was refused before any candidate was written.")
        case "restored":
            return (f"{target} is back on its original settings", f"Reason: {summary.reason or 'not given'}.")
        case "conflict":
            return (
                f"Somebody else changed {target}",
                "The run stopped at once and restored nothing: changes of people and other tools win.",
            )
        case "failed":
            return (f"The run on {target} failed", f"Reason: {summary.reason or 'not given'}.")
    return (f"The run on {target} is still open", f"{summary.trials} trials so far. {best}")


def _best(run: Run, summary: Summary) -> str:
    seen = [trial.effect for trial in run.trials if trial.effect is not None and trial.status == "measured"]
    if not seen:
        return ""
    return f"Best of {len(run.trials)} trials: {percent_text(min(seen), minimise=summary.minimise)}."


def _confidence(run: Run) -> str:
    return f"{100 * (1 - run.profile.alpha):.0f} %"


def _tiles(run: Run, summary: Summary) -> list[tuple[str, str, str]]:
    if summary.effect is None:
        main = ("effect kept", "none", "no change is claimed")
    else:
        change = percent(summary.effect, minimise=summary.minimise)
        main = (
            "objective",
            f"{change:+.1f} %".replace("-", "−"),
            interval_text(summary.interval, minimise=summary.minimise).replace("-", "−"),
        )
    verdicts = [gate.verdict or "open" for gate in summary.gates]
    failures = sum(trial.status in ("aborted", "refused") for trial in run.trials)
    seconds = summary.seconds
    return [
        main,
        ("settings changed", str(len(summary.changed)), f"of {len(summary.settings_before)} open to the search"),
        ("trials", str(summary.trials), f"{failures} stopped early or refused"),
        ("gates", str(len(verdicts)), ", ".join(verdicts) or "none opened"),
        ("duration", duration(seconds) if seconds is not None else "open", f"{summary.windows} windows measured"),
    ]


def _noticed(run: Run, summary: Summary) -> list[tuple[str, str]]:
    signal, seen = run.opened.signal, run.calibrated
    rows = [
        ("Signal", SIGNALS[signal.kind]),
        ("Said", signal.summary or "(no text)"),
        ("At", moment(signal.at)),
    ]
    if signal.labels:
        rows.append(("Labels", ", ".join(f"{name}={value}" for name, value in sorted(signal.labels.items()))))
    if seen is not None and seen.healthy and seen.noticed:
        healthy, noticed = (level if summary.minimise else 1 / level for level in (seen.healthy, seen.noticed))
        change = 100 * (noticed / healthy - 1)
        text = f"{_level(healthy, summary.unit)} when healthy, {_level(noticed, summary.unit)} at the signal"
        rows.append(("Objective", f"{text} ({change:+.0f} %)"))
    if seen is not None:
        noise = f"two identical arms differed by {100 * math.expm1(seen.sd):.1f} % (one sd over {len(seen.pairs)} pairs)"
        rows.append(("Noise before", noise + (f"; fault: {seen.fault}" if seen.fault else "")))
    return rows


def _level(value: float, unit: str) -> str:
    return f"{1000 * value:.0f} ms" if unit == "s" and value < 10 else f"{value:.4g} {unit}".strip()


def _settings(run: Run, summary: Summary) -> tuple[list[SettingRow], list[SettingRow]]:
    units = {parameter.name: parameter.unit for parameter in run.target.space.parameters}
    after = summary.settings_after or summary.settings_before
    rows = [
        SettingRow(name, written(summary.settings_before.get(name)), written(after.get(name)), units.get(name, ""))
        for name in sorted(summary.settings_before.keys() | after.keys())
    ]
    return [row for row in rows if row.name in summary.changed], [row for row in rows if row.name not in summary.changed]


def _settings_note(summary: Summary) -> str:
    if summary.arms_before:
        return "The arms carried different settings, so none of them was touched."
    if not summary.settings_before:
        return "The settings were never read."
    if summary.outcome == "conflict":
        return "What the target carries now was written by somebody else; below is what it carried before this run."
    if not summary.outcome:
        return "The run is still open."
    return "" if summary.changed else "The target carries exactly the settings that it had before the run."


def _ending(summary: Summary) -> str:
    if not summary.outcome:
        return "The run is still open."
    return f"Outcome {summary.outcome}: {summary.reason}" if summary.reason else f"Outcome {summary.outcome}."


def _undo(summary: Summary, changed: Sequence[SettingRow]) -> list[tuple[str, str]]:
    """What a person can do now: (sentence, commands)."""
    match summary.outcome:
        case "kept":
            by_hand = "\n".join(f"{row.name}: {row.before} {row.unit}".rstrip() for row in changed)
            return [
                ("To bring the original settings back on every arm:", f"trimtab restore {summary.target}"),
                ("Or set these by hand:", by_hand),
            ]
        case "conflict":
            before = "\n".join(f"{name}: {written(value)}" for name, value in summary.settings_before.items())
            return [
                ("Look at what the arms carry now:", f"trimtab targets check {summary.target}"),
                ("To overwrite it with the settings from before this run:", f"trimtab restore {summary.target} --force"),
                ("Those settings were:", before),
            ]
        case "":
            return [("To stop the run and restore the original settings:", f"trimtab runs stop {summary.run}")]
    return []


def _provenance(run: Run, summary: Summary, records: Sequence[Record]) -> list[tuple[str, str]]:
    try:
        verify(summary.run, records)
        chain = "hash chain intact when this page was written"
    except Corrupt as broken:
        chain = f"HASH CHAIN BROKEN: {broken}"
    return [
        ("Run", summary.run),
        ("Target", f"{summary.target} ({run.target.actuator}, mode {summary.mode}, {run.target.design})"),
        ("Arms", ", ".join(arm.label for arm in run.target.arms)),
        ("Opened", moment(summary.opened)),
        ("Closed", moment(summary.closed) if summary.closed is not None else "open"),
        ("Signal id", summary.signal.id if summary.signal else ""),
        ("Strategy", f"{summary.strategy}, seed {summary.seed}"),
        ("Objective", run.target.objective.query),
        *(
            (f"Guardrail {rail.name}", f"{rail.query} {rail.op} {rail.limit:g}{' × original' if rail.relative else ''}")
            for rail in run.target.guardrails
        ),
        ("Journal", f"{len(records)} records, {chain}"),
        ("First hash", summary.first_hash),
        ("Last hash", summary.last_hash),
    ]


def _profile(profile: Profile) -> list[tuple[str, str]]:
    return [(name, f"{getattr(profile, name):g}" if isinstance(getattr(profile, name), float) else
             str(getattr(profile, name))) for name in profile.__dataclass_fields__]  # fmt: skip


# --- course of the run -----------------------------------------------------------------------------------------------


def _course(records: Sequence[Record]) -> tuple[list[TrialRow], list[tuple[float, float]], list[charts.Shade]]:
    """Trials as they were screened, the incumbent's steps (time, effect), and the spans of gates and watch."""
    run = Run.begin(event_of(records[0]), records[0].time)
    trials: list[TrialRow] = []
    steps, shades = [(records[0].time, 0.0)], []
    opened, promoted = 0.0, 0.0
    for record in records[1:]:
        event, time = event_of(record), record.time
        apply(run, event, time)
        match event:
            case Proposed():
                trials.append(
                    TrialRow(
                        event.trial, time, time, difference(run.incumbent, event.settings), event.why, event.seed
                    )
                )
            case Screened():
                row = trials[event.trial - 1]
                row.effect, row.sd, row.until = run.trials[event.trial - 1].effect, math.sqrt(event.variance), time
                row.result = row.result if row.result == "aborted" else "measured"
            case Aborted() if trials and run.gate is None and run.watching is None:
                trials[-1].result, trials[-1].until = "aborted", time
                trials[-1].note = f"{event.rule}: {event.seen} (limit {event.limit})"
            case Refused() if trials and run.gate is None and run.watching is None:
                trials[-1].result, trials[-1].until, trials[-1].note = "refused", time, event.reason
            case GateOpened():
                opened = time
            case Judged():
                shades.append(charts.Shade(opened, time, f"gate {event.gate}: {event.verdict}", "gate"))
                if event.verdict == "Keep":
                    steps.append((time, run.off))
            case Watched():
                shades.append(charts.Shade(promoted, time, "watch", "watch"))
            case Conflicted():
                shades.append(charts.Shade(time, time, "foreign change", "bad"))
            case Closed() if run.restored is not None:
                steps.append((time, 0.0))
        if run.watching is not None and not promoted:
            promoted = run.watching.began
    last = records[-1].time
    if run.gate is not None:
        shades.append(charts.Shade(opened, last, f"gate {run.gate.opened.gate}: open", "gate"))
    if run.watching is not None and run.watched is None:
        shades.append(charts.Shade(promoted, last, "watch", "watch"))
    return trials, steps, shades


def _gate(gate: Gate, run: Run, scale: charts.Percent) -> GateStory:
    opened, judged, pairs = gate.opened, gate.judged, gate.block.pairs()
    need = 1 / (2 * opened.alpha)
    calibration = run.calibrated.pairs if run.calibrated else ()
    path = []
    for count in range(2, len(pairs) + 1, 2):
        ruling = judge(pairs[:count], calibration, alpha=opened.alpha, uneasy=False, profile=run.profile)
        path.append((count, ruling.log_e))
    evidence = judged.log_e if judged else (path[-1][1] if path else 0.0)
    return GateStory(
        number=opened.gate,
        trial=opened.trial,
        verdict=judged.verdict if judged else "open",
        why=judged.why if judged else "still measuring",
        effect=percent_text(judged.effect if judged else None, minimise=scale.minimise),
        interval=interval_text(judged.interval if judged else (None, None), minimise=scale.minimise),
        pairs=len(pairs),
        units=judged.units if judged else len(couples(pairs)),
        level=f"{opened.alpha:.4f}",
        needed=f"{need:.1f}",
        evidence=_e_value(evidence),
        pairs_chart=charts.pairs(pairs, run.profile.mei / 3, scale),
        evidence_chart=charts.evidence(path, math.log(need), run.profile.gate_min_pairs) if path else None,
    )


def _e_value(log_e: float) -> str:
    return f"{math.exp(log_e):.1f}" if log_e < math.log(1e4) else f"10^{log_e / math.log(10):.1f}"


def _forest(run: Run, scale: charts.Percent) -> Markup | None:
    rows = [
        charts.Estimate(f"gate {gate.opened.gate}", f"{gate.judged.units} units", gate.judged.effect, gate.judged.interval)
        for gate in run.gates
        if gate.judged is not None and gate.judged.effect is not None
    ]  # fmt: skip
    if run.watched is not None and run.watched.effect is not None:
        rows.append(
            charts.Estimate("watch", f"{run.watched.units} fresh units", run.watched.effect, run.watched.interval)
        )
    return charts.forest(rows, scale) if rows else None
