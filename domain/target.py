"""What is tuned, on what evidence, and within which limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from domain.profile import Profile
from domain.space import SearchSpace, Settings

Mode = Literal["observe", "recommend", "approve", "act"]
Design = Literal["duet", "interleave"]


@dataclass(frozen=True, slots=True)
class Restart:
    """How a local program is started anew. `argv` starts it, without a shell and in a session of its own. `pid_file`
    holds its pid; we write it, unless the program `writes_pid` itself. `ready` is a command that succeeds once the
    program serves, or one `http://` address that answers with 2xx (empty: it is ready when it runs). A stop and a start
    may take `seconds` each. What it prints goes to `log` (empty: nowhere)."""

    argv: tuple[str, ...]
    pid_file: str
    ready: tuple[str, ...] = ()
    seconds: float = 20.0
    writes_pid: bool = False
    log: str = ""


OptIn = Literal["single-replica", "init-containers"]


@dataclass(frozen=True, slots=True)
class Branch:
    """Where a proposal is committed: a branch of a Git repository that is checked out at `repository`, in `file`."""

    repository: str
    branch: str
    file: str


@dataclass(frozen=True, slots=True)
class Workload:
    """What the arms of a run are cloned from, and what carries the kept settings: a workload of a Kubernetes cluster.

    `container` is tuned (empty: the only one); the labels that `service` selects are the arms' too; `config_map` and
    `key` hold the program's settings where they are a file. Field managers in `take_over` lose their fields to us;
    `opt_in` allows what is refused otherwise; `propose` is where a patch is committed that we must not apply."""

    namespace: str
    name: str
    kind: Literal["Deployment", "StatefulSet"] = "Deployment"
    container: str = ""
    service: str = ""
    config_map: str = ""
    key: str = ""
    take_over: tuple[str, ...] = ()
    opt_in: tuple[OptIn, ...] = ()
    propose: Branch | None = None


@dataclass(frozen=True, slots=True)
class Arm:
    """A place that serves traffic under one configuration. `label` is the value of `$arm` in queries; `place` is what
    the actuator needs to find it (paths, addresses); `restart` is how its program is started anew, if it may be."""

    label: str
    place: Mapping[str, str] = field(default_factory=dict)
    restart: Restart | None = None


@dataclass(frozen=True, slots=True)
class Objective:
    """The number to improve: PromQL with `$arm` and `$window`. `minimise` False means that higher is better."""

    query: str
    minimise: bool = True
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A limit that no trial may break: the value of `query` must stay `op` `limit`.

    With `relative`, the limit is a multiple of the value that the original settings showed before the first trial.
    """

    name: str
    query: str
    op: Literal["<", ">"]
    limit: float
    relative: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a run may cost. `cooldown` and `seconds` in seconds; None takes the profile's number. `harm` is the
    other budget: user-weighted seconds beyond a guardrail or the headroom that the trials of one run may cause."""

    cooldown: float = 6 * 3600.0
    trials: int | None = None
    seconds: float | None = None
    harm: float = 60.0


@dataclass(frozen=True, slots=True)
class Target:
    """One service to tune. `when` are the labels of an alert that mean this target; `seeds` are known-good settings of
    the catalogue, complete over the space; `lock` names a dependency that no two runs may share; with `diagnose`, a run
    looks for the bottleneck before it searches. With a `workload`, the arms are pods that are made for each run."""

    name: str
    mode: Mode
    actuator: str
    arms: tuple[Arm, ...]
    space: SearchSpace
    objective: Objective
    profile: Profile
    guardrails: tuple[Guardrail, ...] = ()
    seeds: tuple[Settings, ...] = ()
    when: Mapping[str, str] = field(default_factory=dict)
    design: Design = "duet"
    strategy: str = "bayesian"
    allow_restart: bool = False
    limits: Limits = field(default_factory=Limits)
    lock: str = ""
    diagnose: bool = False
    workload: Workload | None = None
