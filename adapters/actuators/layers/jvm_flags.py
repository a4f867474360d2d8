"""Flags of HotSpot as text: parameters of the catalogue to options and back, and what `VM.flags` shows. Pure text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from adapters.actuators.layers.options import merged
from adapters.actuators.layers.variables import plain, read, unset
from adapters.catalogue import parameter as catalogue_entry
from domain.errors import Misconfigured
from domain.space import Parameter, Settings, Value

COLLECTORS = {
    "Serial": "UseSerialGC",
    "Parallel": "UseParallelGC",
    "G1": "UseG1GC",
    "ZGC": "UseZGC",
    "Shenandoah": "UseShenandoahGC",
}
GC = "jvm.gc"
_SHORT = {"Xmx": "MaxHeapSize", "Xms": "InitialHeapSize", "Xss": "ThreadStackSize", "Xmn": "MaxNewSize"}
_NO_FLAG = ("jvm.Xlog_gc", "jvm.options_channel", "jvm.SharedArchiveFile", "jvm.AOTCache")
_UNLOCK = "-XX:+UnlockExperimentalVMOptions"
_MOST = 2**63 - 1  # at or above it a size is HotSpot's word for "not limited"
_ROUNDED = 16 * 1024**2  # bytes; HotSpot aligns sizes to a page, a card table's span, a region, a metaspace node
_FLAG = re.compile(r"-XX:(?:([+-])(\w+)|(\w+)=(.*))")
_BRIEF = re.compile(r"-(Xmx|Xms|Xss|Xmn)(.+)")
_SHOWN = re.compile(r"^\s*\S+\s+(\w+)\s+:?=[ ]?(.*?)\s*\{[^{}]*\}\s*\{([^{}]*)\}\s*$", re.MULTILINE)


class Flags:
    """The flags of a set of parameters."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        for parameter in parameters:
            if parameter.name in _NO_FLAG:
                raise Misconfigured(f"{parameter.name} is no flag with values to search; set it once, by hand")
        self.parameters = {each.name: each for each in parameters}
        self._names = {each.name.removeprefix("jvm."): each.name for each in parameters}
        self.manageable = frozenset(each.name for each in parameters if each.cost == "live")

    def stored(self, options: Sequence[str], where: str) -> dict[str, Value]:
        """The values that stand in the options; the last of a kind wins, as in HotSpot. Raises Misconfigured."""
        found: dict[str, Value] = {}
        for option in options:
            name, text = self._parsed(option)
            if name == GC:
                if text.startswith("+"):
                    found[name] = text[1:]
            elif name:
                found[name] = self._value(name, text, where)
        return found

    def written(self, settings: Settings, present: Sequence[str]) -> list[str]:
        """The owner's options with ours behind them; what unlocks stands before what it unlocks."""
        ours = [text for name in self.parameters if name in settings and (text := self._text(name, settings[name]))]
        options = merged(present, ours, self.mine)
        if any(self._experimental(option) for option in ours):
            options = [_UNLOCK, *(option for option in options if option != _UNLOCK)]
        return options

    def mine(self, option: str) -> bool:
        """Whether the option says the value of one of the parameters."""
        return bool(self._parsed(option)[0])

    def at_start(self, options: Sequence[str]) -> list[str]:
        """The options without those that can be changed while the JVM runs."""
        return [option for option in options if self._parsed(option)[0] not in self.manageable]

    def command(self, name: str, value: Value) -> tuple[str, str]:
        """Flag and value for `VM.set_flag`."""
        return name.removeprefix("jvm."), str(value).lower() if isinstance(value, bool) else plain(value)

    def effective(self, shown: Mapping[str, str], written: Mapping[str, Value]) -> dict[str, Value]:
        """The parameters' values among the `shown` flags, which this version of the JVM may not all have."""
        found: dict[str, Value] = {}
        for name in self.parameters:
            if name == GC:
                used = [word for word, flag in COLLECTORS.items() if shown.get(flag) == "true"]
                found |= {name: used[0]} if used else {}
                continue
            text = shown.get(name.removeprefix("jvm."))
            if text is not None:
                value, wanted = self._shown_value(name, text), written.get(name)
                found[name] = wanted if wanted is not None and self._rounded(name, wanted, value, shown) else value
        return found

    # --- one option --------------------------------------------------------------------------------------------------

    def _parsed(self, option: str) -> tuple[str, str]:
        """Parameter and text of an option; no parameter for one that is not ours. A collector's text is its word behind
        the sign."""
        brief = _BRIEF.fullmatch(option)
        if brief is not None:
            return self._names.get(_SHORT[brief[1]], ""), brief[2]
        flag = _FLAG.fullmatch(option)
        if flag is None:
            return "", ""
        if flag[2] in COLLECTORS.values():
            word = next(word for word, name in COLLECTORS.items() if name == flag[2])
            return (GC, flag[1] + word) if GC in self.parameters else ("", "")
        if flag[1]:
            return self._names.get(flag[2], ""), "true" if flag[1] == "+" else "false"
        return self._names.get(flag[3], ""), flag[4]

    def _value(self, name: str, text: str, where: str) -> Value:
        size = re.fullmatch(r"([0-9]+)([kKmMgGtT]?)", text)
        if name == "jvm.ThreadStackSize" and size is not None and size[2]:  # the catalogue counts it in kB
            return int(size[1]) * {"k": 1, "m": 1024, "g": 1024**2, "t": 1024**3}[size[2].lower()]
        return read(name, text, where)

    def _text(self, name: str, value: Value) -> str:
        """Empty where the value is written by leaving the flag out."""
        if unset(self.parameters[name], value) or (isinstance(value, int) and value >= _MOST):
            return ""
        if name == GC:
            return f"-XX:+{COLLECTORS[str(value)]}"
        flag = name.removeprefix("jvm.")
        if isinstance(value, bool):
            return f"-XX:{'+' if value else '-'}{flag}"
        brief = next((short for short in ("Xmx", "Xms") if _SHORT[short] == flag), "")
        if brief:
            return f"-{brief}{value}"
        return f"-Xss{value}k" if flag == "ThreadStackSize" else f"-XX:{flag}={plain(value)}"

    def _experimental(self, option: str) -> bool:
        name, text = self._parsed(option)
        if name == GC:
            return text in ("+ZGC", "+Shenandoah")  # experimental up to 14; the flag does no harm later
        kinds = catalogue_entry(name).data["apply"].get("kind", ()) if name else ()
        return any(kind.startswith("experimental") for kind in kinds)

    # --- one shown flag ----------------------------------------------------------------------------------------------

    def _shown_value(self, name: str, text: str) -> Value:
        kind = catalogue_entry(name).type
        if kind == "bool":
            return text == "true"
        if kind == "enum":
            return text
        return float(text) if kind == "float" else int(text)

    def _rounded(self, name: str, wanted: Value, seen: Value, shown: Mapping[str, str]) -> bool:
        """Whether `seen` is what HotSpot makes of `wanted`: six decimals, sizes on its own grid."""
        if isinstance(wanted, (bool, str)) or isinstance(seen, (bool, str)):
            return wanted == seen
        if isinstance(wanted, float):
            return abs(wanted - seen) <= 1e-6
        if catalogue_entry(name).unit != "bytes":
            return wanted == seen
        return abs(wanted - seen) <= max(_ROUNDED, int(shown.get("G1HeapRegionSize", "0")))


def shown(text: str) -> dict[str, str]:
    """Flag → value of the output of `jcmd PID VM.flags -all`."""
    return {match[1]: match[2] for match in _SHOWN.finditer(text)}
