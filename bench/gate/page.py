"""gate.md and gate.svg, from what was collected."""

from __future__ import annotations

from dataclasses import asdict

from bench.gate import live_gate
from bench.gate.bars import NOT_MEASURED, at_most, bars, covered, worst_cell
from bench.gate.bounds import upper95
from bench.gate.collected import Data, Kept
from bench.gate.picture import Bar, Dots, Point, draw
from bench.gate.rivals import RIVALS
from bench.gate.suites import PROFILE, SUITES, constants
from bench.gate.words import code, paragraph, points, share_of, short, table


def page(kept: Kept) -> str:
    """gate.md."""
    parts = [
        "# The gate, measured where the truth is known",
        paragraph(_what(kept)),
        _code_note(kept),
        "![False keeps, true gain against unsafe windows, and live gates](gate.svg)",
        "## What was promised, and what was reached",
        table(
            ("figure", "must reach", "reached", "met?", "command"),
            [(row.figure, row.must, row.reached, row.met, code(row.command)) for row in bars(kept)],
        ),
        paragraph(BOUNDS),
        paragraph(COVERAGE + _open(kept)),
        "## The rivals, on the same services",
        *_rivals(kept),
        "## Cell by cell",
        *_cells(kept),
        "## How the runs ended",
        _outcomes(kept),
        paragraph(HARM) if kept.suites else "",
        *_live(kept),
        "## What the simulated service does",
        paragraph(DOES),
        "## What it does not show",
        paragraph(DOES_NOT),
        "## Check it yourself, in a minute",
        "    python -m bench.gate null --runs 200 --strategy random",
        paragraph(CHECK),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


BOUNDS = (
    "In brackets: the count, and the exact one-sided 95 % bound of the share (Clopper and Pearson) on the side that "
    "would hurt. A bar is held against the share that was seen. *Yes, not proven* says that the share meets it while"
    " the bound does not: so many runs cannot exclude that the true share is beyond the bar. The worst of twelve "
    "cells is picked after the fact, which makes its share look worse than the cell is, not better. Windows, medians"
    " and gains stand without a bound: the results hold no spread of them. The seed of a run makes its service, its "
    "noise and its search: with the versions above, the commands give the same figures on the same kind of processor;"
    " `--keep` writes them to where this page is made from."
)
COVERAGE = (
    "Intervals of one run are not independent of each other, so that the bound of their coverage is a guide only. "
    "Where harm is rare, no interval of a mean can see it: a candidate that is twice as slow in one window of ten "
    "shows nothing in most gates, and the interval of its usual windows misses its true mean. The gate has a rule of"
    " its own for that (the row on rare harm); the intervals count all the same. "
)
HARM = (
    "Harm is counted here by the truth: user-weighted seconds in which an arm carried settings whose true effect is "
    "beyond the guardrail, whatever the windows showed. The product can only charge what it sees. Its promise is held"
    " in `budget`; where less can be seen it is kept less often: `null` attaches a wander with a sd of 6 % to every "
    "candidate, so that one which is truly a fifth slower can look harmless for the two pairs of a trial, and in "
    "`transient` the level itself falls while candidates are tried."
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
    return paragraph(
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
        parts = [table(head, rows), paragraph(PASS)]
    data = kept.suites.get("transient")
    rival = None if data is None else data["rivals"].get("before/after")
    if data is not None and rival is not None:
        parts.append(
            paragraph(
                "On the alerts of `transient` (nine of ten go away by themselves): comparing with the level at the "
                f"alert (`before/after`) keeps a change after {share_of(rival['kept'], rival['runs'])} of them, "
                f"{rival['false_keeps']} of which are no improvement; Trimtab keeps one after "
                f"{share_of(data['kept'], data['runs'])}, {data['false_keeps']} of which are no improvement."
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
        points(found["claim_bias"]),
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
        parts.append(table((suite, *head), [*rows, ("all", *_cell(data))]))
    return parts


def _cell(cell: Data) -> tuple[str, ...]:
    return (
        str(cell["runs"]),
        str(cell["kept"]),
        f"{cell['false_keeps']} (≤ {short(cell['false_keeps_upper95'])})",
        str(cell["gates"]),
        str(cell["false_gates"]),
        f"{cell['true_gain']:.2f} %",
        points(cell["claim_bias"]),
        share_of(*covered([cell])),
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
            share_of(data["harm_over_60"], data["runs"]),
        )
        for name, data in kept.suites.items()
    ]
    head = ("suite", "runs", "outcomes", "trials, mean", "windows of search, mean", "most harm in a run",
            "runs beyond 60 s of harm")  # fmt: skip
    return table(head, rows) if rows else NOT_MEASURED


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
            share_of(row["covered"], row["intervals"]),
            "–" if row["median_seconds"] is None else f"{row['median_seconds']:.0f} s",
            "–" if row["median_pair_sd"] is None else f"{100 * row['median_pair_sd']:.1f} %",
        )
        for row in kept.rows
    ]
    return ["## Live gates", table(head, rows)]


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
