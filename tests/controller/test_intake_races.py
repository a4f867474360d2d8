"""From signals to runs, notes and messages; each journey again with a crash at every call of the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.intake import UNKNOWN, run_name
from domain.errors import Corrupt
from domain.events import Opened
from domain.journal import event_of, verify
from domain.ports import Json
from domain.target import Limits
from tests.controller.office import HOUR, Crash, Failing, Office, alert, person
from tests.journal_factory import target

OPENED = "shop-front-20261124T141500-"


def test_a_signal_opens_a_run_that_is_due_at_once() -> None:
    """The journal begins with signal, target and seed, sealed."""
    office = Office()
    office.ledger.submit(alert())
    assert office.intake().one()
    run = office.ledger.open_run("shop-front")
    assert run == run_name(alert(), "shop-front")
    assert run.startswith(OPENED)
    records = office.ledger.read(run).records
    verify(run, records)
    first = event_of(records[0])
    assert isinstance(first, Opened)
    assert (first.run, first.signal, first.target) == (run, alert(), target())
    assert office.ledger.due(office.clock.now(), 75) == (run,)
    assert office.ledger.submitted() is None
    assert office.count("trimtab_signals_total", kind="alert", outcome="opened") == 1


def test_nothing_to_do_is_said() -> None:
    """So that the loop rests."""
    assert not Office().intake().one()


def test_the_seed_comes_from_the_name_or_from_outside() -> None:
    """The same signal gives the same seed; a demonstration may fix it."""
    seeds = []
    for given in (None, None, 41):
        office = Office()
        office.ledger.submit(alert())
        office.intake(seed=given).one()
        run = office.ledger.open_run("shop-front")
        assert run is not None
        seeds.append(office.ledger.read(run).records[0].data["seed"])
    assert seeds[0] == seeds[1] != seeds[2] == 41


def test_a_second_signal_joins_the_inbox() -> None:
    """The run hears it in words; nothing else is opened."""
    office = Office()
    office.ledger.submit(alert())
    office.ledger.submit(alert("fp-2/7#2", summary="errors are high"))
    office.work()
    run = office.ledger.open_run("shop-front")
    assert run is not None
    assert office.ledger.read(run).inbox == ({"kind": "signal", "text": "alert fp-2/7#2: errors are high"},)
    assert len(office.ledger.runs()) == 1


def test_the_end_of_its_own_alert_reaches_the_run_also_an_hour_later() -> None:
    """Repeats have other ids, but the same cause."""
    office = Office()
    office.ledger.submit(alert("fp/1#2"))
    office.ledger.submit(alert("fp/1#3", status="resolved"))
    office.work()
    assert inbox(office) == ("resolved",)


def test_resolved_within_the_second_of_its_firing_is_heard() -> None:
    """Both have one id, and the resolved one did not open the run."""
    office = Office()
    office.ledger.submit(alert())
    office.ledger.submit(alert(status="resolved"))
    office.work()
    assert inbox(office) == ("resolved",)


def test_the_end_of_another_alert_does_not_end_a_run() -> None:
    """While the opener's cause lasts, the run has its reason."""
    office = Office()
    office.ledger.submit(person())
    office.ledger.submit(alert(status="resolved"))
    office.work()
    assert inbox(office) == ()
    (note,) = office.ledger.ignored("shop-front")
    assert "another signal opened shop-front-" in note["reason"]


def test_a_signal_of_no_target_is_noted_with_labels_and_reason() -> None:
    """So that a misspelt `when` can be found."""
    office = Office()
    office.ledger.submit(alert(labels={"alertname": "DiskFull"}))
    office.work()
    (note,) = office.ledger.ignored(UNKNOWN)
    assert note["reason"] == "no target of the policy has these labels in `when`"
    assert (note["labels"], note["signal"], note["status"]) == ({"alertname": "DiskFull"}, "fp/1#2", "firing")
    assert office.ledger.submitted() is None


def test_a_firing_alert_may_open_again_after_the_cool_down() -> None:
    """Repeats within it are noted; one of a later hour opens a second run."""
    office = Office({"shop-front": target(limits=Limits(cooldown=2 * HOUR))})
    office.ledger.submit(alert("fp/1#2"))
    office.work()
    run = office.ledger.open_run("shop-front")
    assert run is not None
    office.close(run)
    for hour in (1, 2):
        office.clock.time += HOUR
        office.ledger.submit(alert(f"fp/1#{2 + hour}", at=office.clock.now()))
        office.work()
    assert [note["reason"] for note in office.ledger.ignored("shop-front")] == ["cooling down for another 3600 s"]
    assert len(office.ledger.runs()) == 2


def test_open_runs_of_forgotten_targets_count() -> None:
    """A target that left the policy may still have an open run."""
    office = Office()
    office.ledger.submit(alert())
    office.work()
    office.targets = {"shop-back": target("shop-back")}
    office.ledger.submit(alert("fp-2/1#2", labels={"alertname": "HighLatency", "service": "shop-back"}))
    office.work()
    assert [note["reason"] for note in office.ledger.ignored("shop-back")] == [
        "1 runs are open, and 1 may be (limits.open_runs)"
    ]


def test_two_controllers_with_one_signal_open_one_run() -> None:
    """The second finds the run of its own signal and settles."""
    office = Office()
    office.ledger.submit(alert())
    slow = Failing(office.ledger)
    interrupted = office.intake(slow)
    _hook(slow, "open", office.work)
    assert interrupted.one()
    assert len(office.ledger.runs()) == 1
    assert inbox(office) == ()
    assert office.ledger.ignored("shop-front") == ()


