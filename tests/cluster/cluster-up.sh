#!/usr/bin/env bash
# cluster-up.sh STATE IMAGES.tar...
#
# Starts a real one-node Kubernetes from nothing: etcd, containerd, kube-apiserver,
# kube-controller-manager, kube-scheduler, kubelet (and kube-proxy, coredns where BIN has them).
# Everything listens on the cluster's own bridge address or on loopback, and everything it writes lies under STATE;
# cluster-down.sh STATE takes it all away. One of the archives must hold localhost/pause:1. Needs root, Debian's
# etcd-server containerd runc containernetworking-plugins iptables iproute2 openssl, and the programs of build.sh.
#
# Settings by environment: NET SVC BRIDGE NODE API_PORT ETCD_PORT KUBELET_PORT, TMPFS (4g keeps STATE in memory),
# APISERVER_FLAGS KCM_FLAGS ETCD_FLAGS (more flags), KUBELET_EXTRA (lines of YAML).
set -euo pipefail
. "$(dirname "$0")/common.sh"
STATE=$(realpath -m "${1:?usage: cluster-up.sh STATE IMAGES.tar...}"); shift
BIN=$(realpath "${BIN:-$(bin_dir)}")
NET=${NET:-10.244.0}            # pods and the node live in NET.0/24, the node is NET.1
SVC=${SVC:-10.96.0}             # services live in SVC.0/24
BRIDGE=${BRIDGE:-kt0}
NODE=${NODE:-node-1}
API_PORT=${API_PORT:-6443} KUBELET_PORT=${KUBELET_PORT:-10250}
IP=$NET.1
IMAGES=(); for i in "$@"; do IMAGES+=("$(realpath -e "$i")"); done
CRI=$STATE/run/containerd.sock
taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
# Two ports of loopback, which is everybody's: an etcd that is another one's would be taken for ours.
ETCD_PORT=${ETCD_PORT:-23790}
while taken "$ETCD_PORT" || taken $((ETCD_PORT + 1)); do ETCD_PORT=$((ETCD_PORT + 2)); done

