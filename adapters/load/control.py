"""The generator's HTTP side: metrics for Prometheus, the rate, raw latencies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from adapters.load.open_loop import Arm, Rate

MOST_HEAD, MOST_BODY = 8192, 4096


# (method, target, body) -> (status, content type, text)
Answering = Callable[[str, str, bytes], tuple[str, str, str]]


async def serve(host: str, port: int, service: str, arms: Sequence[Arm], rate: Rate) -> asyncio.Server:
    """Answers for these arms on host:port until closed."""
    return await listen_on(host, port, lambda method, target, body: _answer(method, target, body, service, arms, rate))


async def listen_on(host: str, port: int, answer: Answering) -> asyncio.Server:
    """Answers on host:port until closed. Raises OSError."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await _one(reader, writer):
                pass
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked is gone or does not speak HTTP
        finally:
            writer.close()

    async def _one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split(" ", 2)
        length = next((int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0)
        body = await reader.readexactly(min(length, MOST_BODY)) if length else b""
        status, kind, text = answer(method, target, body)
        payload = text.encode()
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(payload)}\r\n\r\n".encode() + payload
        )
        await writer.drain()
        return length <= MOST_BODY

    return await asyncio.start_server(client, host, port, limit=MOST_HEAD)


def _answer(
    method: str, target: str, body: bytes, service: str, arms: Sequence[Arm], rate: Rate
) -> tuple[str, str, str]:
    parts = urlsplit(target)
    plain, as_json = "text/plain; version=0.0.4", "application/json"
    if parts.path == "/healthz":
        return "200 OK", plain, "ok\n"
    if parts.path == "/metrics":
        return "200 OK", plain, _metrics(service, arms, rate)
    if parts.path == "/rate":
        return rate_answer(method, body, rate)
    if parts.path == "/latencies":
        query = parse_qs(parts.query)
        label = query.get("arm", [""])[0]
        found = next((arm for arm in arms if arm.label == label), None)
        if found is None:
            return "404 Not Found", as_json, json.dumps({"error": f"no arm {label!r}"})
        start, end = float(query.get("start", ["0"])[0]), float(query.get("end", ["inf"])[0])
        rows = [row for row in found.raw if start <= row[0] < end]
        columns = {"intended": [r[0] for r in rows], "seconds": [r[1] for r in rows], "codes": [r[2] for r in rows]}
        return "200 OK", as_json, json.dumps(columns)
    return "404 Not Found", plain, "known: /metrics /rate /latencies /healthz\n"


def rate_answer(method: str, body: bytes, rate: Rate) -> tuple[str, str, str]:
    """GET or PUT {"rate": number}."""
    try:
        if method == "PUT":
            rate.set(float(json.loads(body)["rate"]))
    except (ValueError, KeyError, TypeError) as error:
        return "400 Bad Request", "application/json", json.dumps({"error": f'expected {{"rate": number}}: {error}'})
    return "200 OK", "application/json", json.dumps({"rate": rate.value})


def _metrics(service: str, arms: Sequence[Arm], rate: Rate) -> str:
    lines, names = [], arms[0].names
    lines.append(f"# TYPE {names.seconds} histogram")
    for arm in arms:
        lines += arm.latency.lines(names.seconds, f'service="{service}",arm="{arm.label}"')
    lines.append(f"# TYPE {names.answers} counter")
    for arm in arms:
        for code, count in sorted(arm.codes.items()):
            lines.append(f'{names.answers}{{service="{service}",arm="{arm.label}",code="{code}"}} {count}')
    lines.append(f"# TYPE {names.size} counter")
    lines += [f'{names.size}{{service="{service}",arm="{arm.label}"}} {arm.bytes}' for arm in arms]
    lines.append(
        "# HELP load_lag_seconds p95 of how much later than intended the generator sent; above 0.005 is too slow"
    )
    lines.append("# TYPE load_lag_seconds gauge")
    for arm in arms:
        lines.append(f'load_lag_seconds{{service="{service}",arm="{arm.label}"}} {arm.lag():.6f}')
    lines += ["# TYPE load_rate gauge", f'load_rate{{service="{service}"}} {rate.value:g}']
    return "\n".join(lines) + "\n"
