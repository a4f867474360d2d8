"""Findings as SARIF 2.1.0, which code hosts and editors read.

Format: OASIS, Static Analysis Results Interchange Format Version 2.1.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from domain.ports import Json
from linting.finding import Finding, Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def report(findings: Sequence[Finding], rules: Sequence[Rule], version: str) -> Json:
    """One run with all rules, and one result a finding."""
    index = {rule.id: place for place, rule in enumerate(rules)}
    driver = {"name": "trimtab lint", "version": version, "rules": [_rule(rule) for rule in rules]}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, index[finding.rule]) for finding in findings],
            }
        ],
    }


def _rule(rule: Rule) -> Json:
    text = f"{rule.why} {rule.better}"
    guide = f" Rows of the guide: {', '.join(rule.rows)}." if rule.rows else ""
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.id.split("-")),
        "shortDescription": {"text": f"{rule.title}."},
        "fullDescription": {"text": rule.why},
        "help": {"text": f"{text} Source: {rule.source}.{guide}"},
        "defaultConfiguration": {"level": rule.severity},
        "properties": {"tags": ["performance"], "rows": list(rule.rows)},
    }


def _result(finding: Finding, index: int) -> Json:
    location = {
        "artifactLocation": {"uri": quote(finding.place.file.replace("\\", "/"))},
        "region": {"startLine": max(1, finding.place.line)},
    }
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": finding.severity,
        "message": {"text": f"{finding.seen}: {finding.why} {finding.better} Source: {finding.source}."},
        "locations": [{"physicalLocation": location}],
        "properties": {"rows": list(finding.rows)},
    }
