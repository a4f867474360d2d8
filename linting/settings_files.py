"""Files of one setting a line: postgresql.conf, sysctl.conf, argument files of the JVM, pg_hba.conf."""

from __future__ import annotations

import re

from linting.finding import Place
from linting.parts import Kernel, Postgresql, Problem, Setting
from linting.rules_cluster import SYNTAX
from linting.rules_server import PG_SYNTAX

_PG_LINE = re.compile(
    r"""\s* ([A-Za-z_][A-Za-z0-9_$]*(?:\.[A-Za-z_][A-Za-z0-9_$]*)*) (?: \s*=\s* | \s+ )
    (?: '((?:[^'\\]|''|\\.)*)' | ([^\s'#]+) ) \s* (?:\#.*)?""",
    re.VERBOSE,
)
_TRIPLES = ("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem")
_ALIASES = {"net.nf_conntrack_max": "net.netfilter.nf_conntrack_max"}


def postgresql(text: str, file: str, first: int = 1) -> tuple[Postgresql, tuple[Problem, ...]]:
    """A postgresql.conf: names in lower case, values without their quotes."""
    settings: list[Setting] = []
    problems: list[Problem] = []
    for number, line in enumerate(text.split("\n"), first):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        place = Place(file, number)
        match = _PG_LINE.fullmatch(line)
        if match is None:
            problems.append(Problem(PG_SYNTAX.id, place, f"{_cut(line)} is no `name = value`"))
            continue
        quoted = None if match[2] is None else match[2].replace("''", "'").replace("\\'", "'")
        settings.append(Setting(match[1].lower(), match[3] if quoted is None else quoted, place))
    return Postgresql(tuple(settings)), tuple(problems)


def sysctl(text: str, file: str, first: int = 1) -> tuple[Kernel, tuple[Problem, ...]]:
    """A sysctl.conf."""
    settings: list[Setting] = []
    problems: list[Problem] = []
    for number, line in enumerate(text.split("\n"), first):
        bare = line.strip()
        if not bare or bare[0] in "#;" or (bare[0] == "-" and "=" not in bare):
            continue
        place = Place(file, number)
        name, equals, value = bare.removeprefix("-").partition("=")
        if not equals or not name.strip():
            problems.append(Problem(SYNTAX.id, place, f"{_cut(line)} is no `name = value`"))
            continue
        settings += kernel_settings(name.strip(), value.strip(), place)
    return Kernel(tuple(settings)), tuple(problems)


def kernel_settings(name: str, value: str, place: Place) -> list[Setting]:
    """A kernel parameter under its dotted name; the three sizes of tcp_rmem and tcp_wmem one by one."""
    dotted = name.removeprefix("/proc/sys/")
    if "/" in dotted:
        dotted = dotted.replace(".", "\0").replace("/", ".").replace("\0", "/")
    dotted = _ALIASES.get(dotted, dotted)
    values = value.split()
    if dotted in _TRIPLES and len(values) == 3:
        return [Setting(f"{dotted}[{index}]", each, place) for index, each in enumerate(values)]
    return [Setting(dotted, " ".join(values), place)]


def guards(text: str) -> bool:
    """Whether a pg_hba.conf lets somebody in over the network, and nobody without a password or certificate."""
    rows = [line.split() for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#")]
    network = [row for row in rows if row[0].startswith("host")]
    return bool(network) and not any("trust" in row[3:] for row in network)


def _cut(line: str) -> str:
    text = line.strip()
    return repr(text if len(text) <= 60 else text[:57] + "...")
