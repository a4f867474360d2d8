"""Kept values that somebody takes back: told once, by name, and left alone."""

from __future__ import annotations

from typing import Any

from adapters.actuators import registry
from adapters.actuators.kubernetes.api import path
from domain.space import Settings
from tests.pods import CPU_LIMIT, LEVEL, Shop, shop
from tests.scaled import DEPLOYMENT, begun, ended, kept

Json = dict[str, Any]
WINNER: Settings = {CPU_LIMIT: 0.4, LEVEL: 1}
LIMIT = 'spec.template.spec.containers[name="web"].resources.limits.cpu'
TOLD = f"{LIMIT} was reverted by kubectl-client-side-apply: kept was 400m, now it is 150m"


def set_limit(cluster: Shop, cpu: str | None, who: str = "kubectl-client-side-apply") -> None:
    """Somebody writes the workload's CPU limit; with None takes it away."""
    spec = cluster.owner()["spec"]["template"]["spec"]
    container = spec["containers"][0]
    container["resources"]["limits"].pop("cpu")
    if cpu is not None:
        container["resources"]["limits"]["cpu"] = cpu
    body = {"spec": {"template": {"spec": {"containers": [container]}}}}
    cluster.api.merge(DEPLOYMENT, body, manager=who)


def looked(cluster: Shop, now: float = 0.0) -> list[str]:
    """One look of the watchdog."""
    return registry.reap(cluster.target, now)


def events(cluster: Shop) -> list[Json]:
    found = cluster.api.items(path("Event", "default"))
    return [each for each in found if each["reason"] == "Reverted"]


def test_what_is_reverted_is_told_once() -> None:
    """By the watchdog: a line, and a warning on the workload; with the name of who did it and both values."""
    with shop(http=False) as cluster:
        kept(cluster, WINNER)
        assert looked(cluster) == []
        set_limit(cluster, "150m")
        assert looked(cluster) == [f"shop: Deployment shop: {TOLD}"]
        assert looked(cluster) == []
        (event,) = events(cluster)
        assert (event["type"], event["message"]) == ("Warning", f"{TOLD} (run r1)")
        assert event["involvedObject"]["name"] == "shop"
        assert cluster.in_template("limits", "cpu") == "150m"


def test_every_revert_is_told() -> None:
    """Another value, and the same one again after it had come back in between."""
    with shop(http=False) as cluster:
        kept(cluster, WINNER)
        set_limit(cluster, "150m")
        assert len(looked(cluster)) == 1
        set_limit(cluster, "300m", "kubectl-edit")
        (told,) = looked(cluster)
        assert f"{LIMIT} was changed by kubectl-edit: kept was 400m, now it is 300m" in told
        set_limit(cluster, "0.4")
        assert looked(cluster) == []
        assert "trimtab.dev/reverted" not in cluster.owner()["metadata"]["annotations"]
        set_limit(cluster, None)
        (told,) = looked(cluster)
        assert "kept was 400m, now it is nothing" in told
        assert len(events(cluster)) == 3


def test_the_file_of_before_is_a_revert() -> None:
    """The volume shows the owner's ConfigMap again."""
    with shop(http=False) as cluster:
        kept(cluster, WINNER)
        volumes = [{"name": "config", "configMap": {"name": "shop-nginx"}}]
        cluster.api.merge(DEPLOYMENT, {"spec": {"template": {"spec": {"volumes": volumes}}}}, manager="flux")
        (told,) = looked(cluster)
        assert 'volumes[name="config"].configMap.name was reverted by flux: kept was shop-trimtab-kept-0' in told


def test_only_what_the_run_changed_is_looked_after() -> None:
    """A parameter that kept its value is everybody's."""
    with shop(http=False) as cluster:
        kept(cluster, {CPU_LIMIT: 0.15, LEVEL: 1})
        set_limit(cluster, "300m", "kubectl-edit")
        assert looked(cluster) == []


def test_what_an_earlier_run_kept_is_looked_after_still() -> None:
    """A second run changed another parameter."""
    with shop(http=False) as cluster:
        kept(cluster, {CPU_LIMIT: 0.4, LEVEL: 6}, "r1")
        kept(cluster, WINNER, "r2")
        set_limit(cluster, "150m")
        (told,) = looked(cluster)
        assert TOLD in told
        assert "volumes" not in told


def test_the_check_and_the_next_run_say_it() -> None:
    """Whatever the watchdog told before."""
    with shop(http=False) as cluster:
        kept(cluster, WINNER)
        assert registry.reverted(cluster.target) == ()
        assert not [note for note in cluster.stage().survey().notes if "reverted" in note]
        set_limit(cluster, "150m")
        looked(cluster)
        assert registry.reverted(cluster.target) == (TOLD,)
        assert TOLD in cluster.stage().survey().notes


