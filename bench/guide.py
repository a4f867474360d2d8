"""`python -m bench.guide`: writes docs/guide.md, all rows of the tuning guide with what Trimtab does about each.

The rows are in catalogue/guide.yaml. What the program does about a parameter follows from its policy and from whether
an actuator writes it; which rows a lint rule sees, the rule says itself. So the page changes with the program, and a
test fails until it is written anew.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from adapters import strict_yaml
from adapters.actuators.kubernetes import shape as kubernetes
from adapters.actuators.layers import golang, libc, nodejs, python
from adapters.actuators.registry import KINDS, families
from adapters.catalogue import Entry, parameter
from linting.rules import RULES

PAGE = Path(__file__).parents[1] / "docs" / "guide.md"
DOES = ("searched", "applied", "recommended", "measured", "diagnosed", "linted", "refused")
VERDICTS = ("ok", "no-op", "weak", "broken", "outdated", "wrong", "dangerous", "duplicate")
KIND = {"T": "tune", "A": "apply", "R": "recommend", "M": "measure", "D": "diagnose", "P": "process", "L": "lint"}
SEARCHED, REFUSED = ("auto", "opt_in"), ("guard", "never")
_BY_NAME: Mapping[str, frozenset[str]] = {  # families whose actuator writes only some of the catalogue's entries
    "python": frozenset(python.VARIABLES) | frozenset(python.OPTIONS),
    "node": frozenset(nodejs.VARIABLES) | frozenset(nodejs.OPTIONS),
    "go": frozenset(golang.VARIABLES) | frozenset(golang.DEBUG),
    "libc": frozenset(libc.VARIABLES),
    kubernetes.FAMILY: frozenset(kubernetes.RESOURCES),
}
_ARGUMENTS = ("upstream server", "server")  # nginx scopes in which a value is part of another directive

TOP = """# The tuning guide, row by row

Trimtab's parameters, rules and measurements answer a guide to the performance of containers: {count} statements, from
CPU quotas to the configuration of PostgreSQL. Each row says how good the advice is as it stands there, what Trimtab
does about it, and the command that shows it. This page is made by `python -m bench.guide` from `catalogue/guide.yaml`,
the catalogue, the actuators and the lint rules.

**Does.** *searched*: a run may search it (*opt_in*: by consent). *applied*: an actuator writes it, reads it back and
restores it. *recommended*: the catalogue gives the value for a machine, and nobody searches it. *measured*,
*diagnosed*, *linted*: what the words say. *refused*: Trimtab never writes it, or stops because of it.

**Verdict.** {verdicts}.

{totals}
"""
WORDS = (
    "*no-op* sets what is the default anyway; *weak* is a good idea that cannot be used as written; *broken* does not\n"
    "run; *outdated*, *wrong*, *dangerous* and *duplicate* are what they say; a row may have two"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One statement of the guide; see catalogue/guide.yaml. `does` is complete, in the order of `DOES`; `rules` are the
    lint rules that see the row."""

    id: str
    title: str
    kind: tuple[str, ...]
    target: str
    verdict: tuple[str, ...]
    finding: str
    does: tuple[str, ...]
    parameters: tuple[str, ...]
    rules: tuple[str, ...]
    how: str
    shows: str

    @property
    def section(self) -> str:
        return self.id.partition("-")[0]


@cache
def sections() -> Mapping[str, str]:
    """Section → its title, in the guide's order."""
    found: Mapping[str, str] = _data()["sections"]
    return found


@cache
def rows() -> tuple[Row, ...]:
    """All rows, in the guide's order."""
    return tuple(_row(raw) for raw in _data()["rows"])


def page() -> str:
    """The whole text of docs/guide.md."""
    parts = [TOP.format(count=len(rows()), verdicts=WORDS, totals=_totals(rows()))]
    for section, title in sections().items():
        parts.append(f"## {section.removeprefix('S')} {title}\n")
        parts.append("| row | about | verdict | what Trimtab does | shown by |\n|---|---|---|---|---|")
        parts += [_line(row) for row in rows() if row.section == section]
        parts.append("")
    return "\n".join(parts)


def written(entry: Entry) -> bool:
    """Whether an actuator of this program writes the parameter, and a run can search it."""
    if not (entry.search or {}).keys() & {"lo", "values"}:
        return False
    if entry.family in _BY_NAME:
        return entry.id in _BY_NAME[entry.family]
    if entry.family == "docker":
        return entry.mode == "live"  # what needs another container is not changed while one runs
    if entry.family == "nginx":
        return entry.scope not in _ARGUMENTS
    return any(entry.family in families(kind) for kind in KINDS)


# --- one row ---------------------------------------------------------------------------------------------------------


@cache
def _data() -> Mapping[str, Any]:
    text = (importlib.resources.files("catalogue") / "guide.yaml").read_text(encoding="utf-8")
    data: Mapping[str, Any] = strict_yaml.read(text).data
    return data


def _row(raw: Mapping[str, Any]) -> Row:
    names = tuple(raw.get("parameters", ()))
    rules = tuple(rule.id for rule in RULES if raw["id"] in rule.rows)
    does = {*raw.get("does", ()), *(word for name in names for word in _about(parameter(name)))}
    does |= {"linted"} if rules else set()
    return Row(
        id=raw["id"],
        title=raw["title"],
        kind=tuple(str(raw["kind"]).split()),
        target=raw["target"],
        verdict=tuple(raw["verdict"]),
        finding=raw["finding"],
        does=tuple(word for word in DOES if word in does),
        parameters=names,
        rules=rules,
        how=raw.get("how", ""),
        shows=raw.get("shows") or (f"trimtab catalogue show {names[0]}" if names else "trimtab lint FILE"),
    )


def _about(entry: Entry) -> tuple[str, ...]:
    """What is done about a parameter."""
    if entry.policy in REFUSED:
        return ("refused",)
    if entry.policy in SEARCHED and written(entry):
        return ("searched", "applied")
    return ("recommended",)


def _line(row: Row) -> str:
    parts = [f"*{', '.join(row.does)}*"]
    parts += [row.how] if row.how else []
    names = ", ".join(f"`{name}` ({parameter(name).policy})" for name in row.parameters)
    parts += [f"Parameters: {names}"] if names else []
    parts += [f"Rules: {', '.join(f'`{rule}`' for rule in row.rules)}"] if row.rules else []
    kinds = ", ".join(KIND[letter] for letter in row.kind)
    cells = (
        f"<a id='{row.id.lower()}'></a>{row.id}",
        f"**{row.title}** ({row.target}; {kinds})" if row.target != "-" else f"**{row.title}** ({kinds})",
        f"*{', '.join(row.verdict)}*: {row.finding}",
        "<br>".join(parts),
        f"`{row.shows}`",
    )
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _totals(found: Iterable[Row]) -> str:
    all_rows = list(found)
    counts = [f"{sum(word in row.does for row in all_rows)} {word}" for word in DOES]
    verdicts = [f"{sum(word in row.verdict for row in all_rows)} {word}" for word in VERDICTS]
    return f"Of {len(all_rows)} rows: {', '.join(counts)}. Verdicts: {', '.join(verdicts)}."


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE}: {len(rows())} rows")
