"""Facts from control groups of version 1, of version 2, and of both at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.facts.cgroup import CgroupCollector, facts, memberships, mounts
from domain.errors import Misconfigured, Transient
from domain.evidence import Missing, Reading
from tests.adapters.facts.trees import numbers, write

PRESSURE = "some avg10=0.00 avg60=0.00 avg300=0.00 total={some}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total={full}\n"


def hybrid(root: Path) -> Path:
    """A machine with controllers of version 1 and the unified hierarchy beside them; its /proc."""
    lines = [f"cgroup {root}/{name} cgroup rw,relatime,{name} 0 0" for name in ("cpu", "cpuacct", "memory", "pids")]
    lines.append(f"cgroup2 {root}/unified cgroup2 rw,relatime 0 0")
    groups = "9:name=systemd:/\n4:memory:/shop\n2:cpuacct:/shop\n1:cpu:/shop\n8:pids:/\n0::/shop\n"
    return write(root / "proc", {"mounts": "\n".join(lines) + "\n", "7/cgroup": groups})


def version_1(root: Path, *, throttled: int, periods: int, usage_ns: int) -> None:
    write(
        root,
        {
            "cpu/shop/cpu.stat": f"nr_periods {periods}\nnr_throttled {throttled}\nthrottled_time 5\n",
            "cpu/shop/cpu.cfs_quota_us": "50000\n",
            "cpu/shop/cpu.cfs_period_us": "100000\n",
            "cpuacct/shop/cpuacct.usage": f"{usage_ns}\n",
            "memory/shop/memory.usage_in_bytes": "900\n",
            "memory/shop/memory.limit_in_bytes": "1000\n",
            "memory/shop/memory.failcnt": f"{periods}\n",
            "memory/shop/memory.stat": f"total_inactive_file 400\ntotal_workingset_refault_file {periods}\n",
            "memory/shop/memory.oom_control": f"oom_kill_disable 0\nunder_oom 0\noom_kill {throttled // 40}\n",
            "unified/shop/cpu.pressure": PRESSURE.format(some=1000 * periods, full=0),
            "unified/shop/io.pressure": PRESSURE.format(some=5000 * periods, full=2500 * periods),
            "unified/shop/memory.pressure": PRESSURE.format(some=0, full=0),
        },
    )


def test_version_1_with_pressure_of_the_unified_hierarchy(tmp_path: Path) -> None:
    """Quota, memory and kills come from version 1, pressure from the unified group of the same processes."""
    collector = CgroupCollector({"pid": "7"}, "a", hybrid(tmp_path))
    version_1(tmp_path, throttled=0, periods=0, usage_ns=0)
    first = collector.sample()
    version_1(tmp_path, throttled=80, periods=100, usage_ns=int(4.5e9))
    seen = collector.facts(first, collector.sample(), 10.0)
    assert collector.name == "a/cgroup"
    assert numbers(seen) == pytest.approx(
        {
            "cpu.throttled_share": 0.8,
            "cpu.used_of_quota": 0.9,
            "memory.used_of_limit": 0.9,
            "memory.working_set_of_limit": 0.5,
            "memory.limit_hits_per_s": 10.0,
            "memory.oom_kills": 2.0,
            "memory.refaults_per_s": 10.0,
            "memory.reclaim_stall_share": 0.0,
            "cpu.pressure_some": 0.01,
            "io.pressure_some": 0.05,
            "io.pressure_full": 0.025,
        }
    )


def test_version_2(tmp_path: Path) -> None:
    """One folder holds everything; `max` is no limit."""
    proc = write(tmp_path / "proc", {"mounts": f"cgroup2 {tmp_path}/cg cgroup2 rw 0 0\n", "7/cgroup": "0::/pod/shop\n"})
    folder = {
        "cpu.stat": "usage_usec 1000000\nnr_periods 10\nnr_throttled 1\n",
        "cpu.max": "max 100000\n",
        "memory.current": "300\n",
        "memory.max": "600\n",
        "memory.stat": "inactive_file 60\nworkingset_refault_file 5\n",
        "memory.events": "low 0\nhigh 0\nmax 3\noom 0\noom_kill 0\n",
        "io.stat": "254:0 rbytes=1000 wbytes=50 rios=1 wios=1\n8:0 rbytes=24 wbytes=0 rios=1 wios=0\n",
        "io.pressure": PRESSURE.format(some=0, full=0),
        "pids.current": "30\n",
        "pids.max": "40\n",
    }
    write(tmp_path / "cg/pod/shop", folder)
    collector = CgroupCollector({"pid": "7"}, proc=proc)
    first = collector.sample()
    write(tmp_path / "cg/pod/shop", {"io.stat": "254:0 rbytes=11000 wbytes=50 rios=1 wios=1\n8:0 rbytes=24 wbytes=0\n"})
    seen = collector.facts(first, collector.sample(), 2.0)
    assert "cpu.throttled_share" not in seen
    assert "cpu.used_of_quota" not in seen
    assert seen["memory.used_of_limit"] == Reading(0.5)
    assert seen["memory.working_set_of_limit"] == Reading(0.4)
    assert seen["io.read_bytes_per_s"] == Reading(5000.0)
    assert seen["pids.used_of_limit"] == Reading(0.75)


def test_a_process_in_the_root_group_has_no_container(tmp_path: Path) -> None:
    """Nothing limits it, so nothing is told: the root group's numbers are those of the node."""
    proc = hybrid(tmp_path)
    write(proc, {"8/cgroup": "4:memory:/\n1:cpu:/\n0::/\n"})
    assert CgroupCollector({"pid": "8"}, proc=proc).sample() == {}


