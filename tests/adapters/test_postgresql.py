"""The PostgreSQL actuator on a real server: what it refuses before anything is written, restarts, and servers that do
not come back. The contract itself is in tests/contracts."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from adapters.actuators.postgresql import PostgresArm
from adapters.actuators.postgresql_conf import BEFORE, GENERATION, parse
from adapters.actuators.postgresql_server import LOCK, reload
from domain.errors import Conflict, Misconfigured, Rejected, Transient
from domain.ports import Stamp
from domain.space import Parameter, SearchSpace, Settings
from domain.target import Arm
from tests.postgresql_server import Server, postgresql

MB = 1024 * 1024
WORK = Parameter("pg.work_mem", "integer", 4 * MB, low=MB, high=512 * MB, unit="bytes")
BUFFERS = Parameter("pg.shared_buffers", "integer", 128 * MB, low=16 * MB, high=1024 * MB, unit="bytes", cost="restart")
COST = Parameter("pg.random_page_cost", "real", 4.0, low=1.0, high=10.0)
LEVEL = Parameter("pg.synchronous_commit", "categorical", "on", choices=("on", "off", "local"))
JIT = Parameter("pg.jit", "categorical", True, choices=(False, True))
LIVE = SearchSpace((WORK, COST, LEVEL, JIT))
SLOW = SearchSpace((WORK, BUFFERS))
CANDIDATE: Settings = {
    "pg.work_mem": 8 * MB,
    "pg.random_page_cost": 1.1,
    "pg.synchronous_commit": "off",
    "pg.jit": False,
}


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with postgresql() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    """As if nobody of ours had ever been here."""
    for text in ("ALTER ROLE app RESET ALL", "ALTER DATABASE shop RESET ALL", "ALTER ROLE ALL RESET ALL"):
        running.query(text)
    running.fresh("work_mem = '2MB'\n")
    return running


def write(arm: PostgresArm, settings: Settings, generation: int = 1) -> None:
    arm.write(settings, Stamp("r1", generation), arm.read().version)


# --- values ----------------------------------------------------------------------------------------------------------


def test_every_kind_of_value_reaches_the_application(server: Server) -> None:
    """A size, a real number, a word and a boolean, read back from a session of the application's role."""
    arm = PostgresArm(server.arm, LIVE)
    assert arm.read().settings["pg.work_mem"] == 2 * MB
    write(arm, CANDIDATE)
    assert dict(arm.effective()) == CANDIDATE == dict(arm.read().settings)
    seen = server.query(
        "SELECT current_setting(n) FROM unnest(ARRAY['work_mem', 'random_page_cost', 'jit']) n", server.app
    )
    assert [row[0] for row in seen] == ["8MB", "1.1", "off"]


def test_what_has_no_line_has_the_servers_value_and_loses_its_line_again(server: Server) -> None:
    """Restoring takes out the lines that were not there, and puts the old text of the others back."""
    arm = PostgresArm(server.arm, LIVE)
    before = dict(arm.read().settings)
    assert before == {"pg.work_mem": 2 * MB, "pg.random_page_cost": 4.0, "pg.synchronous_commit": "on", "pg.jit": True}
    arm.protect("r1", 1e12)
    write(arm, CANDIDATE)
    arm.restore(Stamp("r1", 2), arm.read().version)
    arm.release("r1")
    lines = parse(server.auto.read_text())
    assert lines.pop(GENERATION)
    assert lines == {"work_mem": "2MB"}
    assert dict(arm.effective()) == before


def test_other_lines_of_the_file_stay(server: Server) -> None:
    """What a person set by ALTER SYSTEM outside of this target is neither changed nor a conflict."""
    arm = PostgresArm(server.arm, LIVE)
    arm.protect("r1", 1e12)
    write(arm, CANDIDATE)
    server.alter("log_line_prefix", "it's %m \\")
    assert arm.read().stamp == Stamp("r1", 1)
    arm.restore(Stamp("r1", 2), arm.read().version)
    assert parse(server.auto.read_text())["log_line_prefix"] == "it's %m \\"


def test_a_kept_before_image_is_set_aside(server: Server) -> None:
    """After a conflict the way back stays readable under another name, and no longer protects."""
    arm = PostgresArm(server.arm, LIVE)
    arm.protect("r1", 7.0)
    arm.release("r1", keep=True)
    lines = parse(server.auto.read_text())
    assert BEFORE not in lines
    assert '"work_mem": "2MB"' in lines["trimtab.kept"]
    assert arm.read().protected == ""


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        ({"pg.work_mem": 1024}, "64 to"),
        ({"pg.random_page_cost": -1.5}, "0 to"),
        ({"pg.synchronous_commit": "maybe"}, "local"),
    ],
)
def test_a_value_that_this_server_does_not_know_is_rejected_before_the_first_line(
    server: Server, settings: Settings, limit: str
) -> None:
    """The file is untouched, and the message names the limit."""
    arm = PostgresArm(server.arm, LIVE)
    text = server.auto.read_text()
    with pytest.raises(Rejected, match=limit):
        write(arm, {**CANDIDATE, **settings})
    assert server.auto.read_text() == text


