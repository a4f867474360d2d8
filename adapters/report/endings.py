"""Why a run ended, and what that means for whoever operates the target."""

from __future__ import annotations

from dataclasses import dataclass, field

from adapters.report import words
from adapters.report.course import Course
from domain.state import Run
from domain.summary import Summary, interval_text, percent_text

# What the rules say when a search ends before it has seen what there is to see.
CUT_SHORT = ("harm budget", "trials is spent", "s is spent", "the most that one run may test", "could not be")
# What the rules say when a search ends, and what that means. The first that is found in the reason counts.
REASONS = (
    (
        "harm budget",
        "A trial is only started if even its worst case still fits into the harm budget of the target "
        "(`limits.harm`), and the trials of this run have used too much of it. The search space may allow settings "
        "that hurt.",
    ),
    (
        "two candidates in a row could not be proven",
        "Two gates in a row have failed. Going on would mean to test until one passes by luck.",
    ),
    ("the most that one run may test", "Each further gate needs more evidence than the one before, so a run has few."),
    (
        "two trials in a row could not be measured",
        "The metrics had gaps. `trimtab targets check` says what is wrong with them.",
    ),
    (
        "expects nothing more",
        "The search has learned enough of the space to expect no gain that would be worth another trial.",
    ),
    (
        "everything near the settings in force is worse",
        "All changes near the settings in force were worse, and this profile does not jump further away.",
    ),
    (
        "trials is spent",
        "The number of trials is limited; another run goes on from the settings that are then in force.",
    ),
    ("s is spent", "The time of a run is limited; what had begun by then was finished."),
)


@dataclass
class Ending:
    """`verdict` is one sentence, `meaning` explains it, `advice` says what to do; `facts` are names with texts."""

    verdict: str
    meaning: list[str] = field(default_factory=list)
    advice: str = ""
    facts: list[tuple[str, str]] = field(default_factory=list)


def ending(run: Run, summary: Summary, course: Course) -> Ending:
    """The end of this run, or where it stands."""
    told = _told(run, summary)
    if summary.outcome and run.watched is not None and not summary.minimise:
        # The reason repeats the effect of the watch for the inverse that was measured, not for the objective.
        told.facts.append(("Outcome", summary.outcome))
    elif summary.outcome:
        told.facts.append(("Outcome", f"{summary.outcome}: {summary.reason}" if summary.reason else summary.outcome))
    why = course.over or (summary.reason if summary.outcome in ("nothing_to_gain", "inconclusive", "failed") else "")
    if course.over:
        told.facts.append(("The search ended because", course.over))
    explained = next((meaning for needle, meaning in REASONS if needle in why), "")
    if explained and not run.watched:
        told.meaning.append(explained)
    elif explained:
        told.facts.append(("That means", explained))
    for time, heard in course.heard:
        told.facts.append((f"After {words.duration(time - run.began)}", f"{heard.kind}: {heard.text}"))
    if run.resolved and run.trials and summary.outcome != "recovered":
        told.meaning.append(
            "The signal was resolved during the run. That alone proves nothing, because a candidate that serves a part "
            "of the users can be the reason; so the run went on."
        )
    if run.restored is not None and run.restored.by == "watchdog":
        told.meaning.append("No worker took a step for too long, so the watchdog brought the original settings back.")
    return told


def _told(run: Run, summary: Summary) -> Ending:
    match summary.outcome:
        case "kept":
            return _kept(run, summary)
        case "recommended":
            return Ending(
                "New settings proved better on pods of their own; the workload was not changed.",
                [f"Somebody else owns {', '.join(sorted(summary.proposed))}; {summary.reason}."],
                "Apply the patch where these settings come from; the next run then starts from there.",
            )
        case "nothing_to_gain":
            short = any(sign in summary.reason for sign in CUT_SHORT)
            return Ending(
                "No candidate was better by what is worth keeping; the original settings are in force.",
                [f"Worth keeping is a gain of at least {words.gain(run.mei)}."],
                "The search was cut short, so better settings may exist; the reason below says what limited it."
                if short
                else "If the service is still too slow, these settings are probably not the reason.",
            )
        case "inconclusive":
            return _inconclusive(run, summary)
        case "recovered":
            return Ending(
                "The service recovered by itself, under its original settings.",
                ["No setting is the reason, so none was kept. The original settings are in force on every arm."],
                "Whatever made it slow went away without this run; it may come back.",
            )
        case "refused":
            return _refused(run)
        case "restored":
            return _restored(run, summary)
        case "conflict":
            arm = run.conflict.arm if run.conflict is not None else "?"
            return Ending(
                f"A person or another tool changed arm {arm} during the run.",
                [
                    "Changes of others win: the run stopped at once and touched nothing any more. One arm may still "
                    "carry a candidate of this run."
                ],
                "Look at what every arm carries, and decide what should stay.",
            )
        case "failed":
            return Ending(
                "The run could not do its work.",
                ["This says nothing about the settings, neither good nor bad."],
                "Remove the reason below, then start another run.",
            )
    return Ending("The run is still open.", advice="This page shows what is known so far.")


