"""What Trimtab writes onto a workload's metadata, never into its template: that would roll it out.

`trimtab.dev/state` says who wrote last, with a generation for each arm, and the digests of the templates that we
left behind. `trimtab.dev/before` is the way back of an open run; `trimtab reap` needs nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from adapters.actuators.kubernetes.api import Json
from adapters.actuators.kubernetes.manifest import DOMAIN, digest
from domain.codec import from_json, to_json
from domain.errors import Misconfigured

STATE, BEFORE, KEPT, SET_ASIDE = (f"{DOMAIN}/{name}" for name in ("state", "before", "kept", "conflict"))
REVERTED = f"{DOMAIN}/reverted"  # kept values that somebody took back, as the watchdog told them
MOST_DIGESTS = 40
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class State:
    """`ours` are digests of templates that we wrote, newest last. `settings` are those written last where the template
    itself carries an arm's (a StatefulSet's): it may show a rounded text of them."""

    run: str = ""
    generations: Mapping[str, int] = field(default_factory=dict)
    ours: tuple[str, ...] = ()
    settings: Mapping[str, bool | int | float | str] = field(default_factory=dict)

    def with_digest(self, each: str) -> State:
        others = tuple(known for known in self.ours if known != each)
        return replace(self, ours=(*others, each)[-MOST_DIGESTS:])


@dataclass(frozen=True, slots=True)
class Kept:
    """Settings that a run left in the template, so that what reads a rounded text knows the exact value.

    `fields` are the texts that were changed for them, as they were and as they were left (None: there was none), by
    `requests.cpu`, `limits.memory`, `env.NAME`, and `volume.NAME` for the ConfigMap that a volume shows."""

    run: str
    at: float
    settings: Mapping[str, bool | int | float | str]
    fields: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Before:
    """The way back: what the run may touch, as it was. `resources` are those of the tuned container, `variables` the
    values of its environment by name (None: there was none), `config_map` the one that the template names and
    `config_digest` that of its content. Arms stand in for `replaced` replicas, with `left` of them beside the arms;
    they end by themselves some time after `until`. `reaped` says that the watchdog restores it, `back` that it is done.
    Times are Unix seconds.

    `autoscalers` holds the metrics of each HPA that was moved: as they were, and as we wrote them. `kept` is what an
    earlier run had left.
    Of a StatefulSet, `strategy` and `partition` say how its pods were updated, `ordinal` which of them is the arm."""

    run: str
    deadline: float
    original: str  # digest of the template
    resources: Mapping[str, Mapping[str, str]]
    variables: Mapping[str, str | None]
    config_map: str
    config_digest: str
    replaced: int = 0
    left: int = 0
    until: float = 0.0
    reaped: bool = False
    back: bool = False
    strategy: str = ""
    partition: int = 0
    ordinal: int = -1
    autoscalers: Mapping[str, Any] = field(default_factory=dict)
    kept: Kept | None = None


def state_of(owner: Json) -> State:
    """Raises Misconfigured if somebody wrote something else there."""
    return _read(State, owner, STATE) or State()


def before_of(owner: Json) -> Before | None:
    return _read(Before, owner, BEFORE)


def kept_of(owner: Json) -> Kept | None:
    return _read(Kept, owner, KEPT)


def text(value: State | Before | Kept) -> str:
    return json.dumps(to_json(value), separators=(",", ":"), sort_keys=True)


def fingerprint(owner: Json) -> str:
    """Of what a foreign hand would change: the template, and how it is rolled out. Replicas are not in it: autoscalers
    change them all the time, and people may. The template's
    creationTimestamp is an artefact of its encoding."""
    spec = owner["spec"]
    template = {**spec["template"], "metadata": {**(spec["template"].get("metadata") or {}), "creationTimestamp": None}}
    return digest([template, spec.get("updateStrategy")])


def _read(kind: type[T], owner: Json, name: str) -> T | None:
    raw = (owner["metadata"].get("annotations") or {}).get(name)
    if raw is None:
        return None
    try:
        return from_json(kind, json.loads(raw))
    except ValueError as error:
        where = f"{owner.get('kind', 'workload')} {owner['metadata']['name']}"
        raise Misconfigured(f"annotation {name} of {where} is not ours: {error}; remove it") from error
