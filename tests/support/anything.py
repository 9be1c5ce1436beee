"""Stands for what handlers would use, where an application is only described and no handler is called."""

from __future__ import annotations

from typing import Any


class Anything:
    def __getattr__(self, _: str) -> Any:
        return Anything()
