#!/usr/bin/env bash
# build.sh [--where]: builds every program of the test cluster from Go modules into the cache, once, and prints where
# they lie. With --where it only prints that; it is built if the directory exists. Needs Go, or the finished directory.
set -euo pipefail
. "$(dirname "$0")/common.sh"
bin=$(bin_dir)
if [ "${1:-}" = --where ] || [ -d "$bin" ]; then echo "$bin"; exit 0; fi
command -v go >/dev/null || { echo "Go is missing: install 1.24 or newer (1.21 fetches the right one itself)" >&2; exit 1; }
mkdir -p "$CACHE"
exec 9>"$CACHE/build.lock"
flock 9 # of two builds the second waits, and finds the first one's result
if [ -d "$bin" ]; then echo "$bin"; exit 0; fi

# Only the programs are kept (0.6 GB): nothing needs the build cache (3.3 GB) once they are there.
scratch=$(mktemp -d "$CACHE/build.XXXXXX")
trap 'kill $ticker 2>/dev/null; rm -rf "$scratch"' EXIT
export GOCACHE=$scratch/cache CGO_ENABLED=0
echo "building the cluster's programs into $bin: 10-13 minutes on 2 cores, once" >&2
(while sleep 30; do echo "  still building, ${SECONDS} s" >&2; done) 9>&- &
ticker=$!
cd "$HERE/module"
kubernetes=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=${kubernetes#v1.} minor=${minor%%.*}
# Without these the programs call themselves v0.0.0, and kubectl, Helm and the feature gates compare versions.
k=k8s.io/component-base/version
flags="-s -w -X $k.gitVersion=$kubernetes -X $k.gitMajor=1 -X $k.gitMinor=$minor -X $k.gitTreeState=clean -X $k.gitCommit=0"
flags="$flags -X $k.buildDate=2026-01-01T00:00:00Z"
flags="$flags -X helm.sh/helm/v3/internal/version.version=$(go list -m -f '{{.Version}}' helm.sh/helm/v3)"
mkdir "$scratch/bin"
k=k8s.io/kubernetes/cmd
# One command for all: what they share (most of it) is compiled once.
go build -trimpath -ldflags "$flags" -o "$scratch/bin/" $k/kube-apiserver $k/kube-controller-manager $k/kube-scheduler \
  $k/kubelet $k/kube-proxy $k/kubectl helm.sh/helm/v3/cmd/helm github.com/yannh/kubeconform/cmd/kubeconform ./coredns
mv "$scratch/bin" "$bin" # at once: a directory of that name is complete
echo "built in $SECONDS s" >&2
echo "$bin"