# --- refuse to run twice; take away what a run that died has left ---------------------------------------------------
[ "$(id -u)" = 0 ] || { echo "needs root: cgroups, namespaces, a bridge and iptables rules" >&2; exit 1; }
[ -x "$BIN/kube-apiserver" ] || { echo "no programs in $BIN: run build.sh first" >&2; exit 1; }
[ ${#CRI} -le 90 ] || { echo "STATE is too long for a socket's path: $STATE" >&2; exit 1; }
for f in "$STATE"/pids/*; do
  if pid_of "${f##*/}" >/dev/null; then echo "already running: ${f##*/} (cluster-down.sh first)" >&2; exit 1; fi
done
if [ -e "$STATE/pids" ]; then "$HERE/cluster-down.sh" "$STATE"; fi
if ip link show "$BRIDGE" >/dev/null 2>&1; then echo "bridge $BRIDGE belongs to someone else: set BRIDGE" >&2; exit 1; fi
if [ -d /sys/fs/cgroup/memory/kubepods ] || [ -d /sys/fs/cgroup/kubepods ]; then
  echo "a cgroup kubepods is there: another cluster's node runs on this machine" >&2; exit 1
fi
mkdir -p "$STATE"; chmod 700 "$STATE"
# in memory up and down are faster, but what containers write counts as their memory
if [ -n "${TMPFS:-}" ]; then mount -t tmpfs -o "size=$TMPFS,mode=700" cluster-state "$STATE"; fi
mkdir "$STATE/pids" || exit 1            # of two that start at once, one stops here
mkdir -p "$STATE"/{commands,log,run,pki,kubelet,cni,etcd,containerd,plugins,pods,volumes/local-0,volumes/local-1}
ln -s "$BIN" "$STATE/bin"
trap 'rc=$?; [ $rc = 0 ] || { echo "cluster-up failed ($rc); logs in $STATE/log" >&2; "$HERE/cluster-down.sh" --keep-logs "$STATE" || true; }' EXIT
T0=$(date +%s.%N)
say() { printf '%6.1fs %s\n' "$(echo "$(date +%s.%N) $T0" | awk '{print $1-$2}')" "$*"; }

start() { # start NAME COMMAND...: notes the command, so that cluster-restart.sh can run the very same, and runs it
  local name=$1; shift
  printf '%s\0' "$@" >"$STATE/commands/$name"
  launch "$name"
}

# --- the host: sysctls (old values kept for cluster-down) and the bridge --------------------------------------------
for k in net/ipv4/ip_forward net/ipv4/conf/all/route_localnet vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
         kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  [ -e /proc/sys/$k ] && echo "$k $(cat /proc/sys/$k)"
done >"$STATE/sysctl.saved"
echo 1 >/proc/sys/net/ipv4/ip_forward
ip link add "$BRIDGE" type bridge
ip addr add "$IP/24" dev "$BRIDGE"
ip link set "$BRIDGE" up
echo "$BRIDGE" >"$STATE/bridge"
echo 1 >"/proc/sys/net/ipv4/conf/$BRIDGE/route_localnet"    # hostPort on 127.0.0.1

# --- keys: one CA, the API server's certificate, its client certificate for the kubelet -----------------------------
cd "$STATE/pki"
EC=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
openssl req -x509 "${EC[@]}" -days 30 -subj /CN=test-ca -keyout ca.key -out ca.crt 2>/dev/null
cert() { # cert NAME SUBJECT EXTENSIONS
  openssl req "${EC[@]}" -subj "$2" -keyout "$1.key" -out "$1.csr" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 \
    -extfile <(printf '%s\n' "$3") -out "$1.crt" 2>/dev/null
}
cert apiserver /CN=kube-apiserver "subjectAltName=IP:127.0.0.1,IP:$IP,IP:$SVC.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
cert kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client "extendedKeyUsage=clientAuth"
openssl ecparam -name prime256v1 -genkey -noout -out sa.key
openssl ec -in sa.key -pubout -out sa.pub 2>/dev/null
kubeconfig() { # kubeconfig NAME USER GROUP: a token in tokens.csv and STATE/NAME.kubeconfig
  local token; token=$(openssl rand -hex 16)
  echo "$token,$2,$2,\"$3\"" >>tokens.csv
  cat >"$STATE/$1.kubeconfig" <<END
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://$IP:$API_PORT", certificate-authority: $STATE/pki/ca.crt}}]
users: [{name: u, user: {token: $token}}]
contexts: [{name: test, context: {cluster: c, user: u}}]
current-context: test
END
}
: >tokens.csv; chmod 600 tokens.csv
kubeconfig admin admin system:masters
kubeconfig kcm system:kube-controller-manager ""
kubeconfig sched system:kube-scheduler ""
kubeconfig kubelet "system:node:$NODE" system:nodes
kubeconfig proxy system:kube-proxy ""
kubeconfig dns system:coredns ""
cd "$STATE"
export KUBECONFIG=$STATE/admin.kubeconfig
K=$BIN/kubectl

# --- containerd, with its own root, state and socket ----------------------------------------------------------------
cat >containerd.toml <<END
version = 2
root = "$STATE/containerd/root"
state = "$STATE/containerd/state"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "$CRI"
[plugins."io.containerd.internal.v1.opt"]
  path = "$STATE/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true          # for machines without CAP_SYS_RESOURCE
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$STATE/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = "$STATE/run/runc"
END
cat >cni/10-bridge.conflist <<END
{"cniVersion": "0.4.0", "name": "$BRIDGE", "plugins": [
  {"type": "bridge", "bridge": "$BRIDGE", "isGateway": true, "hairpinMode": true, "ipMasq": false,
   "ipam": {"type": "host-local", "dataDir": "$STATE/cni/ipam", "routes": [{"dst": "0.0.0.0/0"}],
            "ranges": [[{"subnet": "$NET.0/24", "gateway": "$IP", "rangeStart": "$NET.10"}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
start containerd containerd --config "$STATE/containerd.toml"

# --- etcd and the API server ----------------------------------------------------------------------------------------
# Debian's etcd is old enough to refuse unknown flags: only what it knows.
start etcd etcd --data-dir "$STATE/etcd" --logger zap --log-level warn \
  --listen-client-urls "http://127.0.0.1:$ETCD_PORT" --advertise-client-urls "http://127.0.0.1:$ETCD_PORT" \
  --listen-peer-urls "http://127.0.0.1:$((ETCD_PORT + 1))" \
  --initial-advertise-peer-urls "http://127.0.0.1:$((ETCD_PORT + 1))" \
  --initial-cluster "default=http://127.0.0.1:$((ETCD_PORT + 1))" ${ETCD_FLAGS:-}
wait_for 20 etcd taken "$ETCD_PORT"
start apiserver "$BIN/kube-apiserver" --etcd-servers "http://127.0.0.1:$ETCD_PORT" \
  --bind-address "$IP" --secure-port "$API_PORT" --advertise-address "$IP" \
  --tls-cert-file pki/apiserver.crt --tls-private-key-file pki/apiserver.key --client-ca-file pki/ca.crt \
  --token-auth-file pki/tokens.csv --authorization-mode Node,RBAC \
  --service-account-issuer https://kubernetes.default.svc.cluster.local \
  --service-account-key-file pki/sa.pub --service-account-signing-key-file pki/sa.key \
  --service-cluster-ip-range "$SVC.0/24" --allow-privileged=true \
  --kubelet-client-certificate pki/kubelet-client.crt --kubelet-client-key pki/kubelet-client.key \
  --kubelet-preferred-address-types InternalIP ${APISERVER_FLAGS:-}
say "etcd, containerd and kube-apiserver started"

# images go in while the API server comes up
wait_for 20 containerd ctr -a "$CRI" version
import_images "${IMAGES[@]}" &
importing=$!
wait_for 60 apiserver "$K" get --raw /readyz
say "kube-apiserver ready"
wait $importing
say "images imported"

# --- controllers, scheduler, node -----------------------------------------------------------------------------------
# The rate of calls: its start takes 3.5 s more without. The autoscaler's period: 15 s otherwise, too slow for tests.
start kcm "$BIN/kube-controller-manager" --kubeconfig kcm.kubeconfig --leader-elect=false \
  --use-service-account-credentials --service-account-private-key-file pki/sa.key --root-ca-file pki/ca.crt \
  --secure-port 0 --kube-api-qps 300 --kube-api-burst 600 --horizontal-pod-autoscaler-sync-period=2s ${KCM_FLAGS:-}
start scheduler "$BIN/kube-scheduler" --kubeconfig sched.kubeconfig --leader-elect=false --secure-port 0
echo "nameserver $IP" >resolv.conf
cat >kubelet.yaml <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $IP
port: $KUBELET_PORT
readOnlyPort: 0
healthzPort: 0
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: $STATE/pki/ca.crt}}
authorization: {mode: AlwaysAllow}
containerRuntimeEndpoint: unix://$CRI
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
oomScoreAdj: 0
makeIPTablesUtilChains: false
# images are only ever imported: the kubelet must not collect them
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%}
podLogsDir: $STATE/pods
volumePluginDir: $STATE/plugins
resolvConf: $STATE/resolv.conf
clusterDNS: [$IP]
clusterDomain: cluster.local
maxPods: 60
${KUBELET_EXTRA:-}
END
start kubelet "$BIN/kubelet" --config "$STATE/kubelet.yaml" --kubeconfig "$STATE/kubelet.kubeconfig" \
  --root-dir "$STATE/kubelet" --cert-dir "$STATE/kubelet/pki" --hostname-override "$NODE" --node-ip "$IP"
if [ -x "$BIN/kube-proxy" ]; then
  cat >proxy.yaml <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
bindAddress: $IP
healthzBindAddress: $IP:10256
metricsBindAddress: $IP:10249
nodePortAddresses: [$NET.0/24, 127.0.0.0/8]     # not the machine's own interface
hostnameOverride: $NODE
clientConnection: {kubeconfig: $STATE/proxy.kubeconfig}
clusterCIDR: $NET.0/24
oomScoreAdj: 0
conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
END
  start kube-proxy "$BIN/kube-proxy" --config "$STATE/proxy.yaml"
fi
if [ -x "$BIN/coredns" ]; then
  cat >Corefile <<END
.:53 {
  bind $IP
  errors
  kubernetes cluster.local {
    kubeconfig $STATE/dns.kubeconfig test
  }
  cache 1
}
END
  "$K" apply -f - >/dev/null <<END
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: system:coredns}
rules:
- {apiGroups: [""], resources: [endpoints, services, pods, namespaces], verbs: [list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: system:coredns}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:coredns}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: system:coredns}]
END
  start coredns "$BIN/coredns" -conf "$STATE/Corefile"
fi
say "controllers, scheduler and kubelet started"

# --- two volumes, as there is nothing that could provide any. Retain: a test looks at what an uninstall leaves ------
"$K" apply -f - >/dev/null <<END
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
$(for i in 0 1; do cat <<VOLUME
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: local-$i}
spec:
  capacity: {storage: 2Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: local
  local: {path: $STATE/volumes/local-$i}
  nodeAffinity:
    required:
      nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [$NODE]}]}]
VOLUME
done)
END
wait_for 60 kubelet "$K" get node "$NODE"
wait_for 60 kubelet "$K" wait --for=condition=Ready "node/$NODE" --timeout=1s
wait_for 30 kcm "$K" -n default get serviceaccount default
# the scheduler will not place a pod before the controller takes the start-up taint away
wait_for 30 kcm bash -c "[ -z \"\$('$K' get node '$NODE' -o jsonpath='{.spec.taints}')\" ]"
say "node Ready"
echo "export KUBECONFIG=$KUBECONFIG"
