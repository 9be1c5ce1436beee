#!/usr/bin/env bash
# Installs the wheel in dist/ into an empty environment, as a user of the package would, and takes orders with it: outside
# this checkout, in a home of its own, on ports that are free.
set -euo pipefail
wheel="$(ls "$PWD"/dist/orderdeck-*.whl)"
place="$(mktemp --directory)"
chmod 755 "$place"  # where root calls this, the daemons run as an ordinary user, who has to reach their home
cd "$place"
export ORDERDECK_HOME="$place/home"
finish() {
  "$place/venv/bin/orderdeck" down || true
  rm -rf "$place"
}
trap finish EXIT
"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check "$wheel"
# Each port setting of `orderdeck` that the package itself knows gets a free port.
eval "$(venv/bin/python - <<'P'
import socket
from core.settings import Settings

ports = [name for name in Settings.model_fields if name.endswith("_port")]
held = [socket.create_server(("127.0.0.1", 0)) for _ in ports]
for name, listener in zip(ports, held, strict=True):
    print(f"export ORDERDECK_{name.upper()}={listener.getsockname()[1]}")
P
)"
venv/bin/orderdeck up
venv/bin/orderdeck demo
venv/bin/orderdeck verify
venv/bin/orderdeck down
venv/bin/orderdeck status && { echo "something still runs"; exit 1; }
echo "the wheel works: $(basename "$wheel")"
