#!/bin/sh
# Builds the image without a container engine and without a registry of images, and then tries it: starts every daemon
# in it, takes an order, and sees that its health check tells a running daemon from a killed one.
#
#   deploy/build-image.sh             build localhost/orderdeck, and try it
#   deploy/build-image.sh --no-try    only build it
#
# Needs root, buildah and debootstrap (apt install buildah debootstrap). The base is made of packages from the Debian
# mirror that apt uses here, and kept as localhost/orderdeck-base; pip installs as it is configured on this machine.
set -eu
cd "$(dirname "$0")/.."
BASE=localhost/orderdeck-base
IMAGE=localhost/orderdeck
scratch=$(mktemp -d)
container=
root=

finish() {
    if [ -n "$container" ]; then
        pid="$root/app/.orderdeck/run/supervisord.pid"
        if [ -s "$pid" ]; then
            kill -TERM "$(cat "$pid")" 2>/dev/null || true
            wait
        fi
        buildah rm "$container" >/dev/null 2>&1 || true
    fi
    umount "$scratch/base/proc" "$scratch/base/sys" 2>/dev/null || true # where debootstrap was interrupted
    rm -rf --one-file-system "$scratch"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

for tool in buildah debootstrap; do
    command -v "$tool" >/dev/null || { echo "$tool is missing: apt install buildah debootstrap" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "debootstrap needs root" >&2; exit 1; }

if ! buildah inspect --type image "$BASE" >/dev/null 2>&1; then
    # shellcheck disable=SC1091 # the file says which Debian this is
    . /etc/os-release
    # shellcheck disable=SC2016 # apt fills these in
    mirror=$(apt-get indextargets --format '$(SITE) $(COMPONENT)' 'Created-By: Packages' | awk '/debian main$/ { print $1; exit }')
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
        "$VERSION_CODENAME" "$scratch/base" "$mirror" >"$scratch/debootstrap.log" 2>&1 \
        || { tail -5 "$scratch/debootstrap.log" >&2; exit 1; }
    rm -rf "$scratch"/base/var/cache/apt/* "$scratch"/base/var/lib/apt/lists/* "$scratch"/base/usr/share/doc/*
    made=$(buildah from scratch)
    buildah add --quiet "$made" "$scratch/base" / >/dev/null
    buildah commit --quiet --rm "$made" "$BASE" >/dev/null
    rm -rf "$scratch/base"
    echo "made the base $BASE"
fi

# How pip reaches its packages on this machine; the image does not keep it.
{
    echo "[global]"
    python3 -m pip config list \
        | sed -nE "s/^(:env:|global)\.(index-url|extra-index-url|cert|proxy|trusted-host|timeout)='(.*)'\$/\2 = \3/p" \
        | awk '!seen[$1]++'
} >"$scratch/pip.conf"
buildah bud --quiet --isolation chroot --format docker --build-arg "BASE=$BASE" --tag "$IMAGE" \
    --volume "$scratch/pip.conf:/etc/pip.conf:ro" --volume /etc/ssl/certs:/etc/ssl/certs:ro . >/dev/null
echo "built $IMAGE: $(buildah images --format '{{.Size}}' "$IMAGE"), of it the base $(buildah images --format '{{.Size}}' "$BASE")"
[ "${1:-}" = --no-try ] && exit 0

# --- try it: the ports are those of this machine, since a chroot has no network of its own ---------------------------
container=$(buildah from "$IMAGE")
root=$(buildah mount "$container")
ports=
inside() {
    # shellcheck disable=SC2086 # a list of options
    buildah run --isolation chroot $ports "$container" -- "$@" 2>>"$scratch/log"
}
ports="--env ORDERDECK_PROJECTOR_COUNT=2 $(inside python -c '
import random, socket
from daemons.process.program_list import PROGRAMS
for program in PROGRAMS:
    if program.port:
        while True:  # a port for the program, and one for each of two processes of it
            port = random.randrange(20_000, 30_000)
            try:
                for each in (port, port + 100, port + 200):
                    socket.create_server(("127.0.0.1", each)).close()
            except OSError:
                continue
            break
        print(f"--env ORDERDECK_{program.port.upper()}={port}")')"

inside python deploy/start.py >>"$scratch/log" &
began=$(date +%s)
until inside python deploy/healthy.py >"$scratch/health"; do
    [ $(($(date +%s) - began)) -lt 60 ] || { tail -50 "$scratch/log" >&2; cat "$scratch/health" >&2; exit 1; }
    sleep 0.5
done
echo "every daemon was ready after $(($(date +%s) - began)) s"

who=$(stat -c %u "/proc/$(cat "$root/app/.orderdeck/run/supervisord.pid")")
[ "$who" = 10001 ] || { echo "supervisord runs as user $who" >&2; exit 1; }
inside orderdeck order place --customer image --item LAPTOP-001:1:1299.99 --street "1 Market St" --city "San Francisco" \
    --state CA --zip 94105 --country US >"$scratch/placed" || { cat "$scratch/placed" >&2; exit 1; }
cat "$scratch/placed"
until inside orderdeck orders status:confirmed >"$scratch/orders" && grep -q CONFIRMED "$scratch/orders"; do
    [ $(($(date +%s) - began)) -lt 90 ] || { cat "$scratch/orders" >&2; echo "the order was not confirmed" >&2; exit 1; }
    sleep 0.2
done
echo "the order is confirmed"

inside orderdeck ctl stop projector-2 >/dev/null
if inside python deploy/healthy.py >"$scratch/health"; then
    echo "the container was healthy without one of its projectors" >&2
    exit 1
fi
cat "$scratch/health"
