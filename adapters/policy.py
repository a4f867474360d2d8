"""`trimtab.yaml`: read, checked as a whole, and turned into targets. Every problem of a file is told at once."""

from __future__ import annotations

import difflib
import json
import os
import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from adapters import policy_model as model
from adapters import strict_yaml
from adapters.policy_targets import Problems, resolve
from domain.errors import Misconfigured
from domain.target import Target

_MOST = 1_000_000  # bytes of a policy file
REDIS_URL = "TRIMTAB_REDIS_URL"  # counts before redis.url: an address with a password belongs into a Secret
_SECRET = ("prometheus", "redis", "server")  # sections whose values never appear in a message


@dataclass(frozen=True, slots=True)
class Server:
    """`bind` is host:port; `tokens` are the bearer tokens that may change something."""

    bind: str
    tokens: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits over all targets, in seconds; `trials` and `seconds` None take the profile's. `freeze` holds intervals
    (from, to) in Unix seconds in which no run opens."""

    open_runs: int
    cooldown: float
    trials: int | None
    seconds: float | None
    harm: float
    freeze: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Watch:
    """The watcher: seconds, and the least relative worsening that counts."""

    enabled: bool
    interval: float
    detector: str
    baseline: float
    hold: float
    min_effect: float


@dataclass(frozen=True, slots=True)
class Policy:
    """A checked policy file. `reports` and paths of secrets are resolved against the file's directory."""

    mode: str
    targets: tuple[Target, ...]
    prometheus_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    redis_prefix: str
    server: Server
    limits: Limits
    watch: Watch
    reports: Path
    prometheus_headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def load_policy(path: Path) -> Policy:
    """Read and check a policy file. Raises Misconfigured with one line for each problem: file, line, path in the file,
    what was seen and what is allowed. Values of secrets are never shown."""
    try:
        if os.path.getsize(path) > _MOST:
            raise Misconfigured(f"{path}: larger than {_MOST} bytes; a policy is a small file")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
        raise Misconfigured(
            f"{path}: cannot be read: {reason}; give the file with --policy or TRIMTAB_POLICY"
        ) from None
    return parse_policy(text, path)


def parse_policy(text: str, path: Path) -> Policy:
    """The same for a text; `path` is for messages and relative paths."""
    try:
        document = strict_yaml.read(text)
    except Misconfigured as error:
        raise Misconfigured(f"{path}: {redact(str(error))}") from None
    if not isinstance(document.data, dict):
        keys = ", ".join(model.PolicyFile.model_fields)
        raise Misconfigured(f"{path}: is no mapping; a policy begins with keys such as {keys}")
    problems: Problems = list(document.problems)
    broken = {place for place, _ in problems}
    targets: tuple[Target, ...] = ()
    tokens: tuple[str, ...] = ()
    content: model.PolicyFile | None = None
    try:
        content = model.PolicyFile.model_validate(document.data)
    except ValidationError as error:
        for each in error.errors(include_url=False):
            place = _place(each["loc"], document.lines)
            if place not in broken:
                problems.append((place, _explain(each)))
    if content is not None:
        targets, more = resolve(content)
        problems += more
        tokens, more = _tokens(content.server.tokens_file, path)
        problems += more
    if problems or content is None:
        raise Misconfigured("\n".join(_lines(problems, document.lines, path)))
    return _policy(content, targets, tokens, path)


def schema() -> dict[str, Any]:
    """The JSON Schema of a policy file, for editors and checks."""
    made = model.PolicyFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "trimtab.yaml", **_untitled(made)}


def redact(text: str) -> str:
    """The text without user names and passwords in addresses."""
    return re.sub(r"://[^/\s'\"]*@", "://***@", text)


# --- details ---------------------------------------------------------------------------------------------------------


