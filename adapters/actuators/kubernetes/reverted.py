"""Values that a run left in a workload, and who took them back since: told once for each, and changed by nobody of
ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from adapters.actuators.kubernetes.api import Json
from adapters.actuators.kubernetes.manifest import showing, template
from adapters.actuators.kubernetes.owners import Path, env_path, projected_path, resource_path, reverted, volume_path
from adapters.actuators.kubernetes.owners import words as path_words
from adapters.actuators.kubernetes.quantity import same
from adapters.actuators.kubernetes.record import REVERTED, Before, Kept
from adapters.actuators.kubernetes.story import Story
from adapters.actuators.kubernetes.workload import Place, Sight
from domain.errors import Stale
from domain.space import Settings
from domain.target import Workload


@dataclass(frozen=True, slots=True)
class Revert:
    """A kept value that is no longer there. `name` is the field as `Kept.fields` has it, `field` its path in words,
    `who` a field manager; `now` is None where nothing stands there any more."""

    name: str
    field: str
    who: str
    was: str | None
    left: str | None
    now: str | None

    @property
    def words(self) -> str:
        verb = "reverted" if _alike(self.now, self.was) else "changed"
        return f"{self.field} was {verb} by {self.who}: kept was {_shown(self.left)}, now it is {_shown(self.now)}"


def kept_in(sight: Sight, before: Before, settings: Settings, now: float, workload: Workload, named: str) -> Kept:
    """What a run leaves in the template that was seen. `named` is the ConfigMap in it. What earlier runs left and still
    stands there is left by this one, too. A run that is taken back by hand leaves nothing of its own."""
    earlier = before.kept
    resources = _container(sight.owner, workload).get("resources") or {}
    names = [
        f"{part}.{resource}"
        for part in ("requests", "limits")
        for resource in dict.fromkeys([*before.resources.get(part, {}), *resources.get(part, {})])
    ]
    names += [f"env.{name}" for name in before.variables]
    fields: dict[str, tuple[str | None, str | None]] = {}
    if earlier is None or earlier.run != before.run:
        for name in names:
            was, left = _before(before, name), _text(sight.owner, workload, name)
            if not _alike(was, left):
                fields[name] = was, left
        if named != before.config_map:
            for volume in showing(template(sight.owner)["spec"], named):
                fields[f"volume.{volume['name']}"] = before.config_map, named
    for name, (was, left) in (earlier.fields if earlier is not None else {}).items():
        if name not in fields and _alike(_text(sight.owner, workload, name, left), left):
            fields[name] = was, left
    return Kept(before.run, now, dict(settings), fields)


def reverts(sight: Sight, workload: Workload) -> tuple[Revert, ...]:
    """The kept values that are no longer in the template; none where no run left any."""
    if sight.kept is None:
        return ()
    fields = sight.kept.fields
    paths = {name: _path(sight.owner, workload, name) for name in fields}
    now = {name: _text(sight.owner, workload, name, left) for name, (_, left) in fields.items()}
    told = reverted(
        {paths[name]: text for name, text in now.items()},
        {paths[name]: left for name, (_, left) in fields.items()},
        sight.owner["metadata"].get("managedFields") or [],
    )
    who = dict(told)
    found = [(name, path_words(path)) for name, path in paths.items()]
    return tuple(Revert(name, words, who[words], *fields[name], now[name]) for name, words in found if words in who)


class Reverts:
    """The watchdog's look at what was kept in one workload."""

    def __init__(self, place: Place, story: Story) -> None:
        self._place, self._story = place, story

    def tell(self, sight: Sight) -> str | None:
        """What was taken back since the last look, in words; None if nothing was. It is noted on the workload first, so
        that of several who look one tells it. Raises Conflict, Transient."""
        workload = self._place.workload
        found = reverts(sight, workload)
        known, now = _noted(sight.owner), {each.name: each.now for each in found}
        if now == known:
            return None

        def note(seen: Sight) -> dict[str, str | None]:
            if _noted(seen.owner) != known:
                raise Stale("another watchdog was faster")
            return {REVERTED: json.dumps(now, sort_keys=True) if now else None}

        try:
            self._place.annotate(sight, note)
        except Stale:
            return None
        fresh = [each.words for each in found if each.name not in known or known[each.name] != each.now]
        if not fresh:
            return None
        words, run = "; ".join(fresh), sight.kept.run if sight.kept is not None else ""
        self._story.tell(sight.owner, "Reverted", words, run)
        return f"{workload.kind} {workload.name}: {words}"


# --- fields by name ---------------------------------------------------------------------------------------------------


def _path(owner: Json, workload: Workload, name: str) -> Path:
    kind, _, rest = name.partition(".")
    container = str(_container(owner, workload).get("name", workload.container))
    if kind == "env":
        return env_path(container, rest)
    if kind == "volume":
        return projected_path(rest) if "projected" in _volume(owner, rest) else volume_path(rest)
    return resource_path(container, kind, rest)


def _text(owner: Json, workload: Workload, name: str, wanted: str | None = None) -> str | None:
    """What stands there now; of several ConfigMaps in one volume the wanted one, if it is among them."""
    kind, _, rest = name.partition(".")
    container = _container(owner, workload)
    if kind == "env":
        entries: list[Json] = container.get("env") or []
        entry = next((each for each in entries if each["name"] == rest), {})
        return "a reference" if "valueFrom" in entry else entry.get("value") or None
    if kind == "volume":
        volume = _volume(owner, rest)
        sources = [volume, *((volume.get("projected") or {}).get("sources") or [])]
        names = [each["configMap"]["name"] for each in sources if "configMap" in each]
        return wanted if wanted in names else ", ".join(names) or None
    text = ((container.get("resources") or {}).get(kind) or {}).get(rest)
    return None if text is None else str(text)


def _before(before: Before, name: str) -> str | None:
    kind, _, rest = name.partition(".")
    return before.variables.get(rest) if kind == "env" else (before.resources.get(kind) or {}).get(rest)


def _container(owner: Json, workload: Workload) -> Json:
    """The tuned container; empty if somebody took it away."""
    containers: list[Json] = template(owner)["spec"].get("containers") or []
    named = [each for each in containers if each["name"] == workload.container]
    return named[0] if named else containers[0] if len(containers) == 1 and not workload.container else {}


def _volume(owner: Json, name: str) -> Json:
    volumes: list[Json] = template(owner)["spec"].get("volumes") or []
    return next((each for each in volumes if each["name"] == name), {})


def _alike(one: str | None, other: str | None) -> bool:
    return one == other or (one is not None and other is not None and same(one, other))


def _shown(text: str | None) -> str:
    return "nothing" if text is None else text


def _noted(owner: Json) -> Mapping[str, str | None]:
    raw = (owner["metadata"].get("annotations") or {}).get(REVERTED, "{}")
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
