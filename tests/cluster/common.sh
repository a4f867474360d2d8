# Sourced by the scripts of this folder: where things are kept, and processes known by their pid and start time.
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
CACHE=${TRIMTAB_CLUSTER_CACHE:-$HOME/.cache/trimtab/cluster}
PATH=$PATH:/usr/sbin:/usr/local/sbin:/usr/local/go/bin # of a user's shell that became root, and of Go's own archive

hash_of() { cat "$@" | sha256sum | cut -c1-12; } # of the files' contents, or of standard input

bin_dir() { # where the programs lie that this very module and build script make; it exists only when complete
  echo "$CACHE/bin-$(hash_of "$HERE"/module/{go.mod,go.sum,tools.go,coredns/main.go} "$HERE/build.sh")"
}

# A pid alone may belong to somebody else by now: the start time (field 22 of its stat) tells. A zombie counts as gone,
# as one whose parent is gone may be reaped seconds later.
started() { awk '$3 != "Z" {print $22}' "/proc/$1/stat" 2>/dev/null; }

pid_of() { # prints the pid of the component NAME if that very process still runs
  local p t
  read -r p t 2>/dev/null <"$STATE/pids/$1" || return 1
  [ -n "$t" ] && [ "$(started "$p")" = "$t" ] && echo "$p"
}

launch() { # launch NAME: its command in its own session, with a log and its pid under STATE
  local name=$1 command
  mapfile -d '' command <"$STATE/commands/$name"
  # the lock of a restart must not outlive it in the component: 9 is closed
  (cd "$STATE" && exec setsid "${command[@]}") >>"$STATE/log/$name.log" 2>&1 </dev/null 9>&- &
  echo "$! $(started $!)" >"$STATE/pids/$name"
  disown
}

wait_for() { # wait_for SECONDS NAME COMMAND...: until COMMAND succeeds; fails at once if NAME died
  local end=$((SECONDS + $1)) name=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    pid_of "$name" >/dev/null || { echo "$name died:" >&2; tail -5 "$STATE/log/$name.log" >&2; return 1; }
    [ $SECONDS -lt $end ] || { echo "timed out waiting for: $*" >&2; return 1; }
    sleep 0.2
  done
}

import_images() { # import_images ARCHIVE...: those that this cluster does not hold yet
  local archive
  for archive in "$@"; do
    grep -qxF "$archive" "$STATE/imported" 2>/dev/null && continue
    ctr -a "$STATE/run/containerd.sock" -n k8s.io images import "$archive" >>"$STATE/log/import.log"
    echo "$archive" >>"$STATE/imported"
  done
}