@pytest.mark.parametrize(
    ("statement", "source"),
    [
        ("ALTER ROLE app SET work_mem = '3MB'", "ALTER ROLE SET"),
        ("ALTER DATABASE shop SET work_mem = '3MB'", "ALTER DATABASE SET"),
        ("ALTER ROLE app IN DATABASE shop SET work_mem = '3MB'", "ALTER ROLE IN DATABASE SET"),
        ("ALTER ROLE ALL SET work_mem = '3MB'", "ALTER ROLE ALL SET"),
    ],
)
def test_a_value_that_the_application_gets_from_elsewhere_is_refused(
    server: Server, statement: str, source: str
) -> None:
    """Found with the application's role in its database; Trimtab's own role would not see it."""
    server.query(statement)
    try:
        with pytest.raises(Misconfigured, match=f"work_mem.*{source}"):
            PostgresArm(server.arm, LIVE).protect("r1", 1e12)
        with pytest.raises(Misconfigured, match=source):
            write(PostgresArm(server.arm, LIVE), CANDIDATE)
    finally:
        server.query("ALTER ROLE app IN DATABASE shop RESET ALL")
    assert GENERATION not in server.auto.read_text()


def test_options_of_the_applications_connection_beat_the_files_too(server: Server) -> None:
    """The probe uses the application's own connection string, options and all."""
    place = {**server.arm.place, "app_dsn": server.app + " options='-c work_mem=3MB'"}
    with pytest.raises(Misconfigured, match="options of the connection"):
        PostgresArm(Arm("main", place), LIVE).protect("r1", 1e12)


def test_an_override_that_appears_later_is_told_and_does_not_block_the_way_back(server: Server) -> None:
    """A candidate that does not reach the application is no candidate; the original can still be restored."""
    arm = PostgresArm(server.arm, LIVE)
    arm.protect("r1", 1e12)
    write(arm, CANDIDATE)
    server.query("ALTER ROLE app SET work_mem = '3MB'")
    with pytest.raises(Misconfigured, match="ALTER ROLE SET"):
        arm.effective()
    arm.restore(Stamp("r1", 2), arm.read().version)
    assert arm.effective()["pg.work_mem"] == 3 * MB
    assert parse(server.auto.read_text())["work_mem"] == "2MB"


@pytest.mark.parametrize("name", ["pg.autovacuum", "pg.listen_addresses", "pg.shared_preload_libraries", "nginx.gzip"])
def test_parameters_that_are_not_ours_are_refused_by_name(server: Server, name: str) -> None:
    """Policy guard and never, what belongs to whoever runs the server, and what is no parameter of PostgreSQL."""
    with pytest.raises(Misconfigured, match=name):
        PostgresArm(server.arm, SearchSpace((Parameter(name, "categorical", "on", choices=("on", "off")),)))


def test_a_restart_that_is_not_allowed_is_refused(server: Server) -> None:
    """Before anything is written, naming the parameter."""
    arm = PostgresArm(server.arm, SLOW)
    with pytest.raises(Misconfigured, match="shared_buffers needs a restart"):
        arm.protect("r1", 1e12)
    with pytest.raises(Misconfigured, match="shared_buffers needs a restart"):
        write(arm, {"pg.work_mem": 8 * MB, "pg.shared_buffers": 32 * MB})
    assert GENERATION not in server.auto.read_text()


def test_a_parameter_of_a_newer_version_is_refused_by_name(server: Server) -> None:
    """A line that the server does not know would keep it from starting."""
    if server.version >= 180000:
        pytest.skip("this server is the newest")
    space = SearchSpace((Parameter("pg.io_workers", "integer", 3, low=1, high=32),))
    with pytest.raises(Misconfigured, match="does not know io_workers"):
        PostgresArm(server.arm, space).read()


def test_a_broken_file_is_told_with_its_line(server: Server) -> None:
    """Nothing can be reloaded over it, so nothing is written."""
    server.auto.write_text("work_mem = = 3\n")
    try:
        with pytest.raises(Misconfigured, match=r"auto\.conf line 1"):
            PostgresArm(server.arm, LIVE).read()
    finally:
        server.auto.write_text("")


def test_an_environment_that_forbids_it_is_told(server: Server) -> None:
    """Managed services of version 17 and newer say so in a parameter."""
    if server.version < 170000:
        pytest.skip("allow_alter_system came with 17")
    server.fresh("allow_alter_system = off\n")
    with pytest.raises(Misconfigured, match="allow_alter_system"):
        PostgresArm(server.arm, LIVE).protect("r1", 1e12)


def test_a_target_whose_parameters_changed_while_a_run_was_open_is_told(server: Server) -> None:
    """There would be no way back for the new ones."""
    PostgresArm(server.arm, SearchSpace((WORK,))).protect("r1", 1e12)
    with pytest.raises(Misconfigured, match=r"before-image of run r1 lacks.*jit"):
        write(PostgresArm(server.arm, LIVE), CANDIDATE)


