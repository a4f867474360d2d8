"""Probes of the machine: real outputs of the tools, broken ones, our own loops, and nothing left behind."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.load.program import Ended
from adapters.probes import cgroup, cpu, disk, memory, neighbours, network
from adapters.probes.probe import hidden, noise_text, spread
from adapters.probes.registry import PROBES, Where, run_all
from domain.errors import Misconfigured, Transient

GOLDEN = Path(__file__).parents[2] / "golden" / "probes"


def ended(file: str, text: str | None = None) -> Ended:
    return Ended(file, 0, (GOLDEN / file).read_text() if text is None else text, "", 1.0)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which no tool is installed."""
    for module in (cpu, disk, network):
        monkeypatch.setattr(module, "installed", lambda program: None)


def test_stress_ng_rate_is_that_of_real_time() -> None:
    """1000 operations in 0.57 s: throttling and neighbours must be in the figure, so CPU time will not do."""
    assert cpu.bogo_rate(ended("stress-ng.txt")) == 1756.17


def test_fio_round_counts_fsyncs() -> None:
    """As many as writes, with their own latencies in seconds."""
    found = disk.fio_round(ended("fio.json"))
    job = json.loads((GOLDEN / "fio.json").read_text())["jobs"][0]
    assert found.count == job["write"]["total_ios"] > 0
    assert found.seconds == pytest.approx(1.0, abs=0.1)
    assert 0 < found.latency[0.5] <= found.latency[0.95] <= found.latency[0.99] < 0.1


def test_iperf_slices_and_retransmissions() -> None:
    """Eight slices of a quarter of a second."""
    slices, again = network.iperf(ended("iperf3.json"))
    assert len(slices) == 8
    assert all(1e9 < each < 1e12 for each in slices)
    assert again == 7
    with pytest.raises(Transient, match="Connection refused"):
        network.iperf(ended("iperf3-refused.json"))


def test_ping_answers() -> None:
    """Twenty sent, twenty answered; the jitter is that of neighbours."""
    sent, answers = network.pings(ended("ping.txt"))
    assert sent == 20
    assert [number for number, _ in answers] == list(range(1, 21))
    middle, jitter, loss = network.round_trips(sent, answers, "ping")
    assert middle.value is not None
    assert 0 < middle.value < 1
    assert jitter.value is not None
    assert 0 < jitter.value < middle.value
    assert loss.value == 0


def test_lost_and_doubled_pings() -> None:
    """An answer that came twice is one; what did not come is lost; nothing at all is not a round trip of 0."""
    text = (GOLDEN / "ping.txt").read_text()
    lines = [line for line in text.splitlines() if "icmp_seq=3 " not in line]
    lines.insert(2, next(line for line in lines if "icmp_seq=1 " in line) + " (DUP!)")
    sent, answers = network.pings(ended("ping.txt", "\n".join(lines)))
    assert len(answers) == 19
    assert network.round_trips(sent, answers, "")[-1].value == pytest.approx(5.0)
    silent = network.round_trips(20, [], "")
    assert silent[0].value is None
    assert silent[-1].value == 100


@pytest.mark.parametrize(
    ("file", "parse"),
    [
        ("stress-ng.txt", cpu.bogo_rate),
        ("fio.json", disk.fio_round),
        ("iperf3.json", network.iperf),
        ("ping.txt", network.pings),
    ],
)
def test_output_that_is_empty_cut_off_or_something_else(file: str, parse: Callable[[Ended], object]) -> None:
    """Either the same figures or Transient; never another exception, never a made-up number."""
    text = (GOLDEN / file).read_text()
    whole = parse(ended(file))
    for end in range(0, len(text), 41):
        try:
            found = parse(ended(file, text[:end]))
        except Transient:
            continue
        assert found == whole
    for other in ("", "null", "[]", "{}", '{"jobs": []}', '{"intervals": [1]}', "sh: not found"):
        with pytest.raises(Transient):
            parse(ended(file, other))


def test_the_tail_of_few_fsyncs_is_not_called_p99() -> None:
    """The highest percentile that every round carries is told, and none where not even the median is."""
    latency = {0.99: 0.02, 0.95: 0.01, 0.5: 0.001}
    assert disk.summary([disk.Round(1500, 1.0, latency)] * 3, "")[1].name == "fsync p99"
    slow = disk.summary([disk.Round(250, 1.0, latency), disk.Round(400, 1.0, latency)], "")
    assert (slow[1].name, slow[1].value) == ("fsync p95", 10)
    assert "times as long" in slow[1].verdict
    assert disk.summary([disk.Round(12, 1.0, latency)], "")[1].value is None


def test_the_file_system_is_that_of_the_longest_mount(tmp_path: Path) -> None:
    """A memory file system is no disk: fsync does nothing there."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\ntmpfs {tmp_path} tmpfs rw 0 0\n")
    assert disk.filesystem(tmp_path, mounts) == "tmpfs"
    (found,) = disk.probe(tmp_path, mounts)
    assert found.value is None
    assert "--path" in found.verdict
    with pytest.raises(Misconfigured, match="no directory"):
        disk.filesystem(tmp_path / "nothing", mounts)


@pytest.mark.usefixtures("bare")
def test_own_disk_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without fio: real fsyncs, plausible figures, the way said, no file left."""
    monkeypatch.setattr(disk, "ROUND_SECONDS", 0.1)
    empty = tmp_path / "mounts"
    empty.write_text("/dev/sda / ext4 rw 0 0\n")
    rate, *_ = disk.probe(tmp_path, empty)
    assert rate.value is not None
    assert rate.value > 0
    assert "fio is not installed" in rate.how
    assert list(tmp_path.iterdir()) == [empty]


