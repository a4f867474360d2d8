"""The live bench without its processes: plan, resuming, sums, and the service that carries a known effect."""

from __future__ import annotations

import asyncio
import json
import math
import random
from pathlib import Path
from typing import Any

import pytest

from bench.gate import live, live_book, live_gate
from bench.gate.backend import BASE, JITTER, Delays, factor, serve
from bench.gate.bounds import upper95
from bench.gate.live_book import Job, append_line, jobs, left, parse_plan, read_lines, summarise
from bench.gate.live_noise import LoadBursts, burn
from bench.gate.live_site import DELAY, GZIP, Kind, Lane
from domain.errors import Misconfigured
from domain.events import Judged, Screened
from domain.profile import PROFILES
from domain.run import replay
from tests.journeys.world import World


def line(job: Job, verdict: str = "Keep", **changes: Any) -> dict[str, Any]:
    """A finished gate, as `measure` tells it."""
    truth = None if job.effect is None else math.log1p(-job.effect)
    told = {
        "verdict": verdict,
        "interval": [-0.12, -0.08],
        "effect_seen": -0.1,
        "proven_no_gain": False,
        "truth": truth,
        "seconds": 80.0,
        "pairs": 10,
        "pair_sd": 0.02,
        "uneasy": False,
        "mei": 0.03,
        "code": "c0de",
        "constants": {"rate": 40.0},
    }
    return {**job.key(), **told, **changes}


def job(effect: float | None, index: int = 0) -> Job:
    return Job(live_book.kind_of(effect), effect, index, 1000 + index)


# --- the plan --------------------------------------------------------------------------------------------------------


def test_a_plan_is_read() -> None:
    """Entries are kinds or percentages by which the candidate is faster, with a count."""
    assert parse_plan("aa:40, 10:10,-5:3,gzip:5") == [
        ("aa", 0.0, 40),
        ("delay", 0.10, 10),
        ("delay", -0.05, 3),
        ("gzip", None, 5),
    ]


@pytest.mark.parametrize("text", ["", "aa", "aa:x", "fast:3", "10:-1", "90:1", "nan:1"])
def test_a_wrong_plan_is_refused(text: str) -> None:
    """Each mistake is named before anything starts."""
    with pytest.raises(ValueError, match="plan"):
        parse_plan(text)


def test_the_same_seed_gives_the_same_gates_in_mixed_order() -> None:
    """Seeds belong to gates, not to their order; another seed gives others."""
    plan = parse_plan("aa:20,10:20")
    made = jobs(plan, 1)
    assert made == jobs(plan, 1)
    assert len({each.seed for each in made}) == 40
    assert not {each.seed for each in made} & {each.seed for each in jobs(plan, 2)}
    assert {each.kind for each in made[:20]} == {"aa", "delay"}
    assert set(jobs(parse_plan("aa:5"), 1)) <= set(made)


# --- going on --------------------------------------------------------------------------------------------------------


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    """Finished gates are found by kind, effect and seed, also after a line that a crash cut off."""
    made = jobs(parse_plan("aa:2,10:1,gzip:1"), 1)
    append_line(tmp_path, line(made[0]))
    with (tmp_path / live_book.FILE).open("a") as file:
        file.write(json.dumps(line(made[1]))[:40])
    append_line(tmp_path, line(made[2]))
    assert left(made, read_lines(tmp_path)) == [made[1], made[3]]


