"""`trimtab load service` as a person meets it."""

from __future__ import annotations

import json

from tests.adapters.load.pods import Pod, service
from tests.console.desk import Screen
from tests.redis_server import free_port


def test_load_service_tells_pods_and_codes(screen: Screen) -> None:
    """Rows by pod, configuration and code on stdout; what it waits for on stderr."""
    pod, listen = Pod("127.0.0.2", "shop-a", "v1"), f"127.0.0.1:{free_port()}"
    with service(pod) as made:
        url = f"http://127.0.0.2:{made.port}/work"
        options = ("--seconds", "500ms", "--rate", "100", "--who", "/who", "--listen", listen, "-o", "json")
        assert screen("load", "service", url, *options) == 0
    assert json.loads(screen.out) == [
        {"pod": "shop-a", "configuration": "v1", "code": "200", "requests": pod.seen["v1"]}
    ]
    assert f"metrics on http://{listen}/metrics" in screen.err


def test_a_service_that_only_fails_is_bad_news(screen: Screen) -> None:
    """Nobody listens: exit code 1, and every request is told."""
    listen = f"127.0.0.1:{free_port()}"
    options = ("--seconds", "300ms", "--rate", "100", "--timeout", "200ms", "--listen", listen)
    assert screen("load", "service", "http://127.0.0.1:1/", *options) == 1
    assert "no request got a good answer" in screen.err
    assert "error" in screen.out


def test_the_length_must_be_given_and_is_bounded(screen: Screen) -> None:
    """Wrong usage without it; an hour at most; nobody else's host."""
    assert screen("load", "service", "http://127.0.0.1:1/") == 2
    assert screen("load", "service", "http://127.0.0.1:1/", "--seconds", "2h") == 4
    assert "at most 3600" in screen.err
    listen = ("--listen", f"127.0.0.1:{free_port()}")
    assert screen("load", "service", "http://8.8.8.8/", "--seconds", "1", *listen) == 4
    assert "--i-may-load-this-host" in screen.err
    assert screen("load", "service", "http://127.0.0.1:1/", "--seconds", "1", "--arrivals", "late") == 2
