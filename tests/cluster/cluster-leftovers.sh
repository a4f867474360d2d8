#!/usr/bin/env bash
# cluster-leftovers.sh STATE: after cluster-down.sh, names whatever is still there and fails if anything is.
set -uo pipefail
STATE=$(realpath -m "${1:?usage: cluster-leftovers.sh STATE}")
BRIDGE=${BRIDGE:-kt0}
found=0
none() { # none WHAT: a line of standard input is something left behind
  local lines
  lines=$(cat)
  [ -n "$lines" ] || return 0
  found=1
  printf 'left behind: %s\n%s\n' "$1" "$lines" >&2
}
processes() { # components work in STATE, shims name its socket; those of pods are seen by their control groups
  local d line
  for d in /proc/[0-9]*; do
    [ "${d#/proc/}" != $$ ] || continue
    line=$(tr '\0' ' ' <"$d/cmdline")
    case "$(readlink "$d/cwd")/ $line" in "$STATE/"* | "$STATE (deleted)"* | *" $STATE/"*) echo "${d#/proc/} $line" ;; esac
  done 2>/dev/null
}
rules() { local t; for t in nat filter mangle; do iptables -t $t -S | grep -E 'KUBE-|CNI-' | sed "s/^/$t /"; done 2>/dev/null; }
none "processes" < <(processes)
none "mounts" < <(grep -F " $STATE" /proc/self/mounts)
none "the bridge" < <(ip -o link show "$BRIDGE" 2>/dev/null)
none "iptables rules" < <(rules)
none "control groups" < <(find /sys/fs/cgroup -maxdepth 2 -name kubepods 2>/dev/null)
none "directories" < <(ls -d "$STATE" /var/lib/kubelet /var/lib/cni /var/log/containers /run/containerd/s 2>/dev/null)
[ $found = 0 ] && echo "nothing is left of the cluster in $STATE"
exit $found
