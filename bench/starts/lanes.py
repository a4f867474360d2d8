"""Several candidates at a time, each lane a process of its own."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.starts import nginx, postgresql, runtimes
from bench.starts.draw import draw, is_loaded
from bench.starts.group import Group
from bench.starts.kept import Plan
from bench.starts.play import Maker, played

MAKERS: Mapping[str, Maker] = {
    "nginx": nginx.Nginx,
    "postgresql": postgresql.Postgresql,
    "jvm": runtimes.Jvm,
    "go": runtimes.Go,
    "node": runtimes.Node,
    "python": runtimes.Gunicorn,
}


@dataclass(frozen=True, slots=True)
class Lane:
    """What every candidate of a run has in common. `prefix` begins the names of its groups, `folder` has what is made
    once (`props`) and what a candidate works in."""

    folder: Path
    plan: Plan
    free: bool
    prefix: str

    def play(self, preset: str, number: int) -> dict[str, Any]:
        """The line that is kept of one candidate."""
        loaded = is_loaded(number, self.plan.candidates, self.plan.loaded)
        candidate = draw(preset, number, self.plan.seed, loaded=loaded, free=self.free)
        name = f"{self.prefix}-{preset}-{number}"
        own = self.folder / "work" / self.prefix / name
        try:
            group = Group(name, candidate, own)
            return played(candidate, MAKERS[candidate.family], self.folder / "props", group)
        finally:
            shutil.rmtree(own, ignore_errors=True)


def results(lane: Lane, waiting: Sequence[tuple[str, int]], lanes: int) -> Iterator[dict[str, Any]]:
    """The lines of these candidates (preset, number), in the order in which they end."""
    with ProcessPoolExecutor(lanes, multiprocessing.get_context("spawn")) as pool:
        left = [pool.submit(lane.play, *each) for each in waiting]
        try:
            for future in as_completed(left):
                yield future.result()
        finally:
            for future in left:
                future.cancel()
