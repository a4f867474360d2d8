"""Facts from /proc: the target's threads, and the node around them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from adapters.facts.node import NodeCollector, facts
from adapters.facts.process import ProcessCollector, tree
from domain.errors import Transient
from domain.evidence import Reading
from tests.adapters.facts.trees import numbers, process, write

DISK = (
    "   7  0 loop0 9 0 0 99 0 0 0 0 0 99 99\n"
    " 254  0 vda {reads} 0 0 {read_ms} {writes} 0 0 {write_ms} 0 {busy} 0 0 0 0 0 {flushes} {flush_ms}\n"
    " 254  1 vda1 {reads} 0 0 {read_ms} 0 0 0 0 0 {busy} 0 0 0 0 0 0 0\n"
)


def test_a_tree_of_processes(tmp_path: Path) -> None:
    """Time on a CPU and in the run queue is summed over the tree; the busiest thread is told apart."""
    process(tmp_path, 10, cpu=1.0, waiting=0.0, children="11 12")
    process(tmp_path, 11, cpu=5.0, waiting=1.0, read=0, written=100, faults=3)
    process(tmp_path, 12, cpu=0.0, waiting=0.0)
    collector = ProcessCollector({"pid": "10"}, "a", tmp_path)
    first = collector.sample()
    process(tmp_path, 10, cpu=1.5, waiting=0.0, children="11 12 13")
    process(tmp_path, 11, cpu=9.0, waiting=4.0, read=50_000, written=100, faults=13)
    process(tmp_path, 12, cpu=0.0, waiting=0.0)
    process(tmp_path, 13, cpu=0.5, waiting=0.0, born=900, read=1 << 30)
    seen = collector.facts(first, collector.sample(), 5.0)
    assert tree(10, tmp_path) == [10, 11, 12, 13]
    cpus = float(os.cpu_count() or 1)
    assert numbers(seen) == pytest.approx(
        {
            "process.cpu_cores": 1.0,
            "process.cpu_of_node": 1 / cpus,
            "process.cpu_of_allowed": 1.0,
            "cpu.kept_by_cpuset": 1 - 1 / cpus,
            "process.busiest_thread": 0.8,
            "process.run_queue_share": 0.375,
            "process.waiting_threads": 0.6,
            "process.major_faults_per_s": 2.0,
            "process.fds_of_limit": 2 / 64,
            "io.read_bytes_per_s": 10_000.0,
            "io.write_bytes_per_s": 0.0,
        }
    )


def test_a_volume_is_as_full_as_df_says(tmp_path: Path) -> None:
    """The folder that the process works in names its volume; the share is that of `df`."""
    process(tmp_path, 10)
    (tmp_path / "10" / "cwd").symlink_to(tmp_path)
    raw = ProcessCollector({"pid": "10"}, proc=tmp_path).sample()
    usage = shutil.disk_usage(tmp_path)
    assert raw["volume.used"] == pytest.approx(usage.used / (usage.used + usage.free), abs=0.01)
    assert 0 <= raw["volume.inodes_used"] <= 1


def test_a_member_that_ended_is_counted_once(tmp_path: Path) -> None:
    """What a child used before the first sample is not counted again when its parent waits for it."""
    process(tmp_path, 10, cpu=1.0, children="11")
    process(tmp_path, 11, cpu=50.0)
    collector = ProcessCollector({"pid": "10"}, proc=tmp_path)
    first = collector.sample()
    process(tmp_path, 10, cpu=1.5, reaped=51.5, children="")
    assert collector.facts(first, collector.sample(), 4.0)["process.cpu_cores"] == Reading(0.5)


def test_a_thread_id_that_was_used_again_is_another_thread(tmp_path: Path) -> None:
    """A younger thread of the same number counts from its birth; a tree that began anew has no total yet."""
    process(tmp_path, 10, cpu=100.0, born=100)
    collector = ProcessCollector({"pid": "10"}, proc=tmp_path)
    first = collector.sample()
    process(tmp_path, 10, cpu=2.0, born=5000)
    seen = collector.facts(first, collector.sample(), 4.0)
    assert seen["process.busiest_thread"] == Reading(0.5)
    assert "process.cpu_cores" not in seen


def test_delay_accounting_is_used_where_the_kernel_does_it(tmp_path: Path) -> None:
    """With kernel.task_delayacct the time that the busiest thread was blocked is a fact; without, there is none."""
    process(tmp_path, 10)
    collector = ProcessCollector({"pid": "10"}, proc=tmp_path)
    assert "process.io_delay_share" not in collector.facts(collector.sample(), collector.sample(), 4.0)
    write(tmp_path, {"sys/kernel/task_delayacct": "1\n"})
    first = collector.sample()
    second = {name: number + (1.0 if name.startswith("blocked.") else 0.0) for name, number in first.items()}
    assert collector.facts(first, second, 4.0)["process.io_delay_share"] == Reading(0.25)


def test_a_process_that_is_gone(tmp_path: Path) -> None:
    """It may come back: not a mistake of the policy."""
    with pytest.raises(Transient, match="no process 10"):
        ProcessCollector({"pid": "10"}, proc=tmp_path).sample()


def node(root: Path, *, user: int, idle: int, steal: int, disk: dict[str, int], overflows: int, nice: int = 0) -> None:
    netstat = f"TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 0 {overflows} 7\n"
    write(
        root / "proc",
        {
            "stat": f"cpu  {user} {nice} 0 {idle} 0 0 0 {steal} 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\n",
            "diskstats": DISK.format(**disk),
            "10/net/netstat": netstat,
            "sys/net/netfilter/nf_conntrack_count": "30\n",
            "sys/net/netfilter/nf_conntrack_max": "40\n",
            "sys/fs/file-nr": "100\t0\t1000\n",
            "pressure/io": f"some avg10=0.00 avg60=0.00 avg300=0.00 total={100 * user}\n",
        },
    )


def test_the_node_around_a_target(tmp_path: Path) -> None:
    """What others use is what the node used without the target; partitions and loops are no disks of their own."""
    calm = {"reads": 0, "read_ms": 0, "writes": 0, "write_ms": 0, "busy": 0, "flushes": 0, "flush_ms": 0}
    node(tmp_path, user=0, idle=0, steal=0, disk=calm, overflows=5)
    process(tmp_path / "proc", 10, cpu=3.0)
    collector = NodeCollector(["10"], root=tmp_path)
    first = collector.sample()
    busy = {"reads": 100, "read_ms": 900, "writes": 4, "write_ms": 9, "busy": 4000, "flushes": 10, "flush_ms": 250}
    node(tmp_path, user=1500, idle=400, steal=100, disk=busy, overflows=25)
    process(tmp_path / "proc", 10, cpu=8.0)
    seen = collector.facts(first, collector.sample(), 10.0)
    assert numbers(seen) == pytest.approx(
        {
            "node.cpu_busy": 0.75,
            "node.cpu_outside_target": 0.5,
            "node.steal": 0.05,
            "node.pressure_io": 0.015,
            "disk.busy": 0.4,
            "disk.read_wait_ms": 9.0,
            "disk.flush_wait_ms": 25.0,
            "listen.overflows_per_s": 2.0,
            "conntrack.used_of_limit": 0.75,
            "files.used_of_limit": 0.1,
        }
    )


def test_low_priorities_are_no_neighbours(tmp_path: Path) -> None:
    """What is nice gives way: the node is busy with it, and it takes nothing from the target."""
    calm = {"reads": 0, "read_ms": 0, "writes": 0, "write_ms": 0, "busy": 0, "flushes": 0, "flush_ms": 0}
    node(tmp_path, user=0, idle=0, steal=0, disk=calm, overflows=0)
    process(tmp_path / "proc", 10, cpu=0.0)
    collector = NodeCollector(["10"], root=tmp_path)
    first = collector.sample()
    node(tmp_path, user=400, nice=500, idle=100, steal=0, disk=calm, overflows=0)
    process(tmp_path / "proc", 10, cpu=3.0)
    seen = numbers(collector.facts(first, collector.sample(), 5.0))
    assert (seen["node.cpu_busy"], seen["node.cpu_outside_target"]) == pytest.approx((0.9, 0.1))


def test_a_target_that_does_not_run_leaves_the_node(tmp_path: Path) -> None:
    """The node is told all the same; everything on it is then somebody else's."""
    calm = {"reads": 0, "read_ms": 0, "writes": 0, "write_ms": 0, "busy": 0, "flushes": 0, "flush_ms": 0}
    node(tmp_path, user=0, idle=0, steal=0, disk=calm, overflows=0)
    raw = NodeCollector([str(tmp_path / "none.pid")], root=tmp_path).sample()
    assert not any(name.startswith("target.") for name in raw)
    assert facts(raw, {**raw, "cpu.busy_s": 4.0, "cpu.total_s": 8.0}, 5.0)["node.cpu_outside_target"] == Reading(0.5)


def test_this_machine() -> None:
    """On a real /proc a process that computes shows up in both collectors."""
    pid = str(os.getpid())
    collectors = [ProcessCollector({"pid": pid}), NodeCollector([pid])]
    first = [collector.sample() for collector in collectors]
    began = os.times().user
    while os.times().user - began < 0.2:
        sum(range(10_000))
    own, around = (
        collector.facts(before, collector.sample(), 0.5) for collector, before in zip(collectors, first, strict=True)
    )
    assert isinstance(own["process.busiest_thread"], Reading)
    assert own["process.busiest_thread"].value >= 0.3
    assert isinstance(around["node.cpu_busy"], Reading)
    assert around["node.cpu_busy"].value > 0
