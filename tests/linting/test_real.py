"""What lint calls refused is refused by the program itself, and the version beside it is taken."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.linting.test_rules import EXAMPLES
from tests.real import need

pytestmark = pytest.mark.real


def examples(name: str, *rules: str) -> list[tuple[str, str]]:
    """The wrong and the right text of each example of these rules that is such a file."""
    return [(wrong, right) for rule, file, wrong, right in EXAMPLES if file == name and rule in rules]


def run(arguments: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(each) for each in arguments], capture_output=True, text=True, timeout=60, check=False)


def version(program: str, argument: str) -> int:
    told = run([program, argument])
    found = re.search(r"\d+", told.stdout + told.stderr)
    assert found
    return int(found[0])


@pytest.mark.parametrize(("wrong", "right"), examples("nginx.conf", "nginx-syntax", "nginx-value"))
def test_nginx(tmp_path: Path, wrong: str, right: str) -> None:
    """`nginx -t` is the judge."""
    program = need("nginx")
    settings = f"pid {tmp_path}/pid; error_log stderr;"
    for text, code in ((wrong, 1), (right, 0)):
        file = tmp_path / "nginx.conf"
        file.write_text(("" if "events" in text else "events {}\n") + text.replace("user www;", "worker_processes 1;"))
        told = run([program, "-t", "-c", file, "-p", tmp_path, "-g", settings])
        assert told.returncode == code, told.stderr


@pytest.mark.parametrize(
    ("wrong", "right"), examples("postgresql.conf", "postgresql-syntax", "postgresql-value", "postgresql-unknown")
)
def test_postgresql(tmp_path: Path, wrong: str, right: str) -> None:
    """`postgres -C` reads the file as a start does. Examples that a newer server takes are for older ones."""
    program = need("postgres")
    if "io_method" in wrong and version(program, "--version") >= 18:
        pytest.skip("this server has io_method")
    for text, refused in ((wrong, True), (right, False)):
        file = tmp_path / "postgresql.conf"
        file.write_text(text + "\n")
        told = run([program, "-C", "max_connections", "-D", tmp_path, "-c", f"config_file={file}"])
        assert (told.returncode != 0) is refused, told.stderr


@pytest.mark.parametrize(
    ("wrong", "right"), examples("jvm.options", "jvm-value", "jvm-two-collectors", "jvm-heap-order", "jvm-relation")
)
def test_jvm(wrong: str, right: str) -> None:
    """`java -version` with the flags."""
    program = need("java")
    for text, refused in ((wrong, True), (right, False)):
        told = run([program, *text.split(), "-version"])
        assert (told.returncode != 0) is refused, told.stdout + told.stderr


def test_the_guides_postgresql_does_not_start_and_the_corrected_one_is_read(tmp_path: Path) -> None:
    """The two files of the example, as a server would read them."""
    from adapters.lint_yaml import documents
    from tests.linting.desk import CORRECTED, GUIDE

    program = need("postgres")
    for folder, refused in ((GUIDE, True), (CORRECTED, False)):
        file = tmp_path / "postgresql.conf"
        tree, _ = next(documents((folder / "9.2-postgresql.yaml").read_text(), "a.yaml"))
        file.write_text(tree.at("data", "postgresql.conf").text)
        told = run([program, "-C", "shared_buffers", "-D", tmp_path, "-c", f"config_file={file}"])
        assert (told.returncode != 0) is refused, told.stderr
        assert ("checkpoint_segments" in told.stderr) is refused