def test_a_second_start_only_measures_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run_live` asks for no lane of a kind that is complete, and sums up gates of its own plan only."""
    plan = parse_plan("aa:1,10:2,gzip:1")
    made = jobs(plan, 1)
    asked: list[tuple[Kind, int]] = []

    class Phase:
        def __init__(self, folder: Path, kind: Kind, todo: list[Job], lanes: int, seed: int) -> None:
            asked.append((kind, len(todo)))
            self.todo = todo

        def run(self) -> None:
            for each in self.todo:
                append_line(tmp_path, line(each))

    monkeypatch.setattr(live, "_Phase", Phase)
    append_line(tmp_path, line(next(each for each in made if each.kind == "gzip")))
    append_line(tmp_path, line(Job("aa", 0.0, 0, 7)))
    assert live.run_live(tmp_path, plan, 3, 1)["gates"] == 4
    assert asked == [(DELAY, 3)]
    live.run_live(tmp_path, plan, 3, 1)
    assert asked == [(DELAY, 3)]


def test_gates_with_other_constants_do_not_mix(tmp_path: Path) -> None:
    """A folder that holds gates of other constants is refused; those of the other kind of lane do not matter."""
    lines = [line(job(0.1)), line(job(None), constants={"rate": 15.0})]
    live_book.check_same(lines, {"rate": 40.0}, "delay")
    live_book.check_same(lines, {"rate": 15.0}, "gzip")
    with pytest.raises(Misconfigured, match="another folder"):
        live_book.check_same(lines, {"rate": 41.0}, "delay")


def test_two_benches_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second one is refused while the first is at work."""
    with live._alone(tmp_path), pytest.raises(Misconfigured, match="another bench"):
        live.run_live(tmp_path, parse_plan("aa:1"), 1, 1)


# --- sums ------------------------------------------------------------------------------------------------------------


def test_the_sums_are_right() -> None:
    """Verdicts, coverage and time per kind and effect; a run that opened no gate is no gate."""
    lines = [
        line(job(0.1, 0), seconds=70.0),
        line(job(0.1, 1), "Inconclusive", interval=[None, None], seconds=120.0),
        line(job(0.1, 2), "RollBack", interval=[-0.04, 0.01], seconds=50.0),
        {**job(0.1, 3).key(), "verdict": "NoGate", "why": "x", "code": "c0de"},
        line(job(0.0), "Keep", interval=[-0.05, -0.02]),
    ]
    aa, ten = summarise(lines)["rows"]
    assert (ten["gates"], ten["no_gate"], ten["kept"], ten["rolled_back"], ten["not_proven"]) == (3, 1, 1, 1, 1)
    assert (ten["intervals"], ten["covered"], ten["wrong_sign"], ten["median_seconds"]) == (2, 1, 0, 70.0)
    assert (aa["kept"], aa["covered"], aa["wrong_sign"]) == (1, 0, 0)


@pytest.mark.parametrize(
    ("effect", "changes", "wrong"),
    [
        (0.03, {"interval": [0.001, 0.05], "verdict": "Inconclusive"}, True),
        (0.03, {"interval": [-0.02, 0.05], "verdict": "RollBack"}, False),
        (0.03, {"interval": [None, None], "verdict": "RollBack", "proven_no_gain": True}, True),
        (0.005, {"interval": [-0.008, 0.003], "verdict": "RollBack", "proven_no_gain": True}, False),
        (-0.05, {"interval": [0.03, 0.06], "verdict": "RollBack", "proven_no_gain": True}, False),
        (-0.05, {"interval": [-0.06, 0.01], "verdict": "Keep"}, True),
        (0.0, {"interval": [-0.06, -0.01], "verdict": "Keep"}, False),
        (None, {"interval": [0.1, 0.2], "verdict": "Inconclusive"}, True),
        (None, {"interval": [-0.9, -0.7], "verdict": "Keep"}, False),
    ],
)
def test_a_wrong_sign_is_a_claim_of_the_opposite(effect: float | None, changes: dict[str, Any], wrong: bool) -> None:
    """Wide intervals and gates that end without proof are no claims."""
    assert live_book.wrong_sign(line(job(effect), **changes)) is wrong


def test_the_upper_bound_is_clopper_and_pearsons() -> None:
    """0 of 40 bounds the share below 7.2 %, 2 of 40 below 14.9 %."""
    assert upper95(0, 40) == pytest.approx(1 - 0.05 ** (1 / 40))
    assert upper95(2, 40) == pytest.approx(0.149, abs=0.001)
    assert upper95(3, 3) == 1.0
    assert upper95(0, 0) is None


def test_the_true_effect_counts_what_does_not_shrink() -> None:
    """Of a control of 33 ms, 30 are the delay: a tenth less of it is 3 ms."""
    assert live_gate.true_effect(job(0.1), BASE * 1.1) == pytest.approx(math.log(1 - 0.1 / 1.1))
    assert live_gate.true_effect(job(0.0), BASE * 1.1) == 0.0
    assert live_gate.true_effect(job(None), 0.01) is None


def test_a_verdict_is_told_from_the_journal() -> None:
    """Verdict, pairs and seconds are those of the journal; the true effect is on the level that the control showed."""
    world = World(proposals=[{"level": 1}], speed=lambda settings: BASE + 0.002 * float(settings["level"]), noise=0.02)
    world.open()
    world.go(until=lambda: any(isinstance(event, Judged) for event in world.events()))
    told = live_gate.told_by(world.records(), job(0.1))
    judged = next(event for event in world.events() if isinstance(event, Judged))
    assert (told["verdict"], told["effect_seen"], told["log_e"]) == (judged.verdict, judged.effect, judged.log_e)
    assert len(told["ds"]) == told["pairs"] - told["missing"] >= 2
    assert 10.0 < told["seconds"] < 120.0
    assert told["truth"] == live_gate.true_effect(job(0.1), told["control_mean"])


def test_a_gate_whose_time_is_over_is_not_proven() -> None:
    """A run that was stopped in its gate counts, with the estimate of its pairs so far; one that was stopped before it
    is no gate."""
    world = World(proposals=[{"level": 1}], speed=lambda settings: BASE + 0.002 * float(settings["level"]), noise=0.02)

    def gated() -> int:
        run = replay(world.records())
        return len(run.gates[-1].block.pairs()) if run.gates else -1

    world.open()
    world.go(until=lambda: any(isinstance(event, Screened) for event in world.events()))
    assert live_gate.told_by(world.records(), job(0.1))["verdict"] == "NoGate"
    world.go(until=lambda: gated() >= 4)
    world.ledger.hear(world.run, {"kind": "stop", "text": "the time is over"}, world.clock.time)
    world.go()
    told = live_gate.told_by(world.records(), job(0.1))
    assert (told["verdict"], told["seconds"], told["pairs"]) == ("Inconclusive", live_gate.GATE_SECONDS, 4)
    assert told["effect_seen"] < 0 < told["e"]


def test_only_times_differ_from_the_profile_of_the_product() -> None:
    """What decides is that of `staging`."""
    ours, theirs = live_gate.live_profile(), PROFILES["staging"]
    for name in ("alpha", "mei", "gate_min_pairs", "gate_max_pairs", "max_gates", "prior_sd"):
        assert getattr(ours, name) == getattr(theirs, name)


def test_lanes_are_targets_of_the_catalogue(tmp_path: Path) -> None:
    """Original and candidate are values that the space allows, and each lane asks for its own series."""
    for kind in (DELAY, GZIP):
        target = Lane(3, kind, tmp_path, {}, "nginx").target(live_gate.live_profile())
        assert [parameter.name for parameter in target.space.parameters] == list(kind.settings(candidate=True))
        assert 'service="live-3"' in target.objective.query


# --- disturbances ----------------------------------------------------------------------------------------------------


def test_load_bursts_are_seeded_and_bounded() -> None:
    """Same seed, same bursts; between them, and after the end, the rate is the usual one."""
    bursts = LoadBursts.drawn(5, 120.0)
    assert bursts == LoadBursts.drawn(5, 120.0) != LoadBursts.drawn(6, 120.0)
    assert len(bursts.bursts) >= 5
    assert all(3.0 <= end - start <= 6.0 and 1.5 <= factor <= 2.0 for start, end, factor in bursts.bursts)
    assert bursts.factor(0.0) == bursts.factor(121.0) == 1.0
    assert bursts.factor(bursts.bursts[0][0]) == bursts.bursts[0][2]


def test_a_neighbour_burns_at_most_a_quarter() -> None:
    """It ends by itself, and at once when its owner is gone."""
    now = [0.0]

    def clock() -> float:
        now[0] += 0.001
        return now[0]

    def pause(seconds: float) -> bool:
        now[0] += seconds
        return False

    burnt = burn(1, 120.0, pause, clock)
    assert 0.1 * now[0] < burnt <= 0.26 * now[0]
    assert now[0] < 130.0
    now[0] = 0.0
    assert burn(1, 120.0, lambda seconds: True, clock) < 0.6


# --- the service -----------------------------------------------------------------------------------------------------


def test_only_the_candidates_version_is_faster() -> None:
    """The draws are the same for all; the effect multiplies them for one version."""
    assert (factor("1.0", 0.1), factor("1.1", 0.1), factor("1.1", -0.1)) == (1.0, 0.9, 1.1)
    ours, theirs = Delays(random.Random(1)), Delays(random.Random(1))
    ours.set(0.1)
    for _ in range(100):
        delay = theirs.next("1.0")
        assert BASE * (1 - JITTER) <= delay <= BASE * (1 + JITTER)
        assert ours.next("1.1") == pytest.approx(0.9 * delay)
    with pytest.raises(ValueError, match="effect"):
        ours.set(1.0)


def test_the_service_knows_candidates_by_their_http_version() -> None:
    """Over a real socket: the effect is set, requests of both versions wait, and are counted."""

    async def ask(port: int, text: str) -> tuple[bytes, float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = asyncio.get_running_loop().time()
        writer.write(text.encode())
        answer = await asyncio.wait_for(reader.read(), 5.0)
        took = asyncio.get_running_loop().time() - began
        writer.close()
        await writer.wait_closed()
        return answer, took

    async def scenario() -> tuple[dict[str, list[float]], float, bytes]:
        server = await serve("127.0.0.1", 0, Delays(random.Random(1), base=0.01))
        port = server.sockets[0].getsockname()[1]
        try:
            await ask(port, "GET /-/effect/0.5 HTTP/1.0\r\n\r\n")
            for _ in range(3):
                await ask(port, "GET /work HTTP/1.0\r\nHost: x\r\n\r\n")
                _, took = await ask(port, "GET /work HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            refused, _ = await ask(port, "GET /-/effect/7 HTTP/1.0\r\n\r\n")
            seen, _ = await ask(port, "GET /-/seen HTTP/1.0\r\n\r\n")
        finally:
            server.close()
            await server.wait_closed()
        return json.loads(seen.split(b"\r\n\r\n", 1)[1]), took, refused

    seen, took, refused = asyncio.run(scenario())
    assert (seen["1.0"][0], seen["1.1"][0]) == (3, 3)
    assert 0.5 * 0.7 <= seen["1.1"][1] / 3 / 0.01 <= 0.5 * 1.3
    assert 0.7 <= seen["1.0"][1] / 3 / 0.01 <= 1.3
    assert took >= 0.5 * 0.7 * 0.01
    assert refused.startswith(b"HTTP/1.1 400")
