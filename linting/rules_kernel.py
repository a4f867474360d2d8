"""The rules about kernel parameters, wherever they are set."""

from __future__ import annotations

from linting.finding import ERROR, NOTE, WARNING, Rule

_SYSCTL = "kernel documentation, admin-guide/sysctl and networking/ip-sysctl"
_VM = "kernel documentation, admin-guide/sysctl/vm.rst"

DEFAULT = Rule(
    "kernel-default",
    NOTE,
    "A kernel parameter is set to its default",
    "The kernel starts with this value, so the line changes nothing and hides the lines that do.",
    "Remove the line.",
    _SYSCTL,
    guide_by_name={
        "kernel.sched_rt_runtime_us": ("S2.2-02",),
        "vm.swappiness": ("S3.2-01",),
        "net.ipv4.tcp_timestamps": ("S5.2-03",),
        "net.ipv4.tcp_sack": ("S5.2-04",),
        "net.ipv4.tcp_window_scaling": ("S5.2-05",),
    },
)
OLD_DEFAULT = Rule(
    "kernel-old-default",
    WARNING,
    "A kernel parameter is set back to the default of an older kernel",
    "The default was changed for a reason; writing the old one undoes the change.",
    "Remove the line, or write a value that was measured to help.",
    _SYSCTL,
)
BOUNDS = Rule(
    "kernel-bounds",
    ERROR,
    "A kernel parameter has a value that the kernel refuses",
    "The write fails (or is cut) and the setting is not in force.",
    "Write a value inside the bounds.",
    _SYSCTL,
)
ACTION = Rule(
    "kernel-action",
    WARNING,
    "A one-time action of the kernel is used as a setting",
    "The file is a button and not a setting: the write acts once on the whole node, makes every service of it slower "
    "until its caches are warm again, and is forgotten. It is meant for debugging and cold-cache measurements.",
    "Remove the line; size memory limits and caches instead.",
    _VM,
    guide_by_name={"vm.drop_caches": ("S3.1-06", "S3.2-02", "S4.3-02"), "vm.compact_memory": ("S3.1-07", "S3.2-03")},
)
GUARDED = Rule(
    "kernel-guarded",
    WARNING,
    "A protected kernel parameter is changed",
    "This parameter guards the node or other software relies on it; it is no lever of performance.",
    "Remove the line, or have the owner of the node set it for the software that needs it.",
    _SYSCTL,
    guide_by_name={"vm.overcommit_memory": ("S3.1-05",)},
)
LOWERS = Rule(
    "kernel-lowers",
    WARNING,
    "A buffer or a table is made smaller than the kernel makes it by itself",
    "The line reads as an increase and is a decrease.",
    "Remove the line, or write a value above the default, sized from measured traffic.",
    _SYSCTL,
    guide_by_name={
        "net.core.rmem_default": ("S4.2-03",),
        "net.core.wmem_default": ("S4.2-04",),
        "net.netfilter.nf_conntrack_max": ("S5.2-06",),
    },
)
DIRTY_RATIO = Rule(
    "kernel-dirty-ratio",
    WARNING,
    "vm.dirty_ratio is so low that every writer has to write back by itself",
    "At the limit each process that writes a file does its own write-back before it may go on, so throughput "
    "collapses. It does not make data durable either: only fsync does.",
    "Keep vm.dirty_ratio at 5 or more, above vm.dirty_background_ratio.",
    _VM,
    ("S4.3-03",),
)
NO_SUCH_PATH = Rule(
    "kernel-no-such-path",
    ERROR,
    "A path that the kernel does not have",
    "The write fails with 'No such file or directory'. Compaction of memory makes free pages contiguous; it compresses "
    "nothing (zswap and zram do), and the kernel starts it when it is needed.",
    "Remove the line; vm.compaction_proactiveness steers compaction in the background.",
    "absent on Linux 6.18 (measured); " + _VM,
    ("S3.1-07", "S3.2-03"),
)
SCHED_DOMAIN = Rule(
    "kernel-sched-domain",
    ERROR,
    "Scheduling domains are written through /proc",
    "The directory was removed in Linux 5.13, and its successor in debugfs is read-only. On an older kernel the number "
    "replaces the whole bit mask of the domain.",
    "Remove the line; keep work on chosen cores with cpusets.",
    "Linux commit 3b87f136f8fc; absent on Linux 6.18 (measured)",
    ("S2.2-03",),
)
RT_BUDGET = Rule(
    "kernel-rt-budget-read",
    NOTE,
    "The budget of real-time tasks is read as if it were a scheduling policy",
    "kernel.sched_rt_runtime_us is the share of each period that real-time tasks may use. The policy belongs to each "
    "task.",
    "Ask `chrt -p PID` for the policy of a task.",
    "kernel documentation, scheduler/sched-rt-group.rst",
    ("S2.2-01",),
)
REMOUNT = Rule(
    "kernel-remount-root",
    NOTE,
    "The root of the node is mounted anew with nodiratime",
    "noatime implies nodiratime, relatime (the default) already avoids nearly all of these writes, and a change of the "
    "node's root concerns every service on it.",
    "Set noatime in the mount options of the data volume.",
    "mount(8)",
    ("S4.3-01",),
)
RELATION = Rule(
    "kernel-relation",
    WARNING,
    "Kernel parameters of one file contradict each other",
    "Together these values break a rule that each of them alone keeps.",
    "Change one of the values that the rule names.",
    "the catalogue's constraints",
)

RULES = (
    DEFAULT,
    OLD_DEFAULT,
    BOUNDS,
    ACTION,
    GUARDED,
    LOWERS,
    DIRTY_RATIO,
    NO_SUCH_PATH,
    SCHED_DOMAIN,
    RT_BUDGET,
    REMOUNT,
    RELATION,
)
