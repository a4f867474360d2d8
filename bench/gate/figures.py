"""From runs to figures: shares with their exact bounds, medians, claims against the truth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median
from typing import Any

from bench.gate.bounds import lower95, upper95
from bench.gate.drive import percent
from bench.gate.rivals import RivalCourse
from bench.gate.service import REFERENCE
from bench.gate.suites import Result
from domain.profile import Profile

NEVER = math.inf


def figures(results: Sequence[Result], profile: Profile) -> dict[str, Any]:
    """What a suite found. Shares lie in 0..1, gains in percent of the objective, times in windows of 30 s."""
    cells: dict[str, list[Result]] = {}
    for result in results:
        cells.setdefault(result.cell, []).append(result)
    by_cell = {name: _of(group, profile) for name, group in cells.items()}
    worst = max(by_cell, key=lambda name: by_cell[name]["false_keeps"] / by_cell[name]["runs"])
    whole = _of(results, profile)
    whole["worst_cell"] = {
        "cell": worst,
        **{k: by_cell[worst][k] for k in ("runs", "false_keeps", "false_keeps_upper95")},
    }
    whole["cells"] = by_cell
    return whole


def _of(results: Sequence[Result], profile: Profile) -> dict[str, Any]:
    courses = [result.course for result in results]
    kept = [course for course in courses if course.kept is not None]
    false = sum(course.truth >= 0 for course in kept)
    claims = [claim for course in courses for claim in course.claims if claim.closed]
    covered = sum(claim.covers for claim in claims)
    searched = math.fsum(course.searched for course in courses)
    harm = [course.harm for course in courses]
    reported = [(course.reported, course.truth) for course in kept if course.reported is not None]
    found: dict[str, Any] = {
        "runs": len(courses),
        "kept": len(kept),
        "true_keeps": len(kept) - false,
        "true_keeps_lower95": lower95(len(kept) - false, len(courses)),
        "false_keeps": false,
        "false_keeps_upper95": upper95(false, len(courses)),
        "false_gates": sum(course.false_gates for course in courses),
        "gates": sum(course.gates for course in courses),
        "unsafe_windows": math.fsum(course.unsafe for course in courses) / searched if searched else 0.0,
        "first_verified_window": _median(_windows(course.first_verified) for course in courses),
        "true_gain": fmean(percent(course.truth) for course in courses),
        "claim_bias": fmean(percent(told) - percent(true) for told, true in reported) if reported else None,
        "coverage": covered / len(claims) if claims else None,
        "coverage_lower95": lower95(covered, len(claims)),
        "intervals": len(claims),
        "open_intervals": sum(not claim.closed for course in courses for claim in course.claims),
        "harm_seconds_most": max(harm),
        "harm_over_60": sum(each > 60.0 for each in harm),
        "harm_over_60_upper95": upper95(sum(each > 60.0 for each in harm), len(harm)),
        "searched_windows": fmean(_windows(course.searched) for course in courses),
        "trials": fmean(course.trials for course in courses),
        "outcomes": _counts(course.outcome for course in courses),
    }
    if any(result.notes for result in results):
        ran = [result for result in results if result.course.trials]  # some are refused at calibration
        windows = [result.notes["windows"] if result.notes["stopped"] else NEVER for result in ran]
        found["candidates"] = len(ran)
        for most in (1, 2):
            found[f"stopped_within_{most}"] = sum(each <= most for each in windows)
    return found


def rival_figures(courses: Mapping[str, Sequence[RivalCourse]]) -> dict[str, Any]:
    """The same for the rivals, by name."""
    return {name: _rival(group) for name, group in courses.items()}


def _rival(courses: Sequence[RivalCourse]) -> dict[str, Any]:
    kept = [course for course in courses if course.kept is not None]
    false = sum(course.truth >= 0 for course in kept)
    searched = math.fsum(course.searched for course in courses)
    claimed = [(course.claimed, course.truth) for course in kept if course.claimed is not None]
    return {
        "runs": len(courses),
        "kept": len(kept),
        "false_keeps": false,
        "false_keeps_upper95": upper95(false, len(courses)),
        "unsafe_windows": math.fsum(course.unsafe for course in courses) / searched if searched else 0.0,
        "first_verified_window": _median(_windows(course.first_verified) for course in courses),
        "true_gain": fmean(percent(course.truth) for course in courses),
        "claim_bias": fmean(percent(told) - percent(true) for told, true in claimed) if claimed else None,
        "harm_seconds_most": max(course.harm for course in courses),
    }


def _windows(seconds: float | None) -> float:
    return NEVER if seconds is None else seconds / REFERENCE


def _median(values: Iterable[float]) -> float | None:
    """The median, where runs that never got there count as later than all others; None if that is most of them."""
    middle = median(list(values))
    return None if math.isinf(middle) else middle


def _counts(words: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return dict(sorted(counts.items()))
