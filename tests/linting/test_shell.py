"""Scripts as simple commands."""

from __future__ import annotations

import pytest

from linting.containers import from_command
from linting.shell import commands


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b 'c d' \"e f\" g\\ h", [("a", "b", "c d", "e f", "g h")]),
        ("a # b", [("a",)]),
        ("a; b && c || d | e &", [("a",), ("b",), ("c",), ("d",), ("e",)]),
        ("sudo -n -u x a\nenv X=1 b\nexec c", [("a",), ("b",), ("c",)]),
        ("a \\\n  b \\\n  c", [("a", "b", "c")]),
        ("a 'b\nc' d", [("a", "b\nc", "d")]),
        ("cat <<EOF\nnot 'a command\nEOF\nb", [("cat",), ("b",)]),
        ("cat <<-'EOF'\n\tx\n\tEOF\nb", [("cat",), ("b",)]),
        ("echo it's\nb", [("b",)]),
        ("a $(b c) d", [("a", "SUBSTITUTED", "d")]),
        ("if a; then b; fi", [("if", "a"), ("b",), ("fi",)]),
    ],
)
def test_words(text: str, expected: list[tuple[str, ...]]) -> None:
    """Quotes, lists, continued lines, here-documents; a quote that never closes loses its own line only."""
    assert [each.words for each in commands(text, "a.sh")] == expected


@pytest.mark.parametrize(
    ("text", "writes"),
    [
        ("echo 1 > a", ("a",)),
        ("echo 1 >> a 2> b", ("a", "b")),
        ("echo 1 2>&1 > a", ("a",)),
        ("echo 1 | sudo tee a b > /dev/null", ("a", "b")),
        ("cat < a", ()),
    ],
)
def test_what_a_command_writes(text: str, writes: tuple[str, ...]) -> None:
    """Redirections, and tee after an echo, which is how scripts write as another user."""
    assert commands(text, "a.sh")[-1].writes == writes


def test_variables_and_lines() -> None:
    """Assignments before a command, exports, and the line where a command begins."""
    found = commands("#!/bin/sh\n\nA=1 B='2 3' run \\\n x\nexport C=4", "a.sh", 10)
    assert [(each.place.line, each.words, [(v.name, v.value) for v in each.environment]) for each in found] == [
        (12, ("run", "x"), [("A", "1"), ("B", "2 3")]),
        (14, (), [("C", "4")]),
    ]


@pytest.mark.parametrize(
    ("text", "image", "command", "cpu", "memory"),
    [
        ("docker run a", "a", (), None, None),
        ("docker container run --rm -it a b -c", "a", ("b", "-c"), None, None),
        ("podman create --cpus 1.5 -m 1g a", "a", (), 1.5, 1024.0**3),
        ("docker run --cpu-quota=50000 --memory=512m a", "a", (), 0.5, 512 * 1024.0**2),
        ("docker run --cpu-quota 50000 --cpu-period 200000 -e X=1 -v a:b a", "a", (), 0.25, None),
        ("docker run -m512m --name x -p 80:80 a", "a", (), None, 512 * 1024.0**2),
    ],
)
def test_containers_of_commands(
    text: str, image: str, command: tuple[str, ...], cpu: float | None, memory: float | None
) -> None:
    """Options with and without a value, in one word or two, before the image."""
    made = from_command(commands(text, "a.sh")[0])
    assert made is not None
    assert (made.image, made.command, made.cpu, made.memory) == (image, command, cpu, memory)


@pytest.mark.parametrize("text", ["docker", "docker ps", "docker run", "docker run --rm", "podman exec a b", "run a"])
def test_other_commands_make_no_container(text: str) -> None:
    """Nor does one that is cut off."""
    assert from_command(commands(text, "a.sh")[0]) is None
