"""Makes daemons/grpc_api/orderdeck_pb2.py and its types of proto/orderdeck/v1/orderdeck.proto: `make proto`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROTO = "orderdeck/v1/orderdeck.proto"
PLACE = ROOT / "daemons/grpc_api"


def made(folder: Path) -> dict[str, str]:
    """The text of each file that protoc makes, by its name."""
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT}/proto", f"--python_out=pyi_out:{folder}", PROTO]
    subprocess.run(command, check=True)
    return {path.name: path.read_text(encoding="utf-8") for path in (folder / PROTO).parent.iterdir()}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for name, text in made(Path(folder)).items():
            (PLACE / name).write_text(text, encoding="utf-8")
