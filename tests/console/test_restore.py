"""The way back by hand."""

from __future__ import annotations

import json

from domain.errors import Transient
from domain.ports import Stamp
from tests import journal_factory as factory
from tests.console.desk import Desk, Screen

BEST = factory.settings(gzip_comp_level=1, open_file_cache="max=1000")


def carry(desk: Desk, settings: dict[str, object], *, protect: bool, run: str = factory.RUN) -> None:
    """Both arms carry settings of a run, with or without its before-image."""
    for arm in desk.arms.values():
        if protect:
            arm.protect(run, 0.0)
        arm.write(settings, Stamp(run, 5), arm.read().version)  # type: ignore[arg-type]


def test_kept_settings_are_undone_from_the_journal(desk: Desk, screen: Screen) -> None:
    """After a kept run the settings before it come back, under our stamp, with a higher generation."""
    desk.store(factory.kept())
    carry(desk, dict(BEST), protect=False)
    assert screen("restore", "shop-front", "-o", "json") == 0
    assert [row["action"] for row in json.loads(screen.out)] == ["restored", "restored"]
    for arm in desk.arms.values():
        image = arm.read()
        assert image.settings == factory.BEFORE
        assert image.stamp == Stamp(factory.RUN, 6)
    assert screen("restore", "shop-front", "-o", "json") == 0
    assert {row["action"] for row in json.loads(screen.out)} == {"carries the original settings"}


def test_before_image_is_restored_without_a_ledger(desk: Desk, screen: Screen) -> None:
    """While Redis is away the before-image on the target is enough."""

    class Gone:
        def __getattr__(self, name: str) -> object:
            raise Transient("connection refused")

    desk.ledger = Gone()  # type: ignore[assignment]
    carry(desk, dict(BEST), protect=True)
    assert screen("restore", "shop-front") == 0
    assert "does not answer" in screen.err
    assert all(arm.read().settings == factory.BEFORE for arm in desk.arms.values())


def test_foreign_content_is_left_alone_without_force(desk: Desk, screen: Screen) -> None:
    """What somebody else wrote is not overwritten; --force overwrites it."""
    desk.store(factory.kept())
    carry(desk, dict(BEST), protect=False)
    desk.arms["b"].edit({"gzip_comp_level": 3})
    assert screen("restore", "shop-front") == 1
    assert desk.arms["a"].read().settings == factory.BEFORE
    assert desk.arms["b"].read().settings["gzip_comp_level"] == 3
    assert "arm b" in screen.err
    assert "--force" in screen.err
    assert screen("restore", "shop-front", "--force") == 0
    assert desk.arms["b"].read().settings == factory.BEFORE


def test_foreign_content_over_a_before_image_is_left_alone(desk: Desk, screen: Screen) -> None:
    """The same while a before-image lies on the arm."""
    carry(desk, dict(BEST), protect=True)
    desk.arms["a"].edit({"gzip_comp_level": 3})
    assert screen("restore", "shop-front") == 1
    assert desk.arms["a"].read().settings["gzip_comp_level"] == 3


def test_open_run_is_told_to_stop_first(desk: Desk, screen: Screen) -> None:
    """An open run hears the stop; if nobody carries it on, the console restores by itself and says so."""
    desk.store(factory.kept(), keep_open=True)
    carry(desk, dict(BEST), protect=True)
    assert screen("restore", "shop-front", "--wait", "2") == 0
    assert [message["kind"] for message in desk.ledger.read(factory.RUN).inbox] == ["stop"]
    assert "did not close within 2 s" in screen.err
    assert all(arm.read().settings == factory.BEFORE for arm in desk.arms.values())
    assert all(arm.read().protected == factory.RUN for arm in desk.arms.values()), "its worker removes them"


def test_untouched_target_has_nothing_to_restore(desk: Desk, screen: Screen) -> None:
    """Without any run there is nothing to do, and an unknown target is a mistake that lists the known ones."""
    assert screen("restore", "shop-front", "-o", "json") == 0
    assert {row["action"] for row in json.loads(screen.out)} == {"nothing to restore"}
    assert screen("restore", "shop-frnt") == 4
    assert "shop-front" in screen.err


def test_reap_tells_what_it_restored(desk: Desk, screen: Screen) -> None:
    """One pass of the watchdog over every target."""
    assert screen("reap") == 0
    assert "nothing is past its deadline" in screen.err
    desk.reaped = {"shop-front": ["arm a: restored"]}
    assert screen("reap", "-o", "json") == 0
    assert json.loads(screen.out) == [{"target": "shop-front", "restored": "arm a: restored"}]
