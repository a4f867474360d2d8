"""`trimtab restore`: the way back by hand. `trimtab reap`: the watchdog's one pass, which needs no Redis."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated

import typer

from console.output import Column, Finding, Format, FormatOption, listing, say, settings_text
from console.wiring import Session
from domain.errors import Conflict, Transient, TrimtabError
from domain.events import Imaged
from domain.journal import event_of
from domain.ports import Actuator, Image, Json, Stage, Stamp
from domain.space import Settings
from domain.space import equal as same

POLL_SECONDS = 0.25
ROLLOUT_SECONDS = 600.0
RECENT = 20  # runs of the target that are looked through for the settings before
STOP_SECONDS = 60.0  # a worker drains old connections before a restore is proven

COLUMNS = (
    Column("target", "target"),
    Column("arm", "arm"),
    Column("action", "action"),
    Column("run", "way back of run"),
    Column("settings", "settings now", settings_text),
)
REAP_COLUMNS = (Column("target", "target"), Column("restored", "restored or seen"))


def restore(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="TARGET", help="A target of the policy.")],
    force: Annotated[bool, typer.Option(help="Overwrite content that is not ours.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds for an open run to restore by itself.")] = STOP_SECONDS,
    form: FormatOption = Format.table,
) -> None:
    """Bring back the settings from before the run: an open run is told to stop first, then whatever is still changed is
    restored here. Content that somebody else wrote is left alone without --force."""
    session: Session = context.obj
    target = session.target(name)
    arms, stage = session.actuators(target), session.stage(target)
    images: dict[str, Imaged] = {}
    latest = ""
    try:
        _stop(session, name, wait)
        images, latest = _before(session, name)
    except Transient as error:
        say(f"the ledger does not answer ({error}); going by what lies on the target")
    rows: list[Json] = []
    problems: list[str] = []
    for label, arm in arms.items():
        try:
            action, run, image = _back(arm, label, images, latest, force, stage)
        except Conflict as conflict:
            problems.append(f"arm {label}: {conflict}")
            action, run, image = "left alone", "", arm.read()
        row: Json = {"target": name, "arm": label, "action": action, "run": run, "settings": dict(image.settings)}
        rows.append(row)
    _tidy(session, arms, rows)
    listing(rows, COLUMNS, form)
    if problems:
        raise Finding("; ".join(problems) + "; look at it, then say --force to overwrite it")


def reap(
    context: typer.Context,
    now: Annotated[
        bool, typer.Option("--now", help="Workloads of a cluster: restore open runs before their deadline, too.")
    ] = False,
    form: FormatOption = Format.table,
) -> None:
    """Run the watchdog once: restore every target whose run made no step before its deadline, and tell which kept
    values somebody took back. Needs no Redis."""
    session: Session = context.obj
    rows: list[Json] = []
    failures: list[str] = []
    for target in session.targets:
        try:
            rows += [{"target": target.name, "restored": what} for what in session.reap(target, force=now)]
        except TrimtabError as error:
            failures.append(f"{target.name}: {error}")
    listing(rows, REAP_COLUMNS, form, empty="nothing is past its deadline")
    if failures:
        raise Finding("; ".join(failures))


def _stop(session: Session, target: str, wait: float) -> None:
    """Tell the target's open run to stop, and give it time to restore and close by itself."""
    run = session.ledger.open_run(target)
    if run is None:
        return
    session.ledger.hear(run, {"kind": "stop", "text": "trimtab restore"}, session.clock.now())
    say(f"run {run} is open; it was told to stop and restore")
    until = session.clock.now() + wait
    while session.clock.now() < until:
        if session.ledger.open_run(target) != run:
            say(f"run {run} has closed")
            return
        session.pause(POLL_SECONDS)
    say(f"run {run} did not close within {wait:g} s; restoring without it")


def _before(session: Session, target: str) -> tuple[dict[str, Imaged], str]:
    """What recent runs found before they touched the target, by run; and the newest run that left something behind."""
    images: dict[str, Imaged] = {}
    latest = ""
    for info in session.ledger.runs(target=target, limit=RECENT):
        for record in session.ledger.read(info.run).records:
            event = event_of(record) if record.kind == "Imaged" else None
            if isinstance(event, Imaged):
                images[info.run] = event
                break
        latest = info.run if info.outcome in ("kept", "conflict") else ""
        if latest:
            break
    return images, latest


def _back(
    arm: Actuator, label: str, images: Mapping[str, Imaged], latest: str, force: bool, stage: Stage | None
) -> tuple[str, str, Image]:
    """Bring one arm back: from the before-image that lies on it, else from the journal of the run `latest` that changed
    it. Raises Conflict if its content is not ours and force is not given."""
    image = arm.read()
    run = image.protected or latest
    before = images.get(run)
    if image.reaped:
        return "already restored by the watchdog", run, image
    if before is not None and label in before.settings and same(dict(before.settings[label]), dict(image.settings)):
        return "carries the original settings", run, image
    if not run or (before is None and not image.protected):
        return "nothing to restore", "", image
    if not force and image.stamp is None:
        raise Conflict(f"its content is not ours (version {image.version})")
    stamp = Stamp(run, image.generation + 1)
    if image.protected:
        return "restored", run, arm.restore(stamp, None if force else image.version)
    if before is None or label not in before.settings:
        return "nothing to restore", "", image
    if stage is not None:
        return "restored", run, _into_workload(stage, arm, before.settings[label], stamp, image)
    return "restored", run, arm.write(before.settings[label], stamp, image.version)


def _into_workload(stage: Stage, arm: Actuator, settings: Settings, stamp: Stamp, image: Image) -> Image:
    """Put settings into the workload that a closed run left changed; the way back lies there meanwhile."""
    arm.protect(stamp.run, time.time() + ROLLOUT_SECONDS, image.version)
    until = time.monotonic() + ROLLOUT_SECONDS
    while True:
        try:
            done = stage.adopt(settings, Stamp(stamp.run, arm.read().generation + 1))
            break
        except Transient as hindrance:
            if time.monotonic() >= until:
                raise
            say(f"waiting: {hindrance}")
    arm.release(stamp.run)
    if done.proposed:
        say(done.patch)
        raise Conflict(f"somebody else owns {', '.join(sorted(done.proposed))}; the patch above puts them back")
    return arm.read()


def _tidy(session: Session, arms: Mapping[str, Actuator], rows: list[Json]) -> None:
    """Remove before-images of closed runs, whose watchdog nobody needs any more; an open run removes its own."""
    try:
        closed = {info.run for info in session.ledger.runs(limit=1000) if info.outcome}
    except Transient:
        return
    for row in rows:
        if row["run"] in closed and row["action"] != "left alone":
            arms[row["arm"]].release(row["run"])
