"""The site that the demo serves: pages of 20-200 kB that compress as pages do, small JSON answers, and images."""

from __future__ import annotations

import json
import random
from pathlib import Path

SYLLABLES = "ka lo mi ter ren da vo si pra nel sto ru be chi fan go ple ar in ta con mo der gra the ing er".split()  # noqa: SIM905
PAGES = ((20, 12.0), (40, 18.0), (60, 20.0), (90, 18.0), (120, 14.0), (200, 8.0))  # kB, weight
JSON_ANSWERS, JSON_WEIGHT = 4, 4.0
IMAGES, IMAGE_WEIGHT = 2, 1.0


def build(root: Path, seed: int = 1) -> str:
    """Write the site below `root`; returns the lines of the load generator's path file. The same seed gives the same
    bytes."""
    rng = random.Random(seed)
    words = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 4))) for _ in range(3000)]
    weights = [1 / (rank + 2) for rank in range(len(words))]  # as in natural text, few words do most of the work
    root.mkdir(parents=True, exist_ok=True)
    lines = []
    for size, weight in PAGES:
        name = f"page-{size}.html"
        (root / name).write_text(_page(rng, words, weights, size * 1024))
        lines.append(f"{weight:g} /{name}")
    for number in range(JSON_ANSWERS):
        rows = [{"id": rng.randrange(10**6), "name": " ".join(rng.choices(words, k=2))} for _ in range(20)]
        (root / f"answer-{number}.json").write_text(json.dumps({"rows": rows}))
        lines.append(f"{JSON_WEIGHT:g} /answer-{number}.json")
    for number in range(IMAGES):
        (root / f"image-{number}.png").write_bytes(rng.randbytes(24 * 1024))
        lines.append(f"{IMAGE_WEIGHT:g} /image-{number}.png")
    return "\n".join(lines) + "\n"


def _page(rng: random.Random, words: list[str], weights: list[float], size: int) -> str:
    parts, length = ["<!doctype html><html><head><title>Shop</title></head><body>\n"], 0
    while length < size:
        text = " ".join(rng.choices(words, weights, k=rng.randint(8, 60)))
        part = f'<article id="{rng.randrange(10**8)}" class="item"><h2>{text[:40]}</h2><p>{text}</p></article>\n'
        parts.append(part)
        length += len(part)
    return "".join(parts) + "</body></html>\n"
