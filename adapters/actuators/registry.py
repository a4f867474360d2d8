"""Kinds of actuators by name: the one place that a new one is entered.

A kind is a program (`nginx`, `postgresql`, `docker`), or a runtime that is started with variables (`jvm`, `go`, `node`,
`python`), or `container`, the control group around one; `container+jvm` is both in one space. `kubernetes` is a
container's resources in a cluster, `kubernetes+jvm` with the runtime in it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from adapters.actuators.joint import JointArm
from adapters.actuators.layers import golang, jvm, nodejs, python
from adapters.actuators.layers.cgroup import Group, begins_in
from adapters.actuators.layers.cgroup_limits import GroupLimits
from adapters.actuators.layers.container import Container
from adapters.actuators.layers.libc import Libc
from adapters.actuators.process import Layer, ProcessArm
from adapters.actuators.service import Service
from adapters.catalogue import parameter as catalogue_entry
from domain.errors import Misconfigured, TrimtabError
from domain.ports import Actuator, Stage
from domain.space import Parameter, SearchSpace
from domain.target import Arm, Target

if TYPE_CHECKING:
    from adapters.actuators.kubernetes.arm import PodArm
    from adapters.actuators.kubernetes.ordinal import OrdinalArm
    from adapters.actuators.kubernetes.ordinals import StatefulPlace
    from adapters.actuators.kubernetes.shape import Shape
    from adapters.actuators.kubernetes.workload import Place


class LocalArm(Actuator, Protocol):
    """An actuator on this machine, which the watchdog can restore."""

    def reap(self, now: float) -> str | None: ...


@dataclass(frozen=True, slots=True)
class _Program:
    """An actuator of its own, loaded when it is needed: `extra` names what has to be installed for it."""

    family: str
    module: str
    name: str
    extra: str = ""

    def make(self, arm: Arm, space: SearchSpace) -> LocalArm:
        try:
            module = importlib.import_module(self.module)
        except ImportError as error:
            raise Misconfigured(f"{error}; install it: pip install 'trimtab[{self.extra}]'") from error
        made: LocalArm = getattr(module, self.name)(arm, space)
        return made


_PROGRAMS = {
    "nginx": _Program("nginx", "adapters.actuators.nginx", "NginxArm", "nginx"),
    "postgresql": _Program("postgresql", "adapters.actuators.postgresql", "PostgresArm", "postgres"),
    "docker": _Program("docker", "adapters.actuators.docker_engine", "DockerArm", "docker"),
}
_LAYERS: Mapping[str, Callable[[Arm, SearchSpace], Layer]] = {  # by family
    "jvm": jvm.Jvm,
    "go": golang.Golang,
    "node": nodejs.Nodejs,
    "python": python.Python,
    "libc": Libc,
}
_RUNTIMES: Mapping[str, tuple[tuple[str, ...], frozenset[str]]] = {  # kind → families, limits read at the start only
    "jvm": (("jvm", "libc"), jvm.READS_AT_START),
    "go": (("go",), golang.READS_AT_START),
    "node": (("node", "libc"), nodejs.READS_AT_START),
    "python": (("python", "libc"), python.READS_AT_START),
}
_CONTAINER, _CLUSTER = "container", "kubernetes"
_STATEFUL = "StatefulSet"
_FILE = "nginx"  # the program whose settings are a file, in a cluster too
_IN_A_POD: Mapping[str, str] = {  # limits that a runtime reads at its start, by their names in a cluster
    "docker.cpus": "k8s.cpu_limit",
    "docker.memory": "k8s.memory_limit",
}
_PODS = (_CLUSTER, *(f"{_CLUSTER}+{inside}" for inside in (*_RUNTIMES, _FILE)))
_JOINT = tuple(f"{_CONTAINER}+{inside}" for inside in (*_RUNTIMES, "nginx", "postgresql"))
KINDS = tuple(sorted((*_PROGRAMS, *_RUNTIMES, _CONTAINER, *_JOINT, *_PODS)))


def families(kind: str) -> tuple[str, ...]:
    """The families of parameters that a kind writes. Raises Misconfigured naming the known kinds."""
    _known(kind)
    found: list[str] = []
    for part in kind.split("+"):
        if part in (_CONTAINER, _CLUSTER):
            found.append("docker" if part == _CONTAINER else "kubernetes")
        else:
            found += [_PROGRAMS[part].family] if part in _PROGRAMS else _RUNTIMES[part][0]
    return tuple(found)


def restarting(kind: str, parameters: Sequence[Parameter], workload: str = "") -> tuple[Parameter, ...]:
    """The parameters, with the cost that they have under this kind: a limit that the runtime inside looks at only when
    it starts needs a restart, whatever the kernel would do at once. So does everything where `workload`, the kind of a
    workload in a cluster, is a StatefulSet: its pods are made anew from its template."""
    if workload == _STATEFUL:
        return tuple(replace(each, cost="restart") for each in parameters)
    read = frozenset().union(*(_RUNTIMES[part][1] for part in kind.split("+") if part in _RUNTIMES))
    read |= {_IN_A_POD[name] for name in read if name in _IN_A_POD}
    return tuple(replace(each, cost="restart") if each.name in read else each for each in parameters)


def actuator(kind: str, arm: Arm, space: SearchSpace) -> LocalArm:
    """The actuator of one arm. Raises Misconfigured for an unknown kind, a parameter that it does not write, and what
    is missing in the arm's `place`."""
    written = families(kind)
    for each in space.parameters:
        if catalogue_entry(each.name).family not in written:
            raise Misconfigured(f"{each.name} cannot be written by actuator {kind!r}; it writes {', '.join(written)}")
    inner = next((part for part in kind.split("+") if part in _PROGRAMS), "")
    if not inner:
        return _process(kind, arm, space)
    program = _PROGRAMS[inner]
    if inner == kind:
        return program.make(arm, space)
    around, inside = _of(space, ("docker",)), _of(space, (program.family,))
    return JointArm(_process(_CONTAINER, replace(arm, restart=None), around), around, program.make(arm, inside), inside)


