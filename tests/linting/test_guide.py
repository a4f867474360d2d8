"""The guide's own examples: every row that is wrong, dangerous, outdated, broken or does nothing is found where it
stands, all conflicts between rows are found in the whole, and the corrected versions are clean."""

from __future__ import annotations

import pytest

from linting.finding import ERROR, WARNING, Rule
from linting.rules import CONFLICTS, RULES
from tests.linting.desk import CORRECTED, GUIDE, lint_golden, names

# row, verdict, file, line, rule; the file is looked at alone
ALONE = """
S1.1-06  BROKEN             1.1-baseline.sh                  2  docker-image-is-a-program
S1.1-07  BROKEN             1.1-baseline.sh                  5  docker-image-is-a-program
S1.1-08  WRONG              1.1-baseline.sh                  8  load-stress-io
S1.1-09  BROKEN             1.1-baseline.sh                 11  load-iperf-endless
S1.2-08  OUTDATED           1.2-bottlenecks.sh               8  docker-netstat
S2.1-02  WRONG              2.1-cpu-limits.sh                5  docker-quota-not-cores
S2.1-07  OUTDATED           2.1-cpu-demo.yaml                8  docker-image-outdated
S2.2-01  WRONG              2.2-cpu-scheduling.sh            2  kernel-rt-budget-read
S2.2-02  NO-OP              2.2-cpu-scheduling.sh            5  kernel-default
S2.2-03  OUTDATED+DANGEROUS 2.2-cpu-scheduling.sh            8  kernel-sched-domain
S2.2-04  BROKEN             2.2-cpu-scheduling.sh           11  docker-daemonising
S2.2-05  BROKEN+DANGEROUS   2.2-cpu-scheduling.sh           14  docker-realtime
S2.3-03  WRONG              2.3-cpu-affinity.sh              8  docker-taskset-one-thread
S3.1-05  DANGEROUS          3.1-memory.sh                   14  kernel-guarded
S3.1-06  WRONG+DANGEROUS    3.1-memory.sh                   17  kernel-action
S3.1-07  BROKEN             3.1-memory.sh                   20  kernel-no-such-path
S3.2-01  NO-OP              3.2-reclaim.sh                   2  kernel-default
S3.2-02  DANGEROUS          3.2-reclaim.sh                   5  kernel-action
S3.2-03  BROKEN             3.2-reclaim.sh                   8  kernel-no-such-path
S3.2-04  WRONG              3.2-reclaim.sh                  11  jvm-channel
S3.2-04  NO-OP              3.2-reclaim.sh                  11  jvm-default
S3.2-05  NO-OP              3.2-reclaim.sh                  14  go-default
S3.2-06  DANGEROUS          3.2-reclaim.sh                  17  conflict-no-limit
S3.3-01  BROKEN             3.3-leaks.sh                     2  docker-image-is-a-program
S3.3-02  NO-OP              3.3-leaks.sh                     5  asan-default
S3.3-03  BROKEN             3.3-leaks.sh                     8  docker-image-is-a-program
S4.1-01  DANGEROUS          4.1-storage-io.sh                2  docker-io-limit
S4.1-02  DANGEROUS          4.1-storage-io.sh                5  docker-io-limit
S4.1-03  DANGEROUS          4.1-storage-io.sh                8  docker-io-limit
S4.1-04  DANGEROUS          4.1-storage-io.sh                9  docker-io-limit
S4.1-05  OUTDATED           4.1-daemon.json                  2  docker-storage-driver
S4.1-06  OUTDATED           4.1-daemon.json                  4  docker-kernel-check
S4.1-07  DANGEROUS          4.1-daemon.json                  5  docker-overlay-size
S4.2-03  WRONG              4.2-network-io.sh                6  kernel-lowers
S4.2-04  WRONG              4.2-network-io.sh                7  kernel-lowers
S4.2-07  BROKEN             4.2-network-io.sh               16  docker-image-is-a-program
S4.3-02  WRONG+DANGEROUS    4.3-file-system.sh               5  kernel-action
S4.3-03  DANGEROUS          4.3-file-system.sh               8  kernel-dirty-ratio
S4.3-04  WRONG              4.3-file-system.sh               9  conflict-dirty
S5.2-03  NO-OP              5.2-network-parameters.sh        6  kernel-default
S5.2-04  NO-OP              5.2-network-parameters.sh        7  kernel-default
S5.2-05  NO-OP              5.2-network-parameters.sh        8  kernel-default
S5.2-06  DANGEROUS          5.2-network-parameters.sh       11  kernel-lowers
S5.3-04  BROKEN             5.3-load-balancing.conf          3  nginx-upstream-name
S6.1-05  BROKEN             6.1-startup.py                   9  python-response-unreleased
S6.1-07  BROKEN             6.1-startup.py                  15  python-warmup-race
S6.2-05  NO-OP              6.2-runtime.py                  13  python-pool-default
S6.2-09  WRONG              6.2-runtime.py                  28  python-sync-redis
S6.3-01  NO-OP              6.3-gc.sh                        2  jvm-default
S6.3-02  NO-OP              6.3-gc.sh                        2  jvm-default
S6.3-03  DANGEROUS          6.3-gc.sh                        2  jvm-region-size
S6.3-04  OUTDATED           6.3-gc.sh                        5  jvm-zgc-unlock
S6.3-05  OUTDATED           6.3-gc.sh                        5  jvm-zgc-unlock
S6.3-07  DANGEROUS          6.3-gc.sh                        8  jvm-gc-threads
S6.3-08  NO-OP              6.3-gc.sh                       11  go-default
S6.3-09  DANGEROUS          6.3-gc.sh                       14  conflict-no-limit
S7.1-05  BROKEN             7.1-pod.yaml                     5  k8s-no-containers
S7.3-02  OUTDATED           7.3-vpa.yaml                    11  k8s-vpa-auto
S8.1-01  BROKEN             8.1-monitoring.sh                2  docker-image-is-a-program
S8.1-02  BROKEN             8.1-monitoring.sh                5  docker-image-is-a-program
S8.1-03  BROKEN             8.1-monitoring.sh                8  docker-image-is-a-program
S8.1-04  BROKEN             8.1-monitoring.sh               11  docker-image-is-a-program
S8.1-04  DANGEROUS          8.1-monitoring.sh               11  docker-privileged
S8.1-06  DANGEROUS          8.1-monitoring.sh               17  jvm-jmap-histo
S8.2-05  BROKEN             8.2-profiling.py                12  python-profile-unsafe
S8.3-01  BROKEN             8.3-benchmarks.sh                2  load-own-localhost
S8.3-02  WRONG              8.3-benchmarks.sh                5  load-ab-http10
S8.3-03  WRONG              8.3-benchmarks.sh                8  load-too-few
S8.3-04  WRONG              8.3-benchmark.py                11  python-wall-clock
S9.1-01  WRONG              9.1-nginx.yaml                   7  nginx-auto-workers
S9.1-05  NO-OP              9.1-nginx.yaml                  13  nginx-use
S9.1-07  NO-OP              9.1-nginx.yaml                  18  nginx-static-only
S9.1-08  NO-OP              9.1-nginx.yaml                  19  nginx-static-only
S9.1-09  NO-OP              9.1-nginx.yaml                  20  nginx-default
S9.1-11  OUTDATED           9.1-nginx.yaml                  22  nginx-old-default
S9.1-21  BROKEN             9.1-nginx.yaml                  31  nginx-upstream-name
S9.2-03  NO-OP              9.2-postgresql.yaml              9  postgresql-default
S9.2-04  NO-OP              9.2-postgresql.yaml             10  postgresql-default
S9.2-05  NO-OP              9.2-postgresql.yaml             12  postgresql-default
S9.2-06  DANGEROUS          9.2-postgresql.yaml             13  postgresql-listen
S9.2-07  DANGEROUS          9.2-postgresql.yaml             15  postgresql-log-statement
S9.2-10  NO-OP              9.2-postgresql.yaml             19  postgresql-default
S9.2-12  BROKEN             9.2-postgresql.yaml             21  postgresql-unknown
S9.3-03  DANGEROUS          9.3-microservice.yaml           21  jvm-request-below-heap
S9.3-04  DANGEROUS          9.3-microservice.yaml           23  jvm-less-than-one-cpu
S9.3-05  DANGEROUS          9.3-microservice.yaml           27  conflict-heap-limit
S9.3-06  WRONG              9.3-microservice.yaml           27  jvm-channel
S9.3-07  DANGEROUS          9.3-microservice.yaml           27  conflict-heap-limit
S9.3-09  DANGEROUS          9.3-microservice.yaml           32  k8s-liveness-dependencies
S9.3-11  WRONG              9.3-microservice.yaml           17  image-latest
S10.2-05 BROKEN             10.2-performance-test.py        19  python-load-in-waves
S10.2-05 BROKEN             10.2-performance-test.py        23  python-future-timeout
S10.2-05 BROKEN             10.2-performance-test.py        25  python-errors-dropped
S10.2-06 WRONG              10.2-performance-test.py        32  python-no-timeout
S10.2-08 WRONG              10.2-performance-test.py        49  python-percentile-index
S10.2-09 WRONG              10.2-performance-test.py        50  python-percentile-index
S10.2-10 WRONG              10.2-performance-test.py        51  python-rate-by-asked-duration
S10.3-06 BROKEN             10.3-continuous-optimization.py 10  python-metric-in-method
S10.3-09 BROKEN             10.3-continuous-optimization.py 13  python-metric-never-set
S10.3-11 BROKEN             10.3-continuous-optimization.py 26  python-undefined
S10.3-11 BROKEN             10.3-continuous-optimization.py 28  python-never-set
S10.3-14 BROKEN             10.3-continuous-optimization.py 40  python-empty-method
S10.3-15 BROKEN             10.3-continuous-optimization.py 43  python-empty-method
S10.3-16 BROKEN             10.3-continuous-optimization.py 51  python-undefined
"""

