"""Load on the pods of a Service: who gets it, and that every request is counted for the pod and configuration that it
was sent to."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from adapters.load import book as book_module
from adapters.load import service_load
from adapters.load.book import NAME, Book, Row
from adapters.load.endpoints import Identity, Resolve
from adapters.load.histogram import BOUNDS
from adapters.load.service_load import Generator, ServiceLoad, run
from domain.errors import Misconfigured
from tests.adapters.load.pods import Pod, Service, service
from tests.redis_server import free_port

Counts = Counter[tuple[str, str, str]]
URL = "http://shop.default.svc.cluster.local.:8080/work"


def load(made: Service, **changes: object) -> ServiceLoad:
    plain = {"rate": 200.0, "seconds": 30.0, "timeout": 5.0, "who": "/who", "every": 0.05, "poisson": False}
    return ServiceLoad(f"http://shop:{made.port}/work", **{**plain, **changes})  # type: ignore[arg-type]


def send(asked: ServiceLoad, resolve: Resolve, enough: Callable[[Counts], bool]) -> tuple[Counts, str]:
    """The load without its HTTP side, until what was counted is enough (or its seconds are over): counts, metrics."""

    async def story() -> Generator:
        generator = Generator(asked, resolve)
        look = asyncio.create_task(generator.endpoints.run(asked.every))
        await asyncio.wait_for(generator.endpoints.known.wait(), 10)
        sender, until = asyncio.create_task(generator.send()), time.monotonic() + asked.seconds
        while not enough(counts(generator.book.rows())) and time.monotonic() < until:
            await asyncio.sleep(0.01)
        sender.cancel()
        await generator.drain()
        look.cancel()
        await asyncio.gather(sender, look, return_exceptions=True)
        await generator.endpoints.close()
        return generator

    generator = asyncio.run(story())
    return counts(generator.book.rows()), generator.metrics()


def counts(rows: tuple[Row, ...]) -> Counts:
    return Counter({(row.pod, row.configuration, row.code): row.requests for row in rows})


def test_each_pod_gets_its_share_and_is_told_by_name_and_configuration() -> None:
    """Three pods, a connection for each request; what is told is what the pods saw."""
    pods = [Pod(f"127.0.0.{n}", f"shop-{n}", f"v{n}") for n in (2, 3, 4)]
    with service(*pods) as made:
        told, _ = send(load(made), made.resolve, lambda told: len(told) == 3 and min(told.values()) >= 30)
    assert told == {(pod.name, pod.configuration, "200"): pod.seen[pod.configuration] for pod in pods}
    assert max(told.values()) < 3 * min(told.values())
    assert all(pod.connections >= pod.seen.total() + pod.asked for pod in pods)


def test_timeouts_belong_to_the_pod_and_configuration_they_were_sent_to() -> None:
    """A pod that answers who it is and nothing else; one that cuts off; one where nobody listens. Each costs the full
    timeout in its own series."""
    hung, cut = Pod("127.0.0.2", "shop-a", "slow", "hang"), Pod("127.0.0.3", "shop-b", "v1", "drop")
    with service(hung, cut) as made:
        made.found = (hung.address, cut.address, "127.0.0.9")
        told, text = send(load(made, timeout=0.8), made.resolve, lambda told: len(told) == 3 and min(told.values()) > 9)
    assert told.keys() == {("shop-a", "slow", "timeout"), ("shop-b", "v1", "error"), ("127.0.0.9", "", "error")}
    assert told[("shop-b", "v1", "error")] == cut.seen["v1"]
    samples = {
        (sample.name, sample.labels["pod"], sample.labels["configuration"], sample.labels["code"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if family.name == NAME and "le" not in sample.labels
    }
    for key, count in told.items():
        assert samples[(f"{NAME}_count", *key)] == count
        assert samples[(f"{NAME}_sum", *key)] == pytest.approx(0.8 * count)


def test_a_new_configuration_is_a_new_series() -> None:
    """The pod changes in the middle: requests before count for the old configuration, those after it for the new one,
    but for the few that were sent before the pod could say so."""
    pod = Pod("127.0.0.2", "shop-a", "v1", turn=50, after="v2")
    with service(pod) as made:
        told, _ = send(load(made), made.resolve, lambda told: told[("shop-a", "v2", "200")] >= 50)
    assert told.keys() == {("shop-a", "v1", "200"), ("shop-a", "v2", "200")}
    assert told.total() == pod.seen.total()
    assert 0 <= pod.seen["v2"] - told[("shop-a", "v2", "200")] <= 40  # a busy machine sends some at once


def test_without_who_the_answers_tell() -> None:
    """The first requests go to an address that has not said yet who it is."""
    pod = Pod("127.0.0.2", "shop-a", "v1")
    with service(pod) as made:
        told, _ = send(load(made, who=""), made.resolve, lambda told: told[("shop-a", "v1", "200")] >= 50)
    assert pod.asked == 0
    assert told.keys() == {("127.0.0.2", "", "200"), ("shop-a", "v1", "200")}
    assert told[("127.0.0.2", "", "200")] <= 40
    assert told.total() == pod.seen.total()


def test_pods_are_waited_for_and_their_absence_is_counted() -> None:
    """Nothing is sent before the first Ready pod; later, a service without one fails every request."""
    pod, looks = Pod("127.0.0.2", "shop-a"), iter(range(10_000))

    def resolve(host: str) -> tuple[str, ...]:
        return ("127.0.0.2",) if next(looks) > 3 and pod.seen.total() < 30 else ()

    with service(pod) as made:
        told, _ = send(load(made), resolve, lambda told: told[("", "", "error")] >= 20)
    assert told.keys() == {("shop-a", "", "200"), ("", "", "error")}
    assert told[("shop-a", "", "200")] == pod.seen[""] >= 30


def test_nobody_ever_ready_ends_in_time_with_nothing() -> None:
    """After the seconds that the load would have lasted."""
    begun = time.monotonic()
    assert run(ServiceLoad(URL, 10, 0.3), f"127.0.0.1:{free_port()}", lambda text: None, lambda host: ()) == ()
    assert time.monotonic() - begun < 2


def test_an_address_that_must_not_be_loaded_ends_it() -> None:
    """Nothing is sent there."""
    with pytest.raises(Misconfigured, match=r"8\.8\.8\.8"):
        run(ServiceLoad(URL, 10, 5), f"127.0.0.1:{free_port()}", lambda text: None, lambda host: ("8.8.8.8",))


def test_its_http_side_tells_metrics_and_takes_a_rate() -> None:
    """What is waited for is said; the rate rises up to its limit while the load runs; the text is what Prometheus
    reads; SIGTERM ends it."""
    pod, port = Pod("127.0.0.2", "shop-a", "v1"), free_port()
    seen: dict[str, Any] = {}
    said: list[str] = []

    def look(text: str) -> None:
        said.append(text)
        if "Ready" in text:
            threading.Thread(target=visit).start()

    def visit() -> None:
        seen["high"] = ask(port, "/rate", b'{"rate": 900}')
        seen["rate"] = ask(port, "/rate", b'{"rate": 300}')
        while pod.seen.total() < 60:
            time.sleep(0.05)
        seen["metrics"], seen["nothing"] = ask(port, "/metrics"), ask(port, "/latencies")
        os.kill(os.getpid(), signal.SIGTERM)

    with service(pod) as made:
        begun, asked = time.monotonic(), load(made, rate=20.0, most_rate=300.0)
        rows = run(asked, f"127.0.0.1:{port}", look, made.resolve)
    assert time.monotonic() - begun < asked.seconds
    assert ["waiting for pods of shop" in said[0], "1 pods are Ready" in said[1]] == [True, True]
    assert seen["high"][0] == 400
    assert "at most 300" in seen["high"][1]
    assert json.loads(seen["rate"][1]) == {"rate": 300}
    assert seen["nothing"][0] == 404
    assert rows == (Row("shop-a", "v1", "200", pod.seen["v1"]),)
    families = {family.name: family for family in text_string_to_metric_families(seen["metrics"][1])}
    values = {name: family.samples[0].value for name, family in families.items() if len(family.samples) == 1}
    assert values["trimtab_load_addresses"] == 1
    assert values["trimtab_load_rate"] == 300
    assert values["trimtab_load_lag_seconds"] >= 0
    assert values["trimtab_load_resolve_failures"] == 0
    buckets = [s for s in families[NAME].samples if s.name.endswith("_bucket") and s.labels["code"] == "200"]
    assert {(s.labels["pod"], s.labels["configuration"]) for s in buckets} == {("shop-a", "v1")}
    assert [s.value for s in buckets] == sorted(s.value for s in buckets)
    assert buckets[-1].labels["le"] == "+Inf"


def ask(port: int, path: str, body: bytes | None = None) -> tuple[int, str]:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body, method="PUT" if body else "GET")
    try:
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def test_buckets_are_fine_enough_for_a_quantile() -> None:
    """From 1 ms to 10 s no bound is more than 12 % above the one below."""
    assert BOUNDS[0] <= 0.001
    assert BOUNDS[-1] >= 10.0
    assert max(high / low for low, high in pairwise(BOUNDS)) <= 1.12 + 1e-5


def test_series_begin_at_zero_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """`rate()` must see a first sample before the first timeout; who was met longest ago is forgotten."""
    monkeypatch.setattr(book_module, "MOST_IDENTITIES", 2)
    book = Book()
    book.meet(Identity("a", "v1"))
    assert f'{NAME}_count{{pod="a",configuration="v1",code="timeout"}} 0' in book.lines()
    assert book.rows() == ()
    book.observe(Identity("b"), "503", 0.1)
    book.observe(Identity("a", "v1"), "200", 0.1)
    book.meet(Identity("c"))
    assert book.rows() == (Row("a", "v1", "200", 1),)
    assert Counter(line.split('"')[1] for line in book.lines() if "_sum{" in line) == {"a": 3, "c": 3}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rate": 0.0}, "rate 0"),
        ({"rate": 1001.0}, "at most 1000"),
        ({"most_rate": 5.0}, "most_rate 5 is below rate 10"),
        ({"seconds": 3601.0}, "at most 3600"),
        ({"seconds": float("nan")}, "seconds nan"),
        ({"timeout": 0.0}, "timeout 0"),
        ({"every": 11.0}, "every 11"),
        ({"who": "who"}, "no path"),
        ({"who": "/who\r\nX: y"}, "no path"),
        ({"url": "https://shop/"}, "http://HOST"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(changes: dict[str, object], says: str) -> None:
    """Before anything is sent."""
    with pytest.raises(Misconfigured, match=says):
        ServiceLoad(**{"url": URL, "rate": 10.0, "seconds": 10.0, **changes})  # type: ignore[arg-type]


def test_too_few_open_files_and_a_taken_address_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the generator's own limit would look like errors of a pod."""
    monkeypatch.setattr(resource, "getrlimit", lambda which: (64, 128))
    with pytest.raises(Misconfigured, match="open files and 128 are allowed"):
        run(ServiceLoad(URL, 100, 1), ":0", lambda text: None, lambda host: ())
    monkeypatch.setattr(service_load, "_allow_files", lambda needed: None)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(Misconfigured, match="--listen"):
        run(ServiceLoad(URL, 100, 1), f"127.0.0.1:{taken.getsockname()[1]}", lambda text: None, lambda host: ())
    with pytest.raises(Misconfigured, match="HOST:PORT"):
        run(ServiceLoad(URL, 100, 1), "here", lambda text: None, lambda host: ())
