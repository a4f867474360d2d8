"""One view of a container, whoever describes it: `docker run`, compose, a pod, a Dockerfile."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from linting import quantity, shell
from linting.finding import Place
from linting.parts import Command, Container, Setting, Tree

ENGINES = frozenset({"docker", "podman", "nerdctl"})
_FLAGS = frozenset(  # options of `docker run` without a value; -it and other clusters are taken apart
    {"--detach", "--init", "--interactive", "--tty", "--privileged", "--read-only", "--rm", "--no-healthcheck"}
    | {"--oom-kill-disable", "--publish-all", "--sig-proxy", "--quiet", "--disable-content-trust", "--use-api-socket"}
)
_SHORT_FLAGS = frozenset("ditPq")
_LONG = {"-m": "--memory", "-e": "--env", "-c": "--cpu-shares", "-v": "--volume", "--net": "--network"}


def from_command(command: Command) -> Container | None:
    """The container that `docker run` or `docker create` makes; None for other commands."""
    words = list(command.words)
    if command.name not in ENGINES or len(words) < 2:
        return None
    words.pop(0)
    while words and words[0].startswith("-"):  # options of docker itself; those with a value stand in one word
        words.pop(0)
    if words[:1] == ["container"]:
        words.pop(0)
    if words[:1] not in (["run"], ["create"]):
        return None
    options, rest = _options(words[1:], command.place)
    if not rest:
        return None
    environment = [_variable(option) for option in options if option.name == "--env"]
    values = {option.name: option.value for option in options}
    return Container(
        place=command.place,
        image=rest[0],
        command=tuple(rest[1:]),
        environment=tuple(environment),
        cpu=_cpu(values),
        memory=_bytes(values.get("--memory", "")),
        request=_bytes(values.get("--memory-reservation", "")),
        host_network=values.get("--network") == "host",
        options=tuple(options),
    )


def options_of(words: tuple[str, ...], place: Place) -> tuple[Setting, ...]:
    """The options of another command of the engine, such as `docker update`."""
    return tuple(_options(list(words), place)[0])


def _options(words: list[str], place: Place) -> tuple[list[Setting], list[str]]:
    found: list[Setting] = []
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "--":
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        name = _LONG.get(name, name)
        if equals:
            found.append(Setting(name, value, place))
        elif name in _FLAGS or (not name.startswith("--") and set(name[1:]) <= _SHORT_FLAGS):
            found.append(Setting(name, "true", place))
        elif not name.startswith("--") and len(name) > 2:  # -m512m
            found.append(Setting(_LONG.get(name[:2], name[:2]), name[2:], place))
        else:
            found.append(Setting(name, rest.pop(0) if rest else "", place))
    return found, rest


def _variable(option: Setting) -> Setting:
    name, _, value = option.value.partition("=")
    return Setting(name, value, option.place)


def _bytes(text: str) -> float | None:
    size = quantity.size(text) if text else None
    return float(size) if size else None


def _cpu(values: dict[str, str]) -> float | None:
    if "--cpus" in values:
        return quantity.kubernetes(values["--cpus"]) or None
    quota, period = quantity.count(values.get("--cpu-quota", "")), quantity.count(values.get("--cpu-period", "100000"))
    return quota / period if quota and period else None


# --- pods and compose files ------------------------------------------------------------------------------------------


def pod_spec(manifest: Tree) -> Tree:
    """The pod spec inside a manifest, whatever its kind; an empty tree for kinds that start no pods."""
    kind = manifest.at("kind").text
    if kind == "Pod":
        return manifest.at("spec")
    if kind == "CronJob":
        return manifest.at("spec", "jobTemplate", "spec", "template", "spec")
    return manifest.at("spec", "template", "spec")


def from_pod(manifest: Tree) -> Iterator[Container]:
    """The containers of a manifest that starts pods."""
    spec = pod_spec(manifest)
    for kind in ("initContainers", "containers"):
        for each in spec.at(kind).each():
            resources = each.at("resources")
            words = [*each.at("command").each(), *each.at("args").each()]
            yield Container(
                place=each.at("image").place if each.at("image") else each.place,
                image=each.at("image").text,
                command=tuple(word.text for word in words),
                environment=tuple(
                    Setting(one.at("name").text, one.at("value").text, one.at("value").place)
                    for one in each.at("env").each()
                ),
                cpu=quantity.kubernetes(resources.at("limits", "cpu").text),
                memory=quantity.kubernetes(resources.at("limits", "memory").text),
                request=quantity.kubernetes(resources.at("requests", "memory").text),
                host_network=spec.at("hostNetwork").data is True,
                pinned=True,
                manifest=each,
            )


def from_compose(document: Tree) -> Iterator[Container]:
    """The services of a compose file."""
    for name, service in document.at("services").fields():
        limits = service.at("deploy", "resources", "limits")
        memory = limits.at("memory") or service.at("mem_limit")
        cpu = limits.at("cpus") or service.at("cpus")
        reservation = service.at("deploy", "resources", "reservations", "memory") or service.at("mem_reservation")
        yield Container(
            place=service.at("image").place if service.at("image") else service.place,
            image=service.at("image").text or ("" if not service.at("build") else f"{name}:built"),
            command=_compose_words(service.at("entrypoint")) + _compose_words(service.at("command")),
            environment=tuple(_compose_environment(service.at("environment"))),
            cpu=quantity.kubernetes(cpu.text) if cpu.text else None,
            memory=_bytes(memory.text),
            request=_bytes(reservation.text),
            host_network=service.at("network_mode").text == "host",
            pinned=not service.at("build"),
            options=tuple(_compose_options(service)),
        )


def _compose_words(tree: Tree) -> tuple[str, ...]:
    return shell.words(tree.text) if tree.text else tuple(each.text for each in tree.each())


def _compose_environment(tree: Tree) -> Iterator[Setting]:
    for name, value in tree.fields():
        yield Setting(name, value.text, value.place)
    for each in tree.each():
        key, _, text = each.text.partition("=")
        yield Setting(key, text, each.place)


def _compose_options(service: Tree) -> Iterator[Setting]:
    for key, option in (("privileged", "--privileged"), ("oom_kill_disable", "--oom-kill-disable")):
        if service.at(key).data is True:
            yield Setting(option, "true", service.at(key).place)
    for key, option in (
        ("shm_size", "--shm-size"),
        ("cpu_shares", "--cpu-shares"),
        ("mem_limit", "--memory"),
        ("memswap_limit", "--memory-swap"),
        ("mem_reservation", "--memory-reservation"),
    ):
        if service.at(key).text:
            yield Setting(option, service.at(key).text, service.at(key).place)
    for each in service.at("cap_add").each():
        yield Setting("--cap-add", each.text, each.place)
    for name, value in service.at("sysctls").fields():
        yield Setting("--sysctl", f"{name}={value.text}", value.place)
    for each in service.at("sysctls").each():
        yield Setting("--sysctl", each.text, each.place)


# --- Dockerfiles -----------------------------------------------------------------------------------------------------


def from_dockerfile(text: str, file: str) -> tuple[list[Container], list[Command]]:
    """The image of the last stage as a container whose limits stand elsewhere, one for each FROM line, and the commands
    of the RUN lines."""
    stages: list[Container] = []
    names: set[str] = set()
    commands: list[Command] = []
    for line, instruction, rest in _instructions(text):
        place = Place(file, line)
        if instruction == "FROM":
            words = [word for word in rest.split() if not word.startswith("--")]
            inner = bool(words) and words[0].lower() in names
            names.update(word.lower() for word in words[2:3])
            image = words[0] if words else ""
            stages.append(Container(place, image, (), (), limits_known=False, pinned=not inner and "$" not in image))
        elif instruction == "RUN":
            commands += shell.commands(rest, file, line)
        elif stages and instruction == "ENV":
            stages[-1] = _with(stages[-1], environment=tuple(_env(rest, place)))
        elif stages and instruction in ("CMD", "ENTRYPOINT"):
            stages[-1] = _with(stages[-1], command=_exec(rest))
    return stages, commands


def _with(container: Container, environment: tuple[Setting, ...] = (), command: tuple[str, ...] = ()) -> Container:
    return Container(
        container.place,
        container.image,
        container.command + command,
        container.environment + environment,
        limits_known=False,
        pinned=container.pinned,
    )


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    start, held = 0, ""
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        start = start if held else number
        held += bare
        if held.endswith("\\"):
            held = held[:-1] + " "
            continue
        name, _, rest = held.partition(" ")
        yield start, name.upper(), rest.strip()
        held = ""


def _env(rest: str, place: Place) -> Iterator[Setting]:
    if not re.match(r"[A-Za-z_][A-Za-z0-9_]*=", rest):
        name, _, value = rest.partition(" ")
        yield Setting(name, value.strip(), place)
        return
    for word in shell.words(rest):
        name, _, value = word.partition("=")
        yield Setting(name, value, place)


def _exec(rest: str) -> tuple[str, ...]:
    if rest.startswith("["):
        try:
            listed = json.loads(rest)
        except ValueError:
            return ()
        return tuple(str(word) for word in listed) if isinstance(listed, list) else ()
    return shell.words(rest)
