"""What the page says, in words and numbers; `charts.py` draws, `page.html` lays out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from adapters.report import charts, words
from domain.errors import Corrupt
from domain.events import Aborted, Closed, Conflicted, GateOpened, Judged, Proposed, Refused, Screened, Watched
from domain.gate import couples, judge
from domain.journal import event_of, verify
from domain.ports import Record, RunInfo
from domain.profile import Profile
from domain.run import replay
from domain.state import Gate, Run, apply
from domain.summary import Summary, interval_text, percent_text, summarise


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
    headline, lead = words.headline(run, summary)
    gates = [_gate(gate, run, scale) for gate in run.gates]
    for trial in trials:
        trial.gate = ", ".join(f"gate {g.number}: {g.verdict}" for g in gates if g.trial == trial.number)
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
        timeline=charts.timeline(records[0].time, records[-1].time, trials, steps, shades, scale) if trials else None,
        gates=gates,
        forest=_forest(run, scale),
        forest_note=f"{words.objective(summary)}: change against the original settings, with its interval.",
        trials=trials,
        ending=words.ending(summary),
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
                        event.trial, time, time, words.difference(run.incumbent, event.settings), event.why, event.seed
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
        why=words.sentence(judged.why) if judged else "Still measuring",
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
        charts.Estimate(f"gate {judged.gate}", f"{judged.units} units", judged.effect, judged.interval)
        for judged in (gate.judged for gate in run.gates)
        if judged is not None and judged.effect is not None
    ]
    if run.watched is not None and run.watched.effect is not None:
        rows.append(
            charts.Estimate("watch", f"{run.watched.units} fresh units", run.watched.effect, run.watched.interval)
        )
    return charts.forest(rows, scale) if rows else None
