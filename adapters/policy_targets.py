"""From the targets of a policy file to the domain's targets: names looked up, queries checked, spaces built."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from adapters import policy_model as model
from adapters.actuators.registry import KINDS, families, restarting
from adapters.catalogue import Narrow, choose, load, space_for
from adapters.catalogue_data import unknown, value_of
from adapters.catalogue_environment import variable
from adapters.promql import faults
from adapters.strict_yaml import Path
from domain.errors import Misconfigured
from domain.formula import Scalar
from domain.profile import PROFILES, Profile
from domain.space import SearchSpace, Settings, Value
from domain.target import Arm, Branch, Guardrail, Limits, Objective, Restart, Target, Workload

AFTER_A_RELOAD = 5.0  # seconds in which sessions of PostgreSQL still take on what was reloaded
Problems = list[tuple[Path, str]]


def names_of(module: str, attribute: str, otherwise: Iterable[str]) -> tuple[str, ...]:
    """The names that a factory knows, without loading what stands behind them."""
    try:
        known = getattr(importlib.import_module(module), attribute)
    except ImportError:
        known = otherwise
    return tuple(sorted(known))


def resolve(content: model.PolicyFile) -> tuple[tuple[Target, ...], Problems]:
    """The targets, and everything that is wrong with them."""
    problems: Problems = []
    detectors = names_of("detectors.factory", "DETECTORS", ("threshold",))
    if content.watch.detector not in detectors:
        problems.append((("watch", "detector"), str(unknown("detector", content.watch.detector, detectors))))
    targets = []
    first: dict[str, int] = {}
    meant: dict[tuple[tuple[str, str], ...], str] = {}
    for index, raw in enumerate(content.targets):
        place: Path = ("targets", index)
        if raw.name in first:
            problems.append(((*place, "name"), f"{raw.name!r} is the name of targets[{first[raw.name]}] too"))
        first.setdefault(raw.name, index)
        labels = tuple(sorted(raw.when.items()))
        if labels and labels in meant:
            problems.append(((*place, "when"), f"the same labels mean target {meant[labels]!r}; make them differ"))
        meant.setdefault(labels, raw.name)
        found, target = _target(content, raw)
        problems += [((*place, *inner), text) for inner, text in found]
        targets += [target] if target else []
    return tuple(targets), problems


def _target(content: model.PolicyFile, raw: model.Target) -> tuple[Problems, Target | None]:
    problems = _names(raw) + _arms(raw) + _queries(raw)
    space: SearchSpace = SearchSpace(())
    seeds: tuple[Settings, ...] = ()
    try:
        environment, present = _environment(raw.environment)
    except _Wrong as error:
        return [*problems, *error.problems], None
    try:
        space, seeds = _space(raw, environment, present)
    except Misconfigured as error:
        problems += [(_parameter_place(raw, line), line) for line in str(error).split("\n")]
    problems += _costs(raw, space)
    if problems:
        return problems, None
    return [], Target(
        name=raw.name,
        mode=raw.mode or content.mode,
        actuator=raw.actuator.kind,
        arms=tuple(Arm(arm.label, dict(arm.__pydantic_extra__ or {}), _restart(arm.restart)) for arm in _listed(raw)),
        space=space,
        objective=Objective(
            raw.objective.minimise or raw.objective.maximise, bool(raw.objective.minimise), raw.objective.unit
        ),
        profile=_profile(raw),
        guardrails=tuple(_guardrail(each, number) for number, each in enumerate(raw.guardrails, 1)),
        seeds=seeds,
        when=dict(raw.when),
        design=raw.measure.design,
        strategy=raw.strategy,
        allow_restart=raw.allow.restart,
        limits=Limits(content.limits.cooldown, content.limits.trials, content.limits.time, content.limits.harm),
        lock=raw.lock,
        diagnose=raw.diagnose and raw.workload is None,  # pods that do not exist yet cannot be looked at
        workload=_workload(raw.workload),
    )


def _profile(raw: model.Target) -> Profile:
    """The profile's constants, with those that this target needs otherwise."""
    profile = PROFILES[raw.measure.profile]
    if raw.measure.warm_up is not None:
        profile = replace(profile, warm_up=raw.measure.warm_up)
    if "postgresql" in raw.actuator.kind.split("+"):
        profile = replace(profile, settle=max(profile.settle, AFTER_A_RELOAD))
    return profile


