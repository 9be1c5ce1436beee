"""Runs docs/how-to/fail-over.md word for word while orders come in: how long none is taken, and how many are lost.

The first server is killed, or frozen as a machine that is off seems to be. In some runs the second one has lost its
connection to the first a second before, so that it lacks what was written since.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self, cast

import asyncpg
import psutil

from bench.ground import PORTS, ROOT, Ground
from bench.report import Row
from core.adapters.postgres.embedded import binaries
from core.home import unprivileged_user
from core.processes import die_with_parent
from core.settings import Settings, env_names
from tests.support.ports import free_port

PAGE = ROOT / "docs/how-to/fail-over.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
PATHS, PAIR, COPY, SYNCHRONOUS, UP, FOLLOWS, STOP, PROMOTE, VERIFY, BACK = range(10)  # the blocks of the page
FIRST, SECOND = 5441, 5442  # the ports that the page has
CUSTOMERS = 8
DECIDE = 1.0  # seconds until whoever has seen that the first server is lost promotes the second
CUT = "ALTER SYSTEM SET primary_conninfo = ''"
ADDRESS = {"street": "1 Market St", "city": "San Francisco", "state": "CA", "zip": "94105", "country": "US"}
ITEM = {"product_id": "LAPTOP-001", "sku": "LAPTOP-001", "quantity": 1, "unit_price": 1}
ORDER = json.dumps({"customer_id": "bench", "items": [ITEM], "shipping_address": ADDRESS})


@dataclass
class Reader:
    """Somebody who follows the page: a shell in which its blocks are run one after the other."""

    folder: Path
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in PORTS})
    pair: dict[int, int] = field(default_factory=lambda: {FIRST: free_port(), SECOND: free_port()})

    def __post_init__(self) -> None:
        known = {name for each in Settings.model_fields for name in env_names(each)}
        self.env = {name: value for name, value in os.environ.items() if name not in known}
        self.env |= {f"ORDERDECK_{setting.upper()}": str(self.ports[name]) for name, setting in PORTS.items()}
        self.env |= {"HOME": str(self.folder), "ORDERDECK_HOME": str(self.folder / "home")}
        self.env["PATH"] = f"{ROOT / '.venv/bin'}:{self.env['PATH']}"
        self._shell = subprocess.Popen(
            ["/bin/bash", "-e"], env=self.env, cwd=ROOT, text=True, preexec_fn=die_with_parent,  # noqa: PLW1509 - one call
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, block: str) -> str:
        for written, port in self.pair.items():
            block = block.replace(str(written), str(port))
        stdin, stdout = cast("IO[str]", self._shell.stdin), cast("IO[str]", self._shell.stdout)
        stdin.write(block + "\necho; echo it is done\n")
        stdin.flush()
        lines: list[str] = []
        for line in stdout:
            if line == "it is done\n":
                return "".join(lines)
            lines.append(line)
        raise SystemExit(f"the page does not work:\n{block}\n{''.join(lines)}")

    def psql(self, server: int, statement: str) -> None:
        self.run(f'psql --host=127.0.0.1 --port={server} --username=postgres --command="{statement}"')

    def server(self, name: str) -> psutil.Process:
        return psutil.Process(int((self.folder / "pair" / name / "postmaster.pid").read_text().split()[0]))

    def end(self) -> None:
        subprocess.run([ROOT / ".venv/bin/orderdeck", "down"], env=self.env, stdout=subprocess.DEVNULL, check=False)
        for name in ("first", "second"):
            with contextlib.suppress(OSError, psutil.Error):
                for process in (*self.server(name).children(), self.server(name)):
                    process.kill()
        self._shell.kill()
        self._shell.wait()


class Customers:
    """They order one order after the other, from some connections at once, and remember which were acknowledged."""

    def __init__(self, port: int) -> None:
        self.taken: list[tuple[float, str]] = []  # when it was answered 201, and its id
        self._port, self._stop = port, threading.Event()
        self._threads = [threading.Thread(target=self._order, daemon=True) for _ in range(CUSTOMERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def first_after(self, moment: float, *, within: float) -> float:
        """When the first order that was answered after `moment` was answered."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            if self.taken and self.taken[-1][0] > moment:
                return next(at for at, _ in self.taken if at > moment)
            time.sleep(0.005)
        raise SystemExit(f"no order was taken within {within:g} s")

    def _order(self) -> None:
        while not self._stop.wait(0.02):
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection.request("POST", "/api/v1/orders", ORDER, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == http.HTTPStatus.CREATED:
                    self.taken.append((time.monotonic(), json.loads(body)["order_id"]))
            connection.close()


def measure(_ground: Ground, seconds: float) -> list[Row]:
    return [
        _run("the first server is killed, the second follows", seconds, back=True),
        _run("the same, the second was cut off 1 s before", seconds, cut=True),
        _run("the same, the first waits for the second", seconds, cut=True, synchronous=True),
        _run("the first server is frozen, as if it were off", seconds, frozen=True),
    ]


@contextlib.contextmanager
def _reader() -> Generator[Reader]:
    user = unprivileged_user()
    folder = Path(tempfile.mkdtemp(prefix="od-pair-"))
    folder.chmod(0o755)
    reader = Reader(folder)
    try:
        if user is not None:  # PostgreSQL does not run as root, so its programs are run as the user that it runs as
            programs, real = folder / "bin", binaries(user)
            programs.mkdir()
            for program in real.iterdir():
                become = f"exec setpriv --reuid={user.pw_uid} --regid={user.pw_gid} --clear-groups"
                (programs / program.name).write_text(f'#!/bin/sh\n{become} {program} "$@"\n')
                (programs / program.name).chmod(0o755)
            (folder / "pair").mkdir()
            os.chown(folder / "pair", user.pw_uid, user.pw_gid)
        yield reader
    finally:
        reader.end()
        shutil.rmtree(folder, ignore_errors=True)


def _run(
    what: str, seconds: float, *, cut: bool = False, synchronous: bool = False, frozen: bool = False, back: bool = False
) -> Row:
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    with _reader() as reader:
        reader.run(blocks[PATHS] + (f'export PATH="{reader.folder}/bin:$PATH"' if unprivileged_user() else ""))
        for number in (PAIR, COPY, *((SYNCHRONOUS,) if synchronous else ()), UP):
            reader.run(blocks[number])
        follows = reader.run(blocks[FOLLOWS])
        _must_say(follows, "sync " if synchronous else "async")
        with Customers(reader.ports["command-api"]) as customers:
            customers.first_after(time.monotonic(), within=20)
            time.sleep(seconds)
            if cut:
                reader.psql(SECOND, CUT)
                reader.psql(SECOND, "SELECT pg_reload_conf()")
                time.sleep(1)
            lost_at = time.monotonic()
            first = reader.server("first")
            stopped = [first, *first.children()] if frozen else []
            for process in stopped:
                process.suspend()
            if not frozen:
                reader.run(blocks[STOP])
            time.sleep(DECIDE)
            promoted = time.monotonic()
            reader.run(blocks[PROMOTE])
            again = customers.first_after(promoted, within=60)
            last = max(at for at, _ in customers.taken if at < lost_at + DECIDE / 2)
            time.sleep(seconds)
        known = asyncio.run(_orders(reader.pair[SECOND]))
        lost = [order for _, order in customers.taken if order not in known]
        for process in stopped:
            process.kill()
        if not lost:
            _must_say(reader.run(blocks[VERIFY]), "nothing is wrong")
        if back:
            reader.run(blocks[BACK])
            _must_say(reader.run(blocks[FOLLOWS].replace(str(FIRST), str(SECOND))), "first")
        print(f"bench: {what}: {len(lost)} of {len(customers.taken)} lost", file=sys.stderr, flush=True)
    data: dict[str, Any] = {
        "promoted_to_next_201_s": again - promoted,
        "without_201_s": again - last,
        "acknowledged": len(customers.taken),
        "lost": len(lost),
    }
    figures = f"next 201 {again - promoted:.1f} s after the promotion began; {len(lost)} of {len(customers.taken)} lost"
    reach = "0 lost" if synchronous or not cut else ""
    return Row(what, figures, reach=reach, met=not lost if reach else None, data=data)


def _must_say(said: str, words: str) -> None:
    if words not in said:
        raise SystemExit(f"the page does not work: {words!r} is not in\n{said}")


async def _orders(port: int) -> set[str]:
    server = await asyncpg.connect(f"postgresql://postgres@127.0.0.1:{port}/orderdeck")
    rows = await server.fetch("SELECT stream_id::text FROM events WHERE category = 'order' AND version = 1")
    await server.close()
    return {row[0] for row in rows}
