"""The last question before a command where the operator is asked once more, as on production."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from textual.dom import DOMNode

from core.printable import clean
from tui.dialogs.ask import Ask
from tui.dialogs.dialog import open_dialog
from tui.gateway import CommandToSend


async def ask_once_more(node: DOMNode, profile: str, command: CommandToSend) -> bool:
    """Whether the operator wants this command to be sent."""
    answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def answered(yes: Mapping[str, str] | None) -> None:
        if not answer.done():
            answer.set_result(yes is not None)

    where = f" on {clean(profile)}" if profile else ""
    told = f"{command.verb} {command.kind} {clean(command.subject_id or '(new)')}"
    open_dialog(node, Ask(f"Really{where}?", [told, "This deck asks once more before each command."]), answered)
    return await answer