def _policy(content: model.PolicyFile, targets: tuple[Target, ...], tokens: tuple[str, ...], path: Path) -> Policy:
    limits, watch = content.limits, content.watch
    redis_url = os.environ.get(REDIS_URL) or content.redis.url
    if not re.match(r"(?:rediss?|unix)://\S", redis_url):
        raise Misconfigured(f"{REDIS_URL} is no address of Redis; write redis://, rediss:// or unix://...")
    return Policy(
        mode=content.mode,
        targets=targets,
        prometheus_url=content.prometheus.url.rstrip("/"),
        redis_url=redis_url,
        redis_prefix=content.redis.prefix,
        server=Server(content.server.bind, tokens),
        limits=Limits(
            open_runs=limits.open_runs,
            cooldown=limits.cooldown,
            trials=limits.trials,
            seconds=limits.time,
            harm=limits.harm,
            freeze=tuple((start, end) for start, end in limits.freeze),
        ),
        watch=Watch(watch.enabled, watch.interval, watch.detector, watch.baseline, watch.hold, watch.min_effect),
        reports=(path.parent / content.reports).resolve(),
        prometheus_headers=dict(content.prometheus.headers),
    )


def _tokens(name: str, policy: Path) -> tuple[tuple[str, ...], Problems]:
    if not name:
        return (), []
    place = ("server", "tokens_file")
    try:
        text = (policy.parent / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
        return (), [(place, f"{name!r} cannot be read: {reason}; make it with one token a line")]
    tokens = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not tokens:
        return (), [(place, f"{name!r} holds no token; write one a line, at least 16 characters each")]
    short = [number for number, token in enumerate(tokens, 1) if len(token) < 16 or not token.isprintable()]
    if short:
        return (), [(place, f"{name!r}: token {short[0]} is shorter than 16 characters; use e.g. openssl rand -hex 24")]
    return tuple(tokens), []


def _lines(problems: Problems, lines: Mapping[strict_yaml.Path, int], path: Path) -> Iterable[str]:
    placed = []
    for place, text in problems:
        known = place
        while known and known not in lines:
            known = known[:-1]
        line = lines.get(known, 1)
        placed += [(line, f"{path}:{line}: {strict_yaml.where(place)}: {redact(each)}") for each in text.split("\n")]
    return dict.fromkeys(text for _, text in sorted(placed, key=lambda each: each[0]))


def _place(loc: tuple[int | str, ...], lines: Mapping[strict_yaml.Path, int]) -> strict_yaml.Path:
    """Where a validation error stands in the file: pydantic adds names of union members, which are dropped."""
    place: strict_yaml.Path = ()
    for index, part in enumerate(loc):
        if (*place, part) in lines:
            place = (*place, part)
        elif index == len(loc) - 1 and part not in ("bool", "int", "float", "str"):
            place = (*place, part)  # a missing key
    return place


def _explain(error: ErrorDetails) -> str:
    kind, context, loc = error["type"], error.get("ctx", {}), error["loc"]
    if kind == "missing":
        return "is missing; it must be given"
    if kind == "extra_forbidden":
        allowed = sorted(_fields(loc[:-1]))
        near = difflib.get_close_matches(str(loc[-1]), allowed, 1)
        return f"unknown key{f'; did you mean {near[0]!r}?' if near else ''}; allowed: {', '.join(allowed)}"
    message = str(context["error"]) if kind == "value_error" else error["msg"]
    if loc and loc[0] in _SECRET:
        return message if kind != "value_error" else "the value is not allowed here"
    seen = error["input"]
    shown = repr(seen) if isinstance(seen, (str, int, float, bool)) or seen is None else type(seen).__name__
    return message if shown in message else f"{message}; found {shown[:120]}"


def _fields(loc: tuple[int | str, ...]) -> tuple[str, ...]:
    """The keys that are allowed at a place of the file."""
    current: type[BaseModel] = model.PolicyFile
    for part in loc:
        if isinstance(part, str) and part in current.model_fields:
            current = _model_of(current.model_fields[part].annotation) or current
    return tuple(current.model_fields)


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    return next((found for each in typing.get_args(annotation) if (found := _model_of(each))), None)


def _untitled(node: Any) -> Any:
    """Without the titles that repeat every field's name."""
    if isinstance(node, dict):
        return {key: _untitled(each) for key, each in node.items() if not (key == "title" and isinstance(each, str))}
    return [_untitled(each) for each in node] if isinstance(node, list) else node


if __name__ == "__main__":  # python -m adapters.policy > docs/policy.schema.json
    print(json.dumps(schema(), indent=1, sort_keys=True))