def _names(raw: model.Target) -> Problems:
    strategies = names_of("optimizers.factory", "STRATEGIES", ("bayesian", "random"))
    problems: Problems = []
    for place, what, name, known in (
        (("actuator", "kind"), "actuator", raw.actuator.kind, KINDS),
        (("strategy",), "strategy", raw.strategy, strategies),
        (("measure", "profile"), "profile", raw.measure.profile, tuple(PROFILES)),
    ):
        if name not in known:
            problems.append((place, f"unknown {what} {name!r}; known: {', '.join(known)}"))
    return problems


def _listed(raw: model.Target) -> list[model.Arm]:
    """The arms: two pods, or one, where they are made from a workload."""
    if raw.workload is None:
        return raw.arms
    return [
        model.Arm.model_validate({"label": label}) for label in ("a", "b")[: 2 if raw.measure.design == "duet" else 1]
    ]


def _arms(raw: model.Target) -> Problems:
    labels = [arm.label for arm in _listed(raw)]
    problems: Problems = _places(raw)
    problems += [
        (("arms", place, "label"), f"{label!r} is the label of another arm; labels must differ")
        for place, label in enumerate(labels)
        if label in labels[:place]
    ]
    problems += [
        (("arms", place, "restart"), "is given, and allow.restart forbids it; write allow: {restart: true}")
        for place, arm in enumerate(raw.arms)
        if arm.restart is not None and not raw.allow.restart
    ]
    if not labels:
        return [*problems, (("arms",), "none is listed; a target needs arms, or a workload that they are made from")]
    if raw.measure.design == "duet" and len(labels) < 2:
        problems.append((("arms",), "design duet compares two arms and one is listed; add one or use interleave"))
    if raw.measure.design == "interleave" and len(labels) > 1:
        problems.append((("arms",), f"design interleave uses one arm and {len(labels)} are listed; use duet"))
    return problems


def _places(raw: model.Target) -> Problems:
    """Whether the target lies in a cluster or on this machine, and not half in each."""
    inside, workload = raw.actuator.kind.split("+")[0] == "kubernetes", raw.workload
    if workload is None:
        return [(("workload",), f"actuator {raw.actuator.kind!r} needs it: namespace and name")] if inside else []
    problems: Problems = []
    if not inside:
        problems.append((("actuator", "kind"), f"{raw.actuator.kind!r} writes no workload; write kubernetes+..."))
    if raw.arms:
        problems.append((("arms",), "are made from the workload for each run; leave them out"))
    if bool(workload.config_map) != bool(workload.key):
        problems.append((("workload", "key"), "config_map and key belong together; give both or none"))
    if "nginx" in raw.actuator.kind and not workload.config_map:
        problems.append((("workload", "config_map"), "is missing; nginx's settings live in a key of a ConfigMap"))
    if workload.kind == "StatefulSet" and raw.measure.design != "interleave":
        problems.append((("measure", "design"), "a StatefulSet is measured on one ordinal; write interleave"))
    return problems


def _workload(raw: model.Workload | None) -> Workload | None:
    if raw is None:
        return None
    git = raw.propose
    return Workload(
        namespace=raw.namespace,
        name=raw.name,
        kind=raw.kind,
        container=raw.container,
        service=raw.service,
        config_map=raw.config_map,
        key=raw.key,
        take_over=tuple(raw.take_over),
        opt_in=tuple(raw.opt_in),
        propose=Branch(git.repository, git.branch, git.file) if git else None,
    )


def _queries(raw: model.Target) -> Problems:
    direction = "minimise" if raw.objective.minimise else "maximise"
    query = raw.objective.minimise or raw.objective.maximise
    problems: Problems = [(("objective", direction), fault) for fault in faults(query, ("arm", "window"))]
    names: set[str] = set()
    for place, each in enumerate(raw.guardrails):
        problems += [(("guardrails", place), fault) for fault in faults(each.query)]
        if each.name in names:
            problems.append((("guardrails", place, "name"), f"{each.name!r} is the name of another guardrail"))
        names |= {each.name} if each.name else set()
    return problems


