#!/usr/bin/env bash
# make-images.sh: makes the images of the test cluster without an engine or a registry and prints their archives:
#   base-KEY.tar     localhost/pause:1 (sandboxes); localhost/web:1, redis:1 and monitoring:1, which are one Debian with
#                    nginx, Python, curl, Redis, Prometheus and Alertmanager under three names; localhost/packages:1,
#                    which is Debian with the locked packages of this project
#   trimtab-KEY.tar  localhost/trimtab:test: this checkout on the former; only its own layer, so that new code costs
#                    seconds: base-KEY.tar must be imported before it
# KEY is a hash of what makes it. The layers are kept beside them. Needs root, debootstrap, gcc and python3.
set -euo pipefail
. "$(dirname "$0")/common.sh"
SUITE=bookworm
COMMON=python3,python3-venv,curl,ca-certificates
SERVICES="nginx-light redis-server prometheus prometheus-alertmanager"
ROOMS="controller workers console adapters optimizers detectors linting diagnosis domain catalogue"
USER_ID=65532 # the user of distroless images, which the chart runs as too
[ "$(id -u)" = 0 ] || { echo "needs root: debootstrap makes owners and enters the new system" >&2; exit 1; }
layers=$CACHE/layers images=$CACHE/images
mkdir -p "$layers" "$images"
exec 9>"$CACHE/images.lock"
flock 9
scratch=$(mktemp -d "$CACHE/images.XXXXXX")
trap 'rc=$?; [ $rc = 0 ] || tail -20 "$scratch/log" >&2 2>/dev/null; rm -rf --one-file-system "$scratch"' EXIT

key() { printf '%s\n' "$@" | cat - "$HERE/make_image.py" | hash_of; }
layer() { python3 "$HERE/make_image.py" layer "$@"; }
say() { echo "images: $*" >&2; }
only() { # only PREFIX KEEP: of what a cache holds under a name only the newest is worth its space
  find "$(dirname "$1")" -maxdepth 1 -name "$(basename "$1")*.tar" ! -path "$2" -delete
}

