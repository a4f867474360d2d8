"""Owners of a StatefulSet's fields: a candidate stands in its template, so that none may be written."""

from __future__ import annotations

import pytest

from adapters.actuators.kubernetes.api import path
from domain.ports import Stamp
from tests.adapters.kubernetes.test_owning import MARKS, WINNER, Json
from tests.ordinals import sets
from tests.scaled import FAR

SET = path("StatefulSet", "default", "shop")
WAS = ("150m", "gzip_comp_level 6;")


@pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS)
def test_no_candidate_goes_into_a_set_of_a_gitops_tool(mark: tuple[Json, str]) -> None:
    """A candidate would be a change of the workload: it is refused before anything is written."""
    metadata, words = mark
    with sets(http=False) as cluster:
        cluster.api.merge(SET, {"metadata": metadata}, manager="kubectl-client-side-apply")
        cluster.server.calls.clear()
        seen = cluster.stage().survey()
        assert words in seen.refusal
        assert not [call for call in cluster.server.calls if call.writes]


def test_a_set_that_a_tool_takes_over_meanwhile_gets_a_patch() -> None:
    """The candidate on its highest pod goes back, then the winner is proposed; on no pod anything is left."""
    with sets(http=False) as cluster:
        arm = cluster.arms()["a"]
        arm.protect("r1", FAR)
        stage = cluster.stage()
        stage.prepare(Stamp("r1", 1), FAR)
        arm.write(WINNER, Stamp("r1", 2), arm.read().version)
        assert cluster.carried()[2] == ("400m", "gzip_comp_level 1;")
        cluster.api.merge(SET, {"metadata": MARKS["Argo CD"][0]}, manager="argocd-controller")
        done = stage.adopt(WINNER, Stamp("r1", 3))
        assert (done.settings, dict(done.proposed)) == ({}, WINNER)
        assert "kubectl -n default patch statefulset shop" in done.patch
        assert "cpu: 400m" in done.patch
        assert cluster.carried() == [WAS, WAS, WAS]
        stage.retire("r1")
        arm.release("r1")
        assert cluster.partition == 0
        assert "trimtab.dev/kept" not in cluster.owner()["metadata"]["annotations"]


def test_what_a_set_keeps_is_looked_after() -> None:
    """As in a Deployment: told once, by name."""
    with sets(http=False) as cluster:
        arm, stage = cluster.arms()["a"], cluster.stage()
        arm.protect("r1", FAR)
        stage.prepare(Stamp("r1", 1), FAR)
        assert stage.adopt(WINNER, Stamp("r1", 2)).settings == WINNER
        stage.retire("r1")
        arm.release("r1")
        assert arm.reap(0.0) is None
        cluster.edit("150m")
        told = arm.reap(0.0)
        assert told is not None
        assert "resources.limits.cpu was reverted by somebody: kept was 400m, now it is 150m" in told
        assert arm.reap(0.0) is None
