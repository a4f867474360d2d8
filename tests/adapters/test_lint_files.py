"""Files of strangers: whatever they hold, lint says something clear and never falls over."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from adapters import lint_files
from adapters.lint_facts import facts
from adapters.lint_kinds import Kind, kind_of
from domain.errors import Misconfigured
from linting.finding import Finding
from linting.lint import lint
from tests.linting.desk import GUIDE, lint_text, names, rules


def read(*paths: Path) -> tuple[Finding, ...]:
    return lint(lint_files.read(paths).parts, facts())


@pytest.mark.parametrize(
    ("file", "text", "kind"),
    [
        ("Dockerfile", "FROM a:1", Kind.dockerfile),
        ("shop.Dockerfile", "FROM a:1", Kind.dockerfile),
        ("etc/sysctl.d/90-net.conf", "foo.bar = 1", Kind.sysctl),
        ("tuned.conf", "vm.swappiness = 1", Kind.sysctl),
        ("site.conf", "gzip on;\n", Kind.nginx),
        ("default", "server { listen 80; }", Kind.nginx),
        ("custom.conf", "work_mem = 8MB\njit = off\n", Kind.postgresql),
        ("postgresql.auto.conf", "# nothing", Kind.postgresql),
        ("run", "#!/usr/bin/env bash\ndocker run a", Kind.shell),
        ("run.sh", "docker run a", Kind.shell),
        ("app.vmoptions", "-Xmx1g", Kind.jvm),
        ("options", "# heap\n-Xmx1g\n-XX:+UseZGC\n", Kind.jvm),
        ("tool", "#!/usr/bin/python3\n", Kind.python),
        ("a.yml", "apiVersion: v1\nkind: Pod", Kind.yaml),
        ("a.json", '{\n  "apiVersion": "v1", "kind": "Pod"}', Kind.yaml),
        ("values.yaml", "replicas: 3", None),
        ("notes.txt", "vm.swappiness = 1 was a bad idea", None),
        ("apt.conf", 'APT::Get { Assume-Yes "true"; };', None),
    ],
)
def test_the_kind_is_recognised(file: str, text: str, kind: Kind | None) -> None:
    """By name first, by content where the name says little; other files are none of our business."""
    assert kind_of(file, text) is kind


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.conf", b"\0\1\2", "is a binary file"),
        ("a.conf", b"\xff\xfe", "is not UTF-8"),
        ("a.txt", b"hello", "of no kind that lint knows"),
        ("a.sh", b"#" * (lint_files.LARGEST + 1), "lint reads files up to"),
        ("nginx.conf", b"server { root {{ root }}; }", "is a template"),
        ("chart.yaml", b"apiVersion: v1\nkind: Pod\nmetadata: {{ .Values.meta }}\n", "is a template"),
    ],
)
def test_a_file_that_was_named_and_cannot_be_read_is_refused(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    """One line that names the file; in a directory such a file is left out and told."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Misconfigured, match=told) as refused:
        lint_files.read([path])
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert lint_files.read([tmp_path]).skipped == (str(path),)


def test_a_file_that_is_not_there_or_is_no_file_is_refused(tmp_path: Path) -> None:
    """A pipe would be read for ever."""
    with pytest.raises(Misconfigured, match="No such file"):
        lint_files.read([tmp_path / "nothing.conf"])
    os.mkfifo(tmp_path / "pipe.conf")
    with pytest.raises(Misconfigured, match="no regular file"):
        lint_files.read([tmp_path / "pipe.conf"])


