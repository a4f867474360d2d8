"""The body of the include file that Trimtab owns: settings to directives and back. Pure text."""

from __future__ import annotations

import re

from adapters.actuators.stamped import HINT
from adapters.catalogue import parameter as catalogue_entry
from adapters.catalogue_data import Entry, value_of
from domain.errors import Misconfigured
from domain.space import Parameter, SearchSpace, Settings, Value

_DIRECTIVE = re.compile(
    r"\s*([a-z_0-9]+)((?:\s+(?:\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[^\s;{}\"'#]+))*)\s*;\s*(?:#.*)?"
)
_TEMPLATE = re.compile(r"nginx\.conf: ([a-z_0-9]+) ([^;]*<v>[^;]*);")
_BUFFERED = "buffer=64k flush=5s"


def settings_of(body: str, space: SearchSpace) -> dict[str, Value]:
    """The values of the space's parameters; one that is not there has the program's default. Raises Misconfigured for
    blocks, for a directive that appears twice, and for a value that its parameter cannot have."""
    found = _directives(body)
    return {
        parameter.name: _read(parameter, found[name]) if (name := _name(parameter)) in found else parameter.default
        for parameter in space.parameters
    }


def body_for(settings: Settings, space: SearchSpace, present: str) -> str:
    """The body that carries `settings`: directives of `present` that are no parameter of this space stay as they are,
    the space's follow in its order."""
    found, names = _directives(present), {_name(parameter) for parameter in space.parameters}
    lines = [HINT]
    lines += [f"{name} {args};" for name, args in found.items() if name not in names]
    for parameter in space.parameters:
        name = _name(parameter)
        lines.append(f"{name} {_written(parameter, settings[parameter.name], found.get(name, ''))};")
    return "\n".join(lines) + "\n"


def _name(parameter: Parameter) -> str:
    return parameter.name.split(".", 1)[1]


def _directives(body: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(body.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _DIRECTIVE.fullmatch(line)
        if match is None:
            raise Misconfigured(
                f"line {number} of the include is {line.strip()[:80]!r}; only simple directives, one a line, may stand "
                "in the file that Trimtab owns: move blocks to another file"
            )
        name, args = match[1], " ".join(match[2].split())
        if name in found:
            raise Misconfigured(f"line {number} of the include repeats {name}; nginx accepts it once")
        found[name] = args
    return found


def _entry(parameter: Parameter) -> Entry:
    return catalogue_entry(parameter.name)


def _template(entry: Entry) -> str:
    """What stands behind the directive's name, with `<v>` for the value: `max=<v> inactive=20s`."""
    match = _TEMPLATE.search(entry.set.get("local", ""))
    return match[2] if match is not None else "<v>"


def _written(parameter: Parameter, value: Value, present: str) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if _name(parameter) == "access_log":
        return _access_log(value, present)
    if value in parameter.special:
        return str(value)
    entry = _entry(parameter)
    template = _template(entry)
    if "<1000*v>" in entry.set.get("local", ""):
        return f"{round(1000 * float(value))}ms"
    return template.replace("<v>", str(value))


def _access_log(value: Value, present: str) -> str:
    """The log's path is the owner's; only how it is written changes."""
    path = next((word for word in present.split()[:1] if word != "off"), "logs/access.log")
    if value == "off":
        return "off"
    return f"{path} combined {_BUFFERED}" if value == "buffered" else f"{path} combined"


def _read(parameter: Parameter, args: str) -> Value:
    name = _name(parameter)
    if name == "access_log":
        return "off" if args == "off" else ("buffered" if "buffer=" in args else "unbuffered")
    if parameter.choices == (False, True):
        if args not in ("on", "off"):
            raise Misconfigured(f"{name} is {args!r} in the include; allowed: on, off")
        return args == "on"
    if args in [str(special) for special in parameter.special]:
        return next(special for special in parameter.special if str(special) == args)
    entry = _entry(parameter)
    match = re.fullmatch(re.escape(_template(entry)).replace("<v>", r"(\S+)"), args)
    raw = match[1] if match is not None else args.split(" ", 1)[0].removeprefix("max=")
    return value_of(entry, raw)
