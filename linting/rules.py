"""Every rule there is, in the order of the documentation."""

from __future__ import annotations

from collections.abc import Mapping

from linting import rules_cluster, rules_container, rules_kernel, rules_python, rules_runtime, rules_server
from linting.finding import Rule

GROUPS: Mapping[str, tuple[Rule, ...]] = {
    "Kernel parameters": rules_kernel.RULES,
    "Containers, images and load tools": rules_container.RULES,
    "nginx and PostgreSQL": rules_server.RULES,
    "JVM, Go, Node.js": rules_runtime.RULES,
    "Files, manifests and conflicts": rules_cluster.RULES,
    "Python": rules_python.RULES,
}
RULES: tuple[Rule, ...] = tuple(rule for group in GROUPS.values() for rule in group)
CONFLICTS: tuple[Rule, ...] = rules_cluster.CONFLICTS
BY_ID: Mapping[str, Rule] = {rule.id: rule for rule in RULES}


def markdown() -> str:
    """The rules as Markdown tables, one a group: what docs/lint.md holds."""
    lines: list[str] = []
    for title, group in GROUPS.items():
        lines += [f"### {title}", "", "| rule | severity | what it finds | rows of the guide |", "|---|---|---|---|"]
        lines += [f"| `{r.id}` | {r.severity} | {r.title} | {', '.join(r.rows)} |" for r in group]
        lines.append("")
    return "\n".join(lines)