def test_nothing_is_told_while_a_run_is_open() -> None:
    """What it writes itself is no revert; a foreign hand is its own affair."""
    with shop(http=False) as cluster:
        kept(cluster, WINNER, "r1")
        cluster.stage().adopt({CPU_LIMIT: 0.2, LEVEL: 1}, begun(cluster, "r2"))
        assert looked(cluster) == []
        ended(cluster, "r2")
        assert looked(cluster) == []
        set_limit(cluster, "400m")
        assert "kept was 200m, now it is 400m" in looked(cluster)[0]


def test_a_run_that_is_taken_back_leaves_what_was_kept_before() -> None:
    """It had written its own settings there, and the watchdog brought those of before back."""
    with shop(http=False) as cluster:
        kept(cluster, WINNER, "r1")
        before = cluster.owner()["metadata"]["annotations"]["trimtab.dev/kept"]
        cluster.stage().adopt({CPU_LIMIT: 0.2, LEVEL: 2}, begun(cluster, "r2", deadline=1.0))
        assert "original settings are back" in looked(cluster, 2.0)[0]
        assert cluster.owner()["metadata"]["annotations"]["trimtab.dev/kept"] == before
        assert looked(cluster, 2.0) == []
        set_limit(cluster, "150m")
        assert TOLD in looked(cluster, 2.0)[0]


def test_a_first_run_that_is_taken_back_leaves_nothing() -> None:
    """Nothing was kept, so nothing can be reverted."""
    with shop(http=False) as cluster:
        cluster.stage().adopt(WINNER, begun(cluster, "r1", deadline=1.0))
        assert len(looked(cluster, 2.0)) == 1
        assert "trimtab.dev/kept" not in cluster.owner()["metadata"]["annotations"]
        assert looked(cluster, 2.0) == []


def test_who_takes_it_back_by_hand_is_not_reported() -> None:
    """`trimtab restore` after the end puts the settings of before into the workload, under the same run."""
    with shop(http=False) as cluster:
        kept(cluster, WINNER, "r1")
        kept(cluster, {CPU_LIMIT: 0.15, LEVEL: 6}, "r1")
        assert looked(cluster) == []
        set_limit(cluster, "300m", "kubectl-edit")
        assert looked(cluster) == []


def test_a_container_that_is_gone_keeps_nothing() -> None:
    """Told as any other change; the watchdog goes on."""
    with shop(http=False) as cluster:
        kept(cluster, WINNER)
        spec = cluster.owner()["spec"]["template"]["spec"]
        spec["containers"] = [{**spec["containers"][0], "name": name} for name in ("one", "two")]
        cluster.api.merge(DEPLOYMENT, {"spec": {"template": {"spec": spec}}}, manager="kubectl-edit")
        assert "now it is nothing" in looked(cluster)[0]


def test_an_odd_note_is_written_anew() -> None:
    """Somebody else put something into the annotation."""
    with shop(http=False) as cluster:
        kept(cluster, WINNER)
        cluster.api.merge(DEPLOYMENT, {"metadata": {"annotations": {"trimtab.dev/reverted": "[oh"}}}, manager="x")
        set_limit(cluster, "150m")
        assert len(looked(cluster)) == 1
        assert looked(cluster) == []


def test_of_two_watchdogs_one_tells() -> None:
    """The note is written before it is told, and only onto what was seen."""
    with shop(http=False) as cluster:
        kept(cluster, WINNER)
        set_limit(cluster, "150m")
        late: list[list[str]] = []

        def other(call: Any, done: bool) -> None:
            if call.method == "PATCH" and not done:
                cluster.api.noticed = lambda call, done: None
                late.append(looked(cluster))

        cluster.api.noticed = other
        assert (looked(cluster), len(late[0])) == ([], 1)
        assert len(events(cluster)) == 1
        assert looked(cluster) == []


def test_the_rights_of_the_watchdog_suffice() -> None:
    """It reads the workload and what has a name of ours: no ConfigMap of the program, no autoscaler."""
    with shop(http=False) as cluster:
        kept(cluster, WINNER)
        set_limit(cluster, "150m")
        cluster.server.calls.clear()
        looked(cluster)
        read = {call.path.rpartition("/")[2] for call in cluster.server.calls if call.method == "GET"}
        assert read <= {"shop", "shop-trimtab-a", "shop-trimtab-b", "shop-trimtab-before"}, read
        assert not [call for call in cluster.server.calls if "horizontal" in call.path]
