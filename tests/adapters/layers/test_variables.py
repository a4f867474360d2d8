"""Settings that are variables of the environment: Go, Node.js, Python, the C library."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from adapters.actuators.layers.golang import UNLIMITED, Golang
from adapters.actuators.layers.libc import Libc
from adapters.actuators.layers.nodejs import Nodejs
from adapters.actuators.layers.options import split
from adapters.actuators.layers.python import Python
from domain.errors import Misconfigured, Transient
from domain.space import Parameter, SearchSpace, Value
from domain.target import Arm, Restart

MIB = 2**20


def space(*names: str) -> SearchSpace:
    return SearchSpace(tuple(Parameter(name, "integer", 1, low=1, high=2**40, cost="restart") for name in names))


def arm(place: Mapping[str, str] | None = None, *argv: str) -> Arm:
    return Arm("a", place or {}, Restart(argv or ("program",), "/tmp/pid"))


@contextmanager
def answering(text: str) -> Iterator[str]:
    """A page with this text, at an address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/metrics"
        finally:
            server.shutdown()
            thread.join(5)


# --- Go --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [("64MiB", 64 * MIB), ("67108864", 64 * MIB), ("67108864B", 64 * MIB), ("off", UNLIMITED), ("2GiB", 2048 * MIB)],
)
def test_a_memory_limit_is_read_in_gos_own_units(text: str, value: int) -> None:
    """What runtime/debug documents for GOMEMLIMIT."""
    assert Golang(arm(), space("go.GOMEMLIMIT")).stored({"GOMEMLIMIT": text}) == {"go.GOMEMLIMIT": value}


def test_no_limit_is_written_by_leaving_the_variable_out() -> None:
    """And read as no limit where it is missing."""
    layer = Golang(arm(), space("go.GOMEMLIMIT", "go.GOGC"))
    assert layer.stored({}) == {"go.GOMEMLIMIT": UNLIMITED}
    assert layer.variables({"go.GOMEMLIMIT": UNLIMITED, "go.GOGC": "off"}, {}) == {"GOMEMLIMIT": None, "GOGC": "off"}
    assert layer.stored({"GOGC": "off"})["go.GOGC"] == "off"
    with pytest.raises(Misconfigured, match="GOMEMLIMIT is '64MB'"):
        layer.stored({"GOMEMLIMIT": "64MB"})


def test_the_debug_options_of_the_owner_stay() -> None:
    """One key of GODEBUG is ours."""
    layer = Golang(arm(), space("go.GODEBUG_madvdontneed"))
    present = {"GODEBUG": "gctrace=1,madvdontneed=1,http2debug=0"}
    assert layer.stored(present) == {"go.GODEBUG_madvdontneed": 1}
    written = layer.variables({"go.GODEBUG_madvdontneed": 0}, present)
    assert written == {"GODEBUG": "gctrace=1,madvdontneed=0,http2debug=0"}


def test_the_runtimes_own_metrics_win_over_the_environment() -> None:
    """A program that sets its own pace in code shows it; a page without the figure is no proof."""
    names = ("go.GOGC", "go.GOMEMLIMIT", "go.GOMAXPROCS")
    text = "go_gc_gogc_percent 400\ngo_gc_gomemlimit_bytes 9.223372036854776e+18\ngo_sched_gomaxprocs_threads 2\n"
    with answering(text) as address:
        layer = Golang(arm({"metrics": address}), space(*names))
        expected: dict[str, Value] = dict(zip(names, (400, UNLIMITED, 2), strict=True))
        assert layer.effective({"GOGC": "100"}, {"GOGC": "100"}) == expected
    with pytest.raises(Transient, match="does not answer"):
        layer.effective({}, {})
    with (
        answering("go_goroutines 7\n") as address,
        pytest.raises(Misconfigured, match="has no go_gc_gogc_percent"),
    ):
        Golang(arm({"metrics": address}), space("go.GOGC")).effective({}, {})
    with pytest.raises(Misconfigured, match="metrics is 'localhost'"):
        Golang(arm({"metrics": "localhost"}), space("go.GOGC"))


# --- Node.js ---------------------------------------------------------------------------------------------------------


def test_options_of_node_are_replaced_where_they_are_ours() -> None:
    """Dashes or underlines; the owner's stay in their order."""
    layer = Nodejs(arm(), space("node.max_old_space_size", "node.max_semi_space_size"))
    present = {"NODE_OPTIONS": "--no-deprecation --max_old_space_size=512 --require ./a.js"}
    assert layer.stored(present) == {"node.max_old_space_size": 512}
    wanted: dict[str, Value] = {"node.max_old_space_size": 256, "node.max_semi_space_size": 32}
    text = "--no-deprecation --require ./a.js --max-old-space-size=256 --max-semi-space-size=32"
    assert layer.variables(wanted, present) == {"NODE_OPTIONS": text}
    with pytest.raises(Misconfigured, match="--max-old-space-size has no value"):
        layer.stored({"NODE_OPTIONS": "--max-old-space-size 512"})


def test_v8s_own_figure_is_the_old_space_in_force() -> None:
    """heap_size_limit is the old space and three semi spaces."""
    with answering(json.dumps({"heap_size_limit": (200 + 3 * 16) * MIB})) as address:
        layer = Nodejs(arm({"inspect": address}), space("node.max_old_space_size", "node.max_semi_space_size"))
        running = {"NODE_OPTIONS": "--max-old-space-size=128 --max-semi-space-size=16"}
        assert layer.effective(running, running)["node.max_old_space_size"] == 200


