"""Everything that the page prints: words, numbers and charts of one run; `page.html` lays them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from adapters.report import charts, series, words
from adapters.report.budgets import Budgets, budgets
from adapters.report.course import TrialRow, follow
from adapters.report.drawing import Percent
from adapters.report.endings import Ending, ending
from adapters.report.looks import Looks, looks
from adapters.report.series import Series
from domain.errors import Corrupt
from domain.journal import verify
from domain.ports import Record, RunInfo
from domain.profile import Profile
from domain.run import replay
from domain.state import Run
from domain.summary import Summary, summarise


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
    ending: Ending
    timeline: Markup | None
    gates: list[Series]
    after: list[Series]
    forest: Markup | None
    forest_note: str
    looks: Looks | None
    budgets: Budgets
    trials: list[TrialRow]
    undo: list[tuple[str, str]]
    provenance: list[tuple[str, str]]
    profile: list[tuple[str, str]]
    hashes: list[tuple[int, str, str, str]]
    summary: Summary
    scale: Percent


def tell(records: Sequence[Record]) -> Story:
    """The story of a journal. ValueError if it does not begin with `Opened` or cannot be read."""
    run = replay(records)
    summary = summarise(RunInfo(run.opened.run, run.target.name, records[0].time, None, ""), records)
    course = follow(records)
    trials = course.trials
    scale = Percent(summary.minimise)
    changed, unchanged = _settings(run, summary)
    headline, lead = words.headline(run, summary)
    for trial in trials:
        trial.gate = ", ".join(
            f"gate {gate.gate}: {gate.verdict or 'open'}" for gate in summary.gates if gate.trial == trial.number
        )
    return Story(
        run=summary.run,
        target=summary.target,
        tone=words.TONES[summary.outcome],
        badge=words.BADGES[summary.outcome],
        headline=headline,
        lead=lead,
        tiles=words.tiles(run, summary),
        noticed=words.noticed(run, summary),
        changed=changed,
        unchanged=unchanged,
        settings_note=words.settings_note(summary),
        ending=ending(run, summary, course),
        timeline=(
            charts.timeline(records[0].time, course.end, trials, course.steps, course.shades, scale) if trials else None
        ),
        gates=series.gates(run, scale),
        after=[each for each in (series.watch(run, scale), series.hold_back(run, scale)) if each is not None],
        forest=_forest(run, scale),
        forest_note=f"{words.objective(summary)}: change against the original settings, with its interval.",
        looks=looks(run, course),
        budgets=budgets(run, course, records[-1].time),
        trials=trials,
        undo=words.undo(summary),
        provenance=_provenance(run, summary, records),
        profile=_profile(run.profile),
        hashes=[(record.seq, words.moment(record.time), record.kind, record.hash) for record in records],
        summary=summary,
        scale=scale,
    )


def _settings(run: Run, summary: Summary) -> tuple[list[SettingRow], list[SettingRow]]:
    units = {parameter.name: parameter.unit for parameter in run.target.space.parameters}
    after = summary.settings_after or summary.settings_before
    rows = [
        SettingRow(
            name, words.written(summary.settings_before.get(name)), words.written(after.get(name)), units.get(name, "")
        )
        for name in sorted(summary.settings_before.keys() | after.keys())
    ]
    return [row for row in rows if row.name in summary.changed], [
        row for row in rows if row.name not in summary.changed
    ]


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
        ("Opened", words.moment(summary.opened)),
        ("Closed", words.moment(summary.closed) if summary.closed is not None else "open"),
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


def _forest(run: Run, scale: Percent) -> Markup | None:
    rows = [
        charts.Row(f"gate {judged.gate}", f"{judged.units} pairs", judged.effect, judged.interval)
        for judged in (gate.judged for gate in run.gates)
        if judged is not None and judged.effect is not None
    ]
    for name, seen, count in (
        ("watch", run.watched, run.watched.units if run.watched is not None else 0),
        ("hold-back", run.held[-1] if run.held else None, run.held[-1].pairs if run.held else 0),
    ):
        if seen is not None and seen.effect is not None:
            rows.append(charts.Row(name, f"{count} fresh pairs", seen.effect, seen.interval))
    return charts.forest(rows, scale) if rows else None
