"""The fields of `trimtab.yaml`. docs/policy.schema.json is made from these classes."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema

from adapters.promql import split_limit
from domain.target import Design, Mode, OptIn

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+"


def seconds(raw: object) -> object:
    """`6h`, `1h30m`, `90s`, `500ms` in seconds. Raises ValueError for anything else but 0."""
    if raw == 0 and not isinstance(raw, bool):
        return 0.0
    if not isinstance(raw, str) or not re.fullmatch(_DURATION, raw):
        raise ValueError(f"{raw!r} is no duration; write a number with its unit, such as 6h, 90s or 500ms")
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9.]+)(ms|s|m|h|d)", raw))


def _freeze(raw: object) -> object:
    ends = raw.split("/") if isinstance(raw, str) else []
    try:
        times = [datetime.datetime.fromisoformat(end.strip()) for end in ends]
    except ValueError:
        times = []
    if len(times) != 2 or any(time.tzinfo is None for time in times):
        raise ValueError(
            f"{raw!r} is no interval; write two times with their zone, 2026-12-24T00:00Z/2027-01-02T00:00Z"
        )
    start, end = (time.timestamp() for time in times)
    if start >= end:
        raise ValueError(f"{raw!r} ends before it begins; swap the times")
    return [start, end]


Duration = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema({"type": ["string", "number"], "pattern": f"^{_DURATION}$", "examples": ["6h", "90s", "500ms"]}),
]
Freeze = Annotated[
    list[float],
    BeforeValidator(_freeze),
    WithJsonSchema({"type": "string", "examples": ["2026-12-24T00:00Z/2027-01-02T00:00Z"]}),
]
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
Scalar = bool | int | float | str


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Prometheus(_Model):
    url: str = Field(description="Base address of Prometheus' HTTP API", pattern=r"^https?://[^\s/]+", max_length=500)
    headers: dict[str, str] = Field(default={}, description="Sent with every query, e.g. X-Scope-OrgID")


class Redis(_Model):
    url: str = Field(
        default="redis://127.0.0.1:6379/0", description="Ledger and queue", pattern=r"^(?:rediss?|unix)://\S+$"
    )
    prefix: str = Field(default="trimtab:", description="Of every key", pattern=r"^\S{1,64}$")


class Server(_Model):
    bind: str = Field(default="127.0.0.1:8080", description="host:port of the HTTP interface", pattern=r"^\S*:[0-9]+$")
    tokens_file: str = Field(
        default="", description="One bearer token a line, at least 16 characters; without it nothing can be changed"
    )


class Limits(_Model):
    open_runs: int = Field(default=1, ge=1, description="Open runs at a time, over all targets")
    cooldown: Duration = Field(default=6 * 3600.0, description="No new run of a target so soon after one")
    trials: int | None = Field(default=None, ge=1, description="Most trials of a run; default: the profile's")
    time: Duration | None = Field(
        default=None, description="No trial starts later than this after the run opened; default: the profile's"
    )
    harm: Duration = Field(default=60.0, description="Seconds a run may spend under a broken guardrail")
    freeze: list[Freeze] = Field(default=[], description="No run opens within these intervals: ISO 8601 from/to")


class Watch(_Model):
    enabled: bool = Field(default=False, description="Let the watcher raise signals of its own")
    interval: Duration = Field(default=15.0, description="Between two looks at the objective")
    detector: str = Field(default="threshold", description="How a regression is recognised")
    baseline: Duration = Field(default=1800.0, description="Length of the healthy past that is compared with")
    hold: Duration = Field(default=120.0, description="A regression must last this long")
    min_effect: float = Field(default=0.1, gt=0, le=10, description="Least relative worsening: 0.1 is 10 %")


class Actuator(_Model):
    kind: str = Field(description="What writes the settings")
    version: str = Field(default="", description="Version of the tuned program, in quotes", pattern=r"^[0-9.]*$")


class Restart(_Model):
    """How the arm's program is started anew; no shell is between."""

    argv: list[str] = Field(min_length=1, description="The command that starts it, one word each")
    pid_file: str = Field(min_length=1, description="Holds its pid; Trimtab writes it unless writes_pid")
    ready: list[str] = Field(
        default=[], description="A command that succeeds once it serves, or one http:// address that answers with 2xx"
    )
    seconds: Duration = Field(default=20.0, gt=0, le=25, description="That a stop and a start may take, each")
    writes_pid: bool = Field(default=False, description="The program writes its pid file itself")
    log: str = Field(default="", description="What it prints is appended to this file")

    @field_validator("argv", mode="before")
    @classmethod
    def _words(cls, raw: Any) -> Any:
        if isinstance(raw, str):
            raise ValueError(
                f'{raw!r} is one text; write a list of words, ["/usr/bin/java", "-jar", ...]: no shell runs'
            )
        return raw

    @field_validator("ready", mode="before")
    @classmethod
    def _address(cls, raw: Any) -> Any:
        if isinstance(raw, str):
            if not raw.startswith("http://"):
                raise ValueError(f"{raw!r} is neither an http:// address nor a list of words")
            return [raw]
        return raw


