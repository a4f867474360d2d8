"""The report page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from adapters.report import render, series, write_report
from adapters.report.budgets import budgets, charged
from adapters.report.course import follow
from adapters.report.drawing import Percent
from domain import budget
from domain.events import Closed, GateOpened, Measured, Proposed, Screened
from domain.evidence import Reading, Window
from domain.target import Arm, Objective
from tests import journal_factory as factory

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


@pytest.mark.parametrize("make", factory.EVERY, ids=lambda make: make.__name__)
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
    assert "objective 37.5 % lower, proven and kept" in page.text
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
        (factory.unconfirmed, "Not confirmed on shop-front"),
        (factory.harmful, "shop-front is back on its original settings"),
        (factory.recovered, "shop-front recovered without a change"),
        (factory.overspent, "the harm budget does not cover another trial"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_other_endings_say_what_happened_and_claim_nothing(make: Callable[[], factory.Journalist], words: str) -> None:
    """A run that kept nothing says so in its headline, and claims no effect."""
    page = Page(render(make().records))
    assert words in page.text
    assert "no change is claimed" in page.text


def test_gate_and_watch_show_pairs_evidence_and_interval_after_every_pair() -> None:
    """Each pair has a mark of its side, each count an e-value and an interval; an open interval is no number."""
    journal = factory.kept()
    run = journal.state
    (gate,) = series.gates(run, Percent())
    pairs = run.gates[0].block.pairs()
    path = series.gate_path(run.gates[0], run)
    judged = run.gates[0].judged
    assert judged is not None
    assert [step.count for step in path] == list(range(1, len(pairs) + 1))
    assert (path[-1].effect, path[-1].interval, path[-1].log_e) == (judged.effect, judged.interval, judged.log_e)
    assert path[0].open
    assert gate.pairs_chart.count("<rect") == sum(pair.side < 0 for pair in pairs)
    assert gate.pairs_chart.count("<circle") == sum(pair.side > 0 for pair in pairs)
    assert gate.evidence_chart is not None
    assert gate.evidence_chart.count("<circle") == len(pairs)
    assert "interval still open" in gate.band_chart
    assert gate.band_chart.count("<polygon") == 1
    assert "margin that must be beaten, −1.0 %" in gate.margin
    watch = series.watch(run, Percent())
    assert watch is not None
    assert watch.verdict == "confirmed"
    assert "kept settings on arm a" in watch.sides


def test_interval_that_never_closes_is_drawn_as_open() -> None:
    """A gate that ends after two pairs has no interval: no band, and no number for it."""
    journal = factory.Journalist()
    journal.open(factory.target())
    best = factory.settings(gzip_comp_level=1)
    journal.trial(1, best, -0.4)
    journal.write(GateOpened(1, 1, best, 0.03))
    for swapped in (False, True):
        journal.slot(best, "gate", -0.4, swapped=swapped)
    (gate,) = series.gates(journal.state, Percent())
    assert "<polygon" not in gate.band_chart
    assert "interval still open" in gate.text


def test_budgets_tell_what_was_spent_and_by_whom() -> None:
    """Both budgets stand beside what was used; the trials that cost harm add up to it, the dearest first."""
    journal = factory.overspent()
    run = journal.state
    told = budgets(run, follow(journal.records), journal.now)
    assert [bar.name for bar in told.bars] == ["Time of the search", "Harm to users"]
    assert "4 of at most 12 trials" in told.bars[0].note
    assert told.bars[1].value == f"{budget.spent(run):.1f} of 12 user-weighted s"
    assert told.bars[1].over
    assert "half of the users counts half" in told.explained
    assert [cost.name for cost in told.costs] == ["trial 2", "trial 4", "trial 3"]
    assert sum(charged(run, trial=trial) for trial in run.trials) == pytest.approx(budget.spent(run))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (factory.kept, "The new settings are proven, confirmed, and in force on every arm."),
        (factory.kept, "The search ended because the budget of 150 s is spent"),
        (factory.kept, "The signal was resolved during the run. That alone proves nothing"),
        (factory.unconfirmed, "the watch did not confirm them, so they were taken back"),
        (factory.harmful, "passed the gate and then proved harmful, so they were taken back"),
        (factory.recovered, "The service recovered by itself, under its original settings."),
        (factory.overspent, "even its worst case still fits into the harm budget"),
        (factory.overspent, "The search was cut short, so better settings may exist"),
        (factory.null, "No candidate was better by what is worth keeping"),
        (factory.conflict, "A person or another tool changed arm b during the run."),
        (factory.failed, "This says nothing about the settings, neither good nor bad."),
        (factory.refused, "Mode observe does not let this run write"),
        (factory.held, "For 10 min after the watch, one arm carried the original now and then: "),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_ending_says_why_and_what_it_means(make: Callable[[], factory.Journalist], words: str) -> None:
    """Each ending is explained in words for the operator."""
    assert words in Page(render(make().records)).text


def test_gain_that_does_not_last_is_not_claimed() -> None:
    """When the hold-back does not show the gain any more, settings stay and the page claims nothing."""
    page = Page(render(factory.held(later=0.0).records))
    assert "shop-front keeps new settings, without a claim" in page.text
    assert "no change is claimed" in page.text
    assert "proven and kept" not in page.text
    assert "The hold-back not confirmed" in page.text


def test_looks_at_the_original_are_shown_against_their_levels() -> None:
    """Level of each look, with healthy, half-way and the signal; what is not proven is not called back."""
    text = Page(render(factory.recovered().records)).text
    assert "at the signal: 310 ms" in text
    assert "half-way: 191 ms" in text
    assert "healthy: 118 ms" in text
    assert "below half-way, but not proven" in text
    assert "proven to be back beyond half-way" in text
    assert "not back none" in Page(render(factory.kept().records)).text


def test_noise_that_raises_the_least_gain_is_said() -> None:
    """A minimum effect of interest above the profile's is explained; so are trials that were measured again."""
    text = Page(render(factory.null().records)).text
    assert "a gain of at least 4.1 %, raised from 3.0 %: in this noise a gate could not prove less" in text
    assert "measured again: several candidates are close" in text
    futile = Page(render(factory.overspent().records)).text
    assert "ended after 2 pairs: an improvement worth keeping was improbable by then" in futile


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
    journal.watch(-0.5)
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
