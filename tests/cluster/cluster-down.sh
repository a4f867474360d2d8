#!/usr/bin/env bash
# cluster-down.sh [--keep-logs] STATE
# Ends the cluster that cluster-up.sh STATE started and removes STATE (with --keep-logs: all but STATE/log). Safe on a
# half-started or half-removed cluster, and to run twice. Ends only processes recorded under STATE/pids (pid and start
# time must both match) and the container shims that were started with this cluster's own socket.
set -uo pipefail
. "$(dirname "$0")/common.sh"
KEEP=
if [ "${1:-}" = --keep-logs ]; then KEEP=1; shift; fi
STATE=$(realpath -m "${1:?usage: cluster-down.sh [--keep-logs] STATE}")
BIN=$(realpath "${BIN:-$STATE/bin}") # those that it was started with
CRI=$STATE/run/containerd.sock
case $STATE in /|/tmp|/var|/usr|/etc|/root|/home) echo "refusing $STATE" >&2; exit 1;; esac
[ -e "$STATE/pids" ] || [ -e "$STATE/bridge" ] || { echo "nothing to take down in $STATE"; exit 0; }

stop() {   # stop NAME...: TERM to all, up to 5 s for them to end, then KILL
  local n p left
  for n in "$@"; do p=$(pid_of "$n") && kill -TERM "$p"; done
  for _ in $(seq 50); do
    left=; for n in "$@"; do p=$(pid_of "$n") && left="$left $p"; done
    [ -n "$left" ] || return 0
    sleep 0.1
  done
  kill -KILL $left
}

# 1. orderly: nothing may make new pods, then the kubelet ends every pod (CNI DEL, unmounts)
stop kcm scheduler
if pid_of kubelet >/dev/null && pid_of apiserver >/dev/null && pid_of containerd >/dev/null; then
  KUBECONFIG=$STATE/admin.kubeconfig timeout 25 "$BIN/kubectl" delete pods --all -A --grace-period=1 --wait=true >/dev/null 2>&1
fi
stop kubelet kube-proxy coredns
for n in apiserver etcd; do p=$(pid_of $n) && kill -KILL "$p"; done     # their data goes anyway

# 2. by force: whatever containers are left
if pid_of containerd >/dev/null; then
  for t in $(ctr -a "$CRI" -n k8s.io tasks ls -q 2>/dev/null); do
    ctr -a "$CRI" -n k8s.io tasks rm -f "$t" >/dev/null 2>&1
  done
fi
stop containerd
for d in /proc/[0-9]*; do   # shims outlive containerd by design; ours name our socket
  if tr '\0' ' ' 2>/dev/null <"$d/cmdline" | grep -q "^[^ ]*containerd-shim-runc-v2 .*-address $CRI "; then
    kill -KILL "${d#/proc/}" 2>/dev/null
  fi
done
for c in /sys/fs/cgroup/{freezer/,}kubepods; do    # and the processes of pods that lost their shim
  [ -d "$c" ] && find "$c" -name cgroup.procs -exec cat {} + 2>/dev/null | xargs -r kill -KILL 2>/dev/null
done
sleep 0.2

# 3. mounts under STATE (deepest first), cgroups, bridge, iptables, sysctls
awk '{print $2}' /proc/self/mounts | grep "^$STATE/" | sort -r | while read -r m; do umount -l "$m"; done
for c in /sys/fs/cgroup/*/kubepods /sys/fs/cgroup/kubepods; do
  for _ in 1 2 3; do
    [ -d "$c" ] && find "$c" -depth -type d -exec rmdir {} + 2>/dev/null; [ -d "$c" ] || break; sleep 0.2
  done
done
if [ -e "$STATE/bridge" ]; then
  B=$(cat "$STATE/bridge")
  for l in $(ip -o link show master "$B" 2>/dev/null | awk -F'[:@ ]+' '{print $2}'); do ip link del "$l" 2>/dev/null; done
  ip link del "$B" 2>/dev/null
fi
[ -e "$STATE/proxy.yaml" ] && "$BIN/kube-proxy" --cleanup >/dev/null 2>&1
for t in nat filter mangle; do   # what portmap and kube-proxy leave: chains of those names only
  iptables -t $t -S 2>/dev/null | grep -E -- '^-A (PREROUTING|INPUT|OUTPUT|POSTROUTING|FORWARD) .*-j (KUBE-|CNI-)' \
    | sed 's/^-A/-D/' | while read -r r; do eval "iptables -t $t $r" 2>/dev/null; done
  chains=$(iptables -t $t -S 2>/dev/null | awk '$1=="-N" && $2 ~ /^(KUBE-|CNI-)/ {print $2}')
  for c in $chains; do iptables -t $t -F "$c"; done
  for c in $chains; do iptables -t $t -X "$c" 2>/dev/null; done
done
[ -e "$STATE/sysctl.saved" ] && while read -r k v; do echo "$v" >"/proc/sys/$k"; done <"$STATE/sysctl.saved"
for l in /var/log/containers/*; do   # the kubelet's hard-coded directory of links
  case $(readlink "$l" 2>/dev/null) in "$STATE"/*) rm -f "$l";; esac
done
# the other hard-coded places: our own files, then the directories that are empty now
for d in "$STATE"/containerd/state/io.containerd.runtime.v2.task/k8s.io/*/; do   # of containers that were killed
  id=$(basename "$d"); rm -f /var/lib/cni/results/*-"$id"-*
  s=$(grep -o '/run/containerd/s/[0-9a-f]*' "$d/address" 2>/dev/null) && rm -f "$s"
done
[ -d "$STATE/kubelet" ] && rm -f /var/lib/kubelet/device-plugins/kubelet.sock
rmdir -p --ignore-fail-on-non-empty /var/log/containers /var/lib/kubelet/device-plugins /var/lib/cni/results \
  /run/containerd/s /usr/libexec/kubernetes/kubelet-plugins/volume/exec 2>/dev/null

# 4. the state directory
if [ -n "$KEEP" ] && mountpoint -q "$STATE"; then   # the logs outlive the tmpfs
  logs=$(mktemp -d); mv "$STATE/log" "$logs/"; umount -l "$STATE"; mv "$logs/log" "$STATE/"; rmdir "$logs"
elif [ -n "$KEEP" ]; then
  find "$STATE" -mindepth 1 -maxdepth 1 ! -name log -exec rm -rf --one-file-system {} +
else
  mountpoint -q "$STATE" && umount -l "$STATE"
  rm -rf --one-file-system "$STATE"
fi
