"""Bounds against a plain reading of admission: every value inside is admitted, and what is just outside is not."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.actuators.kubernetes.quantity import exact
from adapters.actuators.kubernetes.room import NAMES, Bound, steps
from domain.formula import parse
from tests.adapters.kubernetes.admission import Cluster, Json, carried, node, quota

MI = 2**20

CPU = st.sampled_from(["1m", "50m", "100m", "100m", "250m", "300m", "500m", "1"])
MEMORY = st.sampled_from(["1Mi", "64Mi", "100M", "128Mi", "200Mi", "256Mi", "300000001"])
RATIO = st.sampled_from(["2.3", "4", "10", "20", "20.5", "1"])


def amounts(cpu: st.SearchStrategy[str] = CPU, memory: st.SearchStrategy[str] = MEMORY) -> st.SearchStrategy[Json]:
    whole = st.fixed_dictionaries({"cpu": cpu, "memory": memory})
    return st.one_of(whole, whole, st.fixed_dictionaries({}, optional={"cpu": cpu, "memory": memory}))


@st.composite
def resources(draw: st.DrawFn) -> Json:
    asked, most = draw(amounts()), draw(amounts())
    if draw(st.integers(0, 2)) == 0:
        most = dict(asked)
    for name in asked.keys() & most.keys():
        asked[name], most[name] = sorted((asked[name], most[name]), key=exact)
    return {"requests": asked, "limits": most}


@st.composite
def templates(draw: st.DrawFn) -> Json:
    found = [{"name": "web", "resources": draw(resources())}]
    found += [{"name": f"more-{i}", "resources": draw(resources())} for i in range(draw(st.sampled_from([0, 0, 1, 2])))]
    spec: Json = {"containers": draw(st.permutations(found))}
    first = [
        {"name": f"init-{i}", "resources": draw(resources())} | draw(st.sampled_from([{}, {"restartPolicy": "Always"}]))
        for i in range(draw(st.sampled_from([0, 0, 1, 2])))
    ]
    return {"spec": spec | ({"initContainers": first} if first else {}) | draw(st.sampled_from([{}, OVERHEAD]))}


OVERHEAD: Json = {"overhead": {"cpu": "10m", "memory": "4Mi"}}


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    high = amounts(st.sampled_from(["1", "2", "8"]), st.sampled_from(["300Mi", "1Gi", "16Gi"]))
    low = amounts(st.sampled_from(["1m", "1m", "100m"]), st.sampled_from(["1Mi", "1Mi", "64Mi"]))
    item = st.fixed_dictionaries(
        {"type": st.sampled_from(["Container", "Pod"])}, optional={"min": low, "max": high}
    ) | st.fixed_dictionaries(
        {"type": st.sampled_from(["Container", "Pod"]), "maxLimitRequestRatio": amounts(RATIO, RATIO)}
    )
    defaults = st.fixed_dictionaries({"type": st.just("Container"), "default": high, "defaultRequest": low})
    cut = st.lists(item | defaults, max_size=2).map(lambda each: {"metadata": {"name": "lr"}, "spec": {"limits": each}})
    hard: Json = {}
    for name in ("requests.cpu", "limits.cpu", "cpu"):
        if draw(st.integers(0, 4)) == 0:
            hard[name] = draw(st.sampled_from(["4", "20", "100"]))
    for name in ("requests.memory", "limits.memory", "memory"):
        if draw(st.integers(0, 4)) == 0:
            hard[name] = draw(st.sampled_from(["2Gi", "8Gi", "64Gi"]))
    used = {name: draw(st.sampled_from(["0", "1", "1500m"]) if "cpu" in name else MEMORY) for name in hard}
    if draw(st.booleans()):
        hard["pods"], used["pods"] = draw(st.sampled_from([("6", "3"), ("100", "3")]))
    cpus, sizes = st.sampled_from(["2", "8", "16"]), st.sampled_from(["1Gi", "16Gi", "5000000001"])
    return Cluster(
        quotas=[quota(hard, used)],
        ranges=draw(st.lists(cut, max_size=1)),
        nodes=draw(st.lists(st.builds(node, st.just("n"), cpus, sizes), max_size=2)),
        steps=steps(draw(st.integers(1, 4)), draw(st.integers(0, 2)), draw(st.integers(0, 2)), leave=0),
    )


FOUR = st.tuples(*[st.floats(0, 1)] * 4)
TUNED = st.sets(st.sampled_from(list(NAMES)), min_size=1)


@settings(max_examples=200, deadline=None)
@given(templates(), clusters(), TUNED, st.lists(FOUR, min_size=4, max_size=4), st.booleans())
def test_every_value_inside_the_bounds_is_admitted(
    of: Json, cluster: Cluster, tuned: set[str], shares: list[tuple[float, ...]], near: bool
) -> None:
    """Each combination of the four that holds the constraints, and the least of them always does."""
    found = cluster.room(of, tuned=tuned)
    assert found.bounds.keys() | found.frozen.keys() | found.tied.keys() >= tuned
    assert not found.bounds.keys() & found.frozen.keys()
    for four in [(0.0,) * 4, (1.0,) * 4, *shares]:
        values = {}
        for (name, bound), share in zip(found.bounds.items(), four, strict=False):
            high = min(bound.high, max(bound.low * 8, 64 * MI if "memory" in name else 1.0)) if near else bound.high
            value = bound.low + share * (high - bound.low)
            values[name] = float(round(value)) if "memory" in name else value
        if all(parse(each).truth(values) for each in found.constraints):
            assert cluster.complaint(of, carried(of, values, found)) == "" or not values
        else:
            assert any(four), "the lowest corner holds every constraint"


@settings(max_examples=200, deadline=None)
@given(templates(), clusters(), st.sampled_from(list(NAMES)))
def test_what_is_just_outside_a_bound_is_refused(of: Json, cluster: Cluster, name: str) -> None:
    """No bound is narrower than the cluster wants: one millicore or byte beyond it, and the pod is not admitted."""
    cluster.nodes = cluster.nodes[:1]
    found = cluster.room(of, tuned={name})
    bound = found.bounds.get(name, Bound(0, 0))
    unit = 0.001 if "cpu" in name else 1.0
    narrowed = [why for why in bound.reasons if not (why.startswith("node") and name.endswith("_limit"))]
    for why in narrowed:
        sides = [bound.low - unit, bound.high + unit] if len(bound.reasons) == 2 else []
        if not sides:
            sides = [bound.high + unit if bound.high < (1e5 if "cpu" in name else 2**53) else bound.low - unit]
        complaints = [
            cluster.complaint(of, carried(of, {name: value}, found)) for value in sides if value >= unit and value
        ]
        assert any(complaints) or bound.low <= unit, why
