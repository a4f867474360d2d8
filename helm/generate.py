"""`python -m helm.generate`: writes what is made from the chart's other files, or with `--check` says what is stale."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from helm.rights import PARTS, RBAC
from helm.values import CHART, Entry, entries, schema


def generated() -> dict[Path, str]:
    """The files as they should be."""
    readme = CHART / "README.md"
    text = readme.read_text(encoding="utf-8")
    for name, lines in (("values", _values()), ("rights", _rights())):
        text = _section(text, name, "\n".join(lines))
    return {CHART / "values.schema.json": json.dumps(schema(), indent=1) + "\n", readme: text}


def main(arguments: list[str]) -> int:
    """0 if everything is as it should be, or was written; 1 if `--check` found a stale file."""
    stale = [path for path, text in generated().items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        if "--check" in arguments:
            print(f"{path.relative_to(CHART.parent)} is stale; run python -m helm.generate", file=sys.stderr)
        else:
            path.write_text(generated()[path], encoding="utf-8")
    return 1 if stale and "--check" in arguments else 0


def _section(text: str, name: str, body: str) -> str:
    """The text with another body between the two marks of a section."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    made, count = pattern.subn(lambda found: found[1] + body + "\n" + found[2], text)
    if count != 1:
        raise ValueError(f"README.md: the marks of section {name} stand there {count} times; they must be there once")
    return made


def _values() -> Iterator[str]:
    yield "| value | default | what it is |"
    yield "|---|---|---|"
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    for place, entry in _leaves(entries(text), ""):
        default = "an observer" if place == "config" else "" if entry.value is None else f"`{json.dumps(entry.value)}`"
        about = re.sub(r"\{[^}]*\}", lambda found: f"`{found[0]}`", entry.about)
        yield f"| `{place}` | {default} | {about.replace('|', chr(92) + '|')} |"


def _leaves(found: tuple[Entry, ...], place: str) -> Iterator[tuple[str, Entry]]:
    for entry in found:
        if not entry.inside:
            yield place + entry.name, entry
        elif entry.about:
            yield place + entry.name, Entry(entry.name, None, entry.about)
        yield from _leaves(entry.inside, f"{place}{entry.name}.")


def _rights() -> Iterator[str]:
    yield "| account | resource | names | verbs | when |"
    yield "|---|---|---|---|---|"
    yield "| `controller` | none | | | it has no token |"
    for account in ("worker", "reap"):
        for part in PARTS:
            if account not in part.accounts:
                continue
            for rule in yaml.safe_load((RBAC / f"{part.file}.yaml").read_text(encoding="utf-8")):
                group = f".{rule['apiGroups'][0]}" if rule["apiGroups"][0] else ""
                resources = ", ".join(f"`{each}{group if '/' not in each else ''}`" for each in rule["resources"])
                names = _names(rule.get("resourceNames", ()))
                yield f"| `{account}` | {resources} | {names} | {', '.join(rule['verbs'])} | {part.when} |"


def _names(names: list[str]) -> str:
    if not names:
        return "any"
    shown = [each for each in names if not re.search(r"kept-[1-8]$", each)]
    return ", ".join(f"`{each}`" for each in shown).replace("kept-0`, `", "kept-0` to `")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
