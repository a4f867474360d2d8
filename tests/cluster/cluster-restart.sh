#!/usr/bin/env bash
# cluster-restart.sh [--term] [--pause SECONDS] STATE COMPONENT
# Kills a component of a running cluster (SIGKILL, as a lost machine would; SIGTERM with --term), leaves it away for
# SECONDS (default 0), and starts it anew with the very same command. A component that died already is just started.
# Returns when it runs; for apiserver, when it is ready. COMPONENT is a name in STATE/commands: apiserver, etcd, kcm,
# scheduler, kubelet, containerd, kube-proxy, coredns.
set -euo pipefail
. "$(dirname "$0")/common.sh"
usage="usage: cluster-restart.sh [--term] [--pause SECONDS] STATE COMPONENT"
signal=KILL pause=0
while :; do
  case ${1:-} in
    --term) signal=TERM; shift ;;
    --pause) pause=${2:?$usage}; shift 2 ;;
    *) break ;;
  esac
done
STATE=$(realpath -m "${1:?$usage}") name=${2:?$usage}
[ -d "$STATE/commands" ] || { echo "no cluster in $STATE" >&2; exit 1; }
[ -e "$STATE/commands/$name" ] || { echo "no component $name; known: $(ls -m "$STATE/commands")" >&2; exit 1; }
exec 9>"$STATE/restart.lock"
flock 9

if pid=$(pid_of "$name"); then
  kill -$signal "$pid"
  for _ in $(seq 100); do
    pid_of "$name" >/dev/null || break
    sleep 0.1
  done
  pid_of "$name" >/dev/null && { echo "$name (pid $pid) did not end within 10 s of SIG$signal" >&2; exit 1; }
fi
sleep "$pause"
launch "$name"
case $name in
  apiserver) ready=("$STATE/bin/kubectl" --kubeconfig "$STATE/admin.kubeconfig" get --raw /readyz) ;;
  *) ready=(sleep 0.5) ;; # it must outlive its first moments
esac
wait_for 60 "$name" "${ready[@]}"
pid_of "$name" >/dev/null || { echo "$name died:" >&2; tail -5 "$STATE/log/$name.log" >&2; exit 1; }
