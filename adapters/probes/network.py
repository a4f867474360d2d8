"""What the network stack and the way to a peer carry, and how evenly: throughput by iperf3, round trips by ping."""

from __future__ import annotations

import json
import re
import socket
import time
from itertools import pairwise
from statistics import fmean, median

from adapters.load.address import owned
from adapters.load.program import Ended, installed, run, started
from adapters.probes.probe import Probe, noise_text, spread, unmeasured
from domain.errors import Misconfigured, Transient

SECONDS = 2  # of iperf3
SLICE_SECONDS = 0.25
LIMIT_SECONDS = 5.0
CONNECT_TRIES, CONNECT_PAUSE = 20, 0.1  # until our own server listens
PINGS, PING_INTERVAL = 20, 0.2  # 0.2 s is the shortest that ping allows without privileges
PORT = 5201  # of iperf3 servers
LOOPBACK = "127.0.0.1"
_REPLY = re.compile(r"icmp_seq=([0-9]+) .*time[=<]([0-9.]+) ?ms")
_SENT = re.compile(r"^([0-9]+) packets transmitted, ([0-9]+)(?: packets)? received", re.M)
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")


def probe(peer: str = "") -> list[Probe]:
    """Throughput and round trips over loopback, or to `peer` (which must run `iperf3 -s` for the throughput). Raises
    Misconfigured for a peer that is no host of a private network."""
    host = peer or LOOPBACK
    if not _HOST.fullmatch(host):
        raise Misconfigured(f"--peer {peer!r} is no host name or address")
    if peer:
        owned(peer)
    return [*_throughput(host, peer), *_round_trips(host)]


def iperf(ended: Ended) -> tuple[list[float], int]:
    """Bits a second of each slice, and retransmitted segments, from iperf3's JSON. Raises Transient with its error."""
    try:
        told = json.loads(ended.stdout)
        trouble = told.get("error", "")
        slices = [float(each["sum"]["bits_per_second"]) for each in told["intervals"] if not each["sum"]["omitted"]]
        again = int(told["end"]["sum_sent"].get("retransmits", 0)) if slices else 0
    except (ValueError, KeyError, TypeError, AttributeError):
        trouble, slices, again = ended.trouble(), [], 0
    if trouble or not slices:
        raise Transient(f"iperf3: {trouble or 'no slice was measured'}; is a server listening?")
    return slices, again


def pings(ended: Ended) -> tuple[int, list[tuple[int, float]]]:
    """Packets sent, and (number, milliseconds) of each answer, doubled ones once. Raises Transient where ping says
    nothing of the kind."""
    sent = _SENT.search(ended.stdout)
    if sent is None:
        raise Transient(f"ping: {ended.trouble()}; check the name, and that this user may send pings")
    return int(sent[1]), sorted({int(number): float(took) for number, took in _REPLY.findall(ended.stdout)}.items())


def round_trips(sent: int, answers: list[tuple[int, float]], how: str) -> list[Probe]:
    """Median, jitter (mean difference of neighbours, as in RFC 3550 without its smoothing) and loss."""
    loss = 1 - len(answers) / sent if sent else 1.0
    lost = Probe(
        "loss",
        100 * loss,
        "%",
        None,
        "nothing was lost"
        if loss == 0
        else f"{sent - len(answers)} of {sent} were lost: a p99 will be retransmissions",
        how,
    )
    if len(answers) < 2:
        return [unmeasured("round trip", "ms", f"{len(answers)} answers to {sent} pings", how), lost]
    times = [took for _, took in answers]
    jitter = fmean(abs(late - early) for early, late in pairwise(times))
    share = spread(times)
    return [
        Probe("round trip", median(times), "ms", share, noise_text("the round trip", share), how),
        Probe("jitter", jitter, "ms", None, f"{jitter / median(times):.2g} of the median round trip", how),
        lost,
    ]


def _throughput(host: str, peer: str) -> list[Probe]:
    if not installed("iperf3"):
        return [unmeasured("throughput", "Gbit/s", "iperf3 is not installed (package iperf3)")]
    try:
        ended = _iperf(host, PORT) if peer else _loopback()
        slices, again = iperf(ended)
    except Transient as error:
        return [unmeasured("throughput", "Gbit/s", str(error))]
    share = spread(slices)
    verdict = noise_text("throughput", share) + f"; {again} segments sent again"
    if not peer:
        verdict += "; loopback is a ceiling of CPU and kernel, no wire is faster"
    how = f"iperf3 to {host}, {SECONDS} s in slices of {SLICE_SECONDS:g} s"
    return [Probe("throughput", median(slices) / 1e9, "Gbit/s", share, verdict, how)]


def _loopback() -> Ended:
    """Client against a server of our own, which ends with the block, whatever happens. A look whether it listens would
    be taken for its one client, so the client itself tries again until it does."""
    with socket.socket() as hole:
        hole.bind((LOOPBACK, 0))
        port = int(hole.getsockname()[1])
    with started(["iperf3", "--server", "--one-off", "--bind", LOOPBACK, "--port", str(port)]):
        for _ in range(CONNECT_TRIES):
            ended = _iperf(LOOPBACK, port)
            if "unable to connect" not in ended.stdout:
                break
            time.sleep(CONNECT_PAUSE)
        return ended


def _iperf(host: str, port: int) -> Ended:
    return run(
        [
            "iperf3",
            "--client",
            host,
            "--port",
            str(port),
            "--time",
            str(SECONDS),
            "--interval",
            f"{SLICE_SECONDS:g}",
            "--connect-timeout",
            "1000",  # milliseconds
            "--json",
        ],
        LIMIT_SECONDS,
    )


def _round_trips(host: str) -> list[Probe]:
    if not installed("ping"):
        return [unmeasured("round trip", "ms", "ping is not installed (package iputils-ping)")]
    how = f"ping {host}, {PINGS} packets, one every {PING_INTERVAL:g} s"
    try:
        sent, answers = pings(
            run(["ping", "-n", "-c", str(PINGS), "-i", f"{PING_INTERVAL:g}", "-w", "5", "--", host], 1 + LIMIT_SECONDS)
        )
    except Transient as error:
        return [unmeasured("round trip", "ms", str(error))]
    return round_trips(sent, answers, how)