@pytest.mark.parametrize("name", ["node.min_semi_space_size", "node.single_threaded_gc", "node.maglev"])
def test_what_node_refuses_in_its_variable_is_refused_here(name: str) -> None:
    """node would end with 9."""
    with pytest.raises(Misconfigured, match=f"{name} cannot be written"):
        Nodejs(arm(), space(name))


def test_a_command_line_that_would_win_is_refused() -> None:
    """node prefers its own arguments to NODE_OPTIONS."""
    with pytest.raises(Misconfigured, match="'--max_old_space_size=64', which wins over NODE_OPTIONS"):
        Nodejs(arm({}, "node", "--max_old_space_size=64", "a.js"), space("node.max_old_space_size"))


# --- Python and the C library ----------------------------------------------------------------------------------------


def test_gunicorn_is_told_in_its_two_variables() -> None:
    """Workers by WEB_CONCURRENCY, threads among its arguments; words that take the next one go with it."""
    layer = Python(arm(), space("py.gunicorn_workers", "py.gunicorn_threads", "py.OMP_NUM_THREADS"))
    present = {"GUNICORN_CMD_ARGS": "--bind 127.0.0.1:80 --threads 4 --access-logfile '-'", "WEB_CONCURRENCY": "9"}
    assert layer.stored(present) == {"py.gunicorn_workers": 9, "py.gunicorn_threads": 4}
    wanted: dict[str, Value] = {"py.gunicorn_workers": 3, "py.gunicorn_threads": 8, "py.OMP_NUM_THREADS": 1}
    assert layer.variables(wanted, present) == {
        "WEB_CONCURRENCY": "3",
        "OMP_NUM_THREADS": "1",
        "GUNICORN_CMD_ARGS": "--bind 127.0.0.1:80 --access-logfile '-' --threads=8",
    }
    with pytest.raises(Misconfigured, match="wins over WEB_CONCURRENCY"):
        layer.stored({"GUNICORN_CMD_ARGS": "-w 4"})


def test_words_that_are_numbers_are_read_as_numbers() -> None:
    """As the catalogue lists them: 1 and not '1'."""
    layer = Python(arm(), space("py.PYTHON_JIT", "py.PYTHONMALLOC"))
    expected: dict[str, Value] = {"py.PYTHON_JIT": 1, "py.PYTHONMALLOC": "malloc"}
    assert layer.stored({"PYTHON_JIT": "1", "PYTHONMALLOC": "malloc"}) == expected
    with pytest.raises(Misconfigured, match=r"PYTHONMALLOC \(py\.PYTHONMALLOC\): 'tcmalloc' is none of"):
        layer.stored({"PYTHONMALLOC": "tcmalloc"})


def test_gunicorns_workers_may_stand_among_its_arguments() -> None:
    """Where the owner says so."""
    layer = Python(arm({"channel": "GUNICORN_CMD_ARGS"}), space("py.gunicorn_workers"))
    assert layer.stored({"GUNICORN_CMD_ARGS": "-w 4"}) == {"py.gunicorn_workers": 4}
    assert layer.variables({"py.gunicorn_workers": 2}, {"GUNICORN_CMD_ARGS": "-w 4"}) == {
        "GUNICORN_CMD_ARGS": "--workers=2"
    }


@pytest.mark.parametrize(
    ("names", "argv", "place", "words"),
    [
        (("py.gc_threshold0",), (), {}, "gc_threshold0 cannot be written from outside"),
        (("py.gunicorn_workers", "py.uvicorn_workers"), (), {}, "two parameters"),
        (("py.gunicorn_workers",), ("gunicorn", "-w", "4"), {}, "'-w', which wins over WEB_CONCURRENCY"),
        (("py.gunicorn_workers",), (), {"channel": "ARGS"}, "channel is 'ARGS'"),
    ],
)
def test_what_cannot_reach_a_python_program_is_refused(
    names: tuple[str, ...], argv: tuple[str, ...], place: dict[str, str], words: str
) -> None:
    """When the arm is made."""
    with pytest.raises(Misconfigured, match=words):
        Python(arm(place, *argv), space(*names))


def test_another_allocator_is_a_matter_of_the_image() -> None:
    """malloc's own variables are ours, a library to preload is not."""
    assert Libc(arm(), space("libc.MALLOC_ARENA_MAX")).stored({"MALLOC_ARENA_MAX": "2"}) == {"libc.MALLOC_ARENA_MAX": 2}
    with pytest.raises(Misconfigured, match=r"libc\.allocator cannot be written"):
        Libc(arm(), space("libc.allocator"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" -a  -b=1 ", ["-a", "-b=1"]),
        ("-Da='x y' \"-Db=p q\"r", ["-Da='x y'", '"-Db=p q"r']),
    ],
)
def test_options_are_split_with_their_quotes(text: str, words: list[str]) -> None:
    """As launchers do: spaces divide, quotes hold together."""
    assert split(text, "X") == words


@pytest.mark.parametrize("text", ["-Da='x y", 'a "b', "it's"])
def test_an_open_quote_is_named(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(Misconfigured, match="X has a quote that is never closed"):
        split(text, "X")
