"""Flags of the JVM: as text, and in a real one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from adapters.actuators.layers.jvm import Jvm
from adapters.actuators.layers.jvm_flags import Flags, shown
from adapters.actuators.registry import actuator
from adapters.catalogue import load, space_for
from domain.errors import Misconfigured, Rejected
from domain.ports import Stamp
from domain.space import Parameter, SearchSpace, sample
from domain.target import Arm, Restart
from tests.contracts.arms import jvm_program, running

MIB = 2**20
HEAP, GC, THREADS, FREE = "jvm.MaxHeapSize", "jvm.gc", "jvm.ParallelGCThreads", "jvm.MinHeapFreeRatio"
PARAMETERS = {
    HEAP: Parameter(HEAP, "integer", "ergonomic", low=32 * MIB, high=512 * MIB, unit="bytes", cost="restart"),
    GC: Parameter(GC, "categorical", "G1 or Serial", choices=("Serial", "Parallel", "G1", "ZGC"), cost="restart"),
    THREADS: Parameter(THREADS, "integer", "ergonomic", low=1, high=2, cost="restart"),
    FREE: Parameter(FREE, "integer", 40, low=5, high=70, cost="live"),
    "jvm.MaxHeapFreeRatio": Parameter("jvm.MaxHeapFreeRatio", "integer", 70, low=20, high=100, cost="live"),
    "jvm.G1NewSizePercent": Parameter("jvm.G1NewSizePercent", "integer", 5, low=2, high=40, cost="restart"),
    "jvm.ThreadStackSize": Parameter("jvm.ThreadStackSize", "integer", 1024, low=256, high=2048, cost="restart"),
    "jvm.MaxRAMPercentage": Parameter("jvm.MaxRAMPercentage", "real", 25.0, low=25.0, high=80.0, cost="restart"),
    "jvm.AlwaysPreTouch": Parameter("jvm.AlwaysPreTouch", "categorical", False, choices=(False, True), cost="restart"),
}


def flags(*names: str) -> Flags:
    return Flags([PARAMETERS[name] for name in names])


# --- text ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ("-Xmx64m", HEAP, 64 * MIB),
        ("-XX:MaxHeapSize=1g", HEAP, 1024 * MIB),
        ("-Xmx64m -Xmx32m", HEAP, 32 * MIB),
        ("-XX:+UseG1GC", GC, "G1"),
        ("-XX:+UseParallelGC -XX:+UseSerialGC", GC, "Serial"),
        ("-Xss512k", "jvm.ThreadStackSize", 512),
        ("-Xss1m", "jvm.ThreadStackSize", 1024),
        ("-XX:ThreadStackSize=768", "jvm.ThreadStackSize", 768),
        ("-XX:MaxRAMPercentage=60.5", "jvm.MaxRAMPercentage", 60.5),
        ("-XX:-AlwaysPreTouch", "jvm.AlwaysPreTouch", False),
    ],
)
def test_what_an_owner_writes_is_read(options: str, name: str, value: object) -> None:
    """Short and long forms, suffixes; the last of a kind wins, as in HotSpot."""
    assert flags(name).stored(options.split(), "JDK_JAVA_OPTIONS") == {name: value}


def test_the_owners_options_stay_in_their_order() -> None:
    """Ours replace those of the same flag behind them; there is one collector; what unlocks stands first."""
    present = ["-Dname='a b'", "-XX:+UseSerialGC", "-Xmx1g", "-verbose:class", "-XX:G1NewSizePercent=9"]
    names = (HEAP, GC, "jvm.G1NewSizePercent", "jvm.AlwaysPreTouch")
    settings = {HEAP: 64 * MIB, GC: "G1", "jvm.G1NewSizePercent": 7, "jvm.AlwaysPreTouch": True}
    assert flags(*names).written(settings, present) == [
        "-XX:+UnlockExperimentalVMOptions",
        "-Dname='a b'",
        "-verbose:class",
        "-Xmx67108864",
        "-XX:+UseG1GC",
        "-XX:G1NewSizePercent=7",
        "-XX:+AlwaysPreTouch",
    ]


def test_the_catalogues_word_for_a_computed_default_leaves_the_flag_out() -> None:
    """And so does a parameter that is not in the settings."""
    assert flags(HEAP, GC).written({HEAP: "ergonomic", GC: "G1"}, ["-Xmx1g"]) == ["-XX:+UseG1GC"]
    assert flags(HEAP, GC).written({GC: "G1"}, ["-Xmx1g"]) == ["-XX:+UseG1GC"]


def test_every_flag_that_may_be_searched_is_written_and_read_back() -> None:
    """Text of random settings of the whole catalogue reads as the same settings."""
    entries = load().entries
    names = [
        name for name, entry in entries.items() if entry.family == "jvm" and entry.search and entry.policy != "guard"
    ]
    environment = {"mem": 4096 * MIB, "cpu": 2.0, "live": 100 * MIB, "metaspace": 40 * MIB, "codecache": 30 * MIB}
    environment |= {"direct": 16 * MIB, "threads": 20, "slo_ms": 100}
    space, _ = space_for([name for name in names if name != "jvm.options_channel"], environment, version="17")
    free = SearchSpace(space.parameters)
    made = Flags(free.parameters)
    for settings in sample(free, random.Random(5), 50):
        assert made.stored(made.written(settings, ["-Dx=1"]), "JDK_JAVA_OPTIONS") == settings


def test_the_answer_of_the_jvm_is_read_in_all_its_forms() -> None:
    """`=` and `:=`, empty texts, several words of origin."""
    text = (
        "4711:\n[Global flags]\n"
        "   size_t MaxHeapSize                              = 123731968           {product} {command line, ergonomic}\n"
        "    uintx NewRatio                                := 2                   {product} {default}\n"
        "    ccstr SharedArchiveFile                        =                     {product} {default}\n"
        "     bool UseG1GC                                  = true                {product} {ergonomic}\n"
    )
    assert shown(text) == {"MaxHeapSize": "123731968", "NewRatio": "2", "SharedArchiveFile": "", "UseG1GC": "true"}


def test_only_rounding_counts_as_the_written_value() -> None:
    """HotSpot aligns sizes and prints six decimals; anything else is what is in force."""
    made = flags(HEAP, "jvm.MaxRAMPercentage", FREE)
    seen = {"MaxHeapSize": str(100 * MIB), "MaxRAMPercentage": "48.123457", "MinHeapFreeRatio": "41"}
    written = {HEAP: 100 * MIB - 17, "jvm.MaxRAMPercentage": 48.1234567, FREE: 40}
    assert made.effective(seen, written) == {HEAP: 100 * MIB - 17, "jvm.MaxRAMPercentage": 48.1234567, FREE: 41}
    assert made.effective(seen, {HEAP: 400 * MIB})[HEAP] == 100 * MIB


@pytest.mark.parametrize(
    ("place", "argv", "words"),
    [
        ({"channel": "JAVA_OPTIONS"}, ("java",), "channel is 'JAVA_OPTIONS'"),
        ({"channel": "@/etc/shop.args"}, ("java", "-jar", "shop.jar"), "does not name @/etc/shop.args"),
        ({}, ("java", "-Xmx1g", "-jar", "shop.jar"), "'-Xmx1g', which wins over JDK_JAVA_OPTIONS"),
        ({}, ("java", "-XX:MaxHeapSize=1g", "shop"), "which wins over JDK_JAVA_OPTIONS"),
    ],
)
def test_a_channel_that_would_not_arrive_is_refused(place: dict[str, str], argv: tuple[str, ...], words: str) -> None:
    """When the arm is made, before anything is written."""
    with pytest.raises(Misconfigured, match=words):
        Jvm(Arm("a", place, Restart(argv, "/tmp/pid")), SearchSpace((PARAMETERS[HEAP],)))


def test_a_text_is_no_flag_to_search() -> None:
    """Logs, archives and the channel itself are set once."""
    with pytest.raises(Misconfigured, match=r"jvm\.Xlog_gc is no flag"):
        Flags([Parameter("jvm.Xlog_gc", "categorical", "off", choices=("off", "on"), cost="live")])


# --- a real one ------------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_what_the_jvm_computed_stays_with_it(tmp_path: Path) -> None:
    """Serial has no collector threads; a candidate that changes the collector alone must not write 0 of them."""
    place = jvm_program(tmp_path, "JDK_JAVA_OPTIONS=-XX:+UseSerialGC -Xmx64m\n")
    with running(place):
        arm = actuator("jvm", place, SearchSpace((PARAMETERS[GC], PARAMETERS[THREADS])))
        original = arm.read()
        assert dict(original.settings) == {GC: "Serial", THREADS: 0}
        arm.protect("r1", 1e12, original.version)
        image = arm.write({GC: "Parallel", THREADS: 0}, Stamp("r1", 1), original.version)
        assert dict(arm.effective()) == {GC: "Parallel", THREADS: 0}
        image = arm.write({GC: "Parallel", THREADS: 2}, Stamp("r1", 2), image.version)
        assert dict(arm.effective()) == {GC: "Parallel", THREADS: 2}
        image = arm.write({GC: "Parallel", THREADS: 0}, Stamp("r1", 3), image.version)
        assert "ParallelGCThreads=" not in (tmp_path / "env").read_text().splitlines()[2]
        with pytest.raises(Rejected, match="ParallelGCThreads: 7 is outside its range"):
            arm.write({GC: "Parallel", THREADS: 7}, Stamp("r1", 4), image.version)
        assert dict(arm.restore(Stamp("r1", 5), image.version).settings) == {GC: "Serial", THREADS: 0}
        assert (tmp_path / "env").read_text().splitlines()[1:] == ["JDK_JAVA_OPTIONS=-XX:+UseSerialGC -Xmx64m"]


@pytest.mark.real
def test_manageable_flags_change_while_it_runs(tmp_path: Path) -> None:
    """The same process, a pair that bounds one another, and back to what nobody had written."""
    names = (FREE, "jvm.MaxHeapFreeRatio")
    place = jvm_program(tmp_path, "JDK_JAVA_OPTIONS=-XX:+UseSerialGC -Xmx64m\n")
    with running(place) as service:
        arm, pid = actuator("jvm", place, SearchSpace(tuple(PARAMETERS[name] for name in names))), service.pid()
        image = arm.read()
        assert dict(image.settings) == dict(zip(names, (40, 70), strict=True))
        arm.protect("r1", 1e12, image.version)
        for generation, values in enumerate(((10, 20), (60, 90)), start=1):
            wanted = dict(zip(names, values, strict=True))
            image = arm.write(wanted, Stamp("r1", generation), image.version)
            assert dict(arm.effective()) == wanted
        arm.restore(Stamp("r1", 9), image.version)
        assert dict(arm.effective()) == dict(zip(names, (40, 70), strict=True))
        assert service.pid() == pid


@pytest.mark.real
def test_a_jvm_that_we_may_not_start_takes_its_live_flags(tmp_path: Path) -> None:
    """No restart, only a pid file: the flags go in, and a value that it refuses leaves the former ones."""
    place = jvm_program(tmp_path, "JDK_JAVA_OPTIONS=-XX:+UseSerialGC -Xmx64m\n")
    with running(place):
        (tmp_path / "flags").write_text("")
        bare = Arm("a", {"env": str(tmp_path / "flags"), "pid": str(tmp_path / "pid")})
        wide = Parameter(FREE, "integer", 40, low=0, high=200, cost="live")
        arm = actuator("jvm", bare, SearchSpace((wide,)))
        image = arm.write({FREE: 25}, Stamp("r1", 1), arm.read().version)
        assert dict(arm.effective()) == {FREE: 25}
        with pytest.raises(Rejected, match=r"VM\.set_flag MinHeapFreeRatio 101"):
            arm.write({FREE: 101}, Stamp("r1", 2), image.version)
        assert dict(arm.effective()) == {FREE: 25}


@pytest.mark.real
def test_an_argument_file_is_written_before_each_start(tmp_path: Path) -> None:
    """The options stand in the environment file; a file of arguments that its owner wrote is not overwritten."""
    place = jvm_program(tmp_path, "TRIMTAB_JVM_OPTIONS=-XX:+UseSerialGC -Xmx64m\n")
    assert place.restart is not None
    arguments = tmp_path / "shop.args"
    argv = (place.restart.argv[0], f"@{arguments}", *place.restart.argv[1:])
    restart = Restart(argv, place.restart.pid_file, place.restart.ready, log=place.restart.log)
    place = Arm("a", {**place.place, "channel": f"@{arguments}"}, restart)
    arguments.write_text("-XX:+UseSerialGC\n-Xmx64m\n")
    with running(place):
        arm = actuator("jvm", place, SearchSpace((PARAMETERS[HEAP],)))
        with pytest.raises(Misconfigured, match="holds options of its owner"):
            arm.read()
        arguments.unlink()
        arm.write({HEAP: 96 * MIB}, Stamp("r1", 2), arm.read().version)
        assert dict(arm.effective()) == {HEAP: 96 * MIB}
        assert arguments.read_text().splitlines()[1:] == ["-XX:+UseSerialGC", f"-Xmx{96 * MIB}"]