def test_a_faster_signal_of_another_controller_is_joined() -> None:
    """Admission said Open; the ledger decides."""
    office = Office()
    office.ledger.submit(alert())
    slow = Failing(office.ledger)

    def other() -> None:
        first = Office(office.targets)
        first.ledger = office.ledger
        office.ledger.settle(alert())
        office.ledger.submit(person())
        first.work()

    interrupted = office.intake(slow)
    _hook(slow, "open", other)
    assert interrupted.one()
    assert inbox(office) == ("signal",)


def test_a_lock_that_was_taken_meanwhile_is_told() -> None:
    """The reason names the lock."""
    targets = {name: target(name, lock="db") for name in ("shop-front", "shop-back")}
    office = Office(targets, most_open=5)
    office.ledger.submit(alert())
    slow = Failing(office.ledger)

    def other() -> None:
        office.ledger.settle(alert())
        office.ledger.submit(replace(person(), target="shop-back"))
        office.work()

    interrupted = office.intake(slow)
    _hook(slow, "open", other)
    assert interrupted.one()
    assert [note["reason"] for note in office.ledger.ignored("shop-front")] == ["another run holds the lock 'db'"]


def test_a_run_that_closed_meanwhile_cannot_hear() -> None:
    """The signal is noted instead of lost."""
    office = Office()
    office.ledger.submit(alert())
    office.work()
    run = office.ledger.open_run("shop-front")
    assert run is not None
    office.ledger.submit(alert("fp-2/1#2"))
    slow = Failing(office.ledger)
    interrupted = office.intake(slow)
    _hook(slow, "hear", lambda: office.close(run))
    assert interrupted.one()
    assert [note["reason"] for note in office.ledger.ignored("shop-front")] == [f"{run} closed at the same moment"]


def test_a_broken_journal_does_not_stop_the_others() -> None:
    """The signal that cannot be judged is noted with the place of the damage, and the queue goes on."""
    office = Office()
    office.ledger.submit(alert())
    office.work()
    office.ledger.submit(alert(status="resolved"))
    broken = Failing(office.ledger)
    broken.read = _corrupt  # type: ignore[attr-defined]
    assert office.intake(broken).one()
    assert "is broken at record 3" in office.ledger.ignored("shop-front")[0]["reason"]
    assert office.ledger.submitted() is None


def test_a_broken_list_of_ignored_signals_does_not_stop_the_queue() -> None:
    """The note is lost and told in the log; the signal is settled."""
    office = Office()
    office.ledger.submit(alert(labels={"alertname": "DiskFull"}))
    broken = Failing(office.ledger)
    broken.ignored = _corrupt  # type: ignore[attr-defined]
    assert office.intake(broken).one()
    assert office.ledger.submitted() is None


# --- a crash at every call -------------------------------------------------------------------------------------------


def opening(office: Office) -> None:
    office.ledger.submit(alert())


def joining(office: Office) -> None:
    office.ledger.submit(person())
    office.work()
    office.ledger.submit(alert())


def resolving(office: Office) -> None:
    opening(office)
    office.work()
    office.ledger.submit(alert(status="resolved"))


def ignoring(office: Office) -> None:
    office.ledger.submit(alert(labels={"alertname": "DiskFull"}))


def state(office: Office) -> Json:
    """Everything that a crash must not change."""
    runs = office.ledger.runs()
    journals = {info.run: office.ledger.read(info.run) for info in runs}
    return {
        "runs": [(info.run, info.outcome) for info in runs],
        "records": {run: [(each.kind, each.data) for each in journal.records] for run, journal in journals.items()},
        "inbox": {run: journal.inbox for run, journal in journals.items()},
        "ignored": [
            (note["signal"], note["status"], note["reason"])
            for name in (UNKNOWN, "shop-front")
            for note in office.ledger.ignored(name)
        ],
        "queued": office.ledger.submitted(),
    }


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("prepare", [opening, joining, resolving, ignoring])
def test_a_crash_at_any_call_changes_nothing(prepare: Callable[[Office], None], after: bool) -> None:
    """The next process ends with the same runs, messages and notes as one that never died."""
    whole = Office()
    prepare(whole)
    watched = Failing(whole.ledger)
    assert whole.intake(watched).one()
    assert len(watched.calls) >= 4
    for place in range(len(watched.calls) + 1):
        office = Office()
        prepare(office)
        dying = Failing(office.ledger)
        dying.at, dying.after = place, after
        try:
            office.intake(dying).one()
        except Crash:
            office.clock.time += 7.0
        office.work()
        assert state(office) == state(whole), f"crash at call {place} ({watched.calls[place:][:1]})"


def test_a_crash_before_settling_is_no_second_run_when_the_first_is_over() -> None:
    """The signal opened its run, the controller died, the run closed: the signal is done, not ignored."""
    office = Office()
    office.ledger.submit(alert())
    dying = Failing(office.ledger)
    dying.at = 99
    crashing = office.intake(dying)
    _hook(dying, "settle", _die)
    with pytest.raises(Crash):
        crashing.one()
    run = office.ledger.open_run("shop-front")
    assert run is not None
    office.close(run)
    office.work()
    assert len(office.ledger.runs()) == 1
    assert office.ledger.ignored("shop-front") == ()
    assert office.ledger.submitted() is None


def _hook(failing: Failing, name: str, first: Callable[[], None]) -> None:
    """Let `first` happen right before the next call of `name`."""
    method = getattr(failing._ledger, name)

    def call(*args: object, **kwargs: object) -> object:
        first()
        return method(*args, **kwargs)

    setattr(failing, name, call)


def _corrupt(*args: object, **kwargs: object) -> object:
    raise Corrupt("some-run", 3, "its content does not match its hash")


def _die() -> None:
    raise Crash


def inbox(office: Office) -> tuple[str, ...]:
    run = office.ledger.open_run("shop-front")
    return tuple(message["kind"] for message in office.ledger.read(run).inbox) if run is not None else ()