# the same for rows whose defect lies between files; the whole folder is looked at
TOGETHER = """
S6.2-06  DANGEROUS          6.2-runtime.py                  12  conflict-pool-connections
S7.3-01  DANGEROUS          7.3-vpa.yaml                    11  conflict-hpa-vpa
S9.1-21  BROKEN             9.1-nginx.yaml                   3  k8s-config-unmounted
S9.2-15  BROKEN             9.2-postgresql.yaml              3  k8s-config-unmounted
"""

NOT_IN_A_FILE = {
    "S5.1-03": "WRONG: a table in the prose ranks network modes by isolation; no command or file of the guide says it",
    "S8.2-01": "OUTDATED: a list in the prose names gprof as a tool; the guide never runs it",
}

# The rows of the review whose verdict is wrong, dangerous, outdated, broken or no-op. S4.1-02 to 04 carry theirs by
# "as above", S9.3-05 by "see S9.3-07".
VERDICTS = """
S1.1-06 S1.1-07 S1.1-08 S1.1-09 S1.2-08 S2.1-02 S2.1-07 S2.2-01 S2.2-02 S2.2-03 S2.2-04 S2.2-05 S2.3-03 S3.1-05
S3.1-06 S3.1-07 S3.2-01 S3.2-02 S3.2-03 S3.2-04 S3.2-05 S3.2-06 S3.3-01 S3.3-02 S3.3-03 S4.1-01 S4.1-02 S4.1-03
S4.1-04 S4.1-05 S4.1-06 S4.1-07 S4.2-03 S4.2-04 S4.2-07 S4.3-02 S4.3-03 S4.3-04 S5.1-03 S5.2-03 S5.2-04 S5.2-05
S5.2-06 S5.3-04 S6.1-05 S6.1-07 S6.2-05 S6.2-06 S6.2-09 S6.3-01 S6.3-02 S6.3-03 S6.3-04 S6.3-05 S6.3-07 S6.3-08
S6.3-09 S7.1-05 S7.3-01 S7.3-02 S8.1-01 S8.1-02 S8.1-03 S8.1-04 S8.1-06 S8.2-01 S8.2-05 S8.3-01 S8.3-02 S8.3-03
S8.3-04 S9.1-01 S9.1-05 S9.1-07 S9.1-08 S9.1-09 S9.1-11 S9.1-21 S9.2-03 S9.2-04 S9.2-05 S9.2-06 S9.2-07 S9.2-10
S9.2-12 S9.2-15 S9.3-03 S9.3-04 S9.3-05 S9.3-06 S9.3-07 S9.3-09 S9.3-11 S10.2-05 S10.2-06 S10.2-08 S10.2-09 S10.2-10
S10.3-06 S10.3-09 S10.3-11 S10.3-14 S10.3-15 S10.3-16
"""