unpack() { # unpack LAYER...: a system to work in; what changes from here on is the next layer's
  mkdir -p "$scratch/root"
  local each
  for each in "$@"; do tar -xpf "$each" --numeric-owner -C "$scratch/root"; done
  enter
}
enter() { # what a chroot needs that no layer carries
  mkdir -p "$scratch"/root/{dev,proc,tmp}
  [ -e "$scratch/root/dev/null" ] || mknod -m 666 "$scratch/root/dev/null" c 1 3
  [ -e "$scratch/root/dev/urandom" ] || mknod -m 666 "$scratch/root/dev/urandom" c 1 9
  cp -L /etc/resolv.conf /etc/hosts "$scratch/root/etc/"
  printf '#!/bin/sh\nexit 101\n' >"$scratch/root/usr/sbin/policy-rc.d" # a fresh service must not start here
  chmod +x "$scratch/root/usr/sbin/policy-rc.d"
  touch "$scratch/stamp"
  sleep 0.1 # the clock of files is coarser than the calls below
}
within() { chroot "$scratch/root" env HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@" >>"$scratch/log" 2>&1; }
close() { # close LAYER: writes what changed since `enter`, and leaves the system behind
  rm -rf "$scratch"/root/usr/sbin/policy-rc.d "$scratch"/root/tmp/*
  layer "$1" "$scratch/root" --since "$scratch/stamp"
  rm -rf --one-file-system "$scratch/root"
}

pause=$layers/pause-$(key "$(cat "$HERE/pause.c")").tar
if [ ! -e "$pause" ]; then
  mkdir "$scratch/pause"
  gcc -static -O2 -s -o "$scratch/pause/pause" "$HERE/pause.c"
  layer "$pause" "$scratch/pause"
  only "$layers/pause-" "$pause"
fi

debian=$layers/debian-$(key "$SUITE" "$COMMON" "$USER_ID").tar
if [ ! -e "$debian" ]; then
  say "Debian $SUITE by debootstrap (1-2 minutes)"
  debootstrap --variant=minbase --include="$COMMON" "$SUITE" "$scratch/root" >>"$scratch/log" 2>&1
  echo "trimtab:x:$USER_ID:$USER_ID::/tmp:/usr/sbin/nologin" >>"$scratch/root/etc/passwd"
  echo "trimtab:x:$USER_ID:" >>"$scratch/root/etc/group"
  layer "$debian" "$scratch/root"
  rm -rf --one-file-system "$scratch/root"
  only "$layers/debian-" "$debian"
fi

services=$layers/services-$(key "$debian" "$SERVICES").tar
if [ ! -e "$services" ]; then
  say "$SERVICES (about a minute)"
  unpack "$debian"
  within apt-get -qq update
  within apt-get -qq install -y --no-install-recommends $SERVICES
  # three quarters of it, for web pages and by hand: what is imported at each start should be small
  rm -rf "$scratch"/root/usr/share/javascript "$scratch"/root/usr/bin/{promtool,amtool}
  close "$services"
  only "$layers/services-" "$services"
fi

packages=$layers/packages-$(key "$debian" "$(cat "$ROOT/requirements/worker.txt")").tar
if [ ! -e "$packages" ]; then
  say "the packages of requirements/worker.txt (a minute or two)"
  unpack "$debian"
  mkdir -p "$scratch/root/app"
  # pip runs inside, so that the lock's conditions on Python's version mean the image's; it must reach what pip reaches here
  cp -L "$ROOT/requirements/worker.txt" /etc/ssl/certs/ca-certificates.crt "$scratch/root/tmp/"
  [ ! -e /etc/pip.conf ] || cp -L /etc/pip.conf "$scratch/root/tmp/pip.conf"
  within python3 -m venv /app/.venv
  ca=/tmp/ca-certificates.crt # each of these names overrides another one
  within env PIP_CONFIG_FILE=/tmp/pip.conf PIP_CERT=$ca REQUESTS_CA_BUNDLE=$ca CURL_CA_BUNDLE=$ca PIP_NO_CACHE_DIR=1 \
    /app/.venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r /tmp/worker.txt
  within /app/.venv/bin/python -m pip uninstall -q -y setuptools pip
  find "$scratch/root/app/.venv" -type d -name tests -path '*/site-packages/*' -prune -exec rm -rf {} +
  rm -rf "$scratch/root/root/.cache"
  close "$packages"
  only "$layers/packages-" "$packages"
fi

stamp=$(cd "$ROOT" && find $ROOMS -name __pycache__ -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
code=$layers/code-$(key "$stamp" "$(cat "$HERE/make-images.sh")").tar
if [ ! -e "$code" ]; then
  app=$scratch/code/app
  mkdir -p "$app/.venv/bin"
  (cd "$ROOT" && tar -cf - --exclude=__pycache__ $ROOMS) | tar -xf - -C "$app"
  printf '%s\n' '#!/app/.venv/bin/python' 'from console.__main__ import main' 'main()' >"$app/.venv/bin/trimtab"
  # The image's file system is read-only: without compiled files each start compiles all, slowly under a CPU limit.
  if python3 -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
    python3 -m compileall -q --invalidation-mode unchecked-hash -s "$scratch/code" -p / "$app"
  fi
  chown -R 0:0 "$scratch/code"
  chmod -R u=rwX,go=rX "$scratch/code"
  chmod 755 "$app/.venv/bin/trimtab"
  layer "$code" "$scratch/code"
  only "$layers/code-" "$code"
fi

path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
pack() { # pack PREFIX IMAGES.json: the archive, unless it is there; prints it
  local file=$images/$1-$(key "$2").tar
  if [ ! -e "$file" ]; then
    say "packing $1"
    python3 "$HERE/make_image.py" archive "$file" <<<"$2"
    only "$images/$1-" "$file"
  fi
  echo "$file"
}
pack base "[
  {\"names\": [\"localhost/pause:1\"], \"layers\": [\"$pause\"], \"config\": {\"Cmd\": [\"/pause\"]}},
  {\"names\": [\"localhost/web:1\", \"localhost/redis:1\", \"localhost/monitoring:1\"], \"layers\": [\"$debian\", \"$services\"],
   \"config\": {\"Cmd\": [\"nginx\", \"-g\", \"daemon off;\"], \"WorkingDir\": \"/\", \"Env\": [\"PATH=$path\"]}},
  {\"names\": [\"localhost/packages:1\"], \"layers\": [\"$debian\", \"$packages\"],
   \"config\": {\"Cmd\": [\"/app/.venv/bin/python\"], \"Env\": [\"PATH=$path\"]}}]"
pack trimtab "[
  {\"names\": [\"localhost/trimtab:test\"], \"layers\": [\"$debian\", \"$packages\", \"$code\"],
   \"elsewhere\": [\"$debian\", \"$packages\"],
   \"config\": {\"Cmd\": [\"trimtab\", \"--help\"], \"WorkingDir\": \"/app\", \"User\": \"$USER_ID:$USER_ID\", \"Env\": [
     \"PATH=/app/.venv/bin:$path\", \"PYTHONPATH=/app\", \"PYTHONUNBUFFERED=1\", \"PYTHONDONTWRITEBYTECODE=1\", \"HOME=/tmp\"]}}]"
