"""The result as a page."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

MOST_FOREIGN = 0.25  # of all CPUs: with more of them in others' hands a run is repeated
Runs = Sequence[Mapping[str, Any]]
_TITLES = {"strong": "Trouble that anybody would notice", "mild": "Mild trouble, near what is still healthy"}


def told(run: Mapping[str, Any]) -> str:
    """One run in a line."""
    mark = "right" if run["right"] else f"WRONG, it was {run['truth']}"
    return f"{run['situation']} {run['run']}: {run['layer']}: {run['headline']} ({mark}, {run['took']} s)"


def page(results: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: for each grade the bars, one row a situation, the evidence, and what went wrong."""
    lines = [
        "# The diagnosis, on servers whose bottleneck is known",
        "",
        "Each run starts real servers in a control group of its own, under load from outside of it, and lets the"
        " diagnosis take two samples. It knows the target as a policy would tell it (pid file, group, address of the"
        " database, logs); what was done to the servers it does not know. A run is right if the layer is, and if it"
        " proposes to tune exactly where a setting can help.",
    ]
    for result in results:
        lines += ["", *_grade(result)]
    return "\n".join(lines) + "\n"


def _grade(result: Mapping[str, Any]) -> list[str]:
    """One grade of all situations."""
    runs: Runs = result["runs"]
    right = sum(run["right"] for run in runs)
    calm = [run for run in runs if run["truth"] == "none"]
    tuned = sum(run["refusal"] == "" for run in calm)
    told_versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    disturbed = sum(run["foreign_cpu"] > MOST_FOREIGN for run in runs)
    repeated = sum(run["attempts"] - 1 for run in runs)
    lines = [
        f"## {_TITLES[result['grade']]}",
        "",
        f"`{result['command']}`, with {told_versions}.",
        "",
        f"Right: **{right} of {len(runs)}** runs. Tuning proposed where nothing was wrong: **{tuned} of {len(calm)}**."
        f" {repeated} further runs were repeated, whatever they had answered, because others used more than"
        f" {100 * MOST_FOREIGN:.0f} % of the machine's CPUs meanwhile; {disturbed} of the counted ones were disturbed"
        " all the same.",
        "",
        "| situation | what is wrong | layer | tune? | right | diagnosed | seen too |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in dict.fromkeys(run["situation"] for run in runs):
        own = [run for run in runs if run["situation"] == name]
        first = own[0]
        layers = ", ".join(dict.fromkeys(run["layer"] for run in own))
        others = sorted({layer for run in own for layer in (*run["follows"], *run["others"])})
        count = f"{sum(run['right'] for run in own)} of {len(own)}"
        tune = "yes" if first["tunable"] else "no"
        row = (name, first["about"], f"`{first['truth']}`", tune, count, layers, ", ".join(others) or "-")
        lines.append(f"| {' | '.join(row)} |")
    lines += ["", "What was seen:", ""]
    for run in runs:
        mark = "" if run["right"] else f" **(wrong: it was `{run['truth']}`)**"
        lines.append(f"- **{run['situation']} {run['run']}** ({run['target']}): {run['headline']}{mark}")
        lines += [f"  - {each['fact']}: {each['says']}" for each in run["evidence"]]
        if run["refusal"]:
            lines.append(f"  - not to be tuned: {run['refusal']}")
    return lines


def versions() -> dict[str, str]:
    """Of the machine and of every program that was diagnosed."""
    from bench.diagnosis.servers import binaries

    return {
        "Linux": platform.release(),
        "CPUs": str(os.cpu_count()),
        "Python": platform.python_version(),
        "PostgreSQL": _number([f"{binaries()}/postgres", "--version"]),
        "nginx": _number(["nginx", "-v"]),
        "JDK": _number(["java", "-version"]),
    }


def _number(command: Sequence[str]) -> str:
    """The first version number that a program says."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"\d+(?:\.\d+)+", done.stdout or done.stderr)
    return found[0] if found else "unknown"