def test_what_somebody_else_writes_in_the_same_moment_stays(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between our lines and our proof: a conflict, and their value is neither overwritten nor taken back."""
    arm = PostgresArm(server.arm, LIVE)
    arm.protect("r1", 100.0)

    def meanwhile(dsn: str) -> None:
        server.alter("work_mem", "3MB")
        reload(dsn)

    monkeypatch.setattr("adapters.actuators.postgresql_write.reload", meanwhile)
    with pytest.raises(Conflict, match="somebody else"):
        write(arm, CANDIDATE)
    monkeypatch.undo()
    assert arm.read().stamp is None
    assert "not ours" in str(arm.reap(101.0))
    assert parse(server.auto.read_text())["work_mem"] == "3MB"


def test_a_pooler_is_refused_for_either_connection(server: Server) -> None:
    """One that hands out process numbers of its own, as all of them must."""
    with pooled(server.port) as port:
        for key in ("dsn", "app_dsn"):
            place = {**server.arm.place, key: server.arm.place[key].replace(str(server.port), str(port))}
            with pytest.raises(Misconfigured, match="pooler"):
                PostgresArm(Arm("main", place), LIVE).protect("r1", 1e12)


@contextmanager
def pooled(port: int) -> Iterator[int]:
    """The start of a session as a pooler changes it: the message with process number and key (K) is its own."""

    def pump(source: socket.socket, sink: socket.socket, change: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                key = data.find(b"K\x00\x00\x00\x0c") if change else -1
                sink.sendall(data if key < 0 else data[: key + 5] + b"\x00\x00\x00\x07" + data[key + 9 :])
        sink.close()

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                backend = socket.create_connection(("127.0.0.1", port))
                threading.Thread(target=pump, args=(client, backend, False), daemon=True).start()
                threading.Thread(target=pump, args=(backend, client, True), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_a_second_writer_waits(server: Server) -> None:
    """The lock is the server's and ends with its session."""
    arm = PostgresArm(server.arm, LIVE)
    version = arm.read().version
    with psycopg.connect(server.admin, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        with pytest.raises(Transient, match="another process"):
            arm.write(CANDIDATE, Stamp("r1", 1), version)
    arm.write(CANDIDATE, Stamp("r1", 1), version)


def test_a_server_that_is_not_there_is_transient(server: Server) -> None:
    """It may come back; nobody of ours can tell."""
    nowhere = {**server.arm.place, "dsn": "host=127.0.0.1 port=1 user=postgres password=geheim"}
    with pytest.raises(Transient, match="refused") as told:
        PostgresArm(Arm("main", nowhere), LIVE).read()
    assert "geheim" not in str(told.value)


@pytest.mark.parametrize("dsn", ["user=nobody_at_all", "dbname=nowhere user=app"])
def test_a_server_that_does_not_let_us_in_is_misconfigured(server: Server, dsn: str) -> None:
    """Waiting does not create a role or a database."""
    place = {**server.arm.place, "dsn": f"host=127.0.0.1 port={server.port} {dsn}"}
    with pytest.raises(Misconfigured, match="does not exist"):
        PostgresArm(Arm("main", place), LIVE).read()


def test_a_role_without_rights_is_told_what_to_grant(server: Server) -> None:
    """First it may not read the files, then it may not write them."""
    place = {**server.arm.place, "dsn": server.app}
    with pytest.raises(Misconfigured, match="GRANT SELECT ON pg_file_settings"):
        PostgresArm(Arm("main", place), LIVE).read()


def test_the_rights_of_the_manual_are_enough(server: Server) -> None:
    """The statements of docs/postgresql.md, for a role that is no superuser."""
    if server.version < 150000:
        pytest.skip("before 15 only superusers may ALTER SYSTEM")
    server.query("DROP ROLE IF EXISTS trimtab")
    for statement in grants(("work_mem", "random_page_cost", "synchronous_commit", "jit")):
        server.query(statement)
    arm = PostgresArm(Arm("main", {**server.arm.place, "dsn": server.admin.replace("postgres ", "trimtab ")}), LIVE)
    try:
        arm.protect("r1", 100.0)
        write(arm, CANDIDATE)
        assert dict(arm.effective()) == CANDIDATE
        assert "original settings are back" in str(arm.reap(101.0))
        arm.disturbed(time.time() - 10, time.time())
        arm.release("r1")
    finally:
        server.query("DROP OWNED BY trimtab")
        server.query("DROP ROLE trimtab")


def grants(names: tuple[str, ...]) -> list[str]:
    """The manual's statements, with the parameters of a target put in."""
    text = Path("docs/postgresql.md").read_text().split("<!-- grants -->")[1].split("```")[1].removeprefix("sql\n")
    text = text.replace("work_mem, checkpoint_timeout", ", ".join(names))
    lines = [line.partition("--")[0] for line in text.splitlines()]
    return [each.strip() for each in " ".join(lines).split(";") if each.strip()]
