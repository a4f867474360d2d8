"""Sentences of the report: what happened, what was noticed, and what a person can do now."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from domain import budget
from domain.allowance import Allowance
from domain.evidence import Reading, Seen
from domain.space import Settings, Value
from domain.state import Run
from domain.summary import Summary, changes, interval_text, percent, percent_text

TONES = {
    "kept": "good",
    "recommended": "good",
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
    "recommended": "proven, proposed",
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


def moment(time: float) -> str:
    """Unix seconds as `2026-11-24 14:15:00 UTC`."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(seconds: float) -> str:
    """Seconds as `4 min 12 s`."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if minutes:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{rest} s"


def written(value: Value | None) -> str:
    """A setting as a person would write it."""
    if value is None:
        return "(absent)"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def difference(before: Settings, after: Settings) -> str:
    """`gzip_comp_level 6 → 1, sendfile off → on`."""
    found = changes(before, after)
    if not found:
        return "the original settings"
    return ", ".join(f"{name} {written(each.before)} → {written(each.after)}" for name, each in found.items())


def gain(effect: float) -> str:
    """A gain (a positive log difference) in percent of the objective that is minimised: `3.0 %`."""
    return f"{-100 * math.expm1(-effect):.1f} %"


def level(value: float, unit: str) -> str:
    """A value of the objective with its unit."""
    return f"{1000 * value:.0f} ms" if unit == "s" and value < 10 else f"{value:.4g} {unit}".strip()


def objective(summary: Summary) -> str:
    return "The objective (lower is better)" if summary.minimise else "The objective (higher is better)"


def headline(run: Run, summary: Summary) -> tuple[str, str]:
    effect = percent_text(summary.effect, minimise=summary.minimise)
    target, best = summary.target, _best(run, summary)
    match summary.outcome:
        case "kept":
            if summary.effect is None:
                return (
                    f"{target} keeps new settings, without a claim",
                    "A gate proved them and the watch confirmed it, but later the gain did not show any more.",
                )
            spread = interval_text(summary.interval, minimise=summary.minimise)
            return (
                f"{target}: objective {effect}, proven and kept",
                f"Kept settings against the original ones, measured again side by side after the decision: {effect} "
                f"({spread}, {_confidence(run)} confidence){_levels(run, summary)}.",
            )
        case "recommended":
            return (
                f"{target}: objective {effect}, proven and proposed",
                "Somebody else owns these settings in the cluster, so they were not written; the patch is below.",
            )
        case "nothing_to_gain":
            return (f"Nothing to gain on {target}", f"No candidate proved better by what is worth keeping. {best}")
        case "inconclusive":
            if run.watched is not None:
                return (
                    f"Not confirmed on {target}",
                    "A gate proved new settings; on fresh pairs afterwards the gain did not show, so nothing is kept.",
                )
            return (f"Not proven on {target}", f"The best candidate was not proven, so it was not kept. {best}")
        case "recovered":
            return (
                f"{target} recovered without a change",
                "The signal went away under the original settings, so no setting gets the credit.",
            )
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
    return f"Best of {len(run.trials)} trials at first sight: {percent_text(min(seen), minimise=summary.minimise)}."


def _levels(run: Run, summary: Summary) -> str:
    """Plain values of the watch, original and kept (geometric means)."""
    pairs = run.watching.pairs() if run.watching is not None else []
    ours = _mean([pair.candidate.objective for pair in pairs if pair.d is not None], summary.minimise)
    theirs = _mean([pair.control.objective for pair in pairs if pair.d is not None], summary.minimise)
    if ours is None or theirs is None:
        return ""
    return f"; on average {level(theirs, summary.unit)} with the original, {level(ours, summary.unit)} with the kept"


def _mean(seen: Sequence[Seen], minimise: bool) -> float | None:
    logs = [math.log(reading.value) for reading in seen if isinstance(reading, Reading)]
    if not logs:
        return None
    mean = math.fsum(logs) / len(logs)
    return math.exp(mean if minimise else -mean)


def _confidence(run: Run) -> str:
    return f"{100 * (1 - run.profile.alpha):.0f} %"


def tiles(run: Run, summary: Summary) -> list[tuple[str, str, str]]:
    if summary.effect is None or summary.outcome not in ("kept", "recommended"):
        main = ("effect kept", "none", "no change is claimed")
    else:
        change = percent(summary.effect, minimise=summary.minimise)
        main = (
            "objective",
            f"{change:+.1f} %".replace("-", "−"),
            interval_text(summary.interval, minimise=summary.minimise).replace("-", "−"),
        )
    verdicts = [f"gate {gate.gate}: {gate.verdict or 'open'}" for gate in summary.gates]
    failures = sum(trial.status in ("aborted", "refused") for trial in run.trials)
    early = f"{failures} stopped early or refused"
    seconds = summary.seconds
    spent, limit = budget.spent(run), run.target.limits.harm
    return [
        main,
        (
            "settings changed",
            "unknown" if summary.outcome == "conflict" else str(len(summary.changed)),
            f"of {len(summary.settings_before)} open to the search",
        ),
        ("trials", str(summary.trials), "; ".join([early, *verdicts])),
        ("harm to users", f"{spent:.0f} s" if spent >= 10 else f"{spent:.1f} s", f"of {limit:.0f} s, user-weighted"),
        ("duration", duration(seconds) if seconds is not None else "open", f"{summary.windows} windows measured"),
    ]


def noticed(run: Run, summary: Summary) -> list[tuple[str, str]]:
    signal, seen = run.opened.signal, run.calibrated
    rows = [
        ("Signal", SIGNALS[signal.kind]),
        ("Said", signal.summary or "(no text)"),
        ("At", moment(signal.at)),
    ]
    if signal.labels:
        rows.append(("Labels", ", ".join(f"{name}={value}" for name, value in sorted(signal.labels.items()))))
    if seen is not None and seen.healthy and seen.noticed:
        healthy, noticed = (each if summary.minimise else 1 / each for each in (seen.healthy, seen.noticed))
        change = 100 * (noticed / healthy - 1)
        text = f"{level(healthy, summary.unit)} when healthy, {level(noticed, summary.unit)} at the signal"
        rows.append(("Objective", f"{text} ({change:+.0f} %)"))
    if run.surveyed is not None:
        rows += allowed(run.surveyed)
    if run.diagnosed is not None:
        found = run.diagnosed
        rows.append(("Diagnosis", "; ".join((found.headline, *found.evidence))))
        if found.refusal:
            rows.append(("Not tuned", found.refusal))
    if seen is not None:
        sd, pairs = 100 * math.expm1(seen.sd), len(seen.pairs)
        noise = f"two windows of equal settings differed by {sd:.1f} % (one sd over {pairs} pairs)"
        rows.append(("Noise before", noise + (f"; fault: {seen.fault}" if seen.fault else "")))
        rows.append(("Worth keeping", _worth(run)))
        if seen.uneasy:
            rows.append(("Gates", "longer than usual, because the noise is correlated, skewed or has outliers"))
    return rows


def allowed(allowance: Allowance) -> list[tuple[str, str]]:
    """What the cluster allowed, with the reasons."""
    rows = [(name, f"{each.low:g} to {each.high:g}: {each.reason}") for name, each in allowance.bounds.items()]
    rows += [(name, f"not searched: {why}") for name, why in allowance.frozen.items()]
    rows += [(name, f"only proposed: {why}") for name, why in allowance.advised.items()]
    return rows + [("Note", each) for each in allowance.notes]


def _worth(run: Run) -> str:
    """The minimum effect of interest, and whether noise raised it."""
    least = f"a gain of at least {gain(run.mei)}"
    if run.mei > run.profile.mei:
        return f"{least}, raised from {gain(run.profile.mei)}: in this noise a gate could not prove less"
    return least


def settings_note(summary: Summary) -> str:
    if summary.arms_before:
        return "The arms carried different settings, so none of them was touched."
    if not summary.settings_before:
        return "The settings were never read."
    if summary.outcome == "conflict":
        return "What the target carries now was written by somebody else; below is what it carried before this run."
    if not summary.outcome:
        return "The run is still open."
    return "" if summary.changed else "The target carries exactly the settings that it had before the run."


def undo(summary: Summary) -> list[tuple[str, str]]:
    """What a person can do now: (sentence, commands)."""
    match summary.outcome:
        case "kept":
            by_hand = "\n".join(f"{name}: {written(change.before)}" for name, change in summary.changed.items())
            return [
                ("To bring the original settings back on every arm:", f"trimtab restore {summary.target}"),
                ("Or set these by hand:", by_hand),
            ]
        case "recommended":
            return [("Nothing is to be taken back. To put what was proven into place:", summary.patch)]
        case "conflict":
            before = "\n".join(f"{name}: {written(value)}" for name, value in summary.settings_before.items())
            return [
                ("Look at what the arms carry now:", f"trimtab targets check {summary.target}"),
                (
                    "To overwrite it with the settings from before this run:",
                    f"trimtab restore {summary.target} --force",
                ),
                ("Those settings were:", before),
            ]
        case "":
            return [("To stop the run and restore the original settings:", f"trimtab runs stop {summary.run}")]
    return []