@pytest.mark.usefixtures("bare")
def test_own_cpu_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without stress-ng: a loop of our own, and its name."""
    monkeypatch.setattr(cpu, "SLICE_SECONDS", 0.02)
    (found,) = cpu.probe()
    assert found.value is not None
    assert found.value > 1e5
    assert found.spread is not None
    assert "stress-ng is not installed" in found.how


def test_memory_is_copied_and_reclaim_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rate in GB/s; a kernel without the counters is said, and no reclaim is no worry."""
    monkeypatch.setattr(memory, "SLICE_SECONDS", 0.02)
    monkeypatch.setattr(memory, "SLICES", 2)
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("nr_free_pages 9\nallocstall_normal 3\npgscan_direct 5\n")
    speed, reclaim = memory.probe(vmstat=vmstat)
    assert speed.value is not None
    assert 0.05 < speed.value < 1000
    assert reclaim.value == 0
    assert memory.probe(vmstat=tmp_path / "none")[1].value is None


@pytest.mark.usefixtures("bare")
def test_without_tools_the_network_is_not_measured() -> None:
    """Each figure says which package is missing."""
    assert [each.value for each in network.probe()] == [None, None]
    assert "iperf3" in network.probe()[0].verdict


def test_peers_are_hosts_of_our_own() -> None:
    """No option for another program hides in a name, and no foreign host is loaded."""
    for peer in ("-f", "a b", "8.8.8.8", "x;reboot"):
        with pytest.raises(Misconfigured):
            network.probe(peer)


def test_steal_and_pressure_are_differences(tmp_path: Path) -> None:
    """Both are shares of the time between two looks, and absence is no zero."""
    proc = tmp_path
    (proc / "pressure").mkdir()
    (proc / "stat").write_text("cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 1 1 1\n")
    (proc / "pressure" / "cpu").write_text("some avg10=0 avg60=0 avg300=0 total=1000000\nfull total=9\n")

    def later(seconds: float) -> None:
        (proc / "stat").write_text("cpu  150 0 100 920 0 0 0 30 0 0\n")
        (proc / "pressure" / "cpu").write_text("some avg10=0 avg60=0 avg300=0 total=1050000\nfull total=9\n")
        time.sleep(0.1)

    steal, pressure, *others = neighbours.probe(proc, later)
    assert steal.value == pytest.approx(15)
    assert "other guests" in steal.verdict
    assert pressure.value is not None
    assert 20 < pressure.value < 55
    assert "find it first" in pressure.verdict
    assert [each.value for each in others] == [None, None]
    (proc / "stat").write_text("intr 5\n")
    assert neighbours.probe(proc, lambda seconds: None)[0].value is None


def test_spread_and_what_it_hides() -> None:
    """Standard deviation over mean; what 40 pairs show follows from it, in words."""
    assert spread([1.0]) is None
    assert spread([0.0, 0.0]) is None
    assert spread([90.0, 110.0]) == pytest.approx(0.1414, abs=0.0001)
    assert hidden(0.12) == pytest.approx(0.102, abs=0.001)
    assert noise_text("the CPU speed of this machine", 0.12) == (
        "the CPU speed of this machine varies by 12 %: effects below about 10 % will need many pairs, unless longer"
        " windows average it out"
    )
    assert "steady" in noise_text("x", 0.002)
    assert "too few" in noise_text("x", None)


def test_a_control_group_is_entered_before_anything_runs(tmp_path: Path) -> None:
    """The process writes its own number and then becomes the program; a directory that is no group is refused."""
    group = tmp_path / "group"
    group.mkdir()
    with pytest.raises(Misconfigured, match=r"cgroup\.procs"):
        cgroup.checked((group,))
    (group / "cgroup.procs").write_text("")
    assert cgroup.checked((group,)) == (group,)
    assert cgroup.inside((), ["true"]) == ["true"]
    (rate,) = cpu.spin("cpu", 0.02, 1, (group,))
    assert rate > 0
    assert int((group / "cgroup.procs").read_text()) > 1
    assert cpu.throttled((tmp_path, group)) is None
    (group / "cpu.stat").write_text("usage_usec 9\nnr_periods 40\nnr_throttled 7\n")
    assert cpu.throttled((tmp_path, group)) == (40, 7)
    (group / "cgroup.procs").unlink()
    (group / "cgroup.procs").mkdir()
    with pytest.raises(Transient, match="control group"):
        cpu.spin("cpu", 0.02, 1, (group,))


def test_a_probe_that_fails_is_told_and_the_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """One broken tool costs its own line only; an unknown name is refused with the known ones."""

    def broken(groups: tuple[Path, ...]) -> None:
        raise Transient("stress-ng did not end")

    monkeypatch.setattr(cpu, "probe", broken)
    monkeypatch.setattr(neighbours, "SECONDS", 0.01)
    found = list(run_all(["cpu", "neighbours"], Where()))
    assert found[-1].verdict == "not measured: stress-ng did not end"
    assert len(found) == 5
    with pytest.raises(Misconfigured, match="neighbours, cpu, memory, disk, network"):
        list(run_all(["gpu"], Where()))
    assert next(iter(PROBES)) == "neighbours"
