"""The plan of live gates, the file of finished ones, and what they add up to."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.gate.bounds import upper95
from domain.errors import Misconfigured

Plan = Sequence[tuple[str, float | None, int]]
FILE = "live.jsonl"
MOST_EFFECT = 0.5


@dataclass(frozen=True)
class Job:
    """One gate to be measured. `effect` is the part by which the candidate is faster; None: unknown (gzip)."""

    kind: str
    effect: float | None
    index: int
    seed: int

    def key(self) -> dict[str, Any]:
        return {"kind": self.kind, "effect": self.effect, "index": self.index, "seed": self.seed}


def parse_plan(text: str) -> Plan:
    """`aa:40,10:10,-5:5,gzip:5`: per entry, `aa` or `gzip` or a percentage by which the candidate is faster, and how
    many gates. ValueError names the entry."""
    plan: list[tuple[str, float | None, int]] = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = entry.partition(":")
        try:
            count = int(number)
            effect = None if name == "gzip" else 0.0 if name == "aa" else float(name) / 100
        except ValueError:
            raise ValueError(f"plan: {entry!r} is not KIND:COUNT with aa, gzip or a percentage as KIND") from None
        if count < 0 or (effect is not None and not abs(effect) <= MOST_EFFECT):
            raise ValueError(f"plan: {entry!r}: counts from 0, effects within {100 * MOST_EFFECT:.0f} %")
        plan.append((kind_of(effect), effect, count))
    if not plan:
        raise ValueError("plan: empty")
    return plan


def kind_of(effect: float | None) -> str:
    """aa, delay or gzip."""
    if effect is None:
        return "gzip"
    return "delay" if effect else "aa"


def jobs(plan: Plan, seed: int) -> list[Job]:
    """All gates of a plan, in an order drawn by lot: what changes on the machine over an hour must not meet one kind
    only. The same seed gives the same gates."""
    counts: dict[tuple[str, float | None], int] = {}
    for kind, effect, count in plan:
        if kind not in ("aa", "delay", "gzip"):
            raise ValueError(f"plan: kind {kind!r} is not aa, delay or gzip")
        sized = None if kind == "gzip" else 0.0 if kind == "aa" else effect
        counts[kind, sized] = counts.get((kind, sized), 0) + count
    made = [
        Job(kind, effect, index, _seed(seed, kind, effect, index))
        for (kind, effect), count in counts.items()
        for index in range(count)
    ]
    random.Random(f"order/{seed}").shuffle(made)
    return made


def _seed(seed: int, kind: str, effect: float | None, index: int) -> int:
    return int(hashlib.sha256(f"{seed}/{kind}/{effect}/{index}".encode()).hexdigest()[:8], 16)


# --- the file --------------------------------------------------------------------------------------------------------


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """Finished gates. A last line that was cut off by a crash is no gate."""
    try:
        texts = (folder / FILE).read_text().split("\n")
    except FileNotFoundError:
        return []
    lines = []
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            continue
        try:
            lines.append(dict(json.loads(text)))
        except ValueError:
            if number < len(texts):
                continue  # an earlier crash; the lines after it stand
    return lines


def append_line(folder: Path, line: Mapping[str, Any]) -> None:
    """Add a finished gate; one cut-off line before it stays a line of its own."""
    path = folder / FILE
    text = json.dumps(line, sort_keys=True, allow_nan=False) + "\n"
    if path.exists() and not path.read_bytes().endswith((b"\n",)) and path.stat().st_size:
        text = "\n" + text
    with path.open("a") as file:
        file.write(text)


def left(made: Iterable[Job], lines: Sequence[Mapping[str, Any]]) -> list[Job]:
    """Jobs that have no line yet."""
    done = {(line["kind"], line["effect"], line["seed"]) for line in lines}
    return [job for job in made if (job.kind, job.effect, job.seed) not in done]


def check_same(lines: Sequence[Mapping[str, Any]], constants: Mapping[str, Any], kind: str) -> None:
    """Raises Misconfigured if gates of this kind were measured with other constants: they make no common table."""
    text = json.dumps(constants, sort_keys=True)
    for line in lines:
        gzip = line["kind"] == "gzip"
        if gzip == (kind == "gzip") and json.dumps(line["constants"], sort_keys=True) != text:
            raise Misconfigured(f"{FILE} holds gates measured with other constants; use another folder")


# --- what they add up to ---------------------------------------------------------------------------------------------


def summarise(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Per kind and effect: verdicts, signs, coverage, time, and the upper 95 % bound of the share of Keeps."""
    groups: dict[tuple[str, float | None], list[Mapping[str, Any]]] = {}
    for line in lines:
        groups.setdefault((line["kind"], line["effect"]), []).append(line)
    rows = [_row(*key, group) for key, group in sorted(groups.items(), key=lambda item: (item[0][0], item[0][1] or 0))]
    return {"rows": rows, "gates": sum(row["gates"] for row in rows), "code": sorted({line["code"] for line in lines})}


