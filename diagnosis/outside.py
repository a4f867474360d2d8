"""Rules about what the target's settings cannot reach: its neighbours, what it depends on, and its last deploy."""

from __future__ import annotations

from diagnosis.facts import Facts
from diagnosis.symptom import Symptom, beyond, evidence, excess, value

WAITING = 0.20
OUTSIDE = 0.50
BUSY = 0.90
STEAL = 0.10
THREADS = 0.10
THROTTLED = 0.25
SLOWER = 2.0
SLOW_MS = 20.0
DEPENDENT = 0.5
DEPENDENT_MS = 50.0
FAILED = 0.2
DEPLOYED = 15.0


def cpu_node(facts: Facts) -> Symptom | None:
    """The node's CPUs are 90 % busy, at least half of them with others, and the target waits for one: a fifth of its
    runnable time (schedstat; on a free node it is about none), and a tenth of the time at least, so that an idle target
    is not called starved. Waits for the quota count in schedstat too, so they prove nothing where the container is
    throttled in a quarter of its periods (alert CPUThrottlingHigh of kubernetes-mixin). Or the hypervisor takes a tenth
    of the time away, which no setting of a guest gives back."""
    crowded = beyond(facts, "node.cpu_busy", BUSY) and beyond(facts, "node.cpu_outside_target", OUTSIDE)
    throttled = beyond(facts, "cpu.throttled_share", THROTTLED)
    ready = beyond(facts, "process.run_queue_share", WAITING) and beyond(facts, "process.waiting_threads", THREADS)
    waits = ready and not throttled
    stolen = beyond(facts, "node.steal", STEAL)
    if not (stolen or (crowded and waits)):
        return None
    outside = value(facts, "node.cpu_outside_target") or 0.0
    taken = value(facts, "node.steal") or 0.0
    who = f"the hypervisor takes {100 * taken:.0f} %" if stolen else f"others use {100 * outside:.0f} %"
    waiting = min(value(facts, name) or 0.0 for name in ("process.run_queue_share", "process.waiting_threads"))
    return Symptom(
        "cpu_node",
        min(1.0, max(taken, waiting)),
        f"{who} of the node's CPUs, and the target waits for one",
        evidence(
            facts,
            {
                "process.run_queue_share": WAITING,
                "process.waiting_threads": THREADS,
                "node.cpu_outside_target": OUTSIDE,
                "node.cpu_busy": BUSY,
                "node.steal": STEAL,
                "cpu.pressure_some": None,
            },
        ),
        ("docker.cpu_shares", "docker.cpuset_cpus", "k8s.cpu_request"),
        refusal="the node is starved: move the target or its neighbours, or reserve CPU for it",
    )


def dependency(facts: Facts) -> Symptom | None:
    """The dependency answers at half of its usual speed or worse (and at least 20 ms late), fails a fifth of the
    probes, or takes at least half of the target's own response time and 50 ms of it."""
    took = value(facts, "dependency.response_ms")
    slower = beyond(facts, "dependency.slower_than_usual", SLOWER) and beyond(facts, "dependency.response_ms", SLOW_MS)
    failing = beyond(facts, "dependency.failed_share", FAILED)
    long = beyond(facts, "dependency.time_share", DEPENDENT) and beyond(facts, "dependency.response_ms", DEPENDENT_MS)
    if not (slower or failing or long):
        return None
    if failing:
        what = f"a dependency fails: {100 * (value(facts, 'dependency.failed_share') or 0):.0f} % of the probes"
    elif slower:
        usual = (took or 0.0) / (value(facts, "dependency.slower_than_usual") or 1.0)
        what = f"a dependency got slower: {took:.0f} ms instead of {usual:.3g} ms"
    else:
        what = f"a dependency takes most of the time: {took:.0f} ms of the target's answer"
    score = max(
        value(facts, "dependency.failed_share") or 0.0,
        excess(value(facts, "dependency.slower_than_usual"), SLOWER) if slower else 0.0,
        value(facts, "dependency.time_share") or 0.0 if long else 0.0,
    )
    return Symptom(
        "dependency",
        min(1.0, score),
        what,
        evidence(
            facts,
            {
                "dependency.failed_share": FAILED,
                "dependency.slower_than_usual": SLOWER,
                "dependency.response_ms": SLOW_MS,
                "dependency.time_share": DEPENDENT,
                "target.response_ms": None,
            },
        ),
        refusal=f"{what}; settings of the target cannot make up for that",
    )


def deploy(facts: Facts) -> Symptom | None:
    """A deploy within the last quarter of an hour: about 70 % of outages come from changes to a live system (Google,
    Site Reliability Engineering, chapter 1), so the change is tried back before settings are."""
    ago = value(facts, "deploy.minutes_ago")
    if ago is None or not beyond(facts, "deploy.minutes_ago", DEPLOYED):
        return None
    told = f"a deploy happened {ago:.0f} minutes ago"
    return Symptom(
        "deploy",
        1.0,
        told,
        evidence(facts, {"deploy.minutes_ago": DEPLOYED}),
        refusal=f"{told}: try that first",
    )
