"""Alertmanager's messages as it sends them, and the signals that they become."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.webhook import Message, read
from domain.signal import Signal

FOLDER = Path(__file__).parent / "alertmanager"
NOW = 1_795_529_700.0  # 2026-11-24T14:15:00Z
HOUR = int(NOW // 3600)
FIRST = f"214febd1561481b2/1795529702#{HOUR}"
LABELS = {"alertname": "HighLatency", "service": "shop-front", "severity": "page"}
SUMMARY = "p95 of shop-front is above 250 ms"


def test_firing_becomes_one_signal_with_labels_and_summary() -> None:
    """The id is fingerprint and start; the year 1 of `endsAt` means nothing."""
    assert load("firing").signals == (Signal(FIRST, "alert", "firing", NOW, SUMMARY, labels=LABELS),)


def test_resolved_has_the_id_of_its_firing_alert() -> None:
    """So that the run that the alert opened can be found."""
    assert load("resolved").signals == (Signal(FIRST, "alert", "resolved", NOW, SUMMARY, labels=LABELS),)


def test_a_group_gives_one_signal_for_each_alert_in_order() -> None:
    """Unknown fields of later versions change nothing."""
    first, second = load("grouped").signals
    assert first == load("firing").signals[0]
    assert (second.id, second.labels["service"]) == (f"99aa/1795529702#{HOUR}", "unknown-service")


def test_an_alert_of_no_target_is_read_like_any_other() -> None:
    """Whether a target is meant is for admission to say, which notes the reason."""
    (signal,) = load("unknown-target").signals
    assert (signal.summary, signal.labels["service"]) == ("2 % left on /srv", "backup")


def test_alerts_that_were_left_out_are_counted() -> None:
    """`truncatedAlerts` is passed on."""
    assert load("truncated").truncated == 17
    assert load("firing").truncated == 0


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_every_message_can_be_read(path: Path) -> None:
    """No file of the folder is refused."""
    assert read(path.read_bytes(), NOW).signals


def load(name: str) -> Message:
    data = (FOLDER / f"{name}.json").read_bytes()
    assert json.loads(data)["version"] == "4"
    return read(data, NOW)