def _row(kind: str, effect: float | None, group: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    gates = [line for line in group if line["verdict"] != "NoGate"]
    verdicts = [line["verdict"] for line in gates]
    kept = verdicts.count("Keep")
    known = [line for line in gates if line["truth"] is not None and bounds(line) is not None]
    return {
        "kind": kind,
        "effect": effect,
        "gates": len(gates),
        "no_gate": len(group) - len(gates),
        "kept": kept,
        "rolled_back": verdicts.count("RollBack"),
        "not_proven": verdicts.count("Inconclusive"),
        "other": sum(verdict not in ("Keep", "RollBack", "Inconclusive") for verdict in verdicts),
        "proven_no_gain": sum(bool(line["proven_no_gain"]) for line in gates),
        "wrong_sign": sum(wrong_sign(line) for line in gates),
        "median_seconds": _middle(gates, "seconds"),
        "median_seconds_kept": _middle([line for line in gates if line["verdict"] == "Keep"], "seconds"),
        "true_log_effect": _middle(gates, "truth"),
        "median_log_effect": _middle(gates, "effect_seen"),
        "intervals": len(known),
        "covered": sum(_covers(line) for line in known),
        "kept_upper_95": upper95(kept, len(gates)),
        "median_pair_sd": _middle(gates, "pair_sd"),
        "median_pairs": _middle(gates, "pairs"),
        "uneasy": sum(bool(line["uneasy"]) for line in gates),
    }


def _middle(gates: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [line[name] for line in gates if line[name] is not None]
    return median(values) if values else None


def bounds(line: Mapping[str, Any]) -> tuple[float, float] | None:
    """The interval of a gate; None while it is open on a side."""
    low, high = line["interval"]
    return None if low is None or high is None else (low, high)


def wrong_sign(line: Mapping[str, Any]) -> bool:
    """Whether the gate claims the opposite of the truth: an interval wholly on the wrong side of 0, a Keep of what is
    slower, or the proof that something is no gain which is one by more than the margin. A/A has no wrong side; a Keep
    there counts as kept. Compression at a lower level is known to be faster."""
    truth = -1.0 if line["kind"] == "gzip" else line["truth"]
    if not truth:
        return False
    interval = bounds(line)
    if interval is not None and ((truth < 0 and interval[0] > 0) or (truth > 0 and interval[1] < 0)):
        return True
    if truth > 0:
        return bool(line["verdict"] == "Keep")
    return bool(line["proven_no_gain"]) and truth < -line["mei"] / 3


def _covers(line: Mapping[str, Any]) -> bool:
    interval = bounds(line)
    return interval is not None and interval[0] <= line["truth"] <= interval[1]


_HEAD = ("kind", "effect", "gates", "kept", "back", "open", "other", "wrong", "cover", "seconds", "up95")


def table(summary: Mapping[str, Any]) -> str:
    """The summary as text."""
    rows = [_HEAD]
    for row in summary["rows"]:
        rows.append(
            (
                row["kind"],
                "?" if row["effect"] is None else f"{100 * row['effect']:+.1f} %",
                str(row["gates"]),
                str(row["kept"]),
                str(row["rolled_back"]),
                str(row["not_proven"]),
                str(row["other"]),
                str(row["wrong_sign"]),
                f"{row['covered']}/{row['intervals']}",
                "" if row["median_seconds"] is None else f"{row['median_seconds']:.0f}",
                "" if row["kept_upper_95"] is None else f"{row['kept_upper_95']:.2f}",
            )
        )
    return "\n".join("  ".join(f"{cell:>7}" for cell in row) for row in rows)
