#!/usr/bin/env bash
# cg.sh POD: what the kernel holds a pod's first container to, for a look by hand (cgroup v1; namespace in NS).
set -euo pipefail
get() { kubectl -n "${NS:-default}" get pod "$pod" -o jsonpath="{$1}"; }
pod=${1:?usage: cg.sh POD}
id=$(get .status.containerStatuses[0].containerID)
cpu=$(find /sys/fs/cgroup/cpu/kubepods -type d -path "*pod$(get .metadata.uid)*" -name "${id##*/}")
memory=/sys/fs/cgroup/memory/${cpu#/sys/fs/cgroup/cpu/}
echo "container ${id##*/} restarts $(get .status.containerStatuses[0].restartCount)"
echo "cpu quota $(cat "$cpu/cpu.cfs_quota_us") period $(cat "$cpu/cpu.cfs_period_us") shares $(cat "$cpu/cpu.shares")"
echo "memory limit $(cat "$memory/memory.limit_in_bytes") usage $(cat "$memory/memory.usage_in_bytes")"