CONFLICT_ROWS = {  # rule → file and line where it is told, and the rows that contradict each other
    "conflict-hpa-vpa": ("7.3-vpa.yaml", 11, {"S7.2-04", "S7.2-05", "S7.3-01", "S7.3-02"}),
    "conflict-pool-connections": ("6.2-runtime.py", 12, {"S6.2-06", "S7.2-03", "S9.2-05"}),
    "conflict-heap-limit": ("9.3-microservice.yaml", 27, {"S9.3-03", "S9.3-05", "S9.3-07"}),
    "conflict-quota-surge": ("7.1-quota.yaml", 11, {"S7.1-10", "S7.2-03"}),
    "conflict-replicas-hpa": ("9.3-microservice.yaml", 6, {"S9.3-01", "S7.2-01"}),
    "conflict-timeouts": ("6.2-runtime.py", 13, {"S6.2-07", "S9.1-20"}),
    "conflict-dirty": ("4.3-file-system.sh", 9, {"S4.3-03", "S4.3-04"}),
    "conflict-log-statement": ("9.2-postgresql.yaml", 17, {"S9.2-07", "S9.2-08", "S9.2-09"}),
    "conflict-no-limit": ("6.3-gc.sh", 14, {"S6.3-09"}),
}


def _table(text: str) -> list[tuple[str, ...]]:
    return [tuple(line.split()) for line in text.strip().splitlines()]


