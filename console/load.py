"""`trimtab load`: send load, and say what came of it without flattering anybody."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.load_telling import (
    MARK_COLUMNS,
    SERVICE_COLUMNS,
    STEP_COLUMNS,
    objective,
    poisson,
    span,
    tell_mark,
    tell_results,
    tell_step,
    words,
)
from console.output import Finding, Format, FormatOption, listing, print_json, say

if TYPE_CHECKING:
    from adapters.load.result import Result

app = typer.Typer(no_args_is_help=True, help="Send load to a service of yours, and measure what it answers.")

_RAMP_WARM_UP = 1.0  # seconds at each rate before it is measured

UrlArgument = Annotated[str, typer.Argument(metavar="URL", help="http://HOST[:PORT]/PATH")]
OwnedOption = Annotated[
    bool, typer.Option("--i-may-load-this-host", help="Needed where the host is no loopback or private address.")
]
SecondsOption = Annotated[str, typer.Option(help="How long to measure: 10, 10s, 5m.")]
TimeoutOption = Annotated[str, typer.Option(help="A request without an answer by then has failed.")]
SloOption = Annotated[str, typer.Option(help="The p95 must be within this time, such as 200ms; exit code 1 if not.")]
ArrivalsOption = Annotated[str, typer.Option(help="poisson: at random, as people come; fixed: evenly spaced.")]
FailuresOption = Annotated[float, typer.Option(min=0, max=1, help="Share of failed requests that --slo bears.")]


@app.command()
def run(
    url: UrlArgument,
    rate: Annotated[float, typer.Option(help="Requests a second.")] = 100.0,
    seconds: SecondsOption = "10",
    timeout: TimeoutOption = "2s",
    warm_up: Annotated[str, typer.Option(help="Load before it that is sent and not counted.")] = "1s",
    slo: SloOption = "",
    failures: FailuresOption = 0.01,
    expect: Annotated[str, typer.Option(help="Text that the answer must hold, looked for before and after.")] = "",
    repeat: Annotated[int, typer.Option(min=1, max=20, help="Measure so many times, to see how runs differ.")] = 1,
    arrivals: ArrivalsOption = "poisson",
    seed: Annotated[int, typer.Option(help="Of the arrivals.")] = 1,
    owned: OwnedOption = False,
    form: FormatOption = Format.table,
) -> None:
    """Open-loop load at a fixed rate: every request counts, also the one that never came back."""
    from adapters.load import address, measure

    address.http_url(url, confirmed=owned)
    at_random, wait = poisson(arrivals), span("--timeout", timeout)
    loads = [
        measure.Load(
            url,
            rate,
            span("--seconds", seconds),
            wait,
            span("--warm-up", warm_up),
            at_random,
            seed + number,
        )
        for number in range(repeat)
    ]
    limit = objective(slo, failures)
    if expect:
        measure.expect(url, expect, wait)
    results = [measure.measure(load) for load in loads]
    if expect:
        measure.expect(url, expect, wait)
    tell_results(results, limit, form)


@app.command()
def ramp(
    url: Annotated[str, typer.Argument(metavar="URL", help="http://HOST[:PORT]/PATH or postgresql://HOST/DATABASE")],
    slo: Annotated[str, typer.Option(help="The p95 must stay within this time.")] = "200ms",
    failures: FailuresOption = 0.01,
    start: Annotated[float, typer.Option(help="First rate, requests a second.")] = 20.0,
    most: Annotated[float, typer.Option(help="Highest rate that may be tried.")] = 1000.0,
    least: Annotated[float, typer.Option(help="Lowest rate that may be tried.")] = 1.0,
    step: Annotated[str, typer.Option(help="Length of a step; longer where the p95 needs more requests.")] = "5s",
    seconds: Annotated[str, typer.Option(help="The whole search takes at most this long.")] = "5m",
    resolution: Annotated[float, typer.Option(help="Stop when the interval is narrower than this share.")] = 0.1,
    timeout: TimeoutOption = "2s",
    clients: Annotated[int, typer.Option(help="Connections of pgbench.")] = 8,
    builtin: Annotated[str, typer.Option(help="pgbench: select-only, simple-update, tpcb-like.")] = "select-only",
    script: Annotated[Path | None, typer.Option(help="pgbench: a file of transactions instead.")] = None,
    owned: OwnedOption = False,
    form: FormatOption = Format.table,
) -> None:
    """Raise the rate until the objective breaks, and report the knee with every step."""
    from adapters.load import address, measure, pgbench
    from adapters.load.ramp import Limits, find
    from adapters.load.slo import Slo
    from domain.codec import to_json

    wait = span("--timeout", timeout)
    seeds = itertools.count(1)  # the same arrivals again would be no second opinion
    postgres = url.startswith("postgres")
    if postgres:
        address.postgres_url(url, confirmed=owned)
        spare = 2.0  # pgbench starts, and ends its last transactions
    else:
        address.http_url(url, confirmed=owned)
        measure.Load(url, most, span("--step", step), wait)  # refused now rather than on the way there
        spare = _RAMP_WARM_UP + wait

    def at(rate: float, length: float) -> Result:
        if postgres:
            return pgbench.measure(pgbench.Bench(url, rate, length, clients, 1, builtin, script))
        return measure.measure(measure.Load(url, rate, length, wait, _RAMP_WARM_UP, seed=next(seeds)))

    limits = Limits(
        start, most, least, 1.6, span("--step", step), span("--seconds", seconds), resolution=resolution, spare=spare
    )
    knee = find(at, Slo(span("--slo", slo), failures=failures), limits, tell=tell_step)
    if form is Format.json:
        print_json(to_json(knee))
    else:
        listing([to_json(each) for each in knee.steps], STEP_COLUMNS, form)
    low, high = ("none" if end is None else f"{end:.4g}" for end in (knee.low, knee.high))
    say(f"holds up to {low} requests/s, breaks at {high}: {knee.why}")
    if knee.low is None:
        raise Finding(f"no rate was shown to keep the objective: {knee.why}")


@app.command()
def soak(
    url: UrlArgument,
    rate: Annotated[float, typer.Option(help="Requests a second.")] = 50.0,
    slice_: Annotated[str, typer.Option("--slice", help="Length of one slice.")] = "30s",
    seconds: Annotated[str, typer.Option(help="The whole soak: 30m, 6h.")] = "30m",
    timeout: TimeoutOption = "2s",
    pid: Annotated[list[int] | None, typer.Option(help="Process whose memory is watched; may be repeated.")] = None,
    progress: Annotated[
        Path | None, typer.Option(help="File of finished slices; a soak goes on where it ends.")
    ] = None,
    failures: Annotated[float, typer.Option(min=0, max=1, help="Share of failed requests that is still fine.")] = 0.01,
    owned: OwnedOption = False,
    form: FormatOption = Format.table,
) -> None:
    """The same rate for a long time: does memory leak, do answers get slower?"""
    from adapters.load import address, measure
    from adapters.load import soak as soaking
    from domain.codec import to_json

    address.http_url(url, confirmed=owned)
    length, whole, wait = span("--slice", slice_), span("--seconds", seconds), span("--timeout", timeout)
    seeds = itertools.count(1)
    plan = soaking.Plan(url, rate, length, max(1, round(whole / length)), wait, tuple(pid or ()))
    seen = soaking.run(
        plan,
        lambda rate, length: measure.measure(measure.Load(url, rate, length, wait, seed=next(seeds))),
        time.time,
        progress,
        tell_mark,
    )
    trends = [trend for trend in (seen.memory, seen.latency) if trend is not None]
    if form is Format.json:
        print_json(to_json(seen))
    else:
        listing([to_json(mark) for mark in seen.marks], MARK_COLUMNS, form)
    for trend in trends:
        say(f"{trend.what}: {words(trend)}: {trend.why}")
    bad = [trend.what for trend in trends if trend.verdict == "grows"]
    if seen.gone:
        raise Finding("a watched process ended during the soak")
    if seen.failed_share > failures:
        raise Finding(f"{100 * seen.failed_share:.3g} % of the requests failed (at most {100 * failures:g} %)")
    if bad:
        raise Finding(f"{' and '.join(bad)} grew to the end of the soak")


@app.command()
def service(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="http://SERVICE.NAMESPACE.svc.cluster.local.:PORT/PATH, headless.")
    ],
    seconds: Annotated[str, typer.Option(help="How long, from the first Ready pod on: 60, 10m; at most 1h.")],
    rate: Annotated[float, typer.Option(help="Requests a second, of all pods together.")] = 20.0,
    most_rate: Annotated[
        float, typer.Option(help="PUT /rate may raise it so far while the load runs; 0: not above --rate.")
    ] = 0.0,
    timeout: TimeoutOption = "2s",
    who: Annotated[str, typer.Option(help="Path that each pod is asked for the headers X-Pod, X-Configuration.")] = "",
    every: Annotated[str, typer.Option(help="How often the name is resolved and --who asked.")] = "300ms",
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where /metrics is; :PORT is 127.0.0.1.")] = ":9100",
    arrivals: ArrivalsOption = "poisson",
    seed: Annotated[int, typer.Option(help="Of arrivals and of the choice of pods.")] = 1,
    owned: OwnedOption = False,
    form: FormatOption = Format.table,
) -> None:
    """Open-loop load on the Ready pods of a headless Service, each request on a connection of its own; /metrics tells
    it by pod and configuration, timeouts included."""
    from adapters.load import service_load
    from domain.codec import to_json

    load = service_load.ServiceLoad(
        url,
        rate,
        span("--seconds", seconds),
        span("--timeout", timeout),
        who,
        most_rate,
        span("--every", every),
        poisson(arrivals),
        seed,
        owned,
    )
    rows = service_load.run(load, listen, say)
    listing([to_json(row) for row in rows], SERVICE_COLUMNS, form, empty="nothing was sent: no pod was Ready")
    if not any(row.good for row in rows):
        raise Finding("no request got a good answer")


@app.command("pgbench")
def pgbench_(
    url: Annotated[str, typer.Argument(metavar="URL", help="postgresql://[USER@]HOST[:PORT]/DATABASE")],
    rate: Annotated[float, typer.Option(help="Transactions a second.")] = 100.0,
    closed_loop: Annotated[bool, typer.Option(help="No rate: as fast as they end.")] = False,
    seconds: SecondsOption = "10",
    clients: Annotated[int, typer.Option(help="Connections.")] = 4,
    threads: Annotated[int, typer.Option(help="Threads of pgbench.")] = 1,
    builtin: Annotated[str, typer.Option(help="select-only, simple-update, tpcb-like.")] = "select-only",
    script: Annotated[Path | None, typer.Option(help="A file of transactions instead.")] = None,
    tries: Annotated[int, typer.Option(help="How often a serialization failure or deadlock is tried at most.")] = 1,
    slo: SloOption = "",
    failures: FailuresOption = 0.01,
    owned: OwnedOption = False,
    form: FormatOption = Format.table,
) -> None:
    """pgbench, by default at a fixed rate, with percentiles from its transaction log."""
    from adapters.load import address, pgbench

    address.postgres_url(url, confirmed=owned)
    length, limit = span("--seconds", seconds), objective(slo, failures)
    bench = pgbench.Bench(url, None if closed_loop else rate, length, clients, threads, builtin, script, tries)
    tell_results([pgbench.measure(bench)], limit, form)


@app.command()
def wrk(
    url: UrlArgument,
    seconds: SecondsOption = "10",
    connections: Annotated[int, typer.Option(help="Kept-alive connections.")] = 10,
    threads: Annotated[int, typer.Option(help="Threads of wrk.")] = 1,
    timeout: TimeoutOption = "2s",
    slo: SloOption = "",
    failures: FailuresOption = 0.01,
    owned: OwnedOption = False,
    form: FormatOption = Format.table,
) -> None:
    """wrk: closed loop, as many requests as come back."""
    from adapters.load import address, job
    from adapters.load import wrk as tool

    address.http_url(url, confirmed=owned, https=True)
    asked = job.Job(url, span("--seconds", seconds), connections, threads, timeout=span("--timeout", timeout))
    tell_results([tool.measure(asked)], objective(slo, failures), form)


@app.command()
def hey(
    url: UrlArgument,
    seconds: SecondsOption = "10",
    connections: Annotated[int, typer.Option(help="Workers.")] = 10,
    rate: Annotated[float | None, typer.Option(help="Requests a second of all workers together.")] = None,
    timeout: TimeoutOption = "2s",
    slo: SloOption = "",
    failures: FailuresOption = 0.01,
    owned: OwnedOption = False,
    form: FormatOption = Format.table,
) -> None:
    """hey: closed loop, also with a rate."""
    from adapters.load import address, job
    from adapters.load import hey as tool

    address.http_url(url, confirmed=owned, https=True)
    asked = job.Job(url, span("--seconds", seconds), connections, rate=rate, timeout=span("--timeout", timeout))
    tell_results([tool.measure(asked)], objective(slo, failures), form)


@app.command()
def ab(
    url: UrlArgument,
    seconds: SecondsOption = "10",
    connections: Annotated[int, typer.Option(help="Requests at a time.")] = 10,
    variable_length: Annotated[bool, typer.Option(help="Answers of different lengths are fine.")] = False,
    timeout: TimeoutOption = "2s",
    slo: SloOption = "",
    failures: FailuresOption = 0.01,
    owned: OwnedOption = False,
    form: FormatOption = Format.table,
) -> None:
    """ab (ApacheBench): closed loop, one thread."""
    from adapters.load import ab as tool
    from adapters.load import address, job

    address.http_url(url, confirmed=owned, https=True)
    asked = job.Job(url, span("--seconds", seconds), connections, timeout=span("--timeout", timeout))
    tell_results([tool.measure(asked, variable_length=variable_length)], objective(slo, failures), form)
