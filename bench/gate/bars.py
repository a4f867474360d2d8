"""THE table: every figure that was promised beside what was reached."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.gate.bounds import lower95, upper95
from bench.gate.collected import Data, Kept, command, live_command
from bench.gate.suites import SUITES
from bench.gate.words import share_of, short, signed

ASKED = {"abort": 2000, "budget": 500}  # runs, where a bar asks for a number of them
YES, NO, NOT_MEASURED, NOT_PROVEN = "yes", "**NO**", "not measured", "yes, not proven"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure beside its bar."""

    figure: str
    must: str
    reached: str
    met: str
    command: str

    @property
    def is_met(self) -> bool:
        return self.met.startswith(YES)


def at_most(hits: int, of: int, bar: float, need: int = 0) -> tuple[str, str]:
    """(reached, met) of a share that must not exceed the bar, judged by the share; the bound says if that is proven."""
    share, bound = hits / of, upper95(hits, of) or 0.0
    return f"{short(share)} ({hits} of {of}; ≤ {short(bound)})", _met(share <= bar, bound <= bar, of, need)


def at_least(hits: int, of: int, bar: float, need: int = 0) -> tuple[str, str]:
    """The same for a share that must reach the bar."""
    share, bound = hits / of, lower95(hits, of) or 0.0
    return f"{short(share)} ({hits} of {of}; ≥ {short(bound)})", _met(share >= bar, bound >= bar, of, need)


def _met(good: bool, proven: bool, of: int, need: int) -> str:
    if not good:
        return NO
    if of < need:
        return f"too few: {of} of {need}"
    return YES if proven else NOT_PROVEN


def bars(kept: Kept) -> list[Row]:
    """THE table: every figure that was promised, whether it is there or not."""
    return [
        *_null_rows(kept),
        *_alive_rows(kept),
        _rare_row(kept),
        *_cliff_rows(kept),
        _coverage_row(kept),
        _transient_row(kept),
        *_abort_rows(kept),
        _budget_row(kept),
        *_live_rows(kept),
    ]


def _row(kept: Kept, suite: str, figure: str, must: str, judged: tuple[str, str] | None) -> Row:
    if judged is None:
        return Row(figure, must, "–", NOT_MEASURED, f"python -m bench.gate {suite} --runs {ASKED.get(suite, 'N')}")
    return Row(figure, must, *judged, command(kept.suites[suite]))


def _null_rows(kept: Kept) -> list[Row]:
    data = kept.suites.get("null")
    worst = overall = None
    if data is not None:
        name, cell = worst_cell(data)
        reached, met = at_most(cell["false_keeps"], cell["runs"], 0.05)
        if met != NO and len(data["cells"]) < len(SUITES["null"]):
            met = f"too few: {len(data['cells'])} of {len(SUITES['null'])} cells"
        worst = f"{reached} in {name if cell['false_keeps'] else 'every cell'}", met
        overall = at_most(data["false_keeps"], data["runs"], 0.02)
    figure = "kept changes that are no improvement, {} (null)"
    return [
        _row(kept, "null", figure.format("worst of 12 cells"), "≤ 5 %", worst),
        _row(kept, "null", figure.format("overall"), "≤ 2 %", overall),
    ]


def worst_cell(data: Data) -> tuple[str, Data]:
    """The cell with the largest share of false keeps; of equal ones that with the largest bound."""
    cells: Mapping[str, Data] = data["cells"]
    name = max(cells, key=lambda n: (cells[n]["false_keeps"] / cells[n]["runs"], cells[n]["false_keeps_upper95"]))
    return name, cells[name]


def _alive_rows(kept: Kept) -> list[Row]:
    gain, fixable = kept.suites.get("gain"), kept.cell("transient", "fixable")
    return [
        _row(
            kept,
            "gain",
            "still alive: true gains of 10 % found and kept (gain)",
            "≥ 90 %",
            None if gain is None else at_least(gain["true_keeps"], gain["runs"], 0.90),
        ),
        _row(
            kept,
            "transient",
            "still alive: incidents that a setting can fix, fixed (transient, cell fixable)",
            "≥ 80 %",
            None if fixable is None else at_least(fixable["true_keeps"], fixable["runs"], 0.80),
        ),
    ]


def _rare_row(kept: Kept) -> Row:
    data = kept.suites.get("rare-harm")
    judged = None if data is None else at_most(data["kept"], data["runs"], 0.05)
    return _row(kept, "rare-harm", "candidates with rare harm kept (rare-harm)", "≤ 5 %", judged)


def _cliff_rows(kept: Kept) -> list[Row]:
    data = kept.suites.get("cliff")
    unsafe = first = gain = bias = None
    if data is not None:
        unsafe, first, gain, bias = _unsafe(data), _first(data), _gain(data), _bias(data)
    return [
        _row(kept, "cliff", "windows beyond the guardrail while searching (cliff)", "≤ 0.7 %, stretch 0.5 %", unsafe),
        _row(
            kept,
            "cliff",
            "first verified improvement, median, in windows of 30 s on two arms (cliff)",
            "≤ 48, stretch 40",
            first,
        ),
        _row(
            kept,
            "cliff",
            "true gain at the end of the budget (cliff)",
            "at least that of naive BO's best sample on the same services",
            gain,
        ),
        _row(kept, "cliff", "reported minus true gain, mean over what was kept (cliff)", "within ±0.5 points", bias),
    ]


def _unsafe(data: Data) -> tuple[str, str]:
    windows = data["searched_windows"] * data["runs"]
    reached = f"{short(data['unsafe_windows'])} of {windows:,.0f} windows in {data['runs']} runs"
    return _stretched(reached, data["unsafe_windows"], 0.007, 0.005)