def test_directories_are_walked_without_hidden_ones_and_each_file_once(tmp_path: Path) -> None:
    """A loop of links does not matter, and a file that is named twice counts once."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for folder in (".git", "node_modules", "deep/er"):
        (tmp_path / folder / "sysctl.conf").write_text("vm.swappiness = 60\n")
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)
    file = tmp_path / "deep" / "er" / "sysctl.conf"
    assert lint_files.read([tmp_path, file]).files == (str(file),)


@pytest.mark.parametrize("file", ["a.yaml", "nginx.conf", "postgresql.conf", "a.sh", "a.py", "Dockerfile", "any"])
@pytest.mark.parametrize("text", ["", "\n\n", " \t\n", "\ufeff"])
def test_an_empty_file_has_no_findings(file: str, text: str) -> None:
    """Of whatever name."""
    assert lint_text(text.replace("\ufeff", ""), file) == ()


def test_line_ends_of_other_systems_do_not_move_lines(tmp_path: Path) -> None:
    """CRLF and a byte order mark, as editors on Windows write them."""
    for name, text in (("postgresql.conf", "# a\njit = on\nfsync = off\n"), ("nginx.conf", "# a\n#\ngzip maybe;\n")):
        path = tmp_path / name
        path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
        assert max(each.place.line for each in read(path)) == 3


def test_broken_yaml_is_told_with_its_line_and_hides_no_other_document() -> None:
    """The first and the third document are linted."""
    pod = "apiVersion: v1\nkind: Pod\nspec: {}\n"
    found = lint_text(f"{pod}---\nkind: [\n---\n{pod}", "a.yaml")
    assert [(each.rule, each.place.line) for each in found] == [
        ("k8s-no-containers", 3),
        ("file-syntax", 5),
        ("k8s-no-containers", 9),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: Pod\na: " + "[" * 5000,
        "apiVersion: v1\nkind: Pod\na: " + "{b: " * 5000,
        "apiVersion: v1\nkind: Pod\n" + "".join(" " * n + f"a{n}:\n" for n in range(1, 300)),
        "apiVersion: v1\nkind: Pod\na0: &a0 [x]\n"
        + "".join(f"a{n}: &a{n} [{f'*a{n - 1},' * 9}]\n" for n in range(1, 12)),
        "apiVersion: v1\nkind: Pod\na: &a [*a]\n",
        "apiVersion: v1\nkind: Pod\na: *b\n",
        "apiVersion: v1\nkind: Pod\na: !!python/object:os.system x\n",
        "apiVersion: v1\nkind: Pod\n\ta: 1\n",
        "apiVersion: v1\nkind: Pod\na: 0x" + "f" * 5000,
        "apiVersion: v1\nkind: Pod\na: " + "9" * 5000,
    ],
    ids=["deep-list", "deep-map", "deep-block", "aliases", "self", "no-anchor", "tag", "tab", "hex", "digits"],
)
def test_hostile_yaml_is_refused_or_read_in_no_time(text: str) -> None:
    """Nesting without end, aliases that grow exponentially, objects of Python, numbers without end."""
    assert set(rules(lint_text(text, "a.yaml"))) <= {"file-syntax", "k8s-no-containers", "yaml-duplicate-key"}


@pytest.mark.parametrize("value", ["null", "[]", "3", "text", "{a: [1]}", "true", ".nan", "1e999", "-1"])
def test_fields_of_the_wrong_kind_do_not_matter(value: str) -> None:
    """A manifest may hold anything anywhere; what a rule cannot read it leaves alone."""
    lines = GUIDE.joinpath("9.3-microservice.yaml").read_text().splitlines()
    for number, line in enumerate(lines):
        key, colon, _ = line.partition(":")
        if not colon:
            continue
        indent = len(line) - len(line.lstrip(" -"))
        end = number + 1
        while end < len(lines) and len(lines[end]) - len(lines[end].lstrip(" -")) > indent:
            end += 1
        text = "\n".join([*lines[:number], f"{key}: {value}", *lines[end:]])
        if text.count("apiVersion:") and text.count("kind:"):
            lint_text(text, "a.yaml")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("nginx.conf", "{ " * 10_000),
        ("nginx.conf", "a {" * 10_000),
        ("nginx.conf", "}" * 10_000),
        ("nginx.conf", "a 'b" * 10_000),
        ("nginx.conf", "http { content_by_lua_block { if x then"),
        ("nginx.conf", "keepalive_requests " + "9" * 5000 + ";"),
        ("postgresql.conf", "work_mem = " + "9" * 5000),
        ("postgresql.conf", "work_mem = 1e99999kB"),
        ("postgresql.conf", "= = =\n'\n\0".replace("\0", "")),
        ("sysctl.conf", "vm.swappiness = " + "9" * 5000),
        ("sysctl.conf", "vm.swappiness = nan\nvm.dirty_ratio = inf"),
        ("a.sh", "docker run --cpus=nan --cpu-quota=x -m 9" + "9" * 400 + " --device-read-iops a:²³ a"),
        ("a.sh", "docker\ndocker run\ndocker run -e\ndocker exec\ntaskset\nab -n\nmount\n"),
        ("a.sh", "docker run -e JAVA_OPTS='-Xmx9999999999999999999g -XX:ParallelGCThreads=" + "9" * 4000 + "' a"),
        ("a.sh", "docker run --cpus=0 -m 0 -e JAVA_OPTS='-Xmx1g -XX:G1HeapRegionSize=0' a"),
        ("a.sh", "cat <<EOF\nnever ended"),
        ("a.sh", "'" * 9999),
        ("Dockerfile", "FROM\nENV\nCMD [\nENTRYPOINT [1, {}]\nRUN \\\n"),
        ("a.py", "(" * 5000),
        ("a.py", "-" * 50_000 + "1"),
        ("a.py", "x = '\\d'\n"),
        ("compose.yaml", "services:\n  a: null\n  b: [1]\n  c: {environment: 3, command: {}, deploy: []}\n"),
    ],
)
def test_hostile_texts_of_every_kind(file: str, text: str) -> None:
    """Nothing but findings, in no time."""
    assert all(each.place.line >= 1 for each in lint_text(text, file))


@pytest.mark.parametrize("file", names(GUIDE))
def test_no_mutilation_of_an_example_breaks_the_linter(file: str) -> None:
    """Lines lost, doubled, cut, swapped and mixed: a template may be refused, anything else gives findings."""
    rng = random.Random(file)
    original = GUIDE.joinpath(file).read_text()
    for _ in range(30):
        lines = original.split("\n")
        for _ in range(rng.randrange(1, 5)):
            at = rng.randrange(len(lines))
            match rng.randrange(5):
                case 0:
                    del lines[at : at + 2]
                case 1:
                    lines[at:at] = lines[at : at + 3]
                case 2:
                    lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]
                case 3:
                    lines[at] += rng.choice(["'", '"', "{", "}", ":", "\\", "[", "- ", "\t", "=", "é"])
                case _:
                    rng.shuffle(lines)
            lines = lines or [""]
        try:
            found = lint_text("\n".join(lines), file)
        except Misconfigured:
            continue
        assert all(1 <= each.place.line <= len(lines) + 1 for each in found)


def test_a_version_that_is_none_is_refused() -> None:
    """And so is a program that nobody knows, with the known ones named."""
    with pytest.raises(Misconfigured, match="is no version; write one like 17"):
        facts({"postgresql": "new"})
    with pytest.raises(Misconfigured, match="near: postgresql"):
        facts({"postgres": "17"})
