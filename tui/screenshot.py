"""Pictures of the running deck, as SVG, one of each view: `python -m tui.screenshot docs/pictures`, beside a stack."""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from tui.app import DeckApp
from tui.http_gateway import HttpGateway
from tui.registry import VIEWS

SIZE = (120, 34)
WITHIN = 15.0  # seconds for the services to answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--command-url", default="http://127.0.0.1:8080")
    parser.add_argument("--query-url", default="http://127.0.0.1:8081")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    app = DeckApp(HttpGateway(arguments.command_url, arguments.query_url))
    _ = app.run(headless=True, size=SIZE, auto_pilot=lambda pilot: _take_all(app, pilot, arguments.folder))


async def _take_all(app: DeckApp, pilot: Pilot[Any], folder: Path) -> None:
    await _until(lambda: app.desk.feed.state == "live" and app.desk.orders.phase == "ready")
    for entry in VIEWS:
        if entry.name == "compare":
            app.deck.moments.compare("-15m")
        else:
            await pilot.press(entry.key or "enter")  # one without a key is opened from the view before it
        await _until(lambda name=entry.name: app.deck.current == name)
        await pilot.pause(3)  # what a view reads comes at once, and what is measured, every second or two
        picture = app.export_screenshot(title="orderdeck")
        # The fonts that the picture names would be fetched from elsewhere by everyone who looks at it.
        picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
        await asyncio.to_thread((folder / f"{entry.name}.svg").write_text, picture)
    app.exit()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not condition():  # noqa: ASYNC110 - what it looks at are plain figures
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    main()