def _kept(run: Run, summary: Summary) -> Ending:
    proven = [gate.judged for gate in run.gates if gate.judged is not None and gate.judged.verdict == "Keep"]
    meaning = []
    if proven:
        level = round(1 / run.profile.alpha)
        meaning.append(
            f"Gate {proven[-1].gate} proved them better than the settings in force, on {proven[-1].units} fresh pairs; "
            f"its rule lets at most 1 of {level} runs keep something that is no improvement."
        )
    watched = run.watched
    if watched is not None:
        seen = percent_text(watched.effect, minimise=summary.minimise)
        spread = interval_text(watched.interval, minimise=summary.minimise)
        meaning.append(
            f"Then the original was measured against them once more, on {watched.units} other pairs: {seen} "
            f"({spread}). That confirms the gate, and is the number to quote, because a gate stops when it looks good."
        )
        low, high = watched.interval
        if low is None or high is None or low <= 0 <= high:
            meaning.append("By itself the watch would not be a proof; together with the gate it is.")
    if run.held and summary.effect is None:
        return Ending(
            "The new settings are kept, but the gain does not show any more, so none is claimed.",
            [*meaning, _held(run, summary)],
            "They do no harm either. Whether they stay is up to you; the way back is below.",
        )
    if run.held:
        meaning.append(_held(run, summary))
    return Ending(
        "The new settings are proven, confirmed, and in force on every arm.", meaning, "Nothing is left to do."
    )


def _held(run: Run, summary: Summary) -> str:
    held = run.held[-1]
    seen = percent_text(held.effect, minimise=summary.minimise)
    spread = interval_text(held.interval, minimise=summary.minimise)
    return (
        f"For {words.duration(run.profile.hold_back)} after the watch, one arm carried the original now and then: "
        f"{seen} ({spread}, {held.pairs} pairs)."
    )


def _inconclusive(run: Run, summary: Summary) -> Ending:
    watched = run.watched
    if watched is None and not any(gate.judged and gate.judged.verdict == "Inconclusive" for gate in run.gates):
        return Ending(
            "Nothing was proven before the search ended; the original settings are in force.",
            [f"Worth keeping is a gain of at least {words.gain(run.mei)}."],
            "The search was cut short, so better settings may exist; the reason below says what limited it.",
        )
    if watched is None:
        return Ending(
            "The best candidate was not proven, so it was not kept; the original settings are in force.",
            ["It may be better all the same: the measurements of this run were too few, or too noisy, to say."],
            "Another run, in calmer traffic or with longer windows, can settle it.",
        )
    if watched.effect is None or watched.units < run.profile.watch_units:
        return Ending(
            "A gate proved new settings, but the watch could not be read, so nothing was kept.",
            ["Without data nothing is kept. The original settings are in force on every arm."],
            "See to the metrics (`trimtab targets check`), then start another run.",
        )
    seen = percent_text(watched.effect, minimise=summary.minimise)
    spread = interval_text(watched.interval, minimise=summary.minimise)
    return Ending(
        "A gate proved new settings, but the watch did not confirm them, so they were taken back.",
        [
            f"On {watched.units} other pairs they were {seen} ({spread}); to be confirmed, a gain of at least "
            f"{words.gain(run.profile.confirm * run.mei)} must show.",
            "The gate was lucky, or what it saw has gone since. The original settings are in force on every arm.",
        ],
        "No gain is claimed. Another run may look again.",
    )


def _restored(run: Run, summary: Summary) -> Ending:
    harmful = (run.watched is not None and run.watched.harmful) or (run.held and run.held[-1].harmful)
    if harmful:
        return Ending(
            "New settings passed the gate and then proved harmful, so they were taken back.",
            [
                "They were compared with the original after the decision, with the same rules for harm as any trial. "
                "The original settings are in force on every arm."
            ],
            "No gain is claimed. The way the service is used may have changed between gate and watch.",
        )
    if run.stop is not None:
        return Ending(
            "The run was stopped on request; the original settings are in force.",
            ["What had been measured is below, but nothing of it is kept."],
            "",
        )
    return Ending("The original settings were brought back on every arm.", [], "The reason is below.")


def _refused(run: Run) -> Ending:
    if run.target.mode != "act" and not run.may_act:
        return Ending(
            f"Mode {run.target.mode} does not let this run write, so it only says what it would try.",
            ["The target was read and not touched."],
            "To let it try, set `mode: act` for this target, or `approve` and approve the run.",
        )
    return Ending(
        "It would not have been safe to measure or to change anything here.",
        ["No candidate was tried; the settings are as they were."],
        "Remove the reason below, then start another run.",
    )