def _restart(raw: model.Restart | None) -> Restart | None:
    if raw is None:
        return None
    return Restart(tuple(raw.argv), raw.pid_file, tuple(raw.ready), raw.seconds, raw.writes_pid, raw.log)


def _guardrail(raw: model.Guardrail, number: int) -> Guardrail:
    name = raw.name or f"guardrail-{number}"
    if raw.below is not None:
        return Guardrail(name, raw.query, "<", raw.below)
    if raw.above is not None:
        return Guardrail(name, raw.query, ">", raw.above)
    if raw.times_original is not None:
        return Guardrail(name, raw.query, "<", raw.times_original, relative=True)
    return Guardrail(name, raw.query, ">", raw.least_times_original or 0.0, relative=True)


# --- parameters ------------------------------------------------------------------------------------------------------


def _space(
    raw: model.Target, environment: Mapping[str, Scalar], present: Mapping[str, Value]
) -> tuple[SearchSpace, tuple[Settings, ...]]:
    ids = choose(raw.parameters.preset, raw.parameters.names, raw.parameters.consent)
    written = families(raw.actuator.kind) if raw.actuator.kind in KINDS else ()
    for name in ids:
        if written and load().entries[name].family not in written:
            raise Misconfigured(
                f"{name} cannot be written by actuator {raw.actuator.kind!r}; it writes {', '.join(written)}"
            )
    bounds = {name: Narrow(each.low, each.high, tuple(each.values)) for name, each in raw.parameters.bounds.items()}
    for name in bounds:
        if name not in load().entries:
            raise unknown("parameter", name, ids)
    space, seeds = space_for(
        ids,
        environment,
        bounds,
        present=present,
        version=raw.actuator.version,
        preset=raw.parameters.preset,
        required=(*raw.parameters.names, *raw.parameters.consent),
    )
    workload = raw.workload.kind if raw.workload is not None else ""
    return replace(space, parameters=restarting(raw.actuator.kind, space.parameters, workload)), seeds


def _parameter_place(raw: model.Target, line: str) -> Path:
    """The place in `parameters` that a line of an error is about."""
    words = re.findall(r"[\w.]+(?:\[\d\])?", line)
    for name in raw.parameters.bounds:
        if name in words:
            return ("parameters", "bounds", name)
    for key, names in (("names", raw.parameters.names), ("consent", raw.parameters.consent)):
        for place, name in enumerate(names):
            if name in words:
                return ("parameters", key, place)
    return ("parameters",)


def _costs(raw: model.Target, space: SearchSpace) -> Problems:
    problems: Problems = []
    restart = "a restart; write allow: {restart: true}, or leave it out"
    if raw.workload is not None and raw.workload.kind == "StatefulSet":
        restart = "a restart, as pods of a StatefulSet are made anew; write allow: {restart: true}"
    for cost, allowed, wish in (
        ("reload", raw.allow.reload, "a reload, which allow.reload forbids"),
        ("restart", raw.allow.restart, restart),
    ):
        names = [each.name for each in space.parameters if each.cost == cost]
        if names and not allowed:
            problems.append((("parameters",), f"{', '.join(names)}: a change needs {wish}"))
    return problems


# --- environment -----------------------------------------------------------------------------------------------------


class _Wrong(Exception):
    def __init__(self, problems: Problems) -> None:
        self.problems = problems


def _environment(raw: Mapping[str, Scalar]) -> tuple[dict[str, Scalar], dict[str, Value]]:
    """Variables of the environment, and present values of parameters (keys with a dot)."""
    known = load()
    environment: dict[str, Scalar] = {}
    present: dict[str, Value] = {}
    problems: Problems = []
    for name, value in raw.items():
        try:
            if name in known.environment:
                environment[name] = variable(name, value)
            elif name in known.entries:
                present[name] = value_of(known.entries[name], value)
            else:
                raise unknown("variable", name, [*known.environment, *(known.entries if "." in name else ())])
        except Misconfigured as error:
            problems.append((("environment", name), str(error)))
    if problems:
        raise _Wrong(problems)
    return environment, present
