#!/usr/bin/env bash
# cluster.sh STATE: all that it takes to have a cluster in STATE: Debian's packages, the programs, the images, the start.
# Each is done only if it is missing; a cluster that runs already gets the image of the present code. Ends with the line
# that a shell needs.
set -euo pipefail
. "$(dirname "$0")/common.sh"
STATE=$(realpath -m "${1:?usage: cluster.sh STATE}")
"$ROOT/scripts/system-packages" etcd=etcd-server containerd runc /usr/lib/cni/bridge=containernetworking-plugins iptables \
  ip=iproute2 debootstrap gcc openssl
"$HERE/build.sh" >/dev/null
archives=$("$HERE/make-images.sh")
if [ -e "$STATE/pids/apiserver" ] && pid_of apiserver >/dev/null; then
  import_images $archives
  echo "export KUBECONFIG=$STATE/admin.kubeconfig"
else
  TMPFS=${TMPFS-4g} "$HERE/cluster-up.sh" "$STATE" $archives
fi
