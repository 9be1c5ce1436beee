"""The example in Node of the page on gRPC, as a process, over the client that Buf generates from the .proto."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.support.node_packages import node_packages
from tests.support.stack import ROOT

PAGE = ROOT / "docs/how-to/use-grpc.md"
PLUGIN = {"local": "protoc-gen-es", "out": ".", "opt": "target=js"}
# A function that runs between fork and exec would let gRPC's handlers of forks run, which now and then wait for ever.
DIES_WITH_US = (
    "import os, sys; sys.path.insert(0, sys.argv[1]); from core.processes import die_with_parent; die_with_parent(); "
    "os.execv(sys.argv[2], sys.argv[2:])"
)


class NodeExample:
    """Made in `folder`; `start` runs it. It follows the log from the first event on, and not from its order on."""

    def __init__(self, folder: Path, port: int, key: str) -> None:
        packages = node_packages()
        self._folder = folder
        self._printed = folder / "printed"
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "node_modules").symlink_to(packages / "node_modules")
        (folder / "package.json").write_text('{"type": "module"}')
        plugin = PLUGIN | {"local": str(packages / "node_modules/.bin/protoc-gen-es")}
        buf = Path(sys.executable).with_name("buf")
        template = json.dumps({"version": "v2", "plugins": [plugin]})
        subprocess.run([buf, "generate", ROOT / "proto", "--template", template], cwd=folder, check=True)
        (found,) = re.findall(r"```js\n(.*?)```", PAGE.read_text(), re.DOTALL)
        for text, ours in {
            "http://127.0.0.1:8082": f"http://127.0.0.1:{port}",
            "const headers = {};": f"const headers = {{ Authorization: 'Bearer {key}' }};",
            "let after = order.position;": "let after = 0n;",
        }.items():
            assert found.count(text) == 1, text
            found = found.replace(text, ours)
        (folder / "place.js").write_text(found)
        assert json.dumps(PLUGIN, separators=(",", ":")) in PAGE.read_text()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def start(self) -> None:
        with self._printed.open("wb") as printed:
            self._process = subprocess.Popen(
                [sys.executable, "-c", DIES_WITH_US, str(ROOT), str(shutil.which("node")), "place.js"],
                cwd=self._folder,
                stdout=printed,
                stderr=subprocess.STDOUT,
            )

    def lines(self) -> list[str]:
        """The whole lines that it has printed. Raises AssertionError when it has failed."""
        printed = self._printed.read_text()
        assert self._process is not None
        assert self._process.poll() in (None, 0), printed
        return printed.split("\n")[:-1]

    def positions(self) -> list[int]:
        return [int(found[1]) for line in self.lines() if (found := re.fullmatch(r"(\d+) \w+", line))]

    def wait(self) -> None:
        """Wait until it has ended by itself."""
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(30)
        assert self._process.poll() == 0, self._printed.read_text()
