#!/usr/bin/env bash
# schemas.sh: makes JSON schemas of every kind for kubeconform, without a network or a cluster, and prints the argument
# for its -schema-location. Kept in the cache; Kubernetes' own swagger.json comes from the Go module that the cluster's
# programs are built from, or with --from FILE from elsewhere (`kubectl get --raw /openapi/v2`).
set -euo pipefail
. "$(dirname "$0")/common.sh"
version=$(sed -n 's,^\tk8s.io/kubernetes ,,p' "$HERE/module/go.mod")
schemas=$CACHE/schemas-$version-$(hash_of "$HERE/make_schemas.py")
if [ ! -d "$schemas" ]; then
  mkdir -p "$CACHE"
  swagger=${2:-}
  if [ "${1:-}" != --from ]; then
    command -v go >/dev/null || { echo "Go is missing; or: schemas.sh --from SWAGGER.json" >&2; exit 1; }
    (cd "$HERE/module" && go mod download k8s.io/kubernetes)
    swagger=$(cd "$HERE/module" && go list -m -f '{{.Dir}}' k8s.io/kubernetes)/api/openapi-spec/swagger.json
  fi
  scratch=$(mktemp -d "$CACHE/schemas.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  python3 "$HERE/make_schemas.py" "$swagger" "$scratch/made"
  chmod 755 "$scratch/made"
  mv -T "$scratch/made" "$schemas" || [ -d "$schemas" ] # another one was faster: as good
fi
echo "$schemas/{{.ResourceKind}}{{.KindSuffix}}.json"