@pytest.mark.parametrize(("row", "verdict", "file", "line", "rule"), _table(ALONE))
def test_a_row_is_found_in_its_file(row: str, verdict: str, file: str, line: str, rule: str) -> None:
    """The finding is at the row's own line, and what does not run or does harm is more than a note."""
    there = [each for each in lint_golden(GUIDE, file) if each.place.line == int(line) and each.rule == rule]
    assert any(row in each.rows for each in there)
    if {"BROKEN", "DANGEROUS"} & set(verdict.split("+")):
        assert all(each.severity in (ERROR, WARNING) for each in there)


@pytest.mark.parametrize(("row", "verdict", "file", "line", "rule"), _table(TOGETHER))
def test_a_row_is_found_between_files(row: str, verdict: str, file: str, line: str, rule: str) -> None:
    """Some defects show only when all files are seen; the file alone is innocent of them."""
    place = str(GUIDE / file)
    there = [each for each in lint_golden(GUIDE) if (each.place.file, each.place.line) == (place, int(line))]
    assert any(row in each.rows and each.rule == rule for each in there)
    assert rule not in {each.rule for each in lint_golden(GUIDE, file)}


def test_every_row_with_a_verdict_is_accounted_for() -> None:
    """Found alone, found together, or not in any file, with the reason."""
    found = {row for row, *_ in (*_table(ALONE), *_table(TOGETHER))}
    verdicts = VERDICTS.split()
    assert found | set(NOT_IN_A_FILE) == set(verdicts)
    assert not found & set(NOT_IN_A_FILE)
    assert len(verdicts) == len(set(verdicts)) == 104


@pytest.mark.parametrize("rule", CONFLICTS, ids=lambda rule: rule.id)
def test_each_conflict_between_rows_is_found(rule: Rule) -> None:
    """All nine, where they should be told, naming the rows that contradict each other."""
    file, line, rows = CONFLICT_ROWS[rule.id]
    there = [
        each
        for each in lint_golden(GUIDE)
        if each.rule == rule.id and (each.place.file, each.place.line) == (str(GUIDE / file), line)
    ]
    assert len(there) == 1
    assert rows <= set(there[0].rows)


def test_the_conflicts_are_nine() -> None:
    """None is forgotten in the table above."""
    assert set(CONFLICT_ROWS) == {rule.id for rule in CONFLICTS}
    assert len(CONFLICTS) == 9


def test_each_example_has_its_corrected_twin() -> None:
    """The two folders hold the same names."""
    assert names(GUIDE) == names(CORRECTED)


@pytest.mark.parametrize("file", names(CORRECTED))
def test_a_corrected_example_is_clean(file: str) -> None:
    """Nothing is found in it, not even a note."""
    assert lint_golden(CORRECTED, file) == ()


def test_the_corrected_examples_are_clean_together() -> None:
    """No conflict is left between them."""
    assert lint_golden(CORRECTED) == ()


def test_a_finding_tells_everything() -> None:
    """What was seen, why it matters, what to write instead, and who says so, each as a sentence or a name."""
    known = {rule.id for rule in RULES}
    for each in lint_golden(GUIDE):
        assert each.rule in known
        assert each.seen
        assert each.why.endswith((".", ":", ";"))
        assert each.better
        assert each.source
