"""The .proto: the Python made of it is up to date, it fits the HTTP services, and no change of it breaks a client."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from daemons.command_api import shapes
from daemons.grpc_api.http_requests import TERMS
from daemons.grpc_api.routes import ROUTES
from tests.support.proto import PLACE, PROTO, ROOT, made

GOLDEN = (
    ROOT / "tests/data/grpc/orderdeck.v1.binpb"
)  # what was released: `buf build proto -o` writes it after additions
BUF = Path(sys.executable).with_name("buf")
BODIES = {
    "CreateOrder": shapes.CreateOrderBody,
    "CancelOrder": shapes.CancelBody,
    "ShipOrder": shapes.ShipBody,
    "RefundOrder": shapes.RefundOrderBody,
    "ReceiveStock": shapes.ReceiptBody,
    "AdjustStock": shapes.AdjustmentBody,
    "RetrySaga": shapes.ReasonBody,
}


def test_the_python_of_the_proto_is_what_protoc_makes_of_it(tmp_path: Path) -> None:
    assert {name: (PLACE / name).read_text(encoding="utf-8") for name in made(tmp_path)} == made(tmp_path), "make proto"


def test_each_command_has_the_fields_of_its_body_over_http() -> None:
    routes = {route.method: route for route in ROUTES.values()}
    for method, body in BODIES.items():
        fields = {field.name: field for field in routes[method].request.fields}
        of_body = {field.name: field for field in msgspec.structs.fields(body)}
        assert set(fields) - {TERMS, *routes[method].names} == set(of_body)
        for name, field in of_body.items():
            left_out = fields[name].has_presence and fields[name].message_type is None
            assert left_out == (not field.required) or fields[name].message_type, f"{method}.{name}"


def _breaks(folder: Path, old: str, new: str) -> str:
    """What buf says of the .proto with a change."""
    shutil.copytree(ROOT / "proto", folder, dirs_exist_ok=True)
    text = (folder / PROTO).read_text(encoding="utf-8")
    assert old in text
    (folder / PROTO).write_text(text.replace(old, new, 1), encoding="utf-8")
    done = subprocess.run(
        [BUF, "breaking", str(folder), "--against", str(GOLDEN)], capture_output=True, text=True, check=False
    )
    assert done.returncode in {0, 100}, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("string tracking_number = 2;", "string tracking_number = 2; // where it is", ""),
        ("  string carrier = 3;", "  string carrier = 3;\n  string more = 9;", ""),
        ("string tracking_number = 2;", "string tracking_number = 7;", "Previously present field"),
        ("string tracking_number = 2;", "bytes tracking_number = 2;", "changed type"),
        ("string tracking_number = 2;", "string tracking = 2;", "changed"),
        ("rpc GetStats(GetStatsRequest)", "rpc TellStats(GetStatsRequest)", "Previously present RPC"),
    ],
)
def test_buf_finds_what_breaks_clients_and_lets_additions_pass(tmp_path: Path, old: str, new: str, said: str) -> None:
    found = _breaks(tmp_path, old, new)
    assert said in found
    assert bool(found) == bool(said)
