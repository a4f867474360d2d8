"""Facts about a JVM from its performance data, made by hand and by a real JVM."""

from __future__ import annotations

import struct
import subprocess
import time
from pathlib import Path

import pytest

from adapters.facts.jvm import JvmCollector, facts, parse, performance_data
from domain.errors import Transient
from tests.adapters.facts.trees import numbers
from tests.real import need

GARBAGE = """
public final class Garbage {
    public static void main(String[] arguments) throws Exception {
        java.util.List<byte[]> kept = new java.util.ArrayList<>();
        for (int i = 0; i < 10_000_000; i++) {
            if (kept.size() > 3000) {
                kept.clear();
            }
            kept.add(new byte[4096]);
            if (i == 20_000) {
                System.gc();
                System.out.println("ready");
            }
        }
    }
}
"""


def performance(entries: dict[str, int], *, order: str = "<", version: int = 2) -> bytes:
    """A file as HotSpot writes it: a header, then entries of a name and a long each."""
    body = b""
    for name, number in entries.items():
        text = name.encode() + b"\0"
        value_at = 20 + -(-len(text) // 8) * 8
        fixed = struct.pack(f"{order}iii", value_at + 8, 20, 0) + b"J\0\0\0" + struct.pack(f"{order}i", value_at)
        body += (fixed + text).ljust(value_at, b"\0") + struct.pack(f"{order}q", number)
    # A text entry, which is no number: its vector has a length.
    body += struct.pack(f"{order}iii", 32, 20, 8) + b"B\0\0\0" + struct.pack(f"{order}i", 24) + b"abc\0" + b"x" * 8
    head = b"\xca\xfe\xc0\xc0" + bytes([1 if order == "<" else 0, version, 0, 1])
    head += struct.pack(f"{order}iiq", len(body) + 32, 0, 0) + struct.pack(f"{order}ii", 32, len(entries) + 1)
    return head + body


@pytest.mark.parametrize("order", ["<", ">"])
def test_entries_are_read_in_either_byte_order(order: str) -> None:
    """Names and numbers come out; what is no number is passed over."""
    given = {"sun.os.hrt.frequency": 1_000_000_000, "sun.gc.collector.0.time": 7, "a.name.of.some.length": -3}
    assert parse(performance(given, order=order)) == given


def test_a_file_that_is_none() -> None:
    """A JVM that is just starting, or another format, is no error of the policy."""
    with pytest.raises(Transient, match="not readable yet"):
        parse(b"")
    with pytest.raises(Transient, match="version 2"):
        parse(performance({"a": 1}, version=1))


def test_facts_of_two_samples() -> None:
    """Shares of time over all collectors; what the old generation holds counts only after a full collection."""
    first = {"gc.0.time_s": 1.0, "gc.0.count": 5.0, "gc.1.time_s": 2.0, "gc.1.count": 1.0}
    second = {"gc.0.time_s": 1.5, "gc.0.count": 9.0, "gc.1.time_s": 5.0, "gc.1.count": 4.0}
    second |= {"old.of_limit": 0.9, "heap.of_limit": 0.8}
    assert numbers(facts(first, second, 10.0)) == pytest.approx(
        {
            "gc.share_of_time": 0.35,
            "gc.full_per_min": 18.0,
            "gc.heap_after_full_of_limit": 0.9,
            "gc.heap_of_limit": 0.8,
        }
    )
    assert "gc.heap_after_full_of_limit" not in facts(first, {**second, "gc.1.count": 1.0}, 10.0)
    assert facts({}, {}, 10.0) == {}


@pytest.mark.real
@pytest.mark.timeout(60)
def test_a_real_jvm(tmp_path: Path) -> None:
    """A JVM that makes garbage all the time is seen to collect it, and its heap to be used."""
    java = need("java")
    (tmp_path / "Garbage.java").write_text(GARBAGE)
    command = [java, "-Xmx32m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "Garbage.java"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            assert performance_data(process.pid) is not None
            collector = JvmCollector({"pid": str(process.pid)}, "a")
            first, began = collector.sample(), time.monotonic()
            second = first
            while second["gc.0.count"] < first["gc.0.count"] + 3:
                second = collector.sample()
            seen = numbers(collector.facts(first, second, time.monotonic() - began))
        finally:
            process.kill()
    assert 0 < seen["gc.share_of_time"] <= 1
    assert 0 < seen["gc.heap_of_limit"] <= 1


def test_a_tree_without_a_jvm() -> None:
    """Where the target is said to be a JVM that is an error; where it may be one, it has no such facts."""
    import os

    place = {"pid": str(os.getpid())}
    assert JvmCollector(place, perhaps=True).sample() == {}
    with pytest.raises(Transient, match="UsePerfData"):
        JvmCollector(place).sample()
