"""Fields that are not ours: what was proven is proposed then, and nothing is written."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.actuators.kubernetes.api import path
from domain.target import Branch
from tests.pods import CPU_LIMIT, LEVEL, Shop, shop
from tests.scaled import DEPLOYMENT, HPA, begun, kept, metric, scaled, settings, target_of

Json = dict[str, Any]
FLUX = {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}
WINNER = {CPU_LIMIT: 0.4, LEVEL: 1}
MARKS: dict[str, tuple[Json, str]] = {
    "Argo CD": ({"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:default/shop"}}, "argocd"),
    "Flux": (FLUX, "kustomize.toolkit.fluxcd.io/name: apps"),
    "Helm": ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, "managed-by: Helm"),
}


def proposed(cluster: Shop) -> str:
    """A run that keeps nothing: the patch. What the workload says is as it was."""
    before, maps = cluster.owner()["spec"], cluster.api.items(path("ConfigMap", "default"))
    done = kept(cluster, WINNER)
    assert (done.settings, dict(done.proposed)) == ({}, WINNER)
    assert cluster.owner()["spec"] == before
    assert cluster.api.items(path("ConfigMap", "default")) == maps
    assert "trimtab.dev/kept" not in cluster.owner()["metadata"]["annotations"]
    return done.patch


@pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS)
def test_a_workload_of_a_gitops_tool_gets_a_patch(mark: tuple[Json, str]) -> None:
    """Whatever take_over says: it would be written again."""
    metadata, words = mark
    with shop(http=False) as cluster:
        cluster.api.merge(DEPLOYMENT, {"metadata": metadata}, manager="kubectl-client-side-apply")
        advised = cluster.stage().survey().advised
        assert set(advised) == {CPU_LIMIT, LEVEL}
        assert all(words in why for why in advised.values())
        proposed(cluster)


def test_fields_of_one_who_acts_once_are_overruled_only_where_named() -> None:
    """Otherwise the patch says it all: for kubectl, kustomize and Helm, resources and file."""
    with shop(http=False, take_over=()) as cluster:
        seen = cluster.stage().survey()
        assert "add take_over: [kubectl-client-side-apply]" in seen.advised[CPU_LIMIT]
        patch = proposed(cluster)
        for words in ("# --- kubectl ---", "# --- kustomize ---", "# --- Helm ---", "cpu: 400m", "gzip_comp_level 1;"):
            assert words in patch
        assert "kubectl -n default patch deployment shop --type strategic" in patch
    with shop(http=False) as cluster:
        assert not cluster.stage().survey().advised
        assert kept(cluster, WINNER).settings == WINNER
        assert cluster.in_template("limits", "cpu") == "400m"


def test_one_field_that_is_not_ours_holds_up_all() -> None:
    """What was proven was proven as a whole."""
    with shop(http=False) as cluster:
        cluster.edit("150m")  # a server-side apply: declared, and written again
        seen = cluster.stage().survey()
        assert list(seen.advised) == [CPU_LIMIT]
        proposed(cluster)


def test_a_field_that_did_not_change_holds_up_nothing() -> None:
    """Somebody else owns the limit, and only the file is to change."""
    with shop(http=False) as cluster:
        cluster.edit("150m")
        wanted = {CPU_LIMIT: 0.15, LEVEL: 1}
        assert kept(cluster, wanted).settings == wanted


def test_a_patch_names_the_target_that_has_to_move_along() -> None:
    """The HPA stays as it is, too."""
    with scaled(metric(60), take_over=()) as cluster:
        cluster.api.merge(HPA, {"metadata": {"managedFields": [{}]}}, manager="nobody")  # nobody owns its metrics
        done = kept(cluster, settings(0.1))
        assert "averageUtilization: 30" in done.patch
        assert target_of(cluster) == 60


def test_a_proposal_is_a_commit(tmp_path: Path) -> None:
    """On the branch of a real repository; the same step again makes no other one."""
    run: Callable[..., str] = lambda *words: subprocess.run(  # noqa: E731
        ["git", "-c", "user.name=Ann", "-c", "user.email=ann@localhost", *words],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    run("init", "-q", "-b", "main")
    (tmp_path / "README").write_text("apps\n")
    run("add", ".")
    run("commit", "-q", "-m", "first")
    branch = Branch(str(tmp_path), "trimtab/shop", "shop/trimtab.yaml")
    with shop(http=False, take_over=(), propose=branch) as cluster:
        stamp = begun(cluster)
        first = cluster.stage().adopt(WINNER, stamp).patch
        assert cluster.stage().adopt(WINNER, stamp).patch == first
        commit = run("rev-parse", "trimtab/shop")
        assert first.startswith(f"# Commit {commit} on branch trimtab/shop of {tmp_path}")
        assert run("log", "--format=%s", "main..trimtab/shop") == "shop: settings proven by Trimtab"
        assert "cpu: 400m" in run("show", "trimtab/shop:shop/trimtab.yaml")


def test_a_branch_that_cannot_be_written_costs_only_itself(tmp_path: Path) -> None:
    """The patch is told all the same, with the reason."""
    branch = Branch(str(tmp_path / "nowhere"), "trimtab/shop", "patch.yaml")
    with shop(http=False, take_over=(), propose=branch) as cluster:
        assert "The branch trimtab/shop was not written: propose.repository" in proposed(cluster)
