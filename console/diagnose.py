"""`trimtab diagnose`: which layer is the bottleneck, on what evidence, and what could be tuned for it."""

from __future__ import annotations

from typing import Annotated

import typer

from console.output import Column, Finding, Format, FormatOption, listing, print_json, say
from console.wiring import Session
from diagnosis.diagnose import NOTHING_READ, Diagnosis, diagnose
from diagnosis.facts import KNOWN, Facts, told
from domain.codec import to_json
from domain.evidence import Missing, Reading
from domain.ports import Json
from domain.target import Target

COLUMNS = (
    Column("target", "target", table=False),
    Column("layer", "layer", table=False),
    Column("refusal", "refusal", table=False),
    Column("fact", "fact"),
    Column("value", "value", right=True, table=False),
    Column("limit", "limit", right=True, table=False),
    Column("seen", "seen", right=True),
    Column("bound", "limit", right=True),
    Column("means", "what it means"),
)


def command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="TARGET", help="A target of the policy.")],
    seconds: Annotated[float, typer.Option(min=1.0, max=600.0, help="Time between the two samples.")] = 10.0,
    form: FormatOption = Format.table,
) -> None:
    """Name the bottleneck of a target with its evidence. Reads only; exit code 1 if nothing could be read."""
    session: Session = context.obj
    target = session.target(name)
    facts = _facts(session, target, seconds)
    answer = diagnose(facts)
    _print(target, answer, facts, form)
    for fact, seen in facts.items():
        if isinstance(seen, Missing):
            say(f"not read: {fact}: {seen.reason}")
    if answer.refusal == NOTHING_READ:
        raise Finding(f"nothing of target {target.name} could be read; name pid, cgroup, dsn or metrics of its arms")


def _facts(session: Session, target: Target, seconds: float) -> Facts:
    """Two rounds of samples, and what Prometheus saw in between, where it answers."""
    from adapters.facts.examiner import TargetExaminer

    examiner = TargetExaminer(target, session.prometheus, session.clock)
    first = examiner.sample()
    session.pause(seconds)
    second = examiner.sample()
    if session.prometheus.now() is None:
        say("Prometheus does not answer; the diagnosis rests on what the target itself shows")
    return examiner.facts(first, second)


def _print(target: Target, answer: Diagnosis, facts: Facts, form: Format) -> None:
    rows = [_row(target, answer, each) for each in to_json(answer.evidence)]
    match form:
        case Format.json:
            print_json({"target": target.name, **to_json(answer), "facts": _told(facts)})
        case Format.csv:
            bare = {"target": target.name, "layer": answer.layer, "refusal": answer.refusal}
            listing(rows or [bare], COLUMNS, form)
        case Format.table:
            print(f"{target.name}: {answer.headline}")
            if rows:
                listing(rows, COLUMNS, form)
            if answer.refusal:
                print(f"not to be tuned: {answer.refusal}")
            else:
                print(f"can matter: {', '.join(_matter(target, answer))}")
            if answer.follows:
                print(f"follows from it: {', '.join(answer.follows)}")
            if answer.others:
                print(f"seen too: {', '.join(answer.others)}")


def _matter(target: Target, answer: Diagnosis) -> tuple[str, ...]:
    """The parameters of the target's own space that can matter; all of the answer's, if the space has none of them."""
    ours = {parameter.name for parameter in target.space.parameters}
    return tuple(name for name in answer.parameters if name.partition(".")[2] in ours or name in ours) or (
        answer.parameters
    )


def _row(target: Target, answer: Diagnosis, evidence: Json) -> Json:
    fact, limit = KNOWN[evidence["fact"]], evidence["limit"]
    return {
        "target": target.name,
        "layer": answer.layer,
        "refusal": answer.refusal,
        **evidence,
        "seen": told(fact, evidence["value"]),
        "bound": None if limit is None else told(fact, limit),
        "means": fact.meaning,
    }


def _told(facts: Facts) -> Json:
    return {
        name: {"value": seen.value, "unit": KNOWN[name].unit}
        if isinstance(seen, Reading)
        else {"value": None, "missing": seen.reason}
        for name, seen in facts.items()
    }
