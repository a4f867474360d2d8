"""What admission lets through, asked beforehand: pods made from the template, sent as a dry run.

Quotas, limit ranges and nodes are bounded by rules (`room.py`); webhooks and policies of the cluster can only be asked.
A dry run of the workload itself would not show them: all of these look at pods.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from adapters.actuators.kubernetes.shape import RESOURCES, twin
from domain.allowance import Bound
from domain.errors import Rejected
from domain.space import Parameter, Settings

HALVINGS = 6  # of the interval between what is in force and a bound that is refused: to 2 % of it
Ask = Callable[[Settings], None]  # raises Rejected with what admission says to a pod of these settings


def narrowed(
    ask: Ask, original: Settings, parameters: Sequence[Parameter], bounds: Mapping[str, Bound]
) -> dict[str, Bound]:
    """The bounds of each resource in `parameters`, pulled in to what admission lets through with everything else as it
    is in force. Raises Rejected if it refuses what is in force."""
    ask(original)
    found = dict(bounds)
    for parameter in parameters:
        value = original[parameter.name]
        if parameter.name not in RESOURCES or isinstance(value, (str, bool)):
            continue
        known = bounds.get(parameter.name)
        low = max(parameter.low or 0.0, known.low if known else 0.0)
        high = min(parameter.high or math.inf, known.high if known else math.inf)
        reasons = [known.reason] if known and known.reason else []
        ends = []
        for end in (low, high):
            reached, why = _reach(ask, original, parameter, float(value), end)
            ends.append(reached)
            reasons += [why] if why else []
        if why_not := [each for each in reasons if each]:
            found[parameter.name] = Bound(ends[0], ends[1], "; ".join(dict.fromkeys(why_not)))
    return found


def _reach(ask: Ask, original: Settings, parameter: Parameter, inside: float, end: float) -> tuple[float, str]:
    """How far from the value in force towards a bound admission goes along, and what it says to the rest."""
    why = _refusal(ask, original, parameter, end)
    if not why:
        return end, ""
    good, bad = inside, end
    for _ in range(HALVINGS):
        middle = math.sqrt(good * bad) if parameter.log and good > 0 and bad > 0 else (good + bad) / 2
        if _refusal(ask, original, parameter, middle):
            bad = middle
        else:
            good = middle
    return good, why


def _refusal(ask: Ask, original: Settings, parameter: Parameter, value: float) -> str:
    exact = round(value) if parameter.type == "integer" else value
    settings = {**original, parameter.name: exact}
    other = twin(parameter.name)
    beside = original.get(other)
    if isinstance(beside, (int, float)) and (exact > beside if "request" in parameter.name else exact < beside):
        settings[other] = exact  # a request above its limit would be refused whatever admission thinks
    try:
        ask(settings)
    except Rejected as refusal:
        return f"admission: {refusal}"
    return ""
