"""The report page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from adapters.report import render, write_report
from domain.events import Closed, Measured, Proposed, Screened
from domain.evidence import Reading, Window
from domain.target import Arm, Objective
from tests import journal_factory as factory

JOURNALS = [factory.kept, factory.null, factory.conflict, factory.failed, factory.refused]
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Elements, references and visible text of a page; fails on tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.references: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open.pop() != tag:
            raise AssertionError(f"</{tag}> closes something else")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(word for word in self.words if word)


@pytest.mark.parametrize("make", JOURNALS, ids=lambda make: make.__name__)
def test_page_is_whole_and_needs_nothing_else(make: Callable[[], factory.Journalist]) -> None:
    """Every kind of run gives a well-formed page without scripts, files or network."""
    text = render(make().records)
    page = Page(text)
    assert page.open == []
    assert page.references == []
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert not re.search(r"https?:|//[a-z]|url\(|@import|javascript:", text)


def test_kept_run_shows_effect_settings_gate_and_way_back() -> None:
    """The page of a kept run carries its numbers, the settings before and after, the gate, and how to undo it."""
    page = Page(render(factory.kept().records))
    assert "objective 38.6 % lower, proven and kept" in page.text
    assert "gzip_comp_level" in page.text
    assert "trimtab restore shop-front" in page.text
    assert "Gate 1: trial 5 Keep" in page.text
    assert "needed: 16.4" in page.text
    assert 'invalid value "max=10000"' in page.text
    assert "118 ms when healthy, 310 ms at the signal (+163 %)" in page.text
    assert "hash chain intact" in page.text
    assert factory.kept().records[-1].hash in page.text


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (factory.null, "Nothing to gain on shop-front"),
        (factory.conflict, "Somebody else changed shop-front"),
        (factory.failed, "The run on shop-front failed"),
        (factory.refused, "Nothing was tried on shop-front"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_other_endings_say_what_happened_and_claim_nothing(make: Callable[[], factory.Journalist], words: str) -> None:
    """A run that kept nothing says so in its headline, and claims no effect."""
    page = Page(render(make().records))
    assert words in page.text
    assert "no change is claimed" in page.text


def test_hostile_text_is_shown_and_never_run() -> None:
    """Alert texts, labels, reasons and names are escaped wherever they stand, in charts too."""
    evil = '<script>alert("x")</script><img src=x onerror=1>'
    journal = factory.Journalist(run='run"><b>')
    target = factory.target(name=evil, when={evil: evil}, objective=Objective(evil, unit="s"))
    journal.open(target, summary=evil)
    journal.trial(1, factory.settings(open_file_cache=evil), -0.1, evil)
    journal.gate(1, 1, factory.settings(open_file_cache=evil), -0.4)
    journal.write(Closed("failed", evil))
    text = render(journal.records)
    page = Page(text)
    assert not {"script", "img"} & set(page.tags)
    assert 'run"><b>' not in text
    assert evil in page.text


def test_every_prefix_of_a_journal_has_a_page() -> None:
    """A run may be looked at while it is open."""
    records = factory.kept().records
    for length in range(1, len(records), 3):
        assert "</html>" in render(records[:length])


def test_broken_chain_is_told_on_the_page() -> None:
    """A page made of a changed journal says so instead of vouching for it."""
    records = list(factory.kept().records)
    records[4] = replace(records[4], time=records[4].time + 1)
    assert "HASH CHAIN BROKEN" in render(records)


def test_maximised_objective_reads_in_its_own_direction() -> None:
    """Of a throughput more is better: the inverse that was measured is turned back for the reader."""
    journal = factory.Journalist()
    journal.level = 1 / 500
    journal.open(factory.target(objective=Objective("sum(x)", minimise=False, unit="requests/s")))
    best = factory.settings(gzip_comp_level=1)
    journal.trial(1, best, -0.5)
    journal.gate(1, 1, best, -0.5)
    journal.watch(best, -0.5)
    journal.write(Closed("kept", "more"))
    page = Page(render(journal.records))
    assert re.search(r"objective \d\d\.\d % higher, proven and kept", page.text)
    assert "500 requests/s at the signal" in page.text
    assert "better ↑" in page.text


def test_interleaved_run_on_one_arm_has_its_pairs() -> None:
    """On a single arm windows in turn are pairs; the page is drawn all the same."""
    journal = factory.Journalist()
    journal.open(factory.target(arms=(Arm("a"),), design="interleave"))
    journal.write(Proposed(1, factory.settings(sendfile=True), 1, "random", "random"))
    for role in ("control", "candidate", "candidate", "control"):
        journal.write(Measured((Window("a", role, journal.now, journal.now + 4, Reading(0.3)),)), after=5)
    journal.write(Screened(1, 0.0, 0.01, 2))
    assert "sendfile off → on" in Page(render(journal.records)).text


def test_report_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """The file bears the run's name, replaces an older one, and leaves no draft; a path is no run id."""
    records = factory.null().records
    path = write_report(tmp_path / "reports", "a-run", records)
    assert path == tmp_path / "reports" / "a-run.html"
    assert write_report(tmp_path / "reports", "a-run", records[:3]) == path
    assert "still open" in path.read_text()
    with pytest.raises(ValueError, match="no report"):
        write_report(tmp_path / "reports", "a-run2", ())
    with pytest.raises(ValueError, match="cannot name a file"):
        write_report(tmp_path, "../escape", records)
    assert [each.name for each in (tmp_path / "reports").iterdir()] == ["a-run.html"]
