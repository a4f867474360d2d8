"""Which rights the chart gives to which account: the files of `files/rbac/` with a target's names in them.

The templates do the same (`trimtab.rules`); a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from helm.values import CHART

RBAC = CHART / "files" / "rbac"
Json = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A file of rules: for which accounts, and when."""

    file: str
    accounts: tuple[str, ...]
    when: str


PARTS = (
    Part("look", ("worker",), "every target with a workload, in any mode"),
    Part("config-map", ("worker",), "with `workload.config_map`"),
    Part("service", ("worker",), "with `workload.service`"),
    Part("act", ("worker",), "mode approve or act"),
    Part("undo", ("reap",), "mode approve or act"),
    Part("stateful-set", ("worker", "reap"), "a StatefulSet in mode approve or act"),
    Part("autoscaler", ("worker", "reap"), "`rbac.targets.TARGET.autoscaler` in mode approve or act"),
    Part("nodes", ("worker",), "cluster-wide; `rbac.nodes`, and a target in mode approve or act"),
)


def rules(file: str, target: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> list[Json]:
    """The rules of one file for a target of `config.targets`; `more` is its entry of `rbac.targets`."""
    workload, more = target["workload"], more or {}
    ordinals = ", ".join(f'"{workload["name"]}-{number}"' for number in range(more.get("replicas", 0)))
    text = (RBAC / f"{file}.yaml").read_text(encoding="utf-8")
    for name, value in (
        ("PLURAL", workload.get("kind", "Deployment").lower() + "s"),
        ("WORKLOAD", workload["name"]),
        ("CONFIG_MAP", workload.get("config_map", "")),
        ("SERVICE", workload.get("service", "")),
        ("AUTOSCALER", more.get("autoscaler", "")),
        ("ORDINALS", ordinals),
    ):
        text = text.replace(name, value)
    read: list[Json] = yaml.safe_load(text)
    return read


def files_of(account: str, target: Mapping[str, Any], mode: str, more: Mapping[str, Any] | None = None) -> list[str]:
    """The files whose rules a target's Role for an account holds."""
    workload, acts = target["workload"], mode in ("approve", "act")
    if account == "controller" or (account == "reap" and not acts):
        return []
    found = ["look"] if account == "worker" else ["undo"]
    if workload.get("config_map") and account == "worker":
        found.append("config-map")
    if workload.get("service") and account == "worker":
        found.append("service")
    if acts and account == "worker":
        found.append("act")
    if acts and workload.get("kind") == "StatefulSet":
        found.append("stateful-set")
    if acts and (more or {}).get("autoscaler"):
        found.append("autoscaler")
    return found


def allowed(listed: list[Json], verb: str, group: str, resource: str, name: str) -> bool:
    """Whether rules allow a verb on a resource (`pods/exec` for a subresource) of that name; RBAC's own rule."""
    return any(
        group in rule["apiGroups"]
        and resource in rule["resources"]
        and verb in rule["verbs"]
        and (not rule.get("resourceNames") or name in rule["resourceNames"])
        for rule in listed
    )
