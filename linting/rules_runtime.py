"""The rules about language runtimes: JVM, Go, Node.js."""

from __future__ import annotations

from linting.finding import ERROR, NOTE, WARNING, Rule

_JDK = "measured on JDK 11, 17, 21 and 25"
_GO = "go.dev/doc/gc-guide"

JVM_CHANNEL = Rule(
    "jvm-channel",
    WARNING,
    "Options in a variable that the JVM does not read",
    "JAVA_OPTS is a habit of start scripts: without one that passes it on, the JVM runs with its defaults (measured: "
    "MaxHeapSize unchanged).",
    "Use JDK_JAVA_OPTIONS (read by the java launcher from 9 on) or JAVA_TOOL_OPTIONS, and check with jcmd PID "
    "VM.flags.",
    _JDK,
    ("S3.2-04", "S9.3-06"),
)
JVM_DEFAULT = Rule(
    "jvm-default",
    NOTE,
    "A JVM flag is set to its default",
    "The JVM does this without the flag.",
    "Remove the flag.",
    _JDK,
    guide_by_name={"gc": ("S3.2-04", "S6.3-01"), "MaxGCPauseMillis": ("S3.2-04", "S6.3-02")},
)
JVM_OLD_DEFAULT = Rule(
    "jvm-old-default",
    WARNING,
    "A JVM flag is set back to the default of an older version",
    "The default was changed for a reason; writing the old one undoes the change.",
    "Remove the flag, or write a value that was measured to help.",
    _JDK,
)
JVM_SMALL_G1 = Rule(
    "jvm-g1-in-small-container",
    WARNING,
    "G1 in a container for which the JVM chooses Serial",
    "Below two CPUs or 1792 MB the JVM chooses Serial by itself; G1 costs 45 MB or more of native memory there, and "
    "its threads compete for the one CPU (measured by native memory tracking).",
    "Remove the flag, or give the container two CPUs and 2 GiB.",
    _JDK,
    ("S6.3-01", "S9.3-06"),
)
JVM_BOUNDS = Rule(
    "jvm-value",
    ERROR,
    "The JVM refuses the value of a flag",
    "The JVM does not start.",
    "Write a value inside the bounds.",
    _JDK,
)
JVM_REMOVED = Rule(
    "jvm-removed",
    WARNING,
    "A JVM flag that this version no longer has",
    "The JVM warns and ignores it, or does not start.",
    "Remove the flag.",
    _JDK,
)
JVM_NEVER = Rule(
    "jvm-never",
    WARNING,
    "The JVM is told to ignore the container's limits",
    "It then sizes heap and threads from the node, and is killed for it.",
    "Remove the flag.",
    _JDK,
)
JVM_ZGC_UNLOCK = Rule(
    "jvm-zgc-unlock",
    WARNING,
    "ZGC as it was switched on in JDK 11",
    "ZGC is a product option since 15, so the unlock flag only opens the door for typing errors; on 21 and 22 the "
    "better, generational ZGC needs -XX:+ZGenerational, which 24 removed again (it is the only one there).",
    "Write -XX:+UseZGC alone; add -XX:+ZGenerational on 21 and 22.",
    "JEP 377, JEP 439, JEP 490; " + _JDK,
    ("S6.3-04", "S6.3-05"),
)
JVM_REGION = Rule(
    "jvm-region-size",
    WARNING,
    "G1 regions too large for the heap",
    "G1 works on whole regions and needs many (it aims at 2048, and 64 are the least that make sense): with few it has "
    "nothing to choose from, and every object of half a region is humongous. 16 MB belong to a heap of 32 GB.",
    "Remove the flag: the JVM chooses 1 MB at 2 GB of heap, 8 MB at 16 GB.",
    _JDK,
    ("S6.3-03",),
)
JVM_GC_THREADS = Rule(
    "jvm-gc-threads",
    WARNING,
    "More GC threads than the container has CPUs",
    "During a pause all of them run at once, use up the quota, and the whole container stands still until the next "
    "period.",
    "Remove the flag: the JVM follows the CPU limit by itself.",
    _JDK,
    ("S6.3-07",),
)
JVM_COLLECTORS = Rule(
    "jvm-two-collectors",
    ERROR,
    "More than one garbage collector",
    "The JVM exits: Multiple garbage collectors selected.",
    "Keep one.",
    _JDK,
)
JVM_HEAP_ORDER = Rule(
    "jvm-heap-order",
    ERROR,
    "The initial heap is larger than the maximum heap",
    "The JVM exits: Initial heap size set to a larger value than the maximum heap size.",
    "Keep -Xms at or below -Xmx.",
    _JDK,
)
JVM_RELATION = Rule(
    "jvm-relation",
    ERROR,
    "JVM flags contradict each other",
    "The JVM refuses to start with this combination.",
    "Change one of the values that the rule names.",
    _JDK,
)
JVM_CPU = Rule(
    "jvm-less-than-one-cpu",
    WARNING,
    "A JVM with less than one CPU and a liveness probe that does not wait for it",
    "Start-up compiles and collects on a fraction of a core. When that outlasts the probe, the container is killed "
    "before it is ready, again and again.",
    "Add a startupProbe that waits long enough, and give it at least one CPU.",
    "Kubernetes documentation, startup probes",
    ("S9.3-04",),
)
JVM_REQUEST = Rule(
    "jvm-request-below-heap",
    WARNING,
    "The memory request is below the heap",
    "The scheduler puts pods onto the node by their requests: with several such pods the node runs out of memory and "
    "kills one.",
    "Request what the process really uses: heap, plus what the JVM needs beside it.",
    "Kubernetes documentation, manage resources for containers",
    ("S9.3-03",),
)
GO_DEFAULT = Rule(
    "go-default",
    NOTE,
    "A Go variable is set to its default",
    "The runtime does this without it.",
    "Remove it.",
    _GO,
    guide_by_name={"GOGC": ("S3.2-05", "S6.3-08")},
)
GO_VALUE = Rule(
    "go-value",
    ERROR,
    "The Go runtime refuses the value",
    "GOMEMLIMIT takes bytes with B, KiB, MiB, GiB or TiB: with anything else the program exits at the start.",
    "GOMEMLIMIT=900MiB",
    "Go documentation, package runtime",
)
GO_OFF = Rule(
    "go-gogc-off",
    ERROR,
    "Garbage collection is off, and there is no memory limit",
    "The program grows until it is killed.",
    "Set GOMEMLIMIT to 0.9 of the container's limit, or leave GOGC alone.",
    _GO,
)
RUNTIME_ABOVE_LIMIT = Rule(
    "runtime-above-limit",
    ERROR,
    "The runtime may use more memory than the container has",
    "The kernel kills the process before its garbage collector feels any pressure.",
    "Leave 5 to 10 % of the limit free (Go), or 3 % and 60 MB beside the heap (Node.js).",
    _GO + "; heap_size_limit of Node.js 20, 22 and 24 measured",
)
NODE_OPTION = Rule(
    "node-option-refused",
    ERROR,
    "An option that NODE_OPTIONS does not take",
    "Node.js exits with 9: only some options are allowed in the variable.",
    "Put the option on node's command line.",
    "measured on Node.js 18 to 24",
)

RULES = (
    JVM_CHANNEL,
    JVM_DEFAULT,
    JVM_OLD_DEFAULT,
    JVM_SMALL_G1,
    JVM_BOUNDS,
    JVM_REMOVED,
    JVM_NEVER,
    JVM_ZGC_UNLOCK,
    JVM_REGION,
    JVM_GC_THREADS,
    JVM_COLLECTORS,
    JVM_HEAP_ORDER,
    JVM_RELATION,
    JVM_CPU,
    JVM_REQUEST,
    GO_DEFAULT,
    GO_VALUE,
    GO_OFF,
    RUNTIME_ABOVE_LIMIT,
    NODE_OPTION,
)