@pytest.mark.parametrize("name", ["shop", "/shop", "{root}/memory/shop"])
def test_a_group_by_its_name(tmp_path: Path, name: str) -> None:
    """`cgroup` is a path below the mount points, or a full path of one of its folders."""
    version_1(tmp_path, throttled=1, periods=2, usage_ns=3)
    place = {"cgroup": name.format(root=tmp_path)}
    raw = CgroupCollector(place, proc=hybrid(tmp_path)).sample()
    assert (raw["cpu.throttled"], raw["memory.limit"], raw["pressure.io.some_us"]) == (1.0, 1000.0, 10000.0)


def test_what_is_not_there(tmp_path: Path) -> None:
    """A group that does not exist is a mistake in the policy; a process that is gone may come back."""
    proc = hybrid(tmp_path)
    with pytest.raises(Misconfigured, match="cgroup: 'other' is no group below"):
        CgroupCollector({"cgroup": "other"}, proc=proc).sample()
    with pytest.raises(Transient, match="pid: there is no process 99"):
        CgroupCollector({"pid": "99"}, proc=proc).sample()
    with pytest.raises(Transient, match="is the program running"):
        CgroupCollector({"pid": str(tmp_path / "none.pid")}, proc=proc).sample()


def test_few_periods_and_reset_counters() -> None:
    """An idle group is not throttled; a counter that went backwards is Missing where it decides, and left out where
    not."""
    base = {"cpu.quota_cores": 0.5, "cpu.usage_us": 10.0, "memory.oom_kills": 1.0}
    idle = facts(
        {**base, "cpu.periods": 1.0, "cpu.throttled": 0.0}, {**base, "cpu.periods": 2.0, "cpu.throttled": 0.0}, 5
    )
    assert idle["cpu.throttled_share"] == Reading(0.0)
    reset = facts(
        {**base, "cpu.periods": 90.0, "cpu.throttled": 9.0}, {**base, "cpu.periods": 2.0, "cpu.throttled": 0.0}, 5
    )
    assert isinstance(reset["cpu.throttled_share"], Missing)
    assert "memory.oom_kills" not in facts({"memory.oom_kills": 3.0}, {"memory.oom_kills": 0.0}, 5)


def test_an_unlimited_group_has_no_shares(tmp_path: Path) -> None:
    """Version 1 shows a huge number for no memory limit and -1 for no quota."""
    version_1(tmp_path, throttled=0, periods=0, usage_ns=0)
    write(tmp_path, {"cpu/shop/cpu.cfs_quota_us": "-1\n", "memory/shop/memory.limit_in_bytes": "9223372036854771712\n"})
    raw = CgroupCollector({"pid": "7"}, proc=hybrid(tmp_path)).sample()
    assert "memory.limit" not in raw
    assert "cpu.quota_cores" not in raw
    assert "memory.used_of_limit" not in facts(raw, raw, 5.0)


def test_mounts_and_memberships() -> None:
    """Joint controllers of version 1 are found under each of their names."""
    controllers, unified = mounts("cgroup /cg/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\nproc /proc proc rw 0 0\n")
    assert controllers["cpu"] == controllers["cpuacct"] == Path("/cg/cpu,cpuacct")
    assert unified is None
    assert memberships("3:cpu,cpuacct:/a:b\n0::/c\n") == {"cpu": "/a:b", "cpuacct": "/a:b", "": "/c"}
