"""What only the whole set of files shows: two owners of one thing, sums that do not fit, orders that are turned round.

Files that are looked at together count as one system: the pool of one file uses the database of another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from linting import containers, nginx, quantity
from linting import rules_cluster as rules
from linting.facts import Facts
from linting.finding import NOTE, Finding
from linting.kubernetes import POD_KINDS
from linting.parts import Hosts, Manifest, Nginx, Part, Postgresql, Setting, Tree
from linting.python_service import Pool

_RESERVED = 3  # connections that PostgreSQL keeps for superusers
_DEFAULT_READ_TIMEOUT = 60.0  # seconds, of proxy_read_timeout
_SERVER_FILES = frozenset({"nginx.conf", "postgresql.conf"})


def check(parts: Sequence[Part], pools: Sequence[Pool], facts: Facts) -> Iterator[Finding]:
    """The conflicts between the parts of all files."""
    manifests = [part for part in parts if isinstance(part, Manifest)]
    autoscalers = [each for each in manifests if each.kind == "HorizontalPodAutoscaler"]
    yield from _two_owners(manifests, autoscalers)
    yield from _surge(manifests, autoscalers)
    yield from _replicas(manifests, autoscalers)
    yield from _unmounted(manifests)
    yield from _connections(parts, pools, autoscalers, facts)
    yield from _timeouts(parts, pools)


def hosts(parts: Iterable[Part]) -> frozenset[str]:
    """The host names that the files define: services of a cluster and of compose files, upstreams of nginx."""
    names: set[str] = set()
    for part in parts:
        if isinstance(part, Hosts):
            names |= part.names
        elif isinstance(part, Manifest) and part.kind == "Service":
            names.add(part.name)
        elif isinstance(part, Nginx):
            names.update(each.args[0] for each in nginx.find(part, "upstream") if each.args)
    return frozenset(names)


def _target(manifest: Manifest, key: str) -> tuple[str, str, str]:
    """Namespace, kind and name of the object that an autoscaler works on."""
    reference = manifest.tree.at("spec", key)
    return manifest.namespace, reference.at("kind").text, reference.at("name").text


def _identity(manifest: Manifest) -> tuple[str, str, str]:
    return manifest.namespace, manifest.kind, manifest.name


def _two_owners(manifests: Sequence[Manifest], autoscalers: Sequence[Manifest]) -> Iterator[Finding]:
    for vpa in manifests:
        if vpa.kind != "VerticalPodAutoscaler":
            continue
        mode = vpa.tree.at("spec", "updatePolicy", "updateMode")
        if mode.text == "Off":
            continue
        for hpa in autoscalers:
            if _target(hpa, "scaleTargetRef") != _target(vpa, "targetRef"):
                continue
            shared = sorted(_measured(hpa) & _controlled(vpa))
            if shared:
                place = mode.place if mode else vpa.tree.at("spec").place
                what = " and ".join(shared)
                seen = f"{hpa.name} and {vpa.name} both act on {what} of {_target(vpa, 'targetRef')[2]}"
                yield rules.HPA_VPA.at(place, seen)


def _measured(hpa: Manifest) -> set[str]:
    metrics = list(hpa.tree.at("spec", "metrics").each())
    return {each.at(key, "name").text for each in metrics for key in ("resource", "containerResource")} - {""} or (
        {"cpu"} if not metrics else set()
    )


def _controlled(vpa: Manifest) -> set[str]:
    found: set[str] = set()
    policies = list(vpa.tree.at("spec", "resourcePolicy", "containerPolicies").each())
    for policy in policies:
        if policy.at("mode").text != "Off":
            listed = policy.at("controlledResources")
            found |= {each.text for each in listed.each()} if listed else {"cpu", "memory"}
    return found if policies else {"cpu", "memory"}


def _surge(manifests: Sequence[Manifest], autoscalers: Sequence[Manifest]) -> Iterator[Finding]:
    for quota in manifests:
        if quota.kind != "ResourceQuota":
            continue
        hard = quota.tree.at("spec", "hard", "pods")
        pods = quantity.kubernetes(hard.text)
        owned = [each for each in autoscalers if each.namespace == quota.namespace]
        most = sum(each.tree.at("spec", "maxReplicas").number or 0 for each in owned)
        if pods is not None and owned and pods < most + 1 and not all(_stays_below(each, manifests) for each in owned):
            names = ", ".join(each.name for each in owned)
            yield rules.SURGE.at(hard.place, f"pods {hard.text}, and maxReplicas {most:g} ({names})")


def _stays_below(hpa: Manifest, manifests: Sequence[Manifest]) -> bool:
    """Whether updates of the autoscaled object need no extra pod."""
    for each in manifests:
        if _identity(each) == _target(hpa, "scaleTargetRef"):
            strategy = each.tree.at("spec", "strategy")
            surge = strategy.at("rollingUpdate", "maxSurge").text
            return strategy.at("type").text == "Recreate" or surge in ("0", "0%") or each.kind == "StatefulSet"
    return False


def _replicas(manifests: Sequence[Manifest], autoscalers: Sequence[Manifest]) -> Iterator[Finding]:
    fixed = [each for each in manifests if each.tree.at("spec", "replicas") and each.kind in POD_KINDS]
    known = {_identity(each) for each in manifests}
    for hpa in autoscalers:
        target = _target(hpa, "scaleTargetRef")
        for each in fixed:
            replicas = each.tree.at("spec", "replicas")
            seen = f"replicas {replicas.text} of {each.name}, and {hpa.name} scales {target[2]}"
            if _identity(each) == target:
                yield rules.REPLICAS.at(replicas.place, seen)
            elif target not in known and each.kind == target[1] and each.namespace == target[0] and len(fixed) == 1:
                why = f"No file here defines {target[2]}: if it is this one under an older name, the conflict is real."
                yield rules.REPLICAS.at(replicas.place, seen, why=why, severity=NOTE)


def _unmounted(manifests: Sequence[Manifest]) -> Iterator[Finding]:
    pods = [containers.pod_spec(each.tree) for each in manifests if each.kind in POD_KINDS]
    mounted = {name for pod in pods for name in _config_maps(pod)}
    for each in manifests:
        files = sorted(_SERVER_FILES & {key for key, _ in each.tree.at("data").fields()})
        if each.kind == "ConfigMap" and pods and files and each.name not in mounted:
            yield rules.UNMOUNTED.at(each.tree.at("metadata").place, f"ConfigMap {each.name} with {files[0]}")


def _config_maps(pod: Tree) -> Iterator[str]:
    for volume in pod.at("volumes").each():
        yield volume.at("configMap", "name").text
        for source in volume.at("projected", "sources").each():
            yield source.at("configMap", "name").text


def _connections(
    parts: Sequence[Part], pools: Sequence[Pool], autoscalers: Sequence[Manifest], facts: Facts
) -> Iterator[Finding]:
    servers = [part for part in parts if isinstance(part, Postgresql)]
    wanted = [pool for pool in pools if pool.most is not None]
    pods = max((each.tree.at("spec", "maxReplicas").number or 0 for each in autoscalers), default=0)
    fact = facts.get("postgresql", "max_connections")
    if len(servers) != 1 or not wanted or not pods or fact is None:
        return
    setting = _last(servers[0], "max_connections")
    given = quantity.postgresql_number(setting.value) if setting else fact.default
    each_pod = sum(pool.most or 0 for pool in wanted)
    if isinstance(given, int | float) and pods * each_pod > given - _RESERVED:
        seen = f"{pods:g} pods x {each_pod:g} connections = {pods * each_pod:g}, and max_connections {given:g}"
        better = f"Keep max_size at {max(1, (given - _RESERVED) // pods):.0f} or less, or put a pooler in front."
        yield rules.POOL.at(wanted[0].place, seen, better=better)


def _last(part: Postgresql, name: str) -> Setting | None:
    return next((each for each in reversed(part.settings) if each.name == name), None)


def _timeouts(parts: Sequence[Part], pools: Sequence[Pool]) -> Iterator[Finding]:
    waits: list[float] = []
    for part in parts:
        if isinstance(part, Nginx):
            given = [
                quantity.nginx_seconds(each.args[0]) for each in nginx.find(part, "proxy_read_timeout") if each.args
            ]
            proxies = any(nginx.find(part, "proxy_pass"))
            waits += [each for each in given if each is not None] or ([_DEFAULT_READ_TIMEOUT] if proxies else [])
    for pool in pools:
        if waits and pool.timeout is not None and pool.timeout > min(waits):
            seen = f"command_timeout {pool.timeout:g} s, and proxy_read_timeout {min(waits):g} s"
            yield rules.TIMEOUTS.at(pool.timeout_place, seen)
