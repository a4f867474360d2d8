#!/usr/bin/env bash
# with-cluster.sh STATE COMMAND...: runs the command with a cluster in STATE: the one that runs there, with the present
# code in its images; or a new one, which is taken down afterwards. None is started where TRIMTAB_CLUSTER_CONFIRMED
# names another one, or where neither Go nor finished programs are there: the tests then say what is missing.
set -euo pipefail
. "$(dirname "$0")/common.sh"
STATE=$(realpath -m "${1:?usage: with-cluster.sh STATE COMMAND...}"); shift
export TRIMTAB_CLUSTER_STATE=$STATE
if [ ! -e "$STATE/admin.kubeconfig" ]; then
  if [ -n "${TRIMTAB_CLUSTER_CONFIRMED:-}" ] || ! { [ -d "$(bin_dir)" ] || command -v go >/dev/null; }; then exec "$@"; fi
  if [ "$(id -u)" != 0 ]; then echo "no cluster is started: that needs root" >&2; exec "$@"; fi
  trap 'rc=$?; "$HERE/cluster-down.sh" "$STATE"; "$HERE/cluster-leftovers.sh" "$STATE" >&2 || rc=1; exit $rc' EXIT
fi
"$HERE/cluster.sh" "$STATE" >&2
"$@"
