"""Kubernetes manifests, one object at a time."""

from __future__ import annotations

from collections.abc import Iterator

from linting import containers, quantity, settings_files
from linting import rules_cluster as rules
from linting.finding import Finding
from linting.parts import Container, Kernel, Manifest, Setting, Tree

POD_KINDS = frozenset({"Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"})
_SHM_NEEDED = frozenset({"postgres", "postgresql"})


def check(manifest: Manifest) -> Iterator[Finding]:
    """Everything about one object but the containers in it."""
    if manifest.kind in POD_KINDS:
        yield from _pod(manifest)
    elif manifest.kind == "VerticalPodAutoscaler":
        yield from _vpa(manifest.tree)
    elif manifest.kind == "HorizontalPodAutoscaler":
        least, most = manifest.tree.at("spec", "minReplicas"), manifest.tree.at("spec", "maxReplicas")
        if least.number is not None and most.number is not None and least.number > most.number:
            yield rules.RANGE.at(least.place, f"minReplicas {least.text}, maxReplicas {most.text}")


def kernel(manifest: Manifest) -> Kernel:
    """The kernel parameters that a pod sets for itself."""
    found: list[Setting] = []
    if manifest.kind in POD_KINDS:
        for each in containers.pod_spec(manifest.tree).at("securityContext", "sysctls").each():
            found += settings_files.kernel_settings(each.at("name").text, each.at("value").text, each.place)
    return Kernel(tuple(found))


def shared_memory(container: Container) -> Iterator[Finding]:
    """PostgreSQL without a larger /dev/shm, in a pod, a compose file or a command."""
    image = container.image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    if image not in _SHM_NEEDED or not container.limits_known:
        return
    if container.manifest is not None:
        mounts = [each.at("mountPath").text for each in container.manifest.at("volumeMounts").each()]
        if "/dev/shm" not in mounts:
            yield rules.SHM.at(container.place, f"image {container.image} without a volume at /dev/shm")
    elif not any(option.name == "--shm-size" for option in container.options):
        yield rules.SHM.at(container.place, f"image {container.image} without --shm-size")


def _pod(manifest: Manifest) -> Iterator[Finding]:
    spec = containers.pod_spec(manifest.tree)
    listed = spec.at("containers")
    if not isinstance(listed.data, list) or not listed.data:
        yield rules.NO_CONTAINERS.at(spec.place, f"{manifest.kind} {manifest.name} without containers")
    for container in listed.each():
        yield from _resources(container)
        path = container.at("livenessProbe", "httpGet", "path")
        if path.text.rstrip("/").endswith("/actuator/health"):
            yield rules.LIVENESS.at(path.place, f"livenessProbe {path.text}")


def _resources(container: Tree) -> Iterator[Finding]:
    resources = container.at("resources")
    for name in ("cpu", "memory"):
        request, limit = resources.at("requests", name), resources.at("limits", name)
        asked, most = quantity.kubernetes(request.text), quantity.kubernetes(limit.text)
        if asked is not None and most is not None and asked > most:
            yield rules.REQUEST_ABOVE_LIMIT.at(request.place, f"{name}: request {request.text}, limit {limit.text}")


def _vpa(tree: Tree) -> Iterator[Finding]:
    mode = tree.at("spec", "updatePolicy", "updateMode")
    if mode.text == "Auto":
        yield rules.VPA_AUTO.at(mode.place, "updateMode: Auto")
    for policy in tree.at("spec", "resourcePolicy", "containerPolicies").each():
        for name in ("cpu", "memory"):
            low, high = policy.at("minAllowed", name), policy.at("maxAllowed", name)
            least, most = quantity.kubernetes(low.text), quantity.kubernetes(high.text)
            if least is not None and most is not None and least > most:
                yield rules.RANGE.at(low.place, f"minAllowed {low.text}, maxAllowed {high.text}")
