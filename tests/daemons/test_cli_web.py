"""The deck in a browser, over the websocket that a browser would open; no browser can be had from the package index."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil
import pytest

ROOT = Path(__file__).parents[2]
WITHIN = 60.0  # seconds


@asynccontextmanager
async def served(home: Path, *options: str) -> AsyncIterator[tuple[str, psutil.Process]]:
    """`orderdeck web` on a free port; its address."""
    ours = {"ORDERDECK_HOME": str(home), "ORDERDECK_COMMAND_PORT": "1", "ORDERDECK_QUERY_PORT": "1"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "daemons.cli.main", "web", "--port", "0", *options),
        cwd=ROOT,
        env=os.environ | ours,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(WITHIN):
            said = (await process.stdout.readline()).decode()
        found = re.search(r"http://\S+", said)
        assert found, said
        yield found[0], psutil.Process(process.pid)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WITHIN):
            await process.wait()


async def drawn_until(socket: aiohttp.ClientWebSocketResponse, text: str) -> None:
    drawn = b""
    async with asyncio.timeout(WITHIN):
        while text.encode() not in drawn:
            message = await socket.receive()
            assert message.type is aiohttp.WSMsgType.BINARY, f"{message!r} after {drawn[-2000:]!r}"
            drawn += message.data


async def test_a_browser_shows_the_deck_which_only_reads_and_ends_with_its_page(tmp_path: Path) -> None:
    async with served(tmp_path, "--visitors", "1") as (url, server), aiohttp.ClientSession() as session:
        page = await (await session.get(url)).text()
        name = f"localhost:{url.rsplit(':', 1)[1]}"
        through_ssh = await (await session.get(url, headers={"Host": "localhost:9000"})).text()
        assert f"ws://{url.removeprefix('http://')}/ws" in page
        assert "ws://localhost:9000/ws" in through_ssh, "as the browser reached it"
        headers = {"Origin": f"http://{name}", "Host": name}
        async with session.ws_connect(f"{url}/ws?width=100&height=30", headers=headers) as socket:
            await drawn_until(socket, "READ ONLY")
            await socket.send_json(["resize", {"width": 90_000_000, "height": 40}])
            await socket.send_json(["stdin", "n"])
            await drawn_until(socket, "this deck only reads")
            (deck,) = server.children(recursive=True)
            with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
                await session.ws_connect(f"{url}/ws", headers=headers)
        async with asyncio.timeout(WITHIN):
            while deck.is_running() and deck.status() != psutil.STATUS_ZOMBIE:
                await asyncio.sleep(0.05)
        async with session.ws_connect(f"{url}/ws", headers=headers) as socket:
            await drawn_until(socket, "READ ONLY")
            (deck,) = server.children(recursive=True)
            server.send_signal(signal.SIGTERM)
            async with asyncio.timeout(WITHIN):
                while deck.is_running() and deck.status() != psutil.STATUS_ZOMBIE:
                    await asyncio.sleep(0.05)


async def test_pages_of_strangers_and_sizes_beyond_measure_are_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as (url, server), aiohttp.ClientSession() as session:
        ours = url.removeprefix("http://")
        refused: list[tuple[str, dict[str, str]]] = [
            ("/", {"Host": "evil.example"}),
            ("/", {"Host": f"evil.example:{ours.rsplit(':', 1)[1]}"}),
            ("/", {"Host": "127.0.0.1.evil.example"}),
            ("/", {"Host": "a b"}),
            ("/", {"Origin": "https://evil.example"}),
            ("/static/js/textual.js", {"Host": "evil.example"}),
            ("/ws", {}),
            ("/ws", {"Origin": "null"}),
            ("/ws", {"Origin": "http://evil.example"}),
            ("/ws", {"Origin": "http://localhost:1"}),
            ("/ws", {"Origin": f"http://{ours}", "Host": "evil.example"}),
            ("/ws?width=1000000", {"Origin": f"http://{ours}"}),
            ("/ws?width=80&height=0", {"Origin": f"http://{ours}"}),
            ("/ws?width=-1", {"Origin": f"http://{ours}"}),
            ("/ws?width=9999999999999999999999", {"Origin": f"http://{ours}"}),
        ]
        for path, headers in refused:
            upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
            answer = await session.get(f"{url}{path}", headers=upgrade | headers)
            assert answer.status == 403, f"{path} {headers}: {answer.status}"
        assert server.children(recursive=True) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "is reachable from other machines and there is no login: use `ssh -L` instead"),  # noqa: S104 - refused
        (["--host", "no.such.host.invalid"], "is not an address of this machine"),
        (["--host", "203.0.113.7"], "cannot listen on 203.0.113.7"),
    ],
)
def test_it_listens_on_loopback_unless_that_is_allowed(tmp_path: Path, options: list[str], said: str) -> None:
    program = [sys.executable, "-m", "daemons.cli.main", "web", "--port", "0", *options]
    environ = os.environ | {"ORDERDECK_HOME": str(tmp_path)}
    done = subprocess.run(program, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
