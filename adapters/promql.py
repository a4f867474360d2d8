"""A first look at PromQL templates: what is certainly wrong is found before Prometheus is asked."""

from __future__ import annotations

import re

_CLOSES = {")": "(", "]": "[", "}": "{"}
_VARIABLE = re.compile(r"\$(?:\{|([A-Za-z_]\w*))")
_LIMIT = re.compile(r"(?s)(.*\S)\s*(<=|>=|==|!=|<|>)\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*")


def faults(query: str, needed: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What is wrong with a template; empty if nothing was found. `needed` are variables (`arm`, `window`) that must
    occur. A query may still be refused by Prometheus."""
    text = query.strip()
    if not text:
        return ("the query is empty",)
    found, plain = _balance(text)
    for match in _VARIABLE.finditer(text):
        name = match[1]
        if name is None:
            found.append("write $arm or $window without braces")
        elif name not in ("arm", "window"):
            found.append(f"unknown variable ${name}; allowed are $arm and $window")
    for name in needed:
        if not re.search(rf"\${name}\b", plain if name == "window" else text):
            found.append(f"${name} is missing; the query must name {_MEANING[name]}")
    for window in re.findall(r"\[([^\[\]]*)\]", plain):
        if window.strip() != "$window":
            found.append(f"window [{window}]; only [$window] is allowed, its length comes from the profile")
    if plain.rstrip()[-1:] in tuple("+-*/%^,=<>!"):
        found.append(f"ends with {plain.rstrip()[-1]!r}")
    if plain.lstrip()[:1] in tuple("*/%^,=<>!"):
        found.append(f"begins with {plain.lstrip()[0]!r}")
    return tuple(dict.fromkeys(found))


def split_limit(text: str) -> tuple[str, str, float] | None:
    """`query < 0.01` as (query, operator, limit); None if the text does not end in a comparison with a number."""
    match = _LIMIT.fullmatch(text.strip())
    return (match[1], match[2], float(match[3])) if match else None


_MEANING = {"arm": 'the arm it measures, as in arm="$arm"', "window": "its time window, as in rate(x[$window])"}


def _balance(text: str) -> tuple[list[str], str]:
    """Faults of quotes and brackets, and the text with the content of strings and comments blanked out."""
    found: list[str] = []
    open_brackets: list[tuple[str, int]] = []
    plain: list[str] = []
    place = 0
    while place < len(text):
        char = text[place]
        if char in "\"'`":
            end = _string_end(text, place)
            if end < 0:
                return [f"the quote {char} at character {place + 1} is never closed", *found], "".join(plain)
            plain.append('"' + " " * (end - place - 1) + '"')
            place = end + 1
            continue
        if char == "#":
            end = text.find("\n", place)
            place = len(text) if end < 0 else end
            continue
        if char in "([{":
            open_brackets.append((char, place))
        elif char in _CLOSES:
            if not open_brackets or open_brackets[-1][0] != _CLOSES[char]:
                return [f"{char!r} at character {place + 1} closes nothing", *found], "".join(plain)
            open_brackets.pop()
        plain.append(char)
        place += 1
    if open_brackets:
        char, at = open_brackets[-1]
        found.append(f"{char!r} at character {at + 1} is never closed")
    return found, "".join(plain)


def _string_end(text: str, start: int) -> int:
    quote, place = text[start], start + 1
    while place < len(text):
        if text[place] == "\\" and quote != "`":
            place += 2
            continue
        if text[place] == quote:
            return place
        place += 1
    return -1
