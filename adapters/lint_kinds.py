"""What kind of file lint has before it, by name first, by content where the name says little."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import PurePath

from linting.postgresql_names import NEWEST, names


class Kind(StrEnum):
    nginx = "nginx"
    postgresql = "postgresql"
    hba = "pg_hba"
    sysctl = "sysctl"
    shell = "shell"
    jvm = "jvm"
    dockerfile = "dockerfile"
    python = "python"
    yaml = "yaml"
    empty = "empty"


_BY_NAME = (
    (re.compile(r"(?:Dockerfile|Containerfile)(?:\..+)?|.+\.(?:[Dd]ockerfile|[Cc]ontainerfile)"), Kind.dockerfile),
    (re.compile(r".+\.py"), Kind.python),
    (re.compile(r".+\.(?:sh|bash)"), Kind.shell),
    (re.compile(r"pg_hba.*\.conf"), Kind.hba),
    (re.compile(r"postgres(?:ql)?.*\.conf"), Kind.postgresql),
    (re.compile(r"sysctl.*\.conf"), Kind.sysctl),
    (re.compile(r"nginx.*\.conf"), Kind.nginx),
    (re.compile(r"(?:.*[-_.])?daemon\.json"), Kind.yaml),
    (re.compile(r".+\.vmoptions|jvm\.options|.+\.jvmopts"), Kind.jvm),
)
_YAML = re.compile(r".+\.(?:ya?ml|json)")
_YAML_CONTENT = re.compile(
    r'^(?:apiVersion:|services:|\s*"(?:apiVersion|services|storage-driver|storage-opts)"\s*:)', re.M
)
_SHEBANG = re.compile(r"#!\s*\S*?(?:env\s+)?\b(ba|da|k|z)?sh\b")
_PYTHON_SHEBANG = re.compile(r"#!.*\bpython[0-9.]*\b")
_JVM = re.compile(r"\s*-(?:X[msxn]|XX:|D\S|-add-)", re.M)
_SYSCTL = re.compile(r"-?(?:net|vm|kernel|fs)[./][A-Za-z0-9_./-]+\s*=")
_DIRECTIVE = re.compile(r"[a-z_0-9]+(?:\s.*)?[;{]\s*(?:#.*)?$|\}$")
_NGINX = re.compile(r"^\s*(?:http|server|upstream|events|location\s.*|map\s.*)\s*(?:\S+\s*)?\{", re.M)


def kind_of(file: str, text: str) -> Kind | None:
    """The kind of a file; None if lint has nothing to say about such files."""
    path = PurePath(file)
    if not text.strip():
        return Kind.empty
    for pattern, kind in _BY_NAME:
        if pattern.fullmatch(path.name):
            return kind
    if _YAML.fullmatch(path.name):
        return Kind.yaml if _YAML_CONTENT.search(text) else None
    if _PYTHON_SHEBANG.match(text):
        return Kind.python
    if _SHEBANG.match(text):
        return Kind.shell
    return _by_lines(path, text)


def _by_lines(path: PurePath, text: str) -> Kind | None:
    lines = [line.strip() for line in text.split("\n")]
    said = [line for line in lines if line and not line.startswith(("#", ";"))]
    if not said:
        return Kind.empty
    if all(_JVM.match(line) for line in said):
        return Kind.jvm
    if path.suffix not in (".conf", ".cnf", ".sample", ".auto", ""):
        return None
    if path.parent.name == "sysctl.d" or all(_SYSCTL.match(line) for line in said):
        return Kind.sysctl
    if _NGINX.search(text) or all(_DIRECTIVE.match(line) for line in said):
        return Kind.nginx
    known = names(NEWEST)
    ours = [line for line in said if re.split(r"[\s=]", line, maxsplit=1)[0].lower() in known]
    return Kind.postgresql if len(ours) * 2 > len(said) else None