def _first(data: Data) -> tuple[str, str]:
    middle = data["first_verified_window"]
    if middle is None:
        return f"never in most of {data['runs']} runs", NO
    return _stretched(f"{middle:.1f} in {data['runs']} runs", middle, 48, 40)


def _stretched(reached: str, value: float, most: float, stretch: float) -> tuple[str, str]:
    if value > most:
        return reached, NO
    return reached, f"{YES}, stretch too" if value <= stretch else f"{YES}, stretch not"


def _gain(data: Data) -> tuple[str, str]:
    ours, runs = data["true_gain"], data["runs"]
    naive = data["rivals"].get("naive")
    if naive is None:
        return f"{ours:.2f} % on {runs} services; naive did not run", NOT_MEASURED
    if naive["runs"] != runs:
        reached = f"{ours:.2f} % on {runs} services; naive {naive['true_gain']:.2f} % on the first {naive['runs']}"
        return reached, f"not comparable: rerun with --rivals {runs}"
    reached = f"{ours:.2f} % against {naive['true_gain']:.2f} %, on the same {runs} services"
    return reached, YES if ours >= naive["true_gain"] else NO


def _bias(data: Data) -> tuple[str, str]:
    bias = data["claim_bias"]
    if bias is None:
        return f"nothing kept in {data['runs']} runs", NOT_MEASURED
    return f"{signed(bias, 2)} points over {data['kept']} kept changes", YES if abs(bias) <= 0.5 else NO


def _coverage_row(kept: Kept) -> Row:
    figure = "reported 95 % intervals that contain the truth: all gates and watches of all suites, kept or not"
    hits, of = covered(kept.suites.values())
    if not of:
        return Row(figure, "≥ 95 %", "–", NOT_MEASURED, "all suites")
    reached, met = at_least(hits, of, 0.95)
    missing = [name for name in SUITES if name not in kept.suites]
    if "rare-harm" in kept.suites:
        alone = covered([kept.suites["rare-harm"]])
        reached += f"; rare-harm alone {share_of(*alone)}"
    if missing and met != NO:
        met = f"incomplete: without {', '.join(missing)}"
    return Row(figure, "≥ 95 %", reached, met, "all suites")


def covered(suites: Iterable[Data]) -> tuple[int, int]:
    """How many of the closed intervals contain the truth, and how many there are."""
    hits = of = 0
    for data in suites:
        hits += round((data["coverage"] or 0.0) * data["intervals"])
        of += data["intervals"]
    return hits, of


def _transient_row(kept: Kept) -> Row:
    cell = kept.cell("transient", "transient")
    figure = "alerts that go away by themselves and end in a change (transient, cell transient)"
    return _row(kept, "transient", figure, "≤ 2 %", None if cell is None else at_most(cell["kept"], cell["runs"], 0.02))


def _abort_rows(kept: Kept) -> list[Row]:
    twice, tenfold = kept.cell("abort", "twice"), kept.cell("abort", "tenfold")
    always = None
    if tenfold is not None:
        reached, _ = at_least(tenfold["stopped_within_1"], tenfold["candidates"], 1.0)
        always = reached, YES if tenfold["stopped_within_1"] == tenfold["candidates"] else NO
    return [
        _row(
            kept,
            "abort",
            "a candidate twice as slow is aborted within 2 windows, sd of a pair up to 0.2 (abort)",
            "≥ 99 % of 1,000",
            None if twice is None else at_least(twice["stopped_within_2"], twice["candidates"], 0.99, 1000),
        ),
        _row(kept, "abort", "a candidate ten times as slow is aborted within 1 window (abort)", "always", always),
    ]


def _budget_row(kept: Kept) -> Row:
    data = kept.suites.get("budget")
    figure = "runs within the harm budget of 60 user-weighted seconds (budget)"
    judged = None
    if data is not None:
        reached, met = at_least(data["runs"] - data["harm_over_60"], data["runs"], 0.99, 500)
        judged = f"{reached}; most {data['harm_seconds_most']:.1f} s", met
    return _row(kept, "budget", figure, "≥ 99 % of 500", judged)


def _live_rows(kept: Kept) -> list[Row]:
    must = "at most 2 of 40 keep", "at least 9 of 10 keep", "kept or not proven, never the wrong sign"
    figures = (
        "live: A/A gates on real nginx under bursts of load",
        "live: candidates truly 10 % faster",
        "live: candidates truly 3 % faster",
    )
    rows: list[Row] = []
    for figure, bar, effect in zip(figures, must, (0.0, 0.10, 0.03), strict=True):
        row = kept.live_row(effect)
        if row is None or not row["gates"]:
            rows.append(Row(figure, bar, "–", NOT_MEASURED, live_command(kept)))
            continue
        gates, kept_here = row["gates"], row["kept"]
        if effect == 0.0:
            reached, met = at_most(kept_here, gates, 0.05)
            met = _met(met != NO, True, gates, 40)
        elif effect == 0.10:
            reached, met = at_least(kept_here, gates, 0.90)
            met = _met(met != NO, True, gates, 10)
        else:
            reached = (
                f"{kept_here} kept, {row['not_proven']} not proven, {row['rolled_back'] + row['other']} rolled back, "
                f"{row['wrong_sign']} with the wrong sign, of {gates}"
            )
            met = YES if kept_here + row["not_proven"] == gates and not row["wrong_sign"] else NO
        if row["no_gate"]:
            reached += f"; {row['no_gate']} more never opened a gate"
        rows.append(Row(figure, bar, reached, met, live_command(kept)))
    return rows
