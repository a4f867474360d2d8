"""A container of a Docker engine: what `docker update` changes while it runs.

Labels of a container cannot be changed, so stamp and before-image lie beside a state file on this machine (`place`:
`state`), which holds the limits as an environment file does: TRIMTAB_DOCKER_CPUS=0.5 and so on.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import docker  # type: ignore[import-untyped]  # it has no types of its own
import requests

from adapters.actuators.layers.container import UNLIMITED, Container
from adapters.actuators.process import ProcessArm
from domain.errors import Misconfigured, Rejected, Transient
from domain.space import SearchSpace, Value
from domain.target import Arm

SECONDS = 10.0  # for one answer of the engine
SOCKET = "unix:///var/run/docker.sock"
PERIOD = 100_000  # microseconds; the kernel's, where nobody sets one
_FIELDS = {  # parameter → field of HostConfig and of the update
    "docker.cpu_shares": "CpuShares",
    "docker.cpuset_cpus": "CpusetCpus",
    "docker.memory": "Memory",
    "docker.memory_swap": "MemorySwap",
    "docker.memory_reservation": "MemoryReservation",
    "docker.pids_limit": "PidsLimit",
    "docker.blkio_weight": "BlkioWeight",
}


class DockerArm(ProcessArm):
    """See `domain.ports.Actuator`. `place`: `container` (name or id), `state` (path of the file that Trimtab may own),
    optional `engine` (address of the engine's socket)."""

    def __init__(self, arm: Arm, space: SearchSpace) -> None:
        for key in ("container", "state"):
            if not arm.place.get(key):
                raise Misconfigured(f"arm {arm.label} of Docker needs {key!r}: {_MEANING[key]}")
        engine = Engine(arm.place.get("engine", SOCKET), arm.place["container"])
        place = {**arm.place, "env": arm.place["state"]}
        around = Container(engine, space, arm.place["state"])
        super().__init__(Arm(arm.label, place), space, [around], None)


class Engine:
    """See `layers/container.py: Keeper`; values in force are those of the engine's HostConfig."""

    def __init__(self, address: str, container: str) -> None:
        self._address, self._container = address, container
        self.known = frozenset({*_FIELDS, "docker.cpus", "docker.cpu_period"})

    def present(self, name: str) -> Value:
        return _present(self._host_config(), name)

    def without(self, name: str) -> Value:
        if name == "docker.pids_limit":
            return -1
        raise Misconfigured(f"{name}: an engine cannot take a limit away again; make the container with one first")

    def settle(self, wanted: Mapping[str, Value]) -> None:
        host = self._host_config()
        body = {
            _FIELDS[name]: value for name, value in wanted.items() if name in _FIELDS and value != _present(host, name)
        }
        body |= _cpu(host, wanted)
        if "Memory" in body and "MemorySwap" not in body and host.get("MemorySwap", 0) > 0:
            body["MemorySwap"] = host["MemorySwap"] - host["Memory"] + body["Memory"]  # as much swap as before
        if not body:
            return
        with self._client() as client:
            url = f"{client.base_url}/v{client.api_version}/containers/{self._container}/update"
            answer = client.post(url, json=body, timeout=SECONDS)
            if answer.status_code != 200:
                raise _error(answer, f"update of {self._container}", Rejected)

    def fits(self, name: str, wanted: Value, seen: Value) -> bool:
        """The engine counts CPUs in 1e-9, a quota in whole microseconds."""
        if name == "docker.cpus" and not isinstance(wanted, str) and not isinstance(seen, str):
            return abs(wanted - seen) < 1e-4
        return wanted == seen

    def _host_config(self) -> dict[str, Any]:
        with self._client() as client:
            url = f"{client.base_url}/v{client.api_version}/containers/{self._container}/json"
            answer = client.get(url, timeout=SECONDS)
            if answer.status_code != 200:
                raise _error(answer, f"container {self._container}", Transient)
            try:
                host: dict[str, Any] = answer.json()["HostConfig"]
            except (ValueError, KeyError, TypeError) as error:
                raise Transient(f"the engine's answer about {self._container} has no HostConfig") from error
            return host

    def _reach(self) -> None:
        """Whether anybody listens, asked here because the client forgets its sockets that fail."""
        scheme, _, path = self._address.partition("://")
        if scheme != "unix":
            return
        try:
            with socket.socket(socket.AF_UNIX) as knock:
                knock.settimeout(SECONDS)
                knock.connect(path)
        except PermissionError as error:
            raise Misconfigured(f"{self._address}: no permission; run in the engine's group or as root") from error
        except OSError as error:
            raise Transient(f"the engine at {self._address} does not answer: {error}") from error

    @contextlib.contextmanager
    def _client(self) -> Iterator[docker.APIClient]:
        client = None
        self._reach()
        try:
            client = docker.APIClient(base_url=self._address, version="auto", timeout=SECONDS)
            yield client
        except (docker.errors.DockerException, requests.RequestException) as error:
            raise Transient(f"the engine at {self._address} does not answer: {str(error)[:200]}") from error
        finally:
            if client is not None:
                client.close()


_MEANING = {"container": "its name or id", "state": "path of a file that Trimtab may own"}


def _present(host: Mapping[str, Any], name: str) -> Value:
    """0 of the engine means not set: the kernel's default where there is one, UNLIMITED for memory."""
    if name == "docker.cpus":
        if host.get("NanoCpus"):
            return float(host["NanoCpus"]) / 1e9
        quota = host.get("CpuQuota") or 0
        return float(quota) / (host.get("CpuPeriod") or PERIOD) if quota > 0 else UNLIMITED
    if name == "docker.cpu_period":
        return int(host.get("CpuPeriod") or PERIOD)
    value: Value | None = host.get(_FIELDS[name])
    if name == "docker.cpuset_cpus":
        return value or "all"
    empty = {"docker.cpu_shares": 1024, "docker.memory": UNLIMITED, "docker.pids_limit": -1}
    return value or empty.get(name, 0)


def _cpu(host: Mapping[str, Any], wanted: Mapping[str, Value]) -> dict[str, Value]:
    """The engine refuses NanoCpus beside a period or quota, whichever the container was made with."""
    if not {"docker.cpus", "docker.cpu_period"} & wanted.keys():
        return {}
    cpus = float(wanted.get("docker.cpus", _present(host, "docker.cpus")))
    by_quota = bool(host.get("CpuQuota") or host.get("CpuPeriod"))
    if "docker.cpu_period" in wanted:
        if host.get("NanoCpus"):
            raise Misconfigured("docker.cpu_period: made with --cpus; make the container with --cpu-quota")
        by_quota = True
    if not by_quota:
        return {} if round(cpus * 1e9) == host.get("NanoCpus") else {"NanoCpus": round(cpus * 1e9)}
    period = int(wanted.get("docker.cpu_period", _present(host, "docker.cpu_period")))
    body: dict[str, Value] = {"CpuPeriod": period, "CpuQuota": round(cpus * period)}
    return {} if all(host.get(key) == value for key, value in body.items()) else body


def _error(answer: requests.Response, what: str, otherwise: type[Rejected | Transient]) -> Exception:
    """404: nobody has it. 409: it is being changed or removed. All else is `otherwise`, with the engine's words."""
    try:
        said = str(answer.json()["message"])[:300]
    except (ValueError, KeyError, TypeError):
        said = answer.text[:300]
    if answer.status_code == 404:
        return Misconfigured(f"{what}: {said}")
    return (Transient if answer.status_code == 409 else otherwise)(f"{what}: {said}")
