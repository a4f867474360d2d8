"""The kept results as one page and one picture, every figure beside the bar that it must reach.

    python -m bench.gate report                  # bench/results/gate/ -> bench/results/gate.md and gate.svg
    python -m bench.gate report --results DIR    # DIR -> DIR/gate.md and gate.svg

Results with other constants than the checkout has are refused: a page of two programs says nothing about either.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.gate import live_gate
from bench.gate.figures import lower95, upper95
from bench.gate.live_book import FILE, read_lines, summarise
from bench.gate.picture import Bar, Dots, Point, draw, short
from bench.gate.rivals import RIVALS
from bench.gate.suites import PROFILE, SUITES, constants
from domain.errors import Misconfigured

RESULTS = Path(__file__).resolve().parents[1] / "results" / "gate"
MOST_RIVALS = 400  # that `python -m bench.gate SUITE` runs without being told how many
NEEDED = ("suite", "runs", "cells", "constants", "command", "versions", "rivals", "coverage", "intervals", "outcomes")
ASKED = {"abort": 2000, "budget": 500}  # runs, where a bar asks for a number of them
YES, NO, NOT_MEASURED, NOT_PROVEN = "yes", "**NO**", "not measured", "yes, not proven"
WIDTH = 120

Data = Mapping[str, Any]


@dataclass(frozen=True)
class Kept:
    """What was found in a folder: suites by name, and the lines of the live gates."""

    suites: Mapping[str, Data]
    live: Sequence[Data] = ()
    code: str = live_gate.CODE

    rows: Sequence[Data] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", summarise(self.live)["rows"])

    def cell(self, suite: str, name: str) -> Data | None:
        found = self.suites.get(suite)
        return None if found is None else found["cells"].get(name)

    def live_row(self, effect: float) -> Data | None:
        """The live gates of candidates that are faster by this part; 0: A/A."""
        return next((r for r in self.rows if r["effect"] is not None and math.isclose(r["effect"], effect)), None)


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


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gate report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, help="read this folder, and write there too")
    options = parser.parse_args(arguments)
    source = options.results or RESULTS
    into = options.results or RESULTS.parent
    try:
        kept = load(source)
        (into / "gate.svg").write_text(picture(kept))
        (into / "gate.md").write_text(page(kept))
    except (Misconfigured, OSError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    table = bars(kept)
    met = sum(row.is_met for row in table)
    print(f"{into / 'gate.md'}, {into / 'gate.svg'}: {met} of {len(table)} bars met")
    for row in table:
        if not row.is_met:
            print(f"  {row.met.strip('*')}: {row.figure}: {row.reached}, must reach {row.must}")
    return 0


# --- what is there ---------------------------------------------------------------------------------------------------


def load(folder: Path) -> Kept:
    """Every result in the folder. Misconfigured where files do not belong into one report, with what to rerun."""
    suites = {name: _read(folder / f"{name}.json", name) for name in SUITES if (folder / f"{name}.json").exists()}
    live = read_lines(folder)
    if not suites and not live:
        raise Misconfigured(f"{folder} holds no results; python -m bench.gate SUITE --runs N --keep writes them")
    _check_suites(suites)
    _check_live(live)
    return Kept(suites, live)


def _read(path: Path, name: str) -> Data:
    try:
        data = json.loads(path.read_text())
    except ValueError as error:
        raise Misconfigured(f"{path} is no JSON ({error}); rerun python -m bench.gate {name} --keep") from None
    missing = [key for key in NEEDED if key not in data] if isinstance(data, dict) else list(NEEDED)
    if missing or data["suite"] != name:
        raise Misconfigured(f"{path} is no result of suite {name}; rerun python -m bench.gate {name} --keep")
    return dict(data)


def _check_suites(suites: Mapping[str, Data]) -> None:
    now = constants()
    stale = {name: data for name, data in suites.items() if data["constants"] != now}
    if stale:
        told = [f"  {name}.json has {data['constants']}; rerun: {command(data)} --keep" for name, data in stale.items()]
        raise Misconfigured("\n".join([f"profile {PROFILE.name} has the constants {now} here, but", *told]))
    for name, data in suites.items():
        strange = data["cells"].keys() - {cell.name for cell in SUITES[name]}
        if strange:
            raise Misconfigured(
                f"{name}.json has cells that the suite no longer has ({', '.join(sorted(strange))}); "
                f"rerun: {command(data)} --keep"
            )


def _check_live(lines: Sequence[Data]) -> None:
    now = json.dumps(asdict(live_gate.live_profile()), sort_keys=True)
    stale = sum(json.dumps(line["constants"]["profile"], sort_keys=True) != now for line in lines)
    if stale:
        raise Misconfigured(
            f"{FILE}: {stale} of {len(lines)} gates were measured with other constants than the profile live has here; "
            "rerun python -m bench.gate live --folder with a new folder"
        )


def command(data: Data) -> str:
    """What reproduces a result, the number of services for the rivals included."""
    text = str(data["command"])
    compared = max((rival["runs"] for rival in data["rivals"].values()), default=None)
    if compared is None or compared == min(data["runs"], MOST_RIVALS):
        return text
    return f"{text} --rivals {compared}"


def live_command(kept: Kept) -> str:
    counts = []
    for row in kept.rows:
        name = f"{100 * row['effect']:g}" if row["kind"] == "delay" else row["kind"]
        counts.append(f"{name}:{row['gates'] + row['no_gate']}")
    return f"python -m bench.gate live --folder DIR --plan {','.join(counts) or 'aa:40,10:10,3:10'}"


# --- the bars --------------------------------------------------------------------------------------------------------


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
    return f"{_signed(bias, 2)} points over {data['kept']} kept changes", YES if abs(bias) <= 0.5 else NO


def _coverage_row(kept: Kept) -> Row:
    figure = "reported 95 % intervals that contain the truth: all gates and watches of all suites, kept or not"
    hits, of = covered(kept.suites.values())
    if not of:
        return Row(figure, "≥ 95 %", "–", NOT_MEASURED, "all suites")
    reached, met = at_least(hits, of, 0.95)
    missing = [name for name in SUITES if name not in kept.suites]
    if "rare-harm" in kept.suites:
        alone = covered([kept.suites["rare-harm"]])
        reached += f"; rare-harm alone {_of(*alone)}"
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


# --- the page --------------------------------------------------------------------------------------------------------


def page(kept: Kept) -> str:
    """gate.md."""
    parts = [
        "# The gate, measured where the truth is known",
        _paragraph(_what(kept)),
        _code_note(kept),
        "![False keeps, true gain against unsafe windows, and live gates](gate.svg)",
        "## What was promised, and what was reached",
        _table(
            ("figure", "must reach", "reached", "met?", "command"),
            [(row.figure, row.must, row.reached, row.met, _code(row.command)) for row in bars(kept)],
        ),
        _paragraph(BOUNDS),
        _paragraph(COVERAGE + _open(kept)),
        "## The rivals, on the same services",
        *_rivals(kept),
        "## Cell by cell",
        *_cells(kept),
        "## How the runs ended",
        _outcomes(kept),
        *_live(kept),
        "## What the simulated service does",
        _paragraph(DOES),
        "## What it does not show",
        _paragraph(DOES_NOT),
        "## Check it yourself, in a minute",
        "    python -m bench.gate null --runs 200 --strategy random",
        _paragraph(CHECK),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


BOUNDS = (
    "In brackets: the count, and the exact one-sided 95 % bound of the share (Clopper and Pearson) on the side that "
    "would hurt. A bar is held against the share that was seen. *Yes, not proven* says that the share meets it while"
    " the bound does not: so many runs cannot exclude that the true share is beyond the bar. The worst of twelve "
    "cells is picked after the fact, which makes its share look worse than the cell is, not better. Windows, medians"
    " and gains stand without a bound: the results hold no spread of them. The seed of a run makes its service, its "
    "noise and its search: with the versions above, the commands give the same figures on any machine; `--keep` "
    "writes them to where this page is made from."
)
COVERAGE = (
    "Intervals of one run are not independent of each other, so that the bound of their coverage is a guide only. "
    "Where harm is rare, no interval of a mean can see it: a candidate that is twice as slow in one window of ten "
    "shows nothing in most gates, and the interval of its usual windows misses its true mean. The gate has a rule of"
    " its own for that (the row on rare harm); the intervals count all the same. "
)
DOES = (
    "Six parameters in the unit cube, a weighted bowl around a hidden optimum that is worth 10 to 30 % (in `gain` 10"
    " %), and behind a hidden half-space a cliff: a third slower at its edge, and steeper from there. In `null` the "
    "original is the optimum, and whatever is kept is wrong. In `placement`, `rare-harm` and `abort` all candidates "
    "of a service have the same known effect. Each change of an arm makes it 4.4 % slower for 20 s, and for as long "
    "20 % of the settings before it can still be seen. Both arms share a drift (sd and time constant by suite) and a"
    " slow wave; each arm has white noise of its own, bursts of 5 s that are several times as slow, and where a "
    "suite says so a constant bias of its node. `null` also attaches an AR(1) to whatever is not the original, so "
    "that pairs in a row err alike. In `transient` an alert opens the run, and nine times of ten what caused it "
    "heals by itself, after 10 minutes on average. All of it is in `bench/gate/service.py` and `suites.py`."
)
DOES_NOT = (
    "Real surfaces are no smooth bowls with one cliff, and real noise is not drawn from formulas that we chose. The "
    "evidence is relative: under the same conditions, on the same services, the product does this and the rivals do "
    "that. How much there is to gain on your service, and how often, is not known from here. The rivals are our own "
    "short versions of what others do; `bench/gate/rivals.py` says what each one does. The live gates run on a real "
    "nginx with real load, but on one machine, in front of a service whose delay we control."
)
CHECK = (
    "That runs the product and its rivals on 200 services with nothing to gain, with random candidates in place of "
    "the optimizer (which is faster, and the gate is the same), and prints how often each kept something. Whoever "
    "thinks that the services are too kind changes a number of `World` in `bench/gate/service.py` and runs it again."
)
PASS = (
    "`kayenta-pass` keeps what the judge does not call worse: a rule of non-inferiority, which is what canaries are "
    "promoted on. It is built to keep harm out and claims no improvement; its false keeps are what such a rule costs"
    " when it is used for tuning. A rival aborts nothing while it searches, and answers when its budget of 360 "
    "windows or its test ends. Whoever keeps nothing counts with a true gain of 0 %."
)


def _what(kept: Kept) -> str:
    told = []
    if kept.suites:
        runs = sum(data["runs"] for data in kept.suites.values())
        told.append(
            f"{runs:,} runs of the whole product, from the signal to the end, against simulated services whose true "
            f"optimum, noise and harm are known ({len(kept.suites)} of {len(SUITES)} suites, search: "
            f"{_strategies(kept)})"
        )
    gates = sum(row["gates"] for row in kept.rows)
    if gates:
        told.append(
            f"{gates} gates on a real nginx under load that jumps to 1.5 to 2 times its rate, beside a neighbour that "
            "burns CPU, in front of a service whose delay shrinks by a known part"
        )
    text = f"{'; and '.join(told)}. All suites use one profile of constants, `{PROFILE.name}` (hash `{constants()}`)"
    if gates:
        text += f"; the live gates use the same with shorter times ({_shorter()})"
    return f"{text}. Measured with {_versions(kept)}."


def _strategies(kept: Kept) -> str:
    """The optimizer; if suites differ, who ran with which."""
    by: dict[str, list[str]] = {}
    for name, data in kept.suites.items():
        by.setdefault(str(data.get("strategy", "unknown")), []).append(name)
    if len(by) == 1:
        return next(iter(by))
    return "; ".join(f"{strategy} in {', '.join(names)}" for strategy, names in by.items())


def _shorter() -> str:
    live, usual = asdict(live_gate.live_profile()), asdict(PROFILE)
    return ", ".join(f"{name} {value:g}" for name, value in live.items() if name != "name" and value != usual[name])


def _versions(kept: Kept) -> str:
    found: dict[str, set[str]] = {}
    for data in kept.suites.values():
        for name, number in data["versions"].items():
            found.setdefault(name, set()).add(str(number))
    for line in kept.live:
        if line["constants"].get("nginx"):
            found.setdefault("nginx", set()).add(str(line["constants"]["nginx"]))
    return ", ".join(f"{name} {' and '.join(sorted(numbers))}" for name, numbers in found.items())


def _code_note(kept: Kept) -> str:
    codes = sorted({str(line["code"]) for line in kept.live})
    if not codes or codes == [kept.code]:
        return ""
    return _paragraph(
        f"**The rules have changed since the live gates were measured:** those ran with the code {', '.join(codes)} of "
        f"`domain/` and `workers/`, this checkout has {kept.code}."
    )


def _open(kept: Kept) -> str:
    count = sum(data.get("open_intervals", 0) for data in kept.suites.values())
    if not count:
        return ""
    return f"{count:,} more intervals were open on a side (too few pairs to say anything) and count as neither."


def _rivals(kept: Kept) -> list[str]:
    null, cliff = kept.suites.get("null"), kept.suites.get("cliff")
    rows = []
    for name in ("Trimtab", *RIVALS):
        at_null, at_cliff = _figures(null, name), _figures(cliff, name)
        if at_null is not None or at_cliff is not None:
            rows.append((name, *_null_columns(at_null), *_cliff_columns(at_cliff)))
    parts = [NOT_MEASURED]
    if rows:
        head = ("", "null: kept what is no improvement", "cliff: services", "true gain", "claimed minus true",
                "unsafe windows", "first verified, windows")  # fmt: skip
        parts = [_table(head, rows), _paragraph(PASS)]
    data = kept.suites.get("transient")
    rival = None if data is None else data["rivals"].get("before/after")
    if data is not None and rival is not None:
        parts.append(
            _paragraph(
                "On the alerts of `transient` (nine of ten go away by themselves): comparing with the level at the "
                f"alert (`before/after`) keeps a change after {_of(rival['kept'], rival['runs'])} of them, "
                f"{rival['false_keeps']} of which are no improvement; Trimtab keeps one after "
                f"{_of(data['kept'], data['runs'])}, {data['false_keeps']} of which are no improvement."
            )
        )
    return parts


def _figures(data: Data | None, name: str) -> Data | None:
    if data is None:
        return None
    return data if name == "Trimtab" else data["rivals"].get(name)


def _null_columns(found: Data | None) -> tuple[str]:
    return ("–" if found is None else at_most(found["false_keeps"], found["runs"], 1.0)[0],)


def _cliff_columns(found: Data | None) -> tuple[str, ...]:
    if found is None:
        return ("–",) * 5
    first = found["first_verified_window"]
    return (
        str(found["runs"]),
        f"{found['true_gain']:.2f} %",
        _points(found["claim_bias"]),
        short(found["unsafe_windows"]),
        "never in most runs" if first is None else f"{first:.1f}",
    )


def _cells(kept: Kept) -> list[str]:
    head = ("runs", "kept", "no improvement", "gates", "wrong gates", "true gain", "claimed minus true", "coverage")
    parts: list[str] = []
    for suite in ("null", "drift", "placement"):
        data = kept.suites.get(suite)
        if data is None:
            parts.append(f"{suite}: {NOT_MEASURED}")
            continue
        rows = [(name, *_cell(cell)) for name, cell in data["cells"].items()]
        parts.append(_table((suite, *head), [*rows, ("all", *_cell(data))]))
    return parts


def _cell(cell: Data) -> tuple[str, ...]:
    return (
        str(cell["runs"]),
        str(cell["kept"]),
        f"{cell['false_keeps']} (≤ {short(cell['false_keeps_upper95'])})",
        str(cell["gates"]),
        str(cell["false_gates"]),
        f"{cell['true_gain']:.2f} %",
        _points(cell["claim_bias"]),
        _of(*covered([cell])),
    )


def _outcomes(kept: Kept) -> str:
    rows = [
        (
            name,
            str(data["runs"]),
            ", ".join(f"{count} {word.replace('_', ' ')}" for word, count in data["outcomes"].items()),
            f"{data['trials']:.1f}",
            f"{data['searched_windows']:.0f}",
            f"{data['harm_seconds_most']:.1f} s",
        )
        for name, data in kept.suites.items()
    ]
    head = ("suite", "runs", "outcomes", "trials, mean", "windows of search, mean", "most harm in a run")
    return _table(head, rows) if rows else NOT_MEASURED


def _live(kept: Kept) -> list[str]:
    if not kept.rows:
        return ["## Live gates", NOT_MEASURED]
    head = ("candidate", "gates", "kept", "not proven", "rolled back", "wrong sign", "coverage", "median time",
            "median sd of a pair")  # fmt: skip
    rows = [
        (
            live_name(row),
            str(row["gates"]) + (f" (and {row['no_gate']} that never opened)" if row["no_gate"] else ""),
            str(row["kept"]),
            str(row["not_proven"]),
            str(row["rolled_back"] + row["other"]),
            str(row["wrong_sign"]),
            _of(row["covered"], row["intervals"]),
            "–" if row["median_seconds"] is None else f"{row['median_seconds']:.0f} s",
            "–" if row["median_pair_sd"] is None else f"{100 * row['median_pair_sd']:.1f} %",
        )
        for row in kept.rows
    ]
    return ["## Live gates", _table(head, rows)]


def live_name(row: Data) -> str:
    effect = row["effect"]
    if effect is None:
        return "gzip level 1 for 6"
    return f"{100 * abs(effect):g} % {'faster' if effect > 0 else 'slower'}" if effect else "no effect (A/A)"


def picture(kept: Kept) -> str:
    """gate.svg."""
    shown: list[Bar] = []
    null, cliff = kept.suites.get("null"), kept.suites.get("cliff")
    if null is not None:
        ours = (("Trimtab, all cells", null), ("Trimtab, worst cell", worst_cell(null)[1]))
        rivals = [(name, null["rivals"][name]) for name in RIVALS if name in null["rivals"]]
        rivals.sort(key=lambda each: each[1]["false_keeps"] / each[1]["runs"])
        for name, found in (*ours, *rivals):
            bound = upper95(found["false_keeps"], found["runs"]) or 0.0
            shown.append(Bar(name, found["false_keeps"], found["runs"], bound, name.startswith("Trimtab")))
    points = [
        Point(name, found["unsafe_windows"], found["true_gain"], name == "Trimtab")
        for name in ("Trimtab", *RIVALS)
        if (found := _figures(cliff, name)) is not None
    ]
    order = sorted(kept.rows, key=lambda row: (row["effect"] is None, abs(row["effect"] or 0.0)))
    dots = [
        Dots(
            live_name(row),
            row["kept"],
            row["not_proven"],
            row["rolled_back"],
            row["other"],
            wrong_to_keep=row["effect"] is not None and row["effect"] <= 0,
        )
        for row in order
        if row["gates"]
    ]
    return draw(shown, points, dots)


# --- words -----------------------------------------------------------------------------------------------------------


def _of(hits: int, of: int) -> str:
    return f"{short(hits / of)} ({hits} of {of})" if of else "–"


def _signed(value: float, places: int) -> str:
    return f"{value:+.{places}f}".replace("-", "−")


def _points(value: float | None) -> str:
    return "–" if value is None else f"{_signed(value, 2)} points"


def _code(text: str) -> str:
    return f"`{text}`" if " " in text and text.startswith("python") else text


def _paragraph(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