def actuators_for(target: Target) -> dict[str, Actuator]:
    """An actuator per arm, by label. Raises Misconfigured naming the target, and the known kinds."""
    try:
        if target.workload is not None:
            return dict(_pod_arms(target))
        return {arm.label: actuator(target.actuator, arm, target.space) for arm in target.arms}
    except Misconfigured as error:
        raise Misconfigured(f"target {target.name}: {error}") from None


def stage(target: Target) -> Stage | None:
    """Where the arms of a target are made, if they are."""
    if target.workload is None:
        return None
    place, shape = _place(target)
    if target.workload.kind == _STATEFUL:
        from adapters.actuators.kubernetes.stateful import StatefulStage

        set_place = _set_place(place)
        return StatefulStage(set_place, shape, _ordinal(target, set_place, shape))
    from adapters.actuators.kubernetes.stage import Cluster

    return Cluster(place, shape, _cloned(target, place, shape))


def reap(target: Target, now: float, *, force: bool = False) -> list[str]:
    """One look of the watchdog at every arm of a target: what it did or could not do, in words. `force` takes the way
    back of a workload before its deadline, too."""
    told = []
    if target.workload is not None:
        first = next(iter(_pod_arms(target).values()))
        message = first.reap(now, force=force)  # they have one workload
        return [f"{target.name}: {message}"] if message is not None else []
    for arm in target.arms:
        try:
            message = actuator(target.actuator, arm, target.space).reap(now)
        except TrimtabError as error:
            message = f"arm {arm.label} could not be looked at: {error}"
        if message is not None:
            told.append(f"{target.name}: {message}")
    return told


def reverted(target: Target) -> tuple[str, ...]:
    """Values that runs left in a target's workload and somebody took back since, in words. Raises Transient,
    Misconfigured."""
    if target.workload is None:
        return ()
    from adapters.actuators.kubernetes.reverted import reverts

    place, _ = _place(target)
    return tuple(each.words for each in reverts(place.look(), target.workload))


def _pod_arms(target: Target) -> dict[str, PodArm]:
    """The arms of a workload, by label."""
    place, shape = _place(target)
    if place.workload.kind == _STATEFUL:
        arm = _ordinal(target, _set_place(place), shape)
        return {arm.label: arm}
    return _cloned(target, place, shape)


def _cloned(target: Target, place: Place, shape: Shape) -> dict[str, PodArm]:
    """The arms of a Deployment."""
    from adapters.actuators.kubernetes.arm import PodArm

    labels = tuple(arm.label for arm in target.arms)
    return {label: PodArm(place, shape, label, labels) for label in labels}


def _ordinal(target: Target, place: StatefulPlace, shape: Shape) -> OrdinalArm:
    """The one arm of a StatefulSet."""
    from adapters.actuators.kubernetes.ordinal import OrdinalArm

    labels = tuple(arm.label for arm in target.arms)
    if len(labels) != 1:
        raise Misconfigured(f"measure.design: a StatefulSet has one arm, not {len(labels)}; write interleave")
    return OrdinalArm(place, shape, labels[0], labels)


def _set_place(place: Place) -> StatefulPlace:
    from adapters.actuators.kubernetes.ordinals import StatefulPlace

    return StatefulPlace(place.api, place.workload)


def _place(target: Target) -> tuple[Place, Shape]:
    from adapters.actuators.kubernetes.api import connect
    from adapters.actuators.kubernetes.shape import Shape
    from adapters.actuators.kubernetes.workload import Place

    if target.workload is None:
        raise Misconfigured(f"target {target.name} has no workload")
    arm = Arm("pod", {"pid": "-"})  # nothing of this machine
    layers = {
        family: _LAYERS[family](arm, inside)
        for family in families(target.actuator)
        if family in _LAYERS and (inside := _of(target.space, (family,))).parameters
    }
    shape = Shape(target.workload, target.space, layers, _of(target.space, (_FILE,)))
    return Place(connect(), target.workload), shape


def _known(kind: str) -> None:
    if kind not in KINDS:
        raise Misconfigured(f"actuator {kind!r} is unknown; known: {', '.join(KINDS)}")


def _process(kind: str, arm: Arm, space: SearchSpace) -> ProcessArm:
    layers: list[Layer] = []
    parts = kind.split("+")
    if _CONTAINER in parts:
        read = frozenset().union(*(_RUNTIMES[part][1] for part in parts if part in _RUNTIMES))
        limits = GroupLimits(Group(arm.place))
        layers.append(Container(limits, _of(space, ("docker",)), arm.place.get("env", ""), read))
    for family in families(kind):
        inside = _of(space, (family,))
        if family in _LAYERS and inside.parameters:
            layers.append(_LAYERS[family](arm, inside))
    service = Service(arm.restart, cgroups=begins_in(arm.place)) if arm.restart is not None else None
    return ProcessArm(arm, space, layers, service)


def _of(space: SearchSpace, wanted: Sequence[str]) -> SearchSpace:
    """The part of a space that is of these families."""
    return SearchSpace(tuple(each for each in space.parameters if catalogue_entry(each.name).family in wanted))
