"""The report that code hosts read: the required fields of SARIF 2.1.0, and everything a reader needs in each result."""

from __future__ import annotations

import json

from linting.finding import ERROR, Finding, Place
from linting.rules import RULES
from linting.sarif import report
from tests.linting.desk import GUIDE, lint_golden


def test_the_report_has_what_the_format_requires() -> None:
    """version and runs; tool.driver.name; rules with unique ids and texts; results with message, level and region."""
    document = json.loads(json.dumps(report(lint_golden(GUIDE), RULES, "1.2.3"), allow_nan=False))
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = document["runs"]
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("trimtab lint", "1.2.3")
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(ids) == len(set(ids)) == len(RULES)
    for rule in driver["rules"]:
        assert rule["defaultConfiguration"]["level"] in ("error", "warning", "note")
        assert all(rule[key]["text"] for key in ("shortDescription", "fullDescription", "help"))
    assert len(run["results"]) == len(lint_golden(GUIDE))
    for result, found in zip(run["results"], lint_golden(GUIDE), strict=True):
        assert ids[result["ruleIndex"]] == result["ruleId"] == found.rule
        assert result["level"] == found.severity
        assert found.seen in result["message"]["text"]
        (location,) = result["locations"]
        physical = location["physicalLocation"]
        assert physical["region"]["startLine"] == found.place.line >= 1
        assert physical["artifactLocation"]["uri"].endswith(found.place.file.rpartition("/")[2])


def test_file_names_become_addresses() -> None:
    """Spaces and the like are escaped, and lines start at 1."""
    found = Finding("file-syntax", ERROR, Place("my dir/ä%.yaml", 0), "seen", "why.", "better.", "source", ())
    (result,) = report([found], RULES, "1")["runs"][0]["results"]
    physical = result["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"]["uri"] == "my%20dir/%C3%A4%25.yaml"
    assert physical["region"]["startLine"] == 1


def test_nothing_found_is_a_report_too() -> None:
    """An empty list of results says that the tool ran."""
    assert report([], RULES, "1")["runs"][0]["results"] == []
