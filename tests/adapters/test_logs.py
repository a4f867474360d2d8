"""Log lines: one JSON object each, whoever logs, and never a password."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from adapters.logs import configure


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure("INFO", stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def told(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_our_lines_and_those_of_libraries_look_the_same(lines: io.StringIO) -> None:
    """One object a line with event, level, logger and time; fields stay fields."""
    structlog.get_logger("advance").info("step put off", run="r1", tries=2)
    logging.getLogger("celery.worker").warning("lost %s", "it")
    logging.getLogger("celery.worker").debug("not asked for")
    ours, theirs = told(lines)
    assert (ours["event"], ours["run"], ours["tries"], ours["level"]) == ("step put off", "r1", 2, "info")
    assert (theirs["event"], theirs["logger"], theirs["level"]) == ("lost it", "celery.worker", "warning")
    assert all(str(line["timestamp"]).endswith("Z") for line in (ours, theirs))


def test_no_line_keeps_a_password(lines: io.StringIO) -> None:
    """User and password of an address are struck out of messages, fields and tracebacks, whoever logs them."""
    url = "redis://me:hunter2@redis:6379/0"
    structlog.get_logger("x").info(f"lost {url}", url=url)
    try:
        raise OSError(f"cannot reach {url}")
    except OSError:
        logging.getLogger("kombu").exception("cannot reach %s", url)
    assert "hunter2" not in lines.getvalue()
    assert told(lines)[0]["url"] == "redis://***@redis:6379/0"
    assert "OSError" in str(told(lines)[1]["exception"])