class Arm(BaseModel):
    """A place that serves traffic; further keys are what the actuator needs (paths, addresses)."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, str]
    label: Label = Field(description="The value of $arm in queries")
    restart: Restart | None = Field(default=None, description="How its program is started anew; needs allow.restart")


class Bounds(_Model):
    """Narrower bounds: `[low, high]`, `{low: ..., high: ...}` or `{values: [...]}`."""

    low: Scalar | None = None
    high: Scalar | None = None
    values: list[Scalar] = Field(default=[], min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, raw: Any) -> Any:
        if isinstance(raw, list):
            if len(raw) != 2:
                raise ValueError(f"{raw} must be [low, high]; for a choice of values write values: [...]")
            return {"low": raw[0], "high": raw[1]}
        return raw

    @model_validator(mode="after")
    def _one_kind(self) -> Bounds:
        if bool(self.values) == (self.low is not None or self.high is not None):
            raise ValueError("give either low and high, or values")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        pair = {"type": "array", "items": {"type": ["number", "string"]}, "minItems": 2, "maxItems": 2}
        return {"anyOf": [pair, handler(core)]}


class Parameters(_Model):
    preset: str = Field(default="", description="A named selection of the catalogue")
    names: list[str] = Field(default=[], description="Parameters of the catalogue; naming one is consent to search it")
    consent: list[str] = Field(default=[], description="Parameters of the preset that are searched only with consent")
    bounds: dict[str, Bounds] = Field(default={}, description="Narrower bounds than the catalogue's")


class Objective(_Model):
    minimise: str = Field(default="", description="PromQL with $arm and $window; lower is better")
    maximise: str = Field(default="", description="PromQL with $arm and $window; higher is better")
    unit: str = Field(default="", description="For display")

    @model_validator(mode="after")
    def _one_direction(self) -> Objective:
        if bool(self.minimise) == bool(self.maximise):
            raise ValueError("give either minimise or maximise, with a PromQL query")
        return self


class Guardrail(_Model):
    """A limit that no trial may break: `PromQL < 0.01`, or an object."""

    name: str = Field(default="", description="Shown when it trips", max_length=64)
    query: str = Field(description="PromQL with $arm and $window")
    below: float | None = Field(default=None, description="The value must stay below this")
    above: float | None = Field(default=None, description="The value must stay above this")
    times_original: float | None = Field(
        default=None, gt=0, description="The value must stay below this multiple of what the original settings show"
    )
    least_times_original: float | None = Field(
        default=None, gt=0, description="The value must stay above this multiple of what the original settings show"
    )

    @model_validator(mode="before")
    @classmethod
    def _text(cls, raw: Any) -> Any:
        if not isinstance(raw, str):
            return raw
        split = split_limit(raw)
        if split is None or split[1] not in ("<", ">"):
            raise ValueError("a guardrail must end in a comparison with a number, such as < 0.01 or > 100")
        return {"query": split[0], "below" if split[1] == "<" else "above": split[2]}

    @model_validator(mode="after")
    def _one_limit(self) -> Guardrail:
        limits = (self.below, self.above, self.times_original, self.least_times_original)
        if sum(each is not None for each in limits) != 1:
            raise ValueError("give exactly one of below, above, times_original, least_times_original")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "pattern": "[<>]"}, handler(core)]}


class Measure(_Model):
    design: Design = Field(default="duet", description="Two arms at once, swapped; or one arm in turns")
    profile: str = Field(default="production", description="The constants of measuring")
    warm_up: Duration | None = Field(
        default=None, description="Before a candidate's first window and after each restart; default: the profile's"
    )


class Allow(_Model):
    reload: bool = Field(default=True, description="Changes may reload the program")
    restart: bool = Field(default=False, description="Changes may restart the program")


_DNS = r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"
Name = Annotated[str, Field(pattern=_DNS)]


class Branch(_Model):
    """Where a proposal is committed that Trimtab must not apply itself."""

    repository: str = Field(min_length=1, description="Path of a Git repository that is checked out here")
    branch: str = Field(min_length=1, description="Branch that the commit goes to; made if it is not there")
    file: str = Field(min_length=1, description="Path of the patch inside the repository")


class Workload(_Model):
    """The workload of a Kubernetes cluster that is tuned; the arms are pods made from its template for each run."""

    namespace: Name
    name: Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$")]
    kind: Literal["Deployment", "StatefulSet"] = "Deployment"
    container: str = Field(default="", description="The container that is tuned; default: the only one")
    service: str = Field(default="", description="The Service whose traffic the arms shall get")
    config_map: str = Field(default="", description="The ConfigMap with the program's settings, for nginx")
    key: str = Field(default="", description="The key of config_map that Trimtab may own")
    take_over: list[str] = Field(
        default=[], description="Field managers that act once and are overruled, e.g. kubectl-client-side-apply"
    )
    opt_in: list[OptIn] = Field(default=[], description="What is refused otherwise: single-replica, init-containers")
    propose: Branch | None = Field(default=None, description="Where patches are committed that must not be applied")


class Target(_Model):
    name: str = Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$", description="Lower-case letters, digits, -")
    mode: Mode | None = Field(default=None, description="Overrides the mode of the file")
    when: dict[str, str] = Field(default={}, description="Labels of an alert that mean this target")
    actuator: Actuator
    arms: list[Arm] = Field(default=[], max_length=20, description="With a workload they are made: leave them out")
    workload: Workload | None = None
    parameters: Parameters
    environment: dict[str, Scalar] = Field(
        default={},
        description="What the target has (mem, cpu, conns ...; sizes may be written 4GB), and values of parameters "
        "that are not searched, by their id",
    )
    objective: Objective
    guardrails: list[Guardrail] = []
    measure: Measure = Measure()
    allow: Allow = Allow()
    strategy: str = Field(default="bayesian", description="What proposes the next trial")
    diagnose: bool = Field(default=True, description="Look for the bottleneck before anything is searched")
    lock: str = Field(default="", description="Name of a dependency that no two open runs may share", max_length=64)


class PolicyFile(_Model):
    """Everything that Trimtab may do, and to what."""

    mode: Mode = Field(default="observe", description="observe | recommend | approve | act; per target too")
    prometheus: Prometheus
    redis: Redis = Redis()
    reports: str = Field(default="./reports", description="Directory of report pages, relative to this file")
    server: Server = Server()
    limits: Limits = Limits()
    watch: Watch = Watch()
    targets: list[Target] = Field(min_length=1)
